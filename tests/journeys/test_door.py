"""The door: what is passed on as it is, what is read, what is refused, and when what passes is cut."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time

import pytest

from appliance import giving_back
from tests.journeys.lab import BOTH, Lab, Via, drain
from tests.journeys.network import GATEWAY
from tests.journeys.origin import ELSEWHERE, HELLO
from tests.journeys.running import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

BANK = "bank.example"
"""In the category of banks, which nobody decrypts."""


def only(lab: Lab) -> list[str]:
    """Return options of curl for a device that trusts the site's own CA, and not the school's."""
    return ["--cacert", str(lab.origin.root_file)]


@pytest.mark.parametrize("via", [*BOTH, Via.WIRE6])
def test_a_bank_is_passed_on_under_its_own_certificate(lab: Lab, via: Via) -> None:
    """The device sees the bank's own certificate, and what the bank says is nobody else's."""
    got = lab.curl(f"https://{BANK}/", *only(lab), who="staff", via=via, trust=False)
    assert HELLO in got.body
    assert got.version == "2"
    row = lab.gateway.logged(lambda row: row["host"] == BANK and row["method"] == "TLS", "the splice")
    assert (row["action"], row["category"], row["group"]) == ("allow", "finance", "staff")
    assert row["bytes_sent"] > 500
    assert row["bytes_received"] > 1000
    assert "/" not in row["url"].removeprefix(f"https://{BANK}").removesuffix("/")
    assert lab.explain("staff", f"https://{BANK}/")["inspect"] == "never"


@pytest.mark.parametrize("via", BOTH)
def test_everything_else_is_read(lab: Lab, via: Via) -> None:
    """A site that nobody exempted shows the school's certificate, and its pages are in the log."""
    got = lab.curl("https://www.education.example/", *only(lab), via=via, trust=False)
    assert got.code == 60, "the school's certificate must be there, and is not trusted here"
    assert HELLO in lab.curl("https://www.education.example/door", via=via).body


@pytest.mark.parametrize("via", BOTH)
def test_a_bank_that_is_closed_to_pupils_shows_its_page(lab: Lab, via: Via) -> None:
    """Being unread opens nothing: what the profile closes is closed, with a page that says why."""
    got = lab.curl(f"https://{BANK}/", via=via, who="ks2")
    assert got.status == 403
    assert lab.gateway.record_of(got.reference)["category"] == "finance"


def test_a_client_cannot_choose_where_a_spliced_name_leads(lab: Lab) -> None:
    """A forger's server under a bank's name is never reached: the gateway looks the name up itself (H11)."""
    before = len(lab.origin.heard)
    got = lab.curl(f"https://{BANK}/", *only(lab), who="staff", via=Via.WIRE, to=ELSEWHERE, trust=False)
    assert HELLO in got.body
    assert len(lab.origin.heard) == before


def hello(lab: Lab, name: str | None) -> bytes:
    """Return the first bytes of a device's encrypted connection."""
    context = ssl.create_default_context(cafile=str(lab.origin.root_file))
    context.check_hostname = False
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(into, out, server_hostname=name).do_handshake()
    return out.read()


@pytest.mark.parametrize("via", BOTH)
def test_a_hello_in_many_pieces_is_the_same_hello(lab: Lab, via: Via) -> None:
    """Cutting the name in pieces hides nothing, and breaks nothing either."""
    data = hello(lab, BANK)
    with lab.dial("staff", via, port=443) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if via is Via.PROXY:
            wire.sendall(f"CONNECT {BANK}:443 HTTP/1.1\r\nHost: {BANK}:443\r\n\r\n".encode())
            assert wire.recv(4096).startswith(b"HTTP/1.1 200 ")
        for at in range(0, len(data), 40):
            wire.sendall(data[at : at + 40])
            time.sleep(0.002)
        wire.settimeout(10)
        assert wire.recv(5)[:2] == b"\x16\x03", "the bank answers"


@pytest.mark.parametrize(
    ("data", "because"),
    [
        (b"SSH-2.0-OpenSSH_9.9\r\n", "SSH"),
        (b"\x00\x01\x02\x03", "neither HTTP nor TLS"),
        (b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", "cannot be read"),
    ],
)
def test_what_is_no_web_is_refused_with_its_reason(lab: Lab, data: bytes, because: str) -> None:
    """Another protocol on the web's port does not get out, and the log says what it was."""
    answer = lab.raw(data, via=Via.WIRE, port=443)
    assert answer in (b"", b"\x15\x03\x01\x00\x02\x02\x31")
    row = lab.gateway.logged(lambda row: because in row["because"], because)
    assert (row["action"], row["reason"]) == ("block", "malformed")


def test_tls_to_the_proxys_own_port_is_refused_with_its_reason(lab: Lab) -> None:
    """A browser that is set to an HTTPS proxy is told at once, and the log says what to change."""
    assert lab.raw(hello(lab, GATEWAY)) == b"\x15\x03\x01\x00\x02\x02\x31"
    assert lab.gateway.logged(lambda row: "gateway.listen_tls" in row["because"], "TLS to the proxy")


def test_without_a_name_nothing_is_passed_on(lab: Lab) -> None:
    """An encrypted connection that names no site is a site called by number."""
    answer = lab.raw(hello(lab, None), "staff", Via.WIRE, port=443)
    assert answer[:2] == b"\x16\x03", "our own answer: a page that says why"
    assert lab.explain("staff", "https://203.0.113.10/")["inspect"] == "addresses"


def test_a_long_transfer_passes_without_memory(lab: Lab) -> None:
    """A film through the splice costs no memory at all."""
    url = f"https://{BANK}/big"
    options = [*only(lab), "-o", "/dev/null"]
    assert lab.curl(url, *options, who="staff", via=Via.WIRE, trust=False).status == 200
    before = lab.gateway.memory()
    for _ in range(3):
        assert lab.curl(url, *options, who="staff", via=Via.WIRE, trust=False).status == 200
    # A worker that has just given back what it does not use takes some of it again, until the next time.
    until(
        lambda: lab.gateway.memory() - before < 1 << 10,
        "the workers hold no megabyte more",
        giving_back.EVERY_SECONDS + 5,
    )


def test_what_passes_is_cut_when_its_rule_ends(rough_lab: Lab) -> None:
    """A rule that is changed ends within moments what it had allowed, and that is recorded."""
    lab = rough_lab
    profile = lab.gateway.profile("westways/_adults")
    before = profile.read_text(encoding="utf-8")
    context = ssl.create_default_context(cafile=str(lab.origin.root_file))
    with (
        lab.dial("staff", Via.WIRE, port=443) as wire,
        context.wrap_socket(wire, server_hostname=BANK) as tunnel,
    ):
        tunnel.sendall(f"GET / HTTP/1.1\r\nHost: {BANK}\r\n\r\n".encode())
        assert HELLO.encode() in drain(tunnel)
        at = before.index("  finance:")
        closed = before[:at] + before[at:].replace("rating: acceptable", "rating: unacceptable", 1)
        profile.write_text(closed, encoding="utf-8")
        try:
            tunnel.settimeout(5)
            with contextlib.suppress(ConnectionError):
                assert tunnel.recv(1) == b"", "cut"
            row = lab.gateway.logged(lambda row: row["host"] == BANK and row["action"] == "block", "the cut")
            assert row["category"] == "finance"
        finally:
            profile.write_text(before, encoding="utf-8")
            until(lambda: lab.explain("staff", f"https://{BANK}/")["action"] == "allow", "open again")
