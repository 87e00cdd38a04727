"""Proving that a provider upstream filters."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from appliance.lists.feeds import Proof
from appliance.lists.upstream import Look, Verdict, look_at, prove

PROOF = Proof(
    canaries=("http://one.example/", "http://two.example/"), control="http://open.example/", text="Blocked by"
)
BLOCKED, OPEN, DOWN = Look(403, "<h1>blocked BY provider</h1>"), Look(200, "hello"), Look(0)


@pytest.mark.parametrize(
    ("control", "one", "two", "verdict"),
    [
        (OPEN, BLOCKED, BLOCKED, Verdict.PROVED),
        (OPEN, BLOCKED, OPEN, Verdict.DISPROVED),
        (OPEN, OPEN, BLOCKED, Verdict.DISPROVED),
        (OPEN, Look(403, "forbidden, says the site itself"), BLOCKED, Verdict.DISPROVED),
        (OPEN, Look(200, "an article that quotes: blocked by"), BLOCKED, Verdict.DISPROVED),
        (OPEN, DOWN, BLOCKED, Verdict.UNKNOWN),
        (DOWN, DOWN, DOWN, Verdict.UNKNOWN),
        (BLOCKED, BLOCKED, BLOCKED, Verdict.UNKNOWN),
    ],
)
def test_only_the_providers_own_page_proves(control: Look, one: Look, two: Look, verdict: Verdict) -> None:
    """A line that is down, or blocks everything, is no proof; a canary that can be reached is a disproof."""
    answers = dict(zip((PROOF.control, *PROOF.canaries), (control, one, two), strict=True))
    found, words = prove(PROOF, answers.__getitem__)
    assert found is verdict
    assert "example" not in words


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(302 if self.path == "/canary" else 403)
        self.send_header("Location", "/splash")
        self.end_headers()
        self.wfile.write(b"Blocked by your provider")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's signature
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    made = HTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    thread.join()
    made.server_close()


def test_looking_follows_to_the_block_page(server: str) -> None:
    """Providers redirect to a splash page; nobody there is status 0."""
    assert look_at(f"{server}/canary") == Look(403, "Blocked by your provider")
    assert look_at("http://127.0.0.1:9/") == Look(0)
