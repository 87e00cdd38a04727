"""What is remembered of updates."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.lists.ledger import Ledger, Record, Rhythm
from appliance.lists.paths import Paths

RHYTHM = Rhythm(12.0, 30.0, dice=lambda: 0.5)
HOUR = 3600.0


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Paths(tmp_path))


def test_success_and_failure_are_both_remembered(ledger: Ledger) -> None:
    """A failure keeps what is known of the edition in force, and counts; a success clears its reason."""
    ledger.succeeded("ut1", 100.0, RHYTHM, etag='"a"', sha256="s", lists=("ut1-adult",))
    failed = ledger.failed("ut1", "the server answered 500", 200.0, RHYTHM)
    assert (failed.etag, failed.succeeded_at, failed.failures, failed.failing) == ('"a"', 100.0, 1, 1)
    well = ledger.succeeded("ut1", 300.0, RHYTHM)
    assert (well.problem, well.failures, well.failing, well.lists) == ("", 1, 0, ("ut1-adult",))
    assert ledger.all() == (well,)


def test_it_is_tried_again_soon_then_ever_later(ledger: Ledger) -> None:
    """One broken line costs minutes; a server that is gone is not asked every minute for ever."""
    waits = [ledger.failed("a", "x", 0.0, RHYTHM).next_at for _ in range(8)]
    assert waits == sorted(waits)
    assert waits[0] <= 0.5 * HOUR
    assert waits[-1] <= 12.5 * HOUR
    assert ledger.succeeded("a", 0.0, RHYTHM).next_at == 12.25 * HOUR


def test_when_it_is_due() -> None:
    """Never tried is due, and a clock that was set back by years does not put an update off by years."""
    record = Record(id="a", tried_at=1000 * HOUR, next_at=1012 * HOUR)
    assert Record(id="a").due(0.0)
    assert not record.due(1011 * HOUR)
    assert record.due(1012 * HOUR)
    assert record.due(10 * HOUR)


def test_a_damaged_record_is_an_empty_one(ledger: Ledger, tmp_path: Path) -> None:
    """The worst that a broken note does is one more download."""
    ledger.succeeded("a", 1.0, RHYTHM)
    (Paths(tmp_path).updates / "a.json").write_text("{")
    assert ledger.read("a") == Record(id="a")


@pytest.mark.slow
def test_what_was_rolled_back_is_remembered(ledger: Ledger) -> None:
    """The edition that a person did not want is known by its content, each once, and not without bound."""
    for number in range(30):
        ledger.succeeded("a", 1.0, RHYTHM, sha256=str(number))
        ledger.rolled_back("a")
    assert ledger.rolled_back("a").refused == tuple(map(str, range(10, 30)))
    assert ledger.rolled_back("never").refused == ()


def test_a_date_that_no_calendar_has_is_damage(ledger: Ledger, tmp_path: Path) -> None:
    """A damaged record is as none: the feed is fetched anew, and `lists status` can show it."""
    ledger.succeeded("ut1", 100.0, RHYTHM, etag='"a"')
    file = Paths(tmp_path).updates / "ut1.json"
    for damaged in ("", "null", "[]", '{"id": "ut1", "next_at": 1e300}', '{"id": "ut1", "tried_at": -1}'):
        file.write_text(damaged)
        assert ledger.read("ut1") == Record(id="ut1")
        assert ledger.read("ut1").due(0.0)
