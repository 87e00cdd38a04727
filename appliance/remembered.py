"""Judgements that can be given again: the next address of a site that has just been let through.

What lives only here: when two requests cannot be judged differently. Everything that a judgement follows
from is compared, most of it by identity: who asks, the policy, what the lists say of each of the request's
names, and the minute, for no timetable is finer. What is blocked, or open by an override, is never kept:
what stands in the way is looked at each time, and so is what was opened.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from appliance.inspection.wrappers import is_wrapper
from appliance.model.known import Known
from appliance.model.person import Person
from appliance.model.profile import Policy
from appliance.model.request import Request
from appliance.model.url import Url

MOST = 4096
"""Judgements that one worker keeps: some 2 MB."""

_MINUTE = timedelta(minutes=1)


class Lists(Protocol):
    """What the lists say, the same value for as long as they say the same."""

    def lookup(self, url: Url) -> Known:
        """Return what the lists say of `url`; never raises."""


class _Kept[J](NamedTuple):
    judgement: J
    person: Person  # held, so that its identity is nobody else's meanwhile
    policy: Policy
    names: tuple[Url, ...]
    destination: Url | None
    port: int
    known: tuple[Known, ...]
    since: datetime
    until: datetime


class Remembered[J]:
    """What was let through a moment ago, by host and person."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists
        self._kept: dict[tuple[str, int], _Kept[J]] = {}

    def again(self, request: Request, person: Person, policy: Policy, now: datetime) -> J | None:
        """Return the judgement of a request that cannot be judged otherwise than one before; else None."""
        url = request.url
        kept = self._kept.get((url.host, id(person)))
        if (
            kept is None
            or request.refused
            or kept.policy is not policy
            or kept.port != url.port
            or kept.names != request.names
            or kept.destination != request.destination
            or not kept.since <= now < kept.until
        ):
            return None
        known = kept.known
        if self._lists.lookup(url) is not known[0]:
            return None
        if len(known) > 1 and not self._alike(request, known):
            return None
        return kept.judgement

    def look(self, request: Request) -> tuple[Known, ...]:
        """Return what the lists say of every name of a request, for `keep`."""
        if request.refused:
            return ()
        return tuple(self._lists.lookup(each) for each in (request.url, *_others(request)))

    def keep(
        self,
        judgement: J,
        request: Request,
        person: Person,
        policy: Policy,
        now: datetime,
        known: tuple[Known, ...],
    ) -> None:
        """Keep the judgement of a request that passed by the policy alone, with what the lists said."""
        url = request.url
        # An address by number can become the gateway's own, and one that shows others is judged by them.
        if is_wrapper(url.host) or any(each.ip is not None for each in (url, *request.names)):
            return
        since = now.replace(second=0, microsecond=0)
        if len(self._kept) >= MOST:
            self._kept.clear()
        names, destination = request.names, request.destination
        kept = _Kept(judgement, person, policy, names, destination, url.port, known, since, since + _MINUTE)
        self._kept[url.host, id(person)] = kept

    def forget(self) -> None:
        """Let go of everything: of a policy that is no longer in force, nothing would fit any more."""
        self._kept.clear()

    def _alike(self, request: Request, known: tuple[Known, ...]) -> bool:
        others = zip(_others(request), known[1:], strict=True)
        return all(self._lists.lookup(each) is old for each, old in others)


def _others(request: Request) -> tuple[Url, ...]:
    return request.names if request.destination is None else (*request.names, request.destination)
