"""Tests of the tests in reports: each is counted once, in its time, and nobody who made it is named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from appliance.reports import trials
from appliance.reports.trials import Sending, Trial

START = datetime(2026, 11, 16, tzinfo=UTC)
END = START + timedelta(days=7)


def entry(what: str, whom: str, hours: float = 1, **more: object) -> dict[str, object]:
    return {
        "what": what,
        "whom": whom,
        "by": "t.smith",
        "at": (START + timedelta(hours=hours)).isoformat(),
    } | more


def test_each_kind_of_test_is_said_in_words() -> None:
    """S-50: a governor reads what was tested and what it came to."""
    found = trials.within(
        [
            entry("selftest", "passed", checks=22.0, failed=0.0, gateway="asked"),
            entry("selftest", "failed", checks=22.0, failed=3.0, gateway="not asked"),
            entry("selftest-record", "passed", test="testfiltering.com", on="tablet 14", group="ks2"),
            entry("alert-test", "2 messages", test="test|1"),
            entry("alert-test", "2 messages", test="test|0"),
            entry("grant", "somebody"),
        ],
        START, END, [Sending("test|1", 2, 1)],
    )  # fmt: skip
    assert [(one.title, one.outcome, one.good) for one in found] == [
        ("Self-test of the filter", "passed: 22 checks", True),
        ("Self-test of the filter", "failed: 3 of 22 checks; the running gateway was not asked", False),
        ("testfiltering.com, on tablet 14, as ks2", "passed", True),
        ("Alerts", "1 of 2 messages taken", False),
        ("Alerts", "made; what became of it is no longer kept", True),
    ]
    assert "t.smith" not in str(trials.rows(found, []))
    assert "3 tests of the filter are on record for this time, 1 of which failed." in trials.sentence(found)


def test_only_the_tests_of_the_time_count() -> None:
    """A test of last term is no test of this one, and the last moment belongs to the next report."""
    found = trials.within([entry("selftest", "passed", hours) for hours in (-1, 0, 167, 168)], START, END, [])
    assert len(found) == 2


def test_a_term_of_daily_tests_still_fits_on_a_page() -> None:
    """The newest are named, and the others counted."""
    many = [
        Trial(START + timedelta(hours=at), "Self-test of the filter", "passed", good=at > 2)
        for at in range(90)
    ]
    told = trials.rows(many, [Sending("heartbeat|a", 2, 2), Sending("heartbeat|b", 2, 1)])
    assert told[0] == ("earlier", "70 further tests", "67 as they should be, 3 not as they should be")
    assert told[-1] == ("daily", "Sign of life of the alerts", "1 of 2 days taken by all")
    assert len(told) == 22


def test_no_test_is_said_aloud() -> None:
    """A school that never tests its filter reads so in every report, whatever its alerts did."""
    assert "No test of the filter is on record" in trials.sentence([])
    assert "No test of the filter" in trials.sentence(
        [Trial(START, "Alerts", "2 of 2 messages taken", good=True)]
    )
