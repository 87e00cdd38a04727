"""What a pupil tries on a blocked site is on record: each attempt once, under the site's own name (F8)."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest

from appliance.filtering import REVIEW_PATH
from tests.journeys.lab import BOTH, Lab, Via, drain
from tests.journeys.running import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

GOOD, BAD = "education.example", "gambling.example"
CARELESS = ssl.create_default_context()
CARELESS.check_hostname = False
CARELESS.verify_mode = ssl.CERT_NONE


def rows_of(lab: Lab, act: Callable[[], Any], wanted: int = 1) -> list[dict[str, Any]]:
    """Return the rows that `act` led to, once there are as many as wanted, and a moment later."""
    before = len(lab.gateway.log(flagged=True))
    act()
    until(lambda: len(lab.gateway.log(flagged=True)) >= before + wanted, f"{wanted} rows")
    time.sleep(0.7)  # longer than a batch waits: a second row of one attempt would be there by now
    return lab.gateway.log(flagged=True)[before:]


def connect(lab: Lab, target: str, then: bytes = b"") -> bytes:
    """Open a tunnel, send something through it, and return what comes back before hanging up."""
    with lab.dial() as wire:
        wire.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        assert b" 200 " in wire.recv(4096)
        if not then:
            return b""
        wire.sendall(then)
        return drain(wire)


def hello(lab: Lab, via: Via, name: str, *more: str) -> bytes:
    """Speak TLS to `name`, and within that TLS to each further name; return what comes of a request."""
    with lab.dial(via=via, port=443) as wire:
        if via is Via.PROXY:
            wire.sendall(f"CONNECT {name}:443 HTTP/1.1\r\nHost: {name}:443\r\n\r\n".encode())
            assert b" 200 " in wire.recv(4096)
        with CARELESS.wrap_socket(wire, server_hostname=name) as outer:
            if not more:
                return b""
            coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
            inner = CARELESS.wrap_bio(coming, going, server_hostname=more[0])
            with contextlib.suppress(OSError, ssl.SSLError):
                _talk(outer, inner, coming, going, more[0])
            return b""


def h2_status(lab: Lab, via: Via, host: str, fields: list[tuple[bytes, bytes]]) -> int:
    """Ask for `/smuggled` over HTTP/2 with some fields as they are; the status, or 0 for a cut connection."""
    told = {b":method": b"GET", b":scheme": b"https", b":authority": host.encode(), b":path": b"/smuggled"}
    config = h2.config.H2Configuration(
        validate_outbound_headers=False, normalize_outbound_headers=False, header_encoding=None
    )
    client = h2.connection.H2Connection(config)
    with lab.dial(via=via, port=443) as wire, contextlib.suppress(OSError):
        if via is Via.PROXY:
            wire.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
            assert b" 200 " in wire.recv(4096)
        with lab.trusting("h2").wrap_socket(wire, server_hostname=host) as inner:
            assert inner.selected_alpn_protocol() == "h2"
            client.initiate_connection()
            client.send_headers(1, list((told | dict(fields)).items()), end_stream=True)
            inner.sendall(client.data_to_send())
            while data := inner.recv(65536):
                for event in client.receive_data(data):
                    if isinstance(event, h2.events.ResponseReceived):
                        return int(dict(event.headers)[b":status"])
    return 0


def _talk(
    outer: ssl.SSLSocket, inner: ssl.SSLObject, coming: ssl.MemoryBIO, going: ssl.MemoryBIO, host: str
) -> None:
    outer.settimeout(3)
    while True:
        try:
            inner.do_handshake()
            break
        except ssl.SSLWantReadError:
            outer.sendall(going.read())
            coming.write(outer.recv(65536))
    inner.write(f"GET /inner HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    outer.sendall(going.read())
    outer.recv(65536)


def test_a_tunnel_that_was_only_opened_is_on_record(lab: Lab) -> None:
    """Who hangs up before a page can be shown has asked all the same."""
    (row,) = rows_of(lab, lambda: connect(lab, f"{BAD}:443"))
    assert (row["host"], row["action"], row["category"]) == (BAD, "block", "gambling")


def test_another_host_in_a_blocked_tunnel_is_told_under_the_tunnel_s_name(lab: Lab) -> None:
    """The row, and the page, name what was blocked, not the harmless name inside."""
    got: list[bytes] = []
    request = f"GET / HTTP/1.1\r\nHost: {GOOD}\r\nConnection: close\r\n\r\n".encode()
    (row,) = rows_of(lab, lambda: got.append(connect(lab, f"{BAD}:80", request)))
    assert (row["host"], row["url"], row["category"]) == (BAD, f"http://{BAD}/", "gambling")
    assert BAD.encode() in got[0]


@pytest.mark.parametrize("via", BOTH)
def test_a_blocked_name_in_the_encryption_is_on_record_without_a_request(lab: Lab, via: Via) -> None:
    """A handshake alone is an attempt."""
    (row,) = rows_of(lab, lambda: hello(lab, via, BAD))
    assert (row["host"], row["category"]) == (BAD, "gambling")


@pytest.mark.parametrize("via", BOTH)
def test_encryption_within_the_encryption_hides_nothing(lab: Lab, via: Via) -> None:
    """The blocked name outside is on record, and what is inside is refused and reaches nobody."""
    rows = rows_of(lab, lambda: hello(lab, via, BAD, GOOD), 2)
    assert sorted(row["reason"] for row in rows) == ["malformed", "unacceptable"]
    assert lab.origin.saw("inner") == []
    assert lab.origin.packets_to_blocked() == 0


@pytest.mark.parametrize("via", BOTH)
def test_the_form_s_own_path_is_no_place_to_hide(lab: Lab, via: Via) -> None:
    """A blocked site is blocked and recorded on that path, too."""
    got: list[int] = []
    for more in ((), ("-d", "reference=x&token=y")):
        ask = partial(lab.curl, f"https://{BAD}{REVIEW_PATH}", *more, via=via)
        (row,) = rows_of(lab, lambda ask=ask: got.append(ask().status))  # type: ignore[misc]  # its default
        assert (row["host"], row["category"]) == (BAD, "gambling")
    assert got == [403, 403]


@pytest.mark.parametrize("via", BOTH)
@pytest.mark.parametrize(
    "fields",
    [
        [(b":method", b"GET /x HTTP/1.1\r\nHost: gambling.example\r\n\r\nGET")],
        [(b":method", b"GE T")],
        [(b":scheme", b"ftp")],
        [(b"a b", b"x")],
    ],
)
def test_http2_fields_that_would_be_another_request_go_nowhere(
    lab: Lab, fields: list[tuple[bytes, bytes]], via: Via
) -> None:
    """What HTTP/1 would read as a second request is refused before any site hears of it (smuggling)."""
    before = len(lab.origin.seen)
    assert h2_status(lab, via, GOOD, fields) in {0, 400}
    assert len(lab.origin.seen) == before
    assert h2_status(lab, via, GOOD, []) == 200


@pytest.mark.parametrize("via", BOTH)
def test_a_forged_name_over_http2_is_on_record(lab: Lab, via: Via) -> None:
    """Two names in one request are refused by the rules of HTTP/2 already, and leave a row all the same."""
    fields = [(b":authority", BAD.encode()), (b"host", GOOD.encode())]
    (row,) = rows_of(lab, lambda: h2_status(lab, via, GOOD, fields))
    assert (row["host"], row["reason"], row["action"]) == (GOOD, "malformed", "block")


def test_a_tunnel_in_a_tunnel_is_told_under_its_target(lab: Lab) -> None:
    """The name that a pupil asked for is in the row, also where the tunnel is none."""
    inner = f"CONNECT {BAD}:443 HTTP/1.1\r\nHost: {BAD}:443\r\n\r\n".encode()
    (row,) = rows_of(lab, lambda: connect(lab, f"{GOOD}:80", inner))
    assert (row["host"], row["reason"]) == (BAD, "malformed")
