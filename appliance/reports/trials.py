"""Tests as a report counts them: of the filter, of the alerts, and the daily sign of life.

What lives only here: which records of the audit are tests, and how each is said. Who made them stands in the
audit (`appliance selftest list`): a report names nobody. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

SELFTEST, BY_HAND, ALERTS = "selftest", "selftest-record", "alert-test"
PASSED, FAILED = "passed", "failed"
_MOST = 20


@dataclass(frozen=True, slots=True)
class Trial:
    """One test: what was tested, when, and what it came to."""

    at: datetime
    title: str
    outcome: str
    good: bool


@dataclass(frozen=True, slots=True)
class Sending:
    """Messages of one test or of one day's sign of life: how many, and how many the other side took."""

    name: str
    sent: int
    taken: int


def within(
    entries: Iterable[Mapping[str, object]],
    since: datetime,
    until: datetime,
    sendings: Sequence[Sending],
) -> list[Trial]:
    """Return the tests among the audit's records of one span, the oldest first.

    `since` and `until` (not included) are aware; `sendings` say what became of the tests of alerts.
    """
    by_name = {one.name: one for one in sendings}
    found = []
    for entry in entries:
        if entry.get("what") not in (SELFTEST, BY_HAND, ALERTS):
            continue
        at = datetime.fromisoformat(str(entry["at"]))
        if since <= at < until:
            found.append(_fact(entry, at, by_name))
    return found


def _fact(entry: Mapping[str, object], at: datetime, sendings: Mapping[str, Sending]) -> Trial:
    if entry["what"] == ALERTS:
        sending = sendings.get(str(entry.get("test")))
        if sending is None:
            return Trial(at, "Alerts", "made; what became of it is no longer kept", good=True)
        taken = f"{sending.taken} of {sending.sent} messages taken"
        return Trial(at, "Alerts", taken, sending.taken == sending.sent > 0)
    good = entry["whom"] == PASSED
    if entry["what"] == BY_HAND:
        where = f"{entry.get('test', '')}, on {entry.get('on', '')}, as {entry.get('group', '')}"
        return Trial(at, where, str(entry["whom"]), good)
    checks, failed = _count(entry.get("checks")), _count(entry.get("failed"))
    outcome = f"passed: {checks} checks" if good else f"failed: {failed} of {checks} checks"
    asked = "" if entry.get("gateway") == "asked" else "; the running gateway was not asked"
    return Trial(at, "Self-test of the filter", f"{outcome}{asked}", good)


def _count(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0


def rows(found: Sequence[Trial], signs: Sequence[Sending]) -> list[tuple[str, str, str]]:
    """Return the rows of the table: the newest tests, how many there were before, and the signs of life."""
    told = [(f"{one.at:%d %b %Y, %H:%M}", one.title, one.outcome) for one in found[-_MOST:]]
    if earlier := found[:-_MOST]:
        counted = Counter("as they should be" if one.good else "not as they should be" for one in earlier)
        words = ", ".join(f"{count} {word}" for word, count in sorted(counted.items()))
        told.insert(0, ("earlier", f"{len(earlier)} further tests", words))
    if signs:
        whole = sum(one.taken == one.sent for one in signs)
        told.append(("daily", "Sign of life of the alerts", f"{whole} of {len(signs)} days taken by all"))
    return told


def sentence(found: Sequence[Trial]) -> str:
    """Return what is said of the tests of the filter in this time."""
    filters = [one for one in found if one.title != "Alerts"]
    if not filters:
        return (
            "No test of the filter is on record for this time: it is to be tested at least each term "
            "(appliance selftest run), and on devices of each group (testfiltering.com)."
        )
    wrong = sum(not one.good for one in filters)
    many = f"{len(filters)} tests of the filter are" if len(filters) > 1 else "One test of the filter is"
    return f"{many} on record for this time, {wrong or 'none'} of which failed."
