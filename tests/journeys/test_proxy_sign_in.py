"""Devices that show no page: a name and a password for the proxy itself, under encryption."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.events.audit import Trail
from appliance.identity.accounts import Accounts
from appliance.identity.database import Database
from tests.doubles.people import WORD
from tests.journeys.lab import ENCRYPTED, Got, Lab, Via, address, built
from tests.journeys.network import GATEWAY
from tests.journeys.running import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NAMES = ("amy", "bob", "cat", "dan")
PEOPLE = "people:\n" + "".join(
    f"  - {{name: {name}, group: ks2, password: {WORD.reveal()}, must_change: false}}\n" for name in NAMES
)
PEOPLE += f"  - {{name: new, group: ks2, password: {WORD.reveal()}}}\n"
OPEN, PLAIN = "https://education.example/", "http://education.example/"
HELP = "https://www.childline.org.uk/"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A school whose pupils' and staff's networks require a name, at the portal or at the proxy."""
    folder = tmp_path_factory.mktemp("proxy-sign-in")
    (folder / "people.yaml").write_text(PEOPLE, encoding="utf-8")
    identity = {"portal": True, "people": str(folder / "people.yaml")}
    rule, listen = {"proxy_sign_in": "required"}, f"{GATEWAY}:{ENCRYPTED}"
    with built(folder, identity=identity, rule=rule, listen_tls=listen) as made:
        listed = ("people", "list", "--json")
        until(lambda: "dan" in made.gateway.ask(*listed).stdout, "people are added")
        until(lambda: ask(made, OPEN, "amy").status == 200, "the first comes in")
        yield made


def ask(lab: Lab, url: str, name: str = "", *more: str, word: str = WORD.reveal()) -> Got:
    """Fetch through the proxy's port with encryption, as a device that was given a name and a password."""
    account = ["--proxy-user", f"{name}:{word}"] if name else []
    encrypted = ["-x", f"https://{GATEWAY}:{ENCRYPTED}", "--proxy-cacert", str(lab.gateway.ca)]
    return lab.curl(url, *encrypted, *account, *more)


def tunnel(lab: Lab, name: str, host: str) -> ssl.SSLSocket:
    """Open a tunnel through the port with encryption, and return the connection to the proxy."""
    with lab.network.inside(lab.network.client):
        wire = ssl.create_default_context(cafile=str(lab.gateway.ca)).wrap_socket(
            _dial(address("ks2")), server_hostname=GATEWAY
        )
    coded = base64.b64encode(f"{name}:{WORD.reveal()}".encode()).decode()
    wire.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nProxy-Authorization: Basic {coded}\r\n\r\n".encode())
    assert wire.recv(4096).startswith(b"HTTP/1.1 200 ")
    return wire


def _dial(source: str) -> socket.socket:
    return socket.create_connection((GATEWAY, ENCRYPTED), timeout=10, source_address=(source, 0))


def people(lab: Lab, *arguments: str) -> None:
    """Run a command about people."""
    done = lab.gateway.ask("people", *arguments)
    assert done.returncode == 0, done.stderr


def test_curl_is_asked_and_comes_in_by_name(lab: Lab) -> None:
    """DFE-F10: 407 for whoever says nothing, the web for whoever fits; the record says how we know."""
    assert ask(lab, PLAIN).status == 407
    assert ask(lab, OPEN).tunnel == 407
    assert ask(lab, OPEN, "amy", "--proxy-anyauth").status == 200
    got = ask(lab, "https://gambling.example/", "AMY")
    row = lab.gateway.record_of(got.reference)
    assert (row["name"], row["group"], row["confidence"]) == ("amy", "ks2", "certain")
    assert row["source"] == "own sign-in, proxy credentials"
    row = lab.gateway.logged(lambda row: row["status"] == 407, "the question")
    assert (row["reason"], row["name"]) == ("signed_out", "")


def test_help_and_our_own_pages_ask_for_no_name(lab: Lab) -> None:
    """A10: nothing stands between a child and help, also with a wrong password or none."""
    assert ask(lab, HELP).status == 200
    assert ask(lab, HELP, "amy", word="wrong").status == 200
    assert ask(lab, "https://filter.internal/").status == 200


def test_no_site_and_no_log_hears_a_password(lab: Lab) -> None:
    """The header is for the proxy alone: not for the site on either lane, nor for what the gateway prints."""
    lab.origin.answers["/"] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    for more in (
        (),
        ("-H", "Connection: proxy-authorization"),
        ("-H", "Proxy-Authorization: Basic eHh4OnBhc3M="),
    ):
        ask(lab, "http://odd.education.example/", "amy", *more)
        ask(lab, "https://odd.education.example/", "amy", *more)
    assert lab.origin.heard
    assert b"proxy-auth" not in b"".join(lab.origin.heard).lower()
    assert WORD.reveal() not in lab.gateway.said() + json.dumps(lab.gateway.log())


def test_in_the_clear_nothing_is_read(lab: Lab) -> None:
    """Without `allow_plain` a password on the plain port opens nothing, and none is asked for there."""
    got = lab.curl(OPEN, "--proxy-user", f"amy:{WORD.reveal()}")
    assert (got.status, got.tunnel) == (511, 200)


@pytest.mark.parametrize("name", ["new", "nobody"])
def test_who_may_not_enter_at_the_sign_in_may_not_here(lab: Lab, name: str) -> None:
    """S-10: a first password needs the page, which says so; a name that nobody has is asked again."""
    assert ask(lab, PLAIN, name).status == (302 if name == "new" else 407)


def test_a_freeze_cuts_what_their_credentials_opened(lab: Lab) -> None:
    """S-60: within a second, for that person alone; help stays open, and the password opens nothing more."""
    amy, bob = tunnel(lab, "amy", "education.example"), tunnel(lab, "bob", "education.example")
    with amy, bob:
        people(lab, "freeze", "amy", "--reason", "test")
        amy.settimeout(1.0)
        assert amy.recv(1) == b""
        assert ask(lab, OPEN, "amy").status == 403
        assert ask(lab, HELP, "amy").status == 200
        bob.settimeout(0.2)
        with pytest.raises(TimeoutError):
            bob.recv(1)
    people(lab, "unfreeze", "amy")
    until(lambda: ask(lab, OPEN, "amy").status == 200, "amy is back", 10)


def test_what_is_open_ends_with_the_account(lab: Lab) -> None:
    """An account that expires takes what its credentials opened with it, to the second."""
    with tunnel(lab, "cat", "education.example") as wire:
        ends = time.time() + 3
        Accounts(Database(lab.gateway.state)).change("cat", expires=ends)
        wire.settimeout(10)
        assert wire.recv(1) == b""
        assert -0.1 < time.time() - ends < 1.5
    assert ask(lab, PLAIN, "cat").status == 407


def test_guessing_ends_after_ten(lab: Lab) -> None:
    """CY-2: the eleventh guess is not even compared, and then the right password is no answer either."""
    # From a device of its own: the address is locked with the account.
    for number in range(11):
        assert ask(lab, PLAIN, "dan", "--interface", address("staff"), word=f"guess{number}").status == 407
    assert ask(lab, PLAIN, "dan", "--interface", address("staff")).status == 407
    assert ask(lab, PLAIN, "dan").status == 407
    assert ask(lab, PLAIN, "bob").status == 200
    assert "locked" in [entry["what"] for entry in Trail(lab.gateway.state).entries()]


def test_chromium_gives_name_and_password_when_it_is_asked(lab: Lab, tmp_path: Path) -> None:
    """A browser that is set to the encrypted proxy answers 407, and its pages are its person's."""
    lab.sit_at("ks2")
    with lab.chromium(tmp_path, account=("bob", WORD.reveal())) as browser:
        page = browser.new_page(ignore_https_errors=False)
        page.goto(OPEN)
        assert "origin" in page.content()
        page.goto("https://gambling.example/chromium")
    row = lab.gateway.logged(lambda row: "/chromium" in row["url"], "the browser's page")
    assert (row["name"], row["action"]) == ("bob", "block")
    assert lab.curl(OPEN, via=Via.WIRE).status == 511  # the device beside the proxy is nobody's
