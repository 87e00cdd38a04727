"""Tests of the self-test: it believes nothing but what the log says, and asks for nothing that is open."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from appliance.assembly import Loaded, load
from appliance.events.record import from_access
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from appliance.reports.options_tests import Probe, SelfTestSettings
from appliance.selftesting import GATEWAY, asked, judged
from appliance.settings import Settings
from tests.doubles.events import ALLOWED, BLOCKED, FLOOR, access
from tests.doubles.school import configuration

pytestmark = pytest.mark.slow

FLOOR_PAGE = Probe(title="IWF", address="http://floor-test.example/listed/page.html", expect="statutory")
GAMBLING = Probe(title="Gambling", category="gambling")
OPEN = Probe(title="Open", address="https://www.gov.uk/", expect="blocked")
HELP = Probe(title="Help", address="https://www.childline.org.uk/", expect="open")


def loaded(tmp_path: Path, *probes: Probe, **gateway: object) -> Loaded:
    found = load(configuration(tmp_path))
    settings = found.settings.model_copy(
        update={
            "selftest": SelfTestSettings(probes=probes),
            "gateway": found.settings.gateway.model_copy(update=gateway),
        }
    )
    return replace(found, configuration=replace(found.configuration, settings=settings))


def written(settings: Settings) -> None:
    async def write() -> None:
        settings.state.mkdir(exist_ok=True)
        writer = Writer(settings.state / DATABASE, durable=False, patience=1)
        fault = replace(BLOCKED, list="", category="")
        await writer.write(
            [
                from_access(access(at, one))
                for at, one in enumerate((FLOOR, fault, replace(ALLOWED, flagged=True)))
            ]
        )
        await writer.close()

    asyncio.run(write())


def test_every_group_is_asked_and_only_what_is_closed_to_all_goes_on(tmp_path: Path) -> None:
    """DFE-V4: a group for which a test page is open is named, and nobody's browser is sent to it."""
    found, closed = judged(loaded(tmp_path, FLOOR_PAGE, GAMBLING, OPEN, HELP))
    wrong = {one.probe for one in found if not one.good}
    assert wrong == {"Open"}
    assert {one.whom for one in found} >= {"eyfs", "ks1", "ks2", "staff", "guest"}
    assert closed == [FLOOR_PAGE]


def test_a_statutory_page_that_another_list_blocks_has_not_passed(tmp_path: Path) -> None:
    """A block by an ordinary category can be opened by a rule: it is no statutory floor (DFE-F2)."""
    page = Probe(title="IWF", address="https://pornography.example/", expect="statutory")
    found, _ = judged(loaded(tmp_path, page))
    assert not any(one.good for one in found)


def test_a_category_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A slip in the settings is no passed test."""
    with pytest.raises(ValueError, match="no category 'pornografy'"):
        judged(loaded(tmp_path, Probe(title="x", category="pornografy")))


@pytest.mark.parametrize(
    ("reference", "good", "words"),
    [
        ("REF-00000", True, "iwf-development"),
        ("REF-00001", False, "recorded as"),  # blocked by something else, or by a fault
        ("REF-00002", False, "allow"),
        ("REF-00009", False, "not in the log"),
    ],
)
def test_the_log_is_believed_and_not_the_page(tmp_path: Path, reference: str, good: bool, words: str) -> None:
    """A gate that is closed by a fault blocks everything, and a block that left no record is none."""
    settings = loaded(tmp_path, FLOOR_PAGE).settings
    written(settings)
    (found,) = asked(settings, [FLOOR_PAGE], lambda _address: reference)
    assert (found.whom, found.good) == (GATEWAY, good)
    assert words in found.words


@contextlib.contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    """Serve one answer to everything, as something that is not the gateway would; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("body", [b"<html>hello", b"[]", b'{"reference": ""}', b"", b'{"reference": 7}'])
def test_an_answer_that_is_not_the_gateways_own_has_not_passed(tmp_path: Path, body: bytes) -> None:
    """A page that came through, or an error of something else, is no block."""
    with answering(200, body) as port:
        settings = loaded(tmp_path, FLOOR_PAGE, listen=("0.0.0.0", port)).settings  # noqa: S104 - asked from here
        (found,) = asked(settings, [FLOOR_PAGE])
    assert not found.good
    assert "not the gateway's own (status 200)" in found.words


def test_a_gateway_that_does_not_run_has_not_passed(tmp_path: Path) -> None:
    """Silence is not safety; and a gateway that only takes redirected connections is not asked at all."""
    with answering(200, b"") as port:
        pass  # nobody listens there any more
    page = replace_scheme(FLOOR_PAGE)
    settings = loaded(tmp_path, FLOOR_PAGE, listen=("127.0.0.1", port)).settings
    (settings.state / "ca").mkdir(parents=True)
    for probe in (FLOOR_PAGE, page):
        (found,) = asked(settings, [probe])
        assert not found.good
    assert list(asked(loaded(tmp_path, FLOOR_PAGE, listen=None).settings, [FLOOR_PAGE])) == []


def replace_scheme(probe: Probe) -> Probe:
    return probe.model_copy(update={"address": (probe.address or "").replace("http:", "https:")})
