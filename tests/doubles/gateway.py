"""The gateway's ports in memory: lists, identity, surroundings, record, numbers; and a small policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.filtering import Filtering, Rules
from appliance.learning import Learnt
from appliance.model.category import Category, Risk, Severity
from appliance.model.decision import Reason
from appliance.model.event import Access, ReviewRequest
from appliance.model.inspect import Traits
from appliance.model.known import Floor, FloorState, Known, Match, Use
from appliance.model.person import Confidence, Person
from appliance.model.profile import Audience, Policy, Profile, ProfileSet, Rating, Rule
from appliance.model.url import Url
from appliance.surroundings import Told

PORTS = frozenset({80, 443, 8080})


def category(name: str, severity: Severity = Severity.MEDIUM, *, floor: bool = False) -> Category:
    return Category(name, name.title(), severity, Risk.CONTENT, name, name, floor)


def rule(name: str, rating: Rating, *, watch: bool = False) -> Rule:
    return Rule(name, rating, f"Because of {name}.", f"profiles/school/ks2.yaml:{len(name)}", watch=watch)


CATEGORIES = {
    "csam": category("csam", Severity.CRITICAL, floor=True),
    "gambling": category("gambling"),
    "forums": category("forums", Severity.LOW),
    "learning": category("learning", Severity.INFO),
    "ip_address": category("ip_address", Severity.LOW),
}
RULES = {
    "gambling": rule("gambling", Rating.UNACCEPTABLE),
    "forums": rule("forums", Rating.ACCEPTABLE, watch=True),
    "learning": rule("learning", Rating.ACCEPTABLE),
    "ip_address": rule("ip_address", Rating.UNACCEPTABLE),
}


def profile(
    name: str,
    audience: Audience = Audience.KS2,
    rules: Mapping[str, Rule] | None = None,
    *,
    unknown: bool = True,
) -> Profile:
    """Return a profile of the small policy; `unknown` says what becomes of what no list names."""
    words = "Because nobody knows it."
    return Profile(
        name, name.upper(), audience, unknown, words, f"{name}.yaml:1", RULES if rules is None else rules
    )


def policy(version: str = "sha256:0123456789abcdef", **rules: Rule) -> Policy:
    """Return the small policy: one set with a pupils' and a staff profile; ks1 is the strictest."""
    profiles = {
        "ks1": profile("ks1", Audience.EARLY, unknown=False),
        "ks2": profile("ks2", rules={**RULES, **rules}),
        "staff": profile(
            "staff", Audience.ADULT, {**RULES, "ip_address": rule("ip_address", Rating.ACCEPTABLE)}
        ),
    }
    return Policy(version, {"school": ProfileSet("school", "School", "ks1", profiles)}, CATEGORIES)


HELP = Match("help:childline", "1", "childline.example", (), Use.HELP, "Childline helps.")
NAMED: dict[str, tuple[Match, ...]] = {
    "bets.example": (Match("gambling-list", "7", "bets.example", ("gambling",)),),
    "forum.example": (Match("forum-list", "7", "forum.example", ("forums",)),),
    "school.example": (Match("learning-list", "7", "school.example", ("learning",)),),
    "childline.example": (HELP,),
}


@dataclass
class MemoryLists:
    """Lists by host name; `floors` are the hosts of the statutory list; `broken` is raised instead."""

    named: dict[str, tuple[Match, ...]] = field(default_factory=lambda: dict(NAMED))
    floors: set[str] = field(default_factory=lambda: {"floor.example"})
    state: FloorState = FloorState.OK
    broken: BaseException | None = None
    asked: list[str] = field(default_factory=list)

    pages: set[str] = field(default_factory=lambda: {"floor.example"})
    pinned: dict[str, str] = field(default_factory=dict)

    def traits(self, url: Url) -> Traits:
        return Traits(url.host in self.pages, self.pinned.get(url.host, ""))

    def lookup(self, url: Url) -> Known:
        self.asked.append(url.host)
        if self.broken is not None:
            raise self.broken
        hit = url.host in self.floors
        floor = Floor(self.state, "iwf-development" if hit else "", "3", "csam" if hit else "")
        return Known(floor, self.named.get(url.host, ()))


@dataclass
class OnePerson:
    """Everybody is this person."""

    person: Person = Person("ks2", "network Classrooms")  # noqa: RUF009 - frozen, so it may be shared
    broken: BaseException | None = None

    def resolve(self, address: str, user: str = "") -> Person:
        del address, user
        if self.broken is not None:
            raise self.broken
        return self.person


STRANGER = Person("nobody", "unknown network", Confidence.UNKNOWN)


@dataclass
class Inside:
    """The school's own network is what a test says it is."""

    hosts: set[str] = field(default_factory=lambda: {"printer.example"})

    def refuses(self, url: Url) -> str:
        return "This is the school's own network." if url.host in self.hosts else ""


@dataclass
class MemoryRecorder:
    """A record in memory; `broken` is raised instead of keeping."""

    kept: list[Access] = field(default_factory=list)
    reviews: list[ReviewRequest] = field(default_factory=list)
    broken: BaseException | None = None

    async def record(self, access: Access) -> None:
        if self.broken is not None:
            raise self.broken
        self.kept.append(access)

    def note(self, access: Access) -> None:
        if self.broken is not None:
            raise self.broken
        assert not access.decision.flagged, "a flagged access is recorded, not noted"
        self.kept.append(access)

    async def review(self, request: ReviewRequest) -> None:
        if self.broken is not None:
            raise self.broken
        self.reviews.append(request)


@dataclass
class MemoryMetrics:
    """The gateway's numbers, as they were told."""

    decisions: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    faults: list[tuple[Reason, str]] = field(default_factory=list)
    connections: int = 0
    unfinished: int = 0
    unread: list[tuple[str, int, int]] = field(default_factory=list)
    handshakes: list[str] = field(default_factory=list)
    broken: BaseException | None = None

    def passed_unread(self, end: str, sent: int, received: int) -> None:
        self.unread.append((end, sent, received))

    def handshake_failed(self, kind: str) -> None:
        self.handshakes.append(kind)

    def decided(self, seconds: float) -> None:
        self.decisions.append(seconds)

    def added_latency(self, seconds: float) -> None:
        self.latencies.append(seconds)

    def fault(self, reason: Reason, stage: str) -> None:
        if self.broken is not None:
            raise self.broken
        self.faults.append((reason, stage))

    def connection(self) -> None:
        self.connections += 1

    def incomplete(self) -> None:
        self.unfinished += 1


def filtering(
    lists: MemoryLists | None = None,
    identity: OnePerson | None = None,
    inside: Inside | None = None,
    told: Told | None = None,
    learnt: Learnt | None = None,
) -> Filtering:
    """Return the real journey over the small policy and these doubles."""
    return Filtering(
        identity=identity or OnePerson(),
        lists=lists or MemoryLists(),
        reach=inside or Inside(),
        policy=policy(),
        rules=Rules("school", PORTS, own_name="filter.internal"),
        told=told,
        learnt=learnt,
    )
