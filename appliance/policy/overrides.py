"""What an override opens: for exactly these people, in exactly this time, and nothing else.

What lives only here: when a block gives way to a grant. The floor, what a profile rates illegal, stopped
people, ports and the school's own network are never asked about here; whatever the granter's own role may
not open stays closed, also where a list names it only after the grant was given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import ip_address

from appliance.model.category import Category, Severity
from appliance.model.decision import Action, Decision, Reason
from appliance.model.grant import Grant, Whom
from appliance.model.known import Match
from appliance.model.person import Confidence, Person
from appliance.model.profile import Profile, Rating
from appliance.model.role import Role
from appliance.model.url import Url, canonical_path, embedded_ipv4
from appliance.policy.profile import counting, listed
from appliance.policy.rules import OPENS, outcome

OVERRIDABLE = frozenset(
    {
        Reason.UNACCEPTABLE,
        Reason.OUT_OF_TIME,
        Reason.NOT_NOMINATED,
        Reason.UNRATED,
        Reason.UNLISTED_BLOCKED,
        Reason.LOCAL_BLOCK,
    }
)
"""What a school decided for itself, and so may decide otherwise for a lesson."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Everything that keeps a site closed, all of which must be open to whoever is to open it."""

    categories: frozenset[str] = frozenset()
    unlisted: bool = False
    own_block: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for what: `client` is the network address, or an empty text."""

    url: Url
    person: Person
    client: str = ""


class Grants:
    """The overrides that may be in force, found by host or category, never by going through all of them."""

    def __init__(self, grants: Iterable[Grant] = ()) -> None:
        self.all = tuple(grants)
        self.learning = {grant.number: grant for grant in self.all if grant.learns}
        """Those whose pages bring what they need of other sites."""
        self._hosts: dict[str, list[Grant]] = {}
        self._pages: dict[str, list[tuple[str, Grant]]] = {}
        self._categories: dict[str, list[Grant]] = {}
        # One whose pages bring what they need comes before one whose pages do not; then what lasts longest:
        # connections that live by it are cut as late as can be.
        for grant in sorted(self.all, key=lambda one: (not one.learns, -one.ends, one.number)):
            for host in grant.what.hosts:
                self._hosts.setdefault(host, []).append(grant)
            for host, path in grant.what.pages:
                self._pages.setdefault(host, []).append((path, grant))
            for category in grant.what.categories:
                self._categories.setdefault(category, []).append(grant)

    def __bool__(self) -> bool:
        return bool(self.all)

    def touch(self, decision: Decision, url: Url) -> bool:
        """Tell whether some grant may be about a block, so that most decisions cost next to nothing more.

        Whatever opens a category has to open the one that is reported as the reason of the block.
        """
        host = url.host
        if decision.category in self._categories or host in self._pages:
            return True
        hosts = self._hosts
        if not hosts:
            return False
        while host:
            if host in hosts:
                return True
            host = host.partition(".")[2]
        return False

    def naming(self, url: Url) -> Iterator[Grant]:
        """Yield the grants that name this address, or a host that it is on or below."""
        pages = self._pages.get(url.host)
        if pages:
            path = canonical_path(url)
            yield from (grant for below, grant in pages if _below(path, below))
        host = url.host
        while host:
            yield from self._hosts.get(host, ())
            # A number has no names below it: `10.0.0.1` is not below `0.0.1`.
            host = "" if url.ip is not None else host.partition(".")[2]

    def about(self, needs: Needs) -> Iterator[Grant]:
        """Yield the grants for every category that keeps a site closed; none where more than that does."""
        if needs.unlisted or needs.own_block or not needs.categories:
            return
        first = min(needs.categories)
        for grant in self._categories.get(first, ()):
            if needs.categories <= grant.what.categories:
                yield grant


def opened(
    decision: Decision,
    matches: Sequence[Match],
    asked: Asked,
    now: datetime,
    profile: Profile,
    categories: Mapping[str, Category],
    grants: Grants,
    roles: Mapping[str, Role],
) -> Decision:
    """Return `decision`, or where it is a block that a grant opens, the decision of that grant.

    `decision` is what the policy says of the one address `asked.url`, which `matches` name. Raises nothing.
    """
    if not decision.blocked or decision.floor or decision.reason not in OVERRIDABLE or now.tzinfo is None:
        return decision
    needs = needed(decision, matches, asked.person, now, profile, categories)
    if needs is None:
        return decision
    moment = now.timestamp()
    for grant in (*grants.naming(asked.url), *grants.about(needs)):
        role = roles.get(grant.role)
        if (
            grant.starts <= moment < grant.ends
            and role is not None
            and permits(role, needs, profile.id)
            and covers(grant.whom, asked)
        ):
            return opened_by(decision, grant)
    return decision


def needed(
    decision: Decision,
    matches: Sequence[Match],
    person: Person,
    now: datetime,
    profile: Profile,
    categories: Mapping[str, Category],
) -> Needs | None:
    """Return all that keeps an address closed; None where nobody may open it."""
    found = listed(matches)
    for name, _ in found:
        rule, category = profile.rules.get(name), categories.get(name)
        if (category is not None and category.floor) or (rule is not None and rule.rating is Rating.ILLEGAL):
            return None
    if decision.reason is Reason.UNLISTED_BLOCKED:
        return Needs(unlisted=True)
    closed = frozenset(
        name
        for name, _ in counting(found, categories)
        if outcome(profile.rules.get(name), person, now) not in OPENS
    )
    return Needs(closed, own_block=decision.reason is Reason.LOCAL_BLOCK)


def permits(role: Role, needs: Needs, profile_id: str) -> bool:
    """Tell whether a role may open all that is needed for people of a profile."""
    return (
        profile_id in role.opens_for
        and needs.categories <= role.categories
        and (role.unlisted or not needs.unlisted)
        and (role.own_blocks or not needs.own_block)
    )


def covers(whom: Whom, asked: Asked) -> bool:
    """Tell whether somebody is among those for whom something was opened; in doubt they are not."""
    person = asked.person
    who, where = bool(whom.persons or whom.groups), bool(whom.networks or whom.devices)
    if who:
        named = bool(person.name) and person.name in whom.persons
        # Whoever nothing identifies only gets the strictest profile, and is not one of that group.
        known = person.confidence is not Confidence.UNKNOWN and person.group in whom.groups
        if not (named or known):
            return False
    if where:
        device = bool(person.device) and person.device in whom.devices
        if not (device or asked.client in whom.devices or _within(whom, asked.client)):
            return False
    return who or where


def _within(whom: Whom, client: str) -> bool:
    if not whom.networks:
        return False
    try:
        ip = embedded_ipv4(ip_address(client.partition("%")[0]))
    except ValueError:
        return False
    return any(ip.version == network.version and ip in network for network in whom.networks)


def _below(path: str, entry: str) -> bool:
    # A path that still climbs, as some servers read it, is below nothing.
    if ".." in path:
        return False
    stem = entry.rstrip("/")
    return path == entry or path.startswith((f"{stem}/", f"{stem}?"))


def opened_by(decision: Decision, grant: Grant, page: str = "") -> Decision:
    """Return what a block becomes under an override; `page` is the one that this is a part of, if any."""
    words = f"A part of a page of {page}. {grant.words}" if page else grant.words
    otherwise = f" Otherwise: {decision.because}" + (f" ({decision.rule})" if decision.rule else "")
    return replace(
        decision,
        action=Action.ALLOW,
        reason=Reason.OVERRIDE,
        because=f"{words}{otherwise}",
        rule=f"override {grant.number}",
        override=grant.number,
        severity=Severity.INFO,
        flagged=False,
        page=page,
    )
