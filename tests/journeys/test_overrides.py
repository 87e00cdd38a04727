"""Overrides at a gateway that really runs: in force in every worker, over to the second."""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from appliance import granting
from appliance.model.grant import What, Whom
from appliance.overrides.store import Overrides
from appliance.overrides.written import Wish
from tests.journeys.lab import Lab, Via, built
from tests.journeys.running import until
from tests.journeys.test_killed import kill

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SITE = "unlisted.example"
"""A site that is closed to the youngest, because no list names it."""
WHY = ("--subject", "Year R", "--reason", "We look at one picture book.")
GRACE = 1.0
"""Seconds in which a grant must be in force, and in which all must end with it."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A primary school with two workers, where one teacher has an account."""
    with built(tmp_path_factory.mktemp("overrides")) as made:
        done = made.gateway.ask("people", "add", "mrs.jones", "--kind", "staff", "--group", "staff")
        assert done.returncode == 0, done.stderr
        yield made


@pytest.fixture
def store(lab: Lab) -> Iterator[Overrides]:
    """The store of the school's overrides; what a test leaves open is closed."""
    store = granting.store(lab.gateway.state)
    yield store
    for override in store.in_force():
        store.revoke(override.number, by="test", now=time.time(), note="")
    until(lambda: closed(lab), "all is closed again", 10)


def grant(store: Overrides, seconds: float) -> int:
    now = time.time()
    what, whom = What(frozenset({SITE})), Whom(groups=frozenset({"eyfs"}))
    wish = Wish(what, whom, "We look at one picture book.", "Year R", now, now + seconds)
    return store.request_and_grant(wish, "teacher", by="mrs.jones", now=now).number


def status(lab: Lab, *more: str) -> int:
    return lab.curl(f"https://{SITE}/", *more, who="eyfs").status


def closed(lab: Lab) -> bool:
    """Tell whether several new connections, on whichever workers, are all refused."""
    return all(status(lab) == 403 for _ in range(4))


@dataclass
class Stream:
    """Something that lives by a grant: bytes that come for as long as it does."""

    last: float = 0.0
    got: int = 0
    over: bool = False
    _thread: threading.Thread | None = field(default=None, repr=False)

    def read(self, wire: Any) -> None:
        """Read on until it ends, noting when the last byte came."""

        def run() -> None:
            wire.settimeout(30)
            try:
                while chunk := wire.recv(65536):
                    self.last, self.got = time.time(), self.got + len(chunk)
            except OSError:
                pass
            self.over = True
            wire.close()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def join(self) -> None:
        assert self._thread is not None
        self._thread.join(30)


def tunnel(lab: Lab, *alpn: str) -> ssl.SSLSocket:
    """Open a tunnel through the proxy with TLS inside, as a browser does."""
    wire = lab.dial("eyfs")
    wire.sendall(f"CONNECT {SITE}:443 HTTP/1.1\r\nHost: {SITE}:443\r\n\r\n".encode())
    assert b"200" in wire.recv(4096)
    return lab.trusting(*alpn).wrap_socket(wire, server_hostname=SITE)


def download(lab: Lab) -> Stream:
    """Begin a slow download over TLS."""
    found = Stream()
    secure = tunnel(lab, "http/1.1")
    secure.sendall(f"GET /slow HTTP/1.1\r\nHost: {SITE}\r\n\r\n".encode())
    found.read(secure)
    return found


def plain_download(lab: Lab) -> Stream:
    """Begin a slow download without encryption, on the lean lane."""
    found = Stream()
    wire = lab.dial("eyfs")
    wire.sendall(f"GET http://{SITE}/slow HTTP/1.1\r\nHost: {SITE}\r\n\r\n".encode())
    found.read(wire)
    return found


def web_socket(lab: Lab) -> Stream:
    """Open a WebSocket, which nobody would close by itself."""
    found = Stream()
    secure = tunnel(lab, "http/1.1")
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    upgrade += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    secure.sendall(f"GET /socket HTTP/1.1\r\nHost: {SITE}\r\n{upgrade}\r\n".encode())
    found.read(secure)
    return found


def second_version(lab: Lab) -> Stream:
    """Begin a slow download over HTTP/2, by hand: a preface, empty settings and one GET."""
    found = Stream()
    secure = tunnel(lab, "h2")
    assert secure.selected_alpn_protocol() == "h2"
    name = SITE.encode()
    head = b"\x82\x87\x44\x05/slow\x41" + bytes([len(name)]) + name
    frame = len(head).to_bytes(3, "big") + b"\x01\x05\x00\x00\x00\x01" + head
    secure.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + frame)
    found.read(secure)
    return found


def test_a_command_opens_a_site_in_every_worker_and_another_closes_it(lab: Lab, store: Overrides) -> None:
    """S-23: what a teacher opens is open for that class alone, is on record, and closes again."""
    assert closed(lab)
    done = lab.gateway.ask(
        "overrides", "grant", SITE, "--for", "eyfs", "--minutes", "30", "--by", "mrs.jones", *WHY
    )
    assert done.returncode == 0, done.stderr
    until(lambda: all(status(lab) == 200 for _ in range(8)), "it is open in every worker", GRACE * 8)
    (number,) = [override.number for override in store.in_force()]
    row = lab.gateway.logged(lambda row: row["reason"] == "override", "an access by an override")
    assert (row["rule"], row["group"], row["action"]) == (f"override {number}", "eyfs", "allow")
    assert row["because"].startswith("Opened until ")
    report = lab.gateway.ask("overrides", "show", str(number), "--report", "--purpose", "a test", "--json")
    (visit,) = [visit for visit in json.loads(report.stdout)["visited"] if visit["who"].startswith("eyfs")]
    assert visit["site"] == SITE
    assert lab.explain("eyfs", f"https://{SITE}/")["override"] == number
    assert lab.curl("https://www.bbc.co.uk/", who="eyfs").status == 403
    assert lab.gateway.ask("overrides", "revoke", str(number), "--by", "mrs.jones").returncode == 0
    until(lambda: closed(lab), "it is closed in every worker", GRACE * 8)
    reports = granting.reports(lab.gateway.state)
    until(lambda: reports.of(number) is not None, "its report is made", 30)
    assert SITE in {visit.host for visit in reports.visits(number)}
    assert "(for mrs.jones)" in lab.gateway.ask("overrides", "list").stderr


@pytest.mark.parametrize("begin", [download, plain_download, second_version, web_socket])
def test_what_lives_by_a_grant_ends_with_it(
    lab: Lab, store: Overrides, begin: Callable[[Lab], Stream]
) -> None:
    """Downloads over HTTP/1.1 and HTTP/2, in the clear and encrypted, and WebSockets end within a second."""
    grant(store, 60)
    until(lambda: all(status(lab) == 200 for _ in range(4)), "it is open", 10)
    stream = begin(lab)
    until(lambda: stream.got > 100, "it has begun")
    assert not stream.over
    (override,) = store.in_force()
    store.revoke(override.number, by="test", now=time.time(), note="")
    revoked = time.time()
    stream.join()
    assert stream.over
    assert stream.last <= revoked + GRACE


def test_it_ends_by_itself_to_the_second(lab: Lab, store: Overrides) -> None:
    """Nobody has to remember it: a download still running at the end is cut, and the next request refused."""
    number = grant(store, 6)
    until(lambda: status(lab) == 200, "it is open", 3)
    stream = download(lab)
    end = store.get(number).wish.ends
    stream.join()
    assert time.time() >= end - 0.2
    assert stream.last <= end + GRACE
    assert closed(lab)
    assert store.get(number).state.value == "expired"


def test_a_block_page_asks_and_staff_decide(lab: Lab, store: Overrides) -> None:
    """UKF-S13: a form without JavaScript becomes a request; granted, the site opens for that group."""
    page = lab.curl(f"https://{SITE}/some/page", "-H", "Accept: text/html", who="eyfs")
    fields = dict(re.findall(r'name="(reference|token)" value="([^"]+)"', page.body))
    path = re.findall(r'action="([^"]+)"', page.body)[0]
    form = [item for name, value in fields.items() for item in ("--data-urlencode", f"{name}={value}")]
    assert lab.curl(f"https://{SITE}{path}", *form, who="eyfs").status == 200
    (waiting,) = until(store.all, "the request is there", 15)
    assert waiting.wish.what.hosts == {SITE}
    assert waiting.wish.whom.groups == {"eyfs"}
    number = str(waiting.number)
    assert closed(lab), "asking opens nothing"
    assert lab.gateway.ask("overrides", "grant", number, "--by", "mrs.jones").returncode == 2
    done = lab.gateway.ask("overrides", "grant", number, "--minutes", "5", "--by", "mrs.jones")
    assert done.returncode == 0, done.stderr
    until(lambda: status(lab) == 200, "it is open", 3)


def test_a_worker_that_was_killed_knows_it_when_it_is_back(lab: Lab, store: Overrides) -> None:
    """A grant outlives a worker, and a worker that was down when it ended does not open it again."""
    grant(store, 300)
    until(lambda: all(status(lab) == 200 for _ in range(4)), "it is open", 10)
    kill(lab.gateway, 1)
    until(lambda: all(status(lab) == 200 for _ in range(6)), "it is open in the new one", 20)
    assert lab.curl(f"https://{SITE}/", who="eyfs", via=Via.WIRE).status == 200
