"""What happens to one request, in order.

This hallway joins who asks, what is known and what is allowed. It takes `model` values only, so
that every lane of the gateway and `explain` go through the same lines and cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from appliance.inspection.wrappers import TooManyInnerError, inner_urls
from appliance.learning import Learnt, coming
from appliance.model.category import Category
from appliance.model.decision import Decision, Reason
from appliance.model.inspect import Inspect, Inspection, Traits
from appliance.model.known import Known, Use
from appliance.model.person import Person, Standing
from appliance.model.profile import Policy, Profile, ProfileSet
from appliance.model.request import Request
from appliance.model.stage import Stage
from appliance.model.url import Url, UrlRefusedError, parse_host
from appliance.policy import floor, inspect, needs, refusals, standing
from appliance.policy.decide import decide, decide_category, strictest
from appliance.policy.overrides import OVERRIDABLE, Asked, Grants, opened
from appliance.policy.repeated import Alone, Limit, Repeated
from appliance.remembered import Remembered
from appliance.surroundings import Identity, Lists, Reach, Told

REVIEW_PATH = "/.well-known/school-gateway/review"
"""Where a blocked page's form goes: on the blocked site itself, so that it works from any page."""


_BY_POLICY = frozenset(
    {Reason.ACCEPTABLE, Reason.IN_TIME, Reason.NOMINATED, Reason.LOCAL_ALLOW, Reason.UNLISTED}
)
"""Reasons of requests that pass, and would in the next moment as well."""

_MOST_LOOKED = 4096
"""Hosts, by profile, of which it is kept how far they are looked into: about 1 MB."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that the journey itself uses."""

    set_id: str
    ports: frozenset[int]
    floor_hits: Limit = field(default_factory=Limit)
    own_name: str = ""
    """Host name of the gateway's own page."""
    sign_in_hosts: frozenset[str] = frozenset()
    """Hosts of the single sign-on, which whoever is signed out may ask as if they were not."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A decision with whom it is about and by which profile, for the page and the record.

    `about` is the name that was decisive where it is not the request's own address: the tunnel's
    target, or the name in its encryption. `overrides` are the grants by which any of its names is open:
    when one of them ends, so does what lived by it.
    """

    decision: Decision
    person: Person
    profile: Profile
    category: Category | None
    about: Url | None = None
    overrides: frozenset[int] = frozenset()


class UnknownProfileError(LookupError):
    """The named set or profile does not exist; the text names those that do."""


class Filtering:
    """Judges requests against one policy snapshot, which `use` swaps whole."""

    def __init__(
        self,
        *,
        identity: Identity,
        lists: Lists,
        reach: Reach,
        policy: Policy,
        rules: Rules,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        told: Told | None = None,
        learnt: Learnt | None = None,
    ) -> None:
        self._identity = identity
        self._lists = lists
        self._reach = reach
        self._policy = policy
        self._staged: tuple[Stage, Policy] | None = None
        self._rules = rules
        self._clock = clock
        self._repeated = Repeated(rules.floor_hits)
        self._told = told or Alone()
        self.learnt = learnt
        """What pages of overrides have named of other sites."""
        self._grants: Grants | None = None
        self._looked: dict[tuple[str, str], tuple[Policy, Known, Traits, Inspection]] = {}
        self._remembered = Remembered[Judgement](lists)
        self.epoch = 0
        """Grows whenever the same request may be judged differently from before."""

    @property
    def learns(self) -> bool:
        """True while an override is in force whose pages bring what they need of other sites."""
        return self._grants is not None and self.learnt is not None and bool(self._grants.learning)

    @property
    def grants(self) -> Grants | None:
        """The overrides in force; None where there are none."""
        return self._grants

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._policy

    def use(self, policy: Policy) -> None:
        """Put another policy in force, for every request judged from now on."""
        self._policy = policy
        self.changed()

    def stage(self, staged: tuple[Stage, Policy] | None) -> None:
        """Let another policy count for some people instead of the one in force; None for nobody."""
        self._staged = staged
        self.changed()

    def changed(self) -> None:
        """Note that the lists have changed, so that what was allowed before is judged again."""
        self._looked.clear()
        self._remembered.forget()
        self.epoch += 1

    def grant(self, grants: Grants) -> None:
        """Put these overrides in force, in place of those from before."""
        self._grants = grants or None  # none at all costs a decision nothing
        self.epoch += 1

    def identify(self, client: str, user: str = "") -> Person:
        """Return who stands behind a client address; `user` has shown proxy credentials."""
        return self._identity.resolve(client, user)

    def known(self, url: Url) -> Known:
        """Return what the lists say of an address; never raises."""
        return self._lists.lookup(url)

    def helps(self, host: str) -> bool:
        """Tell whether a host name is a help line's, so that nothing stands in the way of reaching it."""
        try:
            known = self._lists.lookup(parse_host(host))
        except UrlRefusedError:
            return False
        return any(match.use is Use.HELP for match in known.matches)

    def judge(self, request: Request, person: Person | None = None, now: datetime | None = None) -> Judgement:
        """Judge one request. `person` and `now` are given by `explain`; live requests bring neither."""
        live = person is None and bool(request.client)
        now = now or self._clock()
        # Who, first: even a request that cannot be judged is answered in words that fit the age.
        person = person or self._identity.resolve(request.client, request.user)
        # One snapshot for the whole journey, whatever is swapped meanwhile (H33).
        policy = self._policy_for(person, request.client, now)
        if live:
            judged = self._remembered.again(request, person, policy, now)
            judged = judged or self._judge_for_long(request, person, policy, now)
        else:
            judged = self._judge_anew(request, person, policy, now)
        # Guessing, last: only what was decided shows that it goes on, and help stays open meanwhile.
        if live and judged.decision.reason is not Reason.HELP:
            decision = self._unless_guessing(judged.decision, request, now)
            if decision is not judged.decision:
                return replace(judged, decision=decision, category=policy.categories.get(decision.category))
        return judged

    def _judge_for_long(self, request: Request, person: Person, policy: Policy, now: datetime) -> Judgement:
        # What the lists say is taken first: if that changes on the way, what is remembered fits nothing.
        known = self._remembered.look(request)
        judged = self._judge_anew(request, person, policy, now)
        if judged.decision.reason in _BY_POLICY and judged.about is None and not judged.overrides:
            self._remembered.keep(judged, request, person, policy, now, known)
        return judged

    def _judge_anew(self, request: Request, person: Person, policy: Policy, now: datetime) -> Judgement:
        profile = self.profile_of(person, policy)
        overrides: frozenset[int] = frozenset()
        # Unreadable first: what no two parties read alike has no address to look up.
        if request.refused:
            reason = Reason.MISMATCH if request.refused.startswith("mismatch") else Reason.MALFORMED
            decision, about = refusals.refusal(reason, request.refused, profile, policy), None
        # The gateway's own name comes before lists and surroundings: there is no site behind it.
        elif request.url.host == self._rules.own_name:
            decision, about = refusals.own_page(profile, policy), None
        else:
            decision, about, overrides = self._decide(request, person, profile, policy, now)
        category = policy.categories.get(decision.category)
        return Judgement(decision, person, profile, category, about, overrides)

    def is_own(self, url: Url) -> bool:
        """Return whether the gateway answers `url` itself; whoever carries requests asks this first.

        The form's path on a site is not for `judge` to allow: a lane that forgot to ask would carry it there.
        """
        return url.path == REVIEW_PATH or url.host == self._rules.own_name

    def own_page(self, person: Person) -> Judgement:
        """Return what is decided for an address of the gateway's own."""
        policy = self._policy_for(person, "", self._clock())
        profile = self.profile_of(person, policy)
        return Judgement(refusals.own_page(profile, policy), person, profile, None)

    def _unless_guessing(self, decision: Decision, request: Request, now: datetime) -> Decision:
        """Return the decision, or while a client is to wait, one that is the same for every address."""
        for hit in self._told.news():
            self._repeated.hit(*hit)
        if self._repeated.paused(request.client, now):
            return floor.repeated(decision.profile, decision.policy_version)
        if decision.reason is Reason.FLOOR:
            self._told.tell(request.client, str(request.url), now)
        return decision

    def inspection(self, request: Request, person: Person | None = None, *, named: bool = True) -> Inspection:
        """Return how far a connection is looked into, and why. `named` is False where it names no site.

        All of its names count, and the one that has to be looked into furthest decides.
        """
        person = person or self._identity.resolve(request.client, request.user)
        policy = self._policy_for(person, request.client, self._clock())
        profile = self.profile_of(person, policy)
        if not named:
            return Inspection(profile.inspect, inspect.BECAUSE_NO_NAME)
        looked = self._looked_into(request.url, profile, policy)
        if not request.names:
            return looked
        return inspect.deepest((looked, *(self._looked_into(url, profile, policy) for url in request.names)))

    def _looked_into(self, url: Url, profile: Profile, policy: Policy) -> Inspection:
        # Kept by what it follows from: the lists give the same value for a host until they change.
        known, traits = self._lists.lookup(url), self._lists.traits(url)
        kept = self._looked.get((url.host, profile.id))
        if kept is not None and kept[0] is policy and kept[1] is known and kept[2] is traits:
            return kept[3]
        sites = policy.sets[self._rules.set_id].sites
        found = inspect.inspection(url.host, known.matches, traits, profile, policy.categories, sites)
        if len(self._looked) >= _MOST_LOOKED:
            self._looked.clear()
        self._looked[url.host, profile.id] = policy, known, traits, found
        return found

    def judge_category(self, category: str, person: Person, now: datetime | None = None) -> Judgement:
        """Return what would become of a site in `category`; this asks the policy alone."""
        now = now or self._clock()
        policy = self._policy_for(person, "", now)
        profile = self.profile_of(person, policy)
        decision = decide_category(category, person, now, profile, policy.categories, policy.version)
        return Judgement(decision, person, profile, policy.categories.get(category))

    def judge_failure(self, reason: Reason, because: str, client: str, user: str = "") -> Judgement:
        """Return the closed decision for something that failed; a failure is a decision, too."""
        person = self._identity.resolve(client, user)
        policy = self._policy_for(person, client, self._clock())
        profile = self.profile_of(person, policy)
        return Judgement(refusals.refusal(reason, because, profile, policy), person, profile, None)

    @property
    def school(self) -> ProfileSet:
        """The school's set of profiles and roles."""
        return self._policy.sets[self._rules.set_id]

    def profile_of(self, person: Person, policy: Policy | None = None) -> Profile:
        """Return the person's profile, or the set's strictest where the group has none."""
        profiles = (policy or self._policy).sets[self._rules.set_id]
        return profiles.profiles.get(person.group) or profiles.profiles[profiles.strictest]

    def _policy_for(self, person: Person, client: str, now: datetime) -> Policy:
        """Return the policy that counts for somebody: a staged one where it is meant for them."""
        staged = self._staged
        if staged is not None and staged[0].covers(person, client, now):
            return staged[1]
        return self._policy

    def _decide(
        self, request: Request, person: Person, profile: Profile, policy: Policy, now: datetime
    ) -> tuple[Decision, Url | None, frozenset[int]]:
        """Return the decision, the name it is about where that is another, and what overrides open it."""
        nothing: frozenset[int] = frozenset()
        lived, grants = nothing, self._grants
        found: list[tuple[Decision, Url | None]] = []
        try:
            inner = inner_urls(request.url)
        except TooManyInnerError as error:
            inner, because = (), f"What cannot be judged to its end is not let through: {error}."
            found.append((refusals.refusal(Reason.MALFORMED, because, profile, policy), None))
        for known, url, name in self._known(request, inner):
            decision = decide(known, person, now, profile, policy.categories, policy.version)
            if decision.reason is Reason.HELP and not found:
                # The site itself is a help line: no other name of the request, no list of network
                # addresses and no port rule stands between a child and help (A10).
                return decision, None, nothing
            # What staff have opened for a lesson. Why here: each name has to be open by itself, and all that
            # stands above the policy (floor, stops, surroundings, ports) is judged before or after.
            if grants is not None and decision.blocked:
                decision = self._eased(decision, known, url, request, person, policy, grants, now)
                lived = lived | {decision.override} if decision.override else lived
            found.append((decision, name))
        # Who may not be here finds nothing but help open, whatever else would be said of the address;
        # a floor hit is recorded as one all the same.
        stopped = standing.stopped(person.standing, profile.id, policy.version)
        signing_in = person.standing is Standing.SIGNED_OUT and self._is_for_sign_in(request)
        if stopped is not None and not signing_in and not any(decision.floor for decision, _ in found):
            return stopped, None, nothing
        # Surroundings and port come after the lists, so that a floor hit is recorded as one, but
        # before the answer: help lines live on the open web, on ordinary ports.
        for name in (None, *request.names):
            because = self._reach.refuses(name or request.url)
            if because and not any(decision.floor for decision, _ in found):
                return refusals.refusal(Reason.OWN_NETWORK, because, profile, policy), name, nothing
        if request.url.port not in self._rules.ports:
            because = f"Port {request.url.port} is not one of the ports the school uses for the web."
            found.append((refusals.refusal(Reason.PORT, because, profile, policy), None))
        chosen = strictest([decision for decision, _ in found])
        about = next((name for decision, name in found if decision is chosen), None)
        if chosen.blocked:
            return chosen, about, nothing
        return _as_part(chosen, found), about, lived

    def _eased(
        self,
        decision: Decision,
        known: Known,
        url: Url,
        request: Request,
        person: Person,
        policy: Policy,
        grants: Grants,
        now: datetime,
    ) -> Decision:
        # Only what the request itself asks for can be a part of a page, never another of its names.
        learnt, load = self.learnt, request.load if url is request.url else None
        if load is not None and not needs.fetches(request.method, load):
            load = None
        named = grants.touch(decision, url)
        if not named and (learnt is None or load is None or not learnt.naming(url.host)):
            return decision
        profile, asked = self.profile_of(person, policy), Asked(url, person, request.client)
        roles = policy.sets[self._rules.set_id].roles
        if named:
            decision = opened(decision, known.matches, asked, now, profile, policy.categories, grants, roles)
        if learnt is None or load is None or not decision.blocked or decision.reason not in OVERRIDABLE:
            return decision
        may = coming(url.host, grants, learnt, roles)
        if not may or self.inspection(Request(url), person).level is Inspect.NEVER:
            return decision
        part = request.method, load
        return needs.carried(decision, known.matches, asked, part, now, profile, policy.categories, may)

    def _is_for_sign_in(self, request: Request) -> bool:
        # Every name under which it presents itself, or a false one would open another site. Lists and profile
        # are asked all the same.
        hosts = self._rules.sign_in_hosts
        return bool(hosts) and all(url.host in hosts for url in (request.url, *request.names))

    def _known(self, request: Request, inner: tuple[Url, ...]) -> Iterator[tuple[Known, Url, Url | None]]:
        # Every name under which the request presents itself; any blocked means blocked.
        own = len(inner) + 1
        for number, url in enumerate((request.url, *inner, *request.names)):
            known = self._lists.lookup(url)
            if url.ip is not None and not known.matches:
                known = replace(known, matches=(refusals.numbered(url),))
            yield known, url, url if number >= own else None
        # The address that the client chose counts when a list names it; being unlisted is no news,
        # since nobody lists the addresses of good sites.
        if request.destination is not None:
            known = self._lists.lookup(request.destination)
            if known.matches or known.floor.hit:
                yield known, request.destination, None


def _as_part(chosen: Decision, found: Iterable[tuple[Decision, Url | None]]) -> Decision:
    # What is open as a part of a page stays one, by whatever else its other names are open.
    page = next((decision.page for decision, _ in found if decision.page), "")
    return replace(chosen, page=page) if page and not chosen.page else chosen
