from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from appliance.filtering import Filtering, Judgement
from appliance.learning import Learning, coming
from appliance.model.decision import Reason
from appliance.model.grant import Grant, What, Whom
from appliance.model.inspect import Inspect, SiteRule, Sites
from appliance.model.known import Match
from appliance.model.need import Need
from appliance.model.person import Person, Standing
from appliance.model.request import Load, Request
from appliance.model.role import Grants as May
from appliance.model.role import Role
from appliance.model.url import parse_host, parse_url
from appliance.policy.overrides import Grants
from tests.doubles.gateway import NAMED, MemoryLists, OnePerson, filtering, policy

CLIENT, NOW = "10.20.0.5", datetime(2026, 11, 25, 10, 0, tzinfo=UTC)
PAGE = Request(parse_url("https://lesson.example/page"), client=CLIENT)
IMAGE = Load("image", "no-cors", "cross-site", "lesson.example", document=False, sends=False)
WHOM = Whom(groups=frozenset({"ks2"}))


@dataclass
class MemoryLearnt:
    """What pages have named, in memory; `broken` is raised instead of keeping."""

    kept: dict[int, dict[str, Need]] = field(default_factory=dict)
    broken: Exception | None = None

    def of(self, number: int) -> Mapping[str, Need]:
        return self.kept.get(number, {})

    def naming(self, host: str) -> list[int]:
        return [number for number, needs in self.kept.items() if host in needs and needs[host].open]

    def learn(self, number: int, needs: Iterable[Need]) -> None:
        if self.broken is not None:
            raise self.broken
        self.kept.setdefault(number, {}).update({need.host: need for need in needs})


def match(host: str, *categories: str) -> tuple[Match, ...]:
    return (Match("a-list", "7", host, categories),)


LISTS = {
    **NAMED,
    "lesson.example": match("lesson.example", "gambling"),
    "parts.example": match("parts.example", "gambling"),
    "worse.example": match("worse.example", "gambling", "proxies"),
    "proxy.example": match("proxy.example", "filter_bypass"),
}


def grant(number: int = 5, *, learns: bool = True, categories: frozenset[str] = frozenset()) -> Grant:
    what = What(frozenset({"lesson.example"}), categories=categories)
    return Grant(number, what, WHOM, "r", 0.0, 9e9, "Opened.", learns)


@dataclass
class School:
    """A journey with one grant, and what its pages have named."""

    grant: Grant = field(default_factory=grant)
    identity: OnePerson = field(default_factory=OnePerson)
    learnt: MemoryLearnt = field(default_factory=MemoryLearnt)

    def __post_init__(self) -> None:
        self.journey: Filtering = filtering(MemoryLists(dict(LISTS)), self.identity)
        self.journey.learnt = self.learnt
        made = policy()
        opens = frozenset({"gambling", "ip_address", "filter_bypass", "csam"})
        role = Role("r", "R", "So.", "", May.AT_ONCE, 60, 1, frozenset({"ks2"}), opens)
        self.journey.use(replace(made, sets={n: replace(s, roles={"r": role}) for n, s in made.sets.items()}))
        self.journey.grant(Grants([self.grant]))
        self.learning = Learning(self.journey, self.learnt)

    def never(self, host: str) -> None:
        """Let connections to a host pass unread."""
        made = self.journey.policy
        sites = Sites({host: SiteRule(host, Inspect.NEVER, "Private.", "set.yaml:1")})
        self.journey.use(replace(made, sets={n: replace(s, sites=sites) for n, s in made.sets.items()}))

    def name(self, *hosts: str) -> dict[str, str]:
        """Let the page name hosts; return those that were kept, and why they stay closed."""
        judged = self.journey.judge(PAGE)
        one = self.learning.teacher(PAGE, judged)
        assert one is not None
        self.learning.learn(one, PAGE, judged, hosts, NOW)
        return {need.host: need.refused for need in self.learnt.of(self.grant.number).values()}

    def ask(self, host: str, load: Load | None = IMAGE, **more: object) -> Judgement:
        url = parse_url(f"https://{host}/a.png")
        return self.journey.judge(Request(url, client=CLIENT, load=load, **more))  # type: ignore[arg-type]  # fields


def test_what_a_page_names_comes_with_it_as_far_as_the_granter_may() -> None:
    """What is open anyway, help, and what nobody may open is kept nowhere; what stays closed says why."""
    found = School().name(
        "parts.example", "worse.example", "proxy.example", "bets.example", "school.example", "floor.example",
        "childline.example", "printer.example", "unknown.example", "forum.example",
    )  # fmt: skip
    assert found == {
        "parts.example": "",
        "bets.example": "",
        "proxy.example": "it shows whatever it is asked for (filter_bypass)",
        "worse.example": "the role that granted this may not open it (proxies)",
    }


def test_a_part_is_open_and_lives_by_the_override() -> None:
    """Its connection is cut when the override ends, like the page's own."""
    school = School()
    school.name("parts.example")
    judged = school.ask("parts.example")
    assert (judged.decision.reason, judged.decision.page) == (Reason.OVERRIDE, "lesson.example")
    assert judged.overrides == {5}
    assert school.ask("parts.example", None).decision.blocked
    assert school.ask("bets.example").decision.blocked
    assert school.ask("www.parts.example").decision.reason is Reason.UNLISTED
    school.journey.grant(Grants())
    assert school.ask("parts.example").decision.blocked
    assert not school.journey.learns


def test_a_part_stands_below_all_that_stands_above_an_override() -> None:
    """Stops, ports, other names of the request and addresses inside it are judged as ever."""
    school = School()
    school.name("parts.example")
    assert school.ask("parts.example", names=(parse_host("bets.example"),)).decision.blocked
    assert school.ask("parts.example", names=(parse_host("floor.example"),)).decision.floor
    inside = Request(parse_url("https://parts.example/?u=https://bets.example/"), client=CLIENT, load=IMAGE)
    assert not school.journey.judge(inside).decision.blocked, "no wrapper"
    port = Request(parse_url("https://parts.example:25/"), client=CLIENT, load=IMAGE)
    assert school.journey.judge(port).decision.reason is Reason.PORT
    school.identity.person = Person("ks2", "own sign-in", standing=Standing.FROZEN)
    assert school.ask("parts.example").decision.reason is Reason.FROZEN


def test_a_part_stays_one_whatever_its_other_names_are() -> None:
    """With the granted site as the tunnel's name, a part must not count as a page of it."""
    school = School()
    school.name("parts.example")
    judged = school.ask("parts.example", names=(parse_host("lesson.example"),))
    assert not judged.decision.blocked
    assert judged.decision.page == "lesson.example"
    assert school.learning.teacher(replace(PAGE, url=parse_url("https://parts.example/")), judged) is None


def test_only_pages_of_the_override_teach() -> None:
    """Neither an allowed site in a tunnel of the granted one's name, nor a site that shows it, teaches."""
    school = School()
    other = Request(
        parse_url("https://school.example/"), names=(parse_host("lesson.example"),), client=CLIENT
    )
    judged = school.journey.judge(other)
    assert judged.decision.override == 5
    assert school.learning.teacher(other, judged) is None
    wrapped = Request(parse_url("https://web.archive.org/web/1/https://lesson.example/"), client=CLIENT)
    judged = school.journey.judge(wrapped)
    assert judged.decision.override == 5
    assert school.learning.teacher(wrapped, judged) is None
    plain = replace(PAGE, url=parse_url("https://school.example/"))
    assert school.learning.teacher(plain, school.journey.judge(plain)) is None
    quiet = School(grant(learns=False))
    assert quiet.learning.teacher(PAGE, quiet.journey.judge(PAGE)) is None
    assert not quiet.journey.learns


def test_what_is_not_looked_into_comes_with_nothing() -> None:
    """Parts cannot be told from pages on a connection that nobody reads; nor is it read for this."""
    school = School()
    school.never("parts.example")
    assert "not looked into" in school.name("parts.example")["parts.example"]
    later = School()
    later.name("parts.example")
    later.never("parts.example")
    assert later.ask("parts.example").decision.blocked


def test_a_list_that_names_a_host_later_closes_it_again() -> None:
    """What was learnt is judged with each request."""
    school = School()
    school.name("parts.example")
    lists = school.journey._lists
    assert isinstance(lists, MemoryLists)
    lists.named["parts.example"] = match("parts.example", "gambling", "dating")
    assert school.ask("parts.example").decision.blocked
    lists.floors.add("parts.example")
    assert school.ask("parts.example").decision.floor


def test_what_is_as_bad_as_the_page_comes_and_nothing_worse() -> None:
    """The page's own category is the measure, also where a whole category was opened."""
    school = School(grant(categories=frozenset({"gambling"})))
    bets = replace(PAGE, url=parse_url("https://bets.example/"))
    judged = school.journey.judge(bets)
    one = school.learning.teacher(bets, judged)
    assert one is school.grant
    school.learning.learn(one, bets, judged, ["parts.example"], NOW)
    assert school.learnt.of(5) == {}, "the category itself opens it"
    assert (
        School().learning.comes(replace(PAGE, url=parse_url("https://parts.example/")), judged, NOW) is False
    )


def test_a_connection_to_what_may_come_is_no_attempt() -> None:
    """A browser that connects in advance has asked for nothing; whoever is not meant has."""
    school = School()
    school.name("parts.example")
    hello = Request(parse_host("parts.example"), client=CLIENT, method="TLS")
    judged = school.journey.judge(hello)
    assert judged.decision.blocked
    assert school.learning.comes(hello, judged, NOW)
    school.identity.person = Person("ks1", "x")
    assert not school.learning.comes(hello, school.journey.judge(hello), NOW)
    floor = replace(hello, url=parse_host("floor.example"))
    assert not school.learning.comes(floor, school.journey.judge(floor), NOW)


def test_a_role_that_is_gone_brings_nothing() -> None:
    """Whoever may not grant any more has nothing come along either."""
    school = School()
    school.name("parts.example")
    grants = Grants([school.grant])
    assert coming("parts.example", grants, school.learnt, {}) == []
    assert len(coming("parts.example", grants, school.learnt, school.journey.school.roles)) == 1
    assert coming("parts.example", Grants([grant(6)]), school.learnt, school.journey.school.roles) == []


def test_a_store_that_cannot_keep_is_told() -> None:
    """Whoever asked hears of it; nothing is open that is not kept."""
    school = School(learnt=MemoryLearnt(broken=OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        school.name("parts.example")
    assert school.ask("parts.example").decision.blocked
