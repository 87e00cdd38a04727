"""What the pages of overrides need of other sites: which answers teach it, and what is kept of it.

What lives only here: how a host that such a page has named becomes one that may come with it. The store is
asked and told; whether a request may pass is judged with that request, by `filtering.py` and `policy.needs`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Protocol

from appliance.inspection.wrappers import TooManyInnerError, inner_urls
from appliance.model.category import Severity
from appliance.model.decision import Decision
from appliance.model.grant import Grant
from appliance.model.inspect import Inspect, Inspection
from appliance.model.known import Known
from appliance.model.need import Need
from appliance.model.person import Person
from appliance.model.profile import Policy, Profile, ProfileSet
from appliance.model.request import Request
from appliance.model.role import Role
from appliance.model.url import Url, parse_host
from appliance.policy import needs
from appliance.policy.overrides import OVERRIDABLE, Asked, Grants, covers, needed


class Learnt(Protocol):
    """What the pages of overrides have named of other sites; asking never raises."""

    def of(self, number: int) -> Mapping[str, Need]:
        """Return what pages of one override have named, by host."""

    def naming(self, host: str) -> Collection[int]:
        """Return the overrides with which a host may come."""

    def learn(self, number: int, needs: Iterable[Need]) -> None:
        """Keep what a page has named; raises what the store raises."""


class Judged(Protocol):
    """A decision, and whom it is about."""

    @property
    def decision(self) -> Decision:
        """What was decided."""

    @property
    def person(self) -> Person:
        """Whom it is about."""


class Journey(Protocol):
    """How anything is judged: `filtering.Filtering`."""

    @property
    def grants(self) -> Grants | None:
        """The overrides in force."""

    @property
    def policy(self) -> Policy:
        """The policy in force."""

    @property
    def school(self) -> ProfileSet:
        """The school's profiles and roles."""

    def profile_of(self, person: Person) -> Profile:
        """Return whose rules apply to somebody."""

    def known(self, url: Url) -> Known:
        """Return what the lists say of an address."""

    def judge(self, request: Request, person: Person | None = None, now: datetime | None = None) -> Judged:
        """Judge one request."""

    def inspection(self, request: Request, person: Person | None = None) -> Inspection:
        """Return how far its connection is looked into."""


def coming(
    host: str, grants: Grants, learnt: Learnt, roles: Mapping[str, Role]
) -> list[tuple[Grant, Role, needs.Named]]:
    """Return the overrides with which a host may come, each with its role and what its pages have named."""
    return [
        (grant, role, needs.Named(found, frozenset(need.page for need in found.values())))
        for number in learnt.naming(host)
        if (grant := grants.learning.get(number)) is not None
        and (role := roles.get(grant.role)) is not None
        and (found := learnt.of(number))
    ]


class Learning:
    """Takes from pages of overrides what they name."""

    def __init__(self, journey: Journey, learnt: Learnt) -> None:
        self._journey = journey
        self._learnt = learnt

    def teacher(self, request: Request, judged: Judged) -> Grant | None:
        """Return the override of whose page the answer to `request` is, if any: it may name what it needs."""
        grants, decision = self._journey.grants, judged.decision
        if grants is None or not decision.override or decision.page or _shows_others(request.url):
            return None
        # The site itself must be what is opened, and not another name of the request.
        alone = self._journey.judge(Request(request.url, client=request.client), judged.person).decision
        return grants.learning.get(decision.override) if alone.override == decision.override else None

    def comes(self, request: Request, judged: Judged, now: datetime) -> bool:
        """Tell whether a host that is closed may come with a page for whoever asks: each request shows it."""
        grants, roles = self._journey.grants, self._journey.school.roles
        if grants is None or judged.decision.reason not in OVERRIDABLE:
            return False
        asked, moment = Asked(request.url, judged.person, request.client), now.timestamp()
        return any(
            grant.starts <= moment < grant.ends and covers(grant.whom, asked)
            for grant, _, _ in coming(request.url.host, grants, self._learnt, roles)
        )

    def learn(
        self, grant: Grant, request: Request, judged: Judged, hosts: Iterable[str], now: datetime
    ) -> None:
        """Keep which of the hosts that a page has named come with it, and which stay closed.

        `request` and `judged` are the page's own. What is open anyway, and what nobody may open, is kept
        nowhere. Raises what the store raises.
        """
        role = self._journey.school.roles.get(grant.role)
        before = self._learnt.of(grant.number)
        new = sorted(set(hosts) - set(before))
        if role is None or not new:
            return
        self._learnt.learn(grant.number, self._needs(role, request, judged, map(parse_host, new), now))

    def _needs(
        self, role: Role, request: Request, judged: Judged, urls: Iterable[Url], now: datetime
    ) -> Iterator[Need]:
        journey, person = self._journey, judged.person
        categories, profile = journey.policy.categories, journey.profile_of(person)
        limit = needs.limit_of(judged.decision, categories)
        for url in urls:
            decision = journey.judge(Request(url, client=request.client), person, now).decision
            if not decision.blocked or decision.floor or decision.reason not in OVERRIDABLE:
                continue
            matches = journey.known(url).matches
            wants = needed(decision, matches, person, now, profile, categories)
            why = needs.closed_because(wants, matches, profile, role, limit, categories)
            if why == "" and journey.inspection(Request(url), person).level is Inspect.NEVER:
                why = "its connections are not looked into, so that parts cannot be told from pages"
            # An advert that stays closed is missed by nobody.
            if why == "" or (why and decision.severity > Severity.INFO):
                yield Need(url.host, request.url.host, limit, now.timestamp(), why)


def _shows_others(url: Url) -> bool:
    try:
        return bool(inner_urls(url))
    except TooManyInnerError:
        return True
