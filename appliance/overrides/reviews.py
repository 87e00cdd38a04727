"""Review requests from block pages, as requests for an override.

What lives only here: which of them become a request. One for each site and group waits, whoever else says the
same; what a pupil wrote stays in the log alone, where it ends with its retention. A page of the statutory
lists, and a message that somebody is upset, is no wish to open a site.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from appliance.model.grant import What, Whom
from appliance.overrides.store import Overrides
from appliance.overrides.written import Wish

REASON = "Somebody said on the block page that this is a mistake."
SUBJECT = "block page"
DAYS = 7
"""How long such a request waits before it is closed."""

MOST_FROM_ONE = 5
"""Requests that one device may bring in within an hour: a pupil who presses every button hides no other's."""

_HOUR = 3600.0
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One review request, with the block that it is about; `at` in seconds since 1970."""

    reference: str
    at: float
    client: str
    group: str
    message: str
    host: str
    reason: str
    floor: bool


class Intake:
    """Takes review requests in.

    `reasons` are those for which a site is closed and staff may open it; `upset` are the messages of the
    buttons that ask for help, and not for a site.
    """

    def __init__(self, store: Overrides, reasons: Collection[str], upset: Collection[str]) -> None:
        self._store = store
        self._reasons = frozenset(reasons)
        self._upset = frozenset(upset)
        self._hour = 0
        self._from: Counter[str] = Counter()

    def take(self, found: Iterable[Asked], now: float) -> list[int]:
        """Keep what is new, and return the numbers; OverrideError or OSError where it cannot be kept."""
        if (hour := int(now // _HOUR)) != self._hour:
            self._hour, self._from = hour, Counter()
        numbers = []
        for asked in found:
            if not self._counts(asked) or self._from[asked.client] >= MOST_FROM_ONE:
                continue
            what, whom = What(frozenset({asked.host})), Whom(groups=frozenset({asked.group}))
            wish = Wish(what, whom, REASON, SUBJECT, now, now + DAYS * _DAY, asked.reference)
            number = self._store.take_review(wish, now=now)
            if number is not None:
                self._from[asked.client] += 1
                numbers.append(number)
        return numbers

    def _counts(self, asked: Asked) -> bool:
        wanted = asked.reason in self._reasons and asked.message not in self._upset
        return wanted and bool(asked.host) and not asked.floor
