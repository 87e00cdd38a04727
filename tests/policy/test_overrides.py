from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.model.decision import Action, Decision, Reason
from appliance.model.grant import Grant, What, Whom
from appliance.model.known import Floor, FloorState, Known, Match, Use
from appliance.model.person import Confidence, Person
from appliance.model.profile import Profile, Rating
from appliance.model.role import Grants as May
from appliance.model.role import Role
from appliance.model.url import parse_url
from appliance.policy.decide import decide
from appliance.policy.overrides import Asked, Grants, covers, needed, opened, permits
from tests.doubles.gateway import CATEGORIES, profile, rule
from tests.policy import strategies
from tests.reflex import dice

NOW = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)
AMY = Person("ks2", "own sign-in", Confidence.CERTAIN, "amy")
BETS = "https://bets.example/odds/today?x=1"
GAMBLING = (Match("l", "1", "bets.example", ("gambling",)),)
KS2 = frozenset({"ks2"})


def role(**changes: object) -> Role:
    values: dict[str, object] = {
        "opens_for": KS2,
        "categories": frozenset({"gambling", "forums"}),
        **changes,
    }
    return Role("teacher", "Teachers", "So.", "roles.yaml:1", May.AT_ONCE, 120, 14, **values)  # type: ignore[arg-type]  # fields


def grant(number: int = 1, *, minutes: int = 60, **what: object) -> Grant:
    start = NOW.timestamp() - 60
    parts = what or {"hosts": frozenset({"bets.example"})}
    return Grant(number, What(**parts), Whom(groups=KS2), "teacher", start, start + minutes * 60, "Opened.")  # type: ignore[arg-type]  # fields


def ask(
    grants: Grants,
    url: str = BETS,
    *,
    matches: tuple[Match, ...] = GAMBLING,
    person: Person = AMY,
    client: str = "10.20.0.5",
    now: datetime = NOW,
    in_role: Role | None = None,
    who: Profile | None = None,
) -> Decision:
    asked = Asked(parse_url(url), person, client)
    rules = who or profile("ks2")
    known = Known(Floor(FloorState.OK), matches)
    decision = decide(known, person, now, rules, CATEGORIES)
    roles = {"teacher": in_role or role()}
    after = opened(decision, matches, asked, now, rules, CATEGORIES, grants, roles)
    assert after is decision or grants.touch(decision, asked.url), "what is opened is asked about"
    return after


def test_a_grant_opens_what_it_names_and_says_so() -> None:
    """S-23: the site of the lesson is open, and the decision names the override and what held without it."""
    decision = ask(Grants([grant(7)]))
    assert (decision.action, decision.reason, decision.override) == (Action.ALLOW, Reason.OVERRIDE, 7)
    assert decision.rule == "override 7"
    assert decision.because.startswith("Opened. Otherwise: Because of gambling.")
    assert decision.category == "gambling"


@pytest.mark.parametrize(
    ("url", "opens"),
    [
        ("https://bets.example/", True),
        ("https://www.bets.example/x", True),
        ("https://notbets.example/", False),
        ("https://bets.example.evil.example/", False),
        ("https://evil.example/?bets.example", False),
    ],
)
def test_a_host_covers_itself_and_what_is_below_it(url: str, opens: bool) -> None:
    """A pupil who adds a look-alike name to an open host gets nothing."""
    assert ask(Grants([grant()]), url).blocked is not opens


@pytest.mark.parametrize(
    ("path", "opens"),
    [
        ("/a/b", True),
        ("/a/b/c", True),
        ("/a/b?page=2", True),
        ("/a//b/./c", True),
        ("/a/%62/c", True),
        ("/a/bc", False),
        ("/a/b/../../secret", False),
        ("/a/b/%2e%2e/%2e%2e/secret", False),
        ("/a/b/..;/..;/secret", False),
        ("/A/B", False),
        ("/", False),
    ],
)
def test_a_page_covers_what_is_below_its_path_and_cannot_be_climbed_out_of(path: str, opens: bool) -> None:
    """Opening one page of a blocked site must not open the others, however the address is spelled."""
    page = Grants([grant(pages=frozenset({("bets.example", "/a/b")}))])
    assert ask(page, f"https://bets.example{path}").blocked is not opens
    assert ask(page, f"https://www.bets.example{path}").blocked


def test_a_category_opens_sites_that_nothing_else_keeps_closed() -> None:
    """A lesson about gambling opens no site that is about gambling and something worse."""
    lesson = Grants([grant(categories=frozenset({"gambling"}))])
    assert not ask(lesson).blocked
    both = (*GAMBLING, Match("l", "1", "bets.example", ("dating",)))
    assert ask(lesson, matches=both).blocked
    two = Grants([grant(1, categories=frozenset({"gambling"})), grant(2, categories=frozenset({"dating"}))])
    assert ask(two, matches=both).blocked, "two grants are not added up"


def test_what_the_role_may_not_open_stays_closed_whatever_was_granted() -> None:
    """A list that names the site only later closes it again, and a role that is gone opens nothing."""
    worse = (*GAMBLING, Match("new", "2", "bets.example", ("dating",)))
    assert ask(Grants([grant()]), matches=worse).blocked
    assert ask(Grants([grant()]), in_role=role(opens_for=frozenset({"staff"}))).blocked
    asked = Asked(parse_url(BETS), AMY)
    blocked = decide(Known(Floor(FloorState.OK), GAMBLING), AMY, NOW, profile("ks2"), CATEGORIES)
    assert opened(blocked, GAMBLING, asked, NOW, profile("ks2"), CATEGORIES, Grants([grant()]), {}) is blocked


def test_the_schools_own_block_and_the_unlisted_need_a_role_that_says_so() -> None:
    """What the school closed by hand, and the walled garden of the youngest, are not opened by accident."""
    closed = (Match("local", "1", "bets.example", (), Use.BLOCK, "Closed by the head."),)
    assert ask(Grants([grant()]), matches=closed).blocked
    assert not ask(Grants([grant()]), matches=closed, in_role=role(own_blocks=True)).blocked
    garden = profile("ks2", unknown=False)
    assert ask(Grants([grant()]), matches=(), who=garden).blocked
    assert not ask(Grants([grant()]), matches=(), who=garden, in_role=role(unlisted=True)).blocked


def test_illegal_material_is_opened_by_nobody() -> None:
    """UKF-I3: a grant that names the very host opens neither the floor nor what a profile rates illegal."""
    everything = role(categories=frozenset({"gambling", "csam"}), unlisted=True, own_blocks=True)
    illegal = profile("ks2", rules={"gambling": rule("gambling", Rating.ILLEGAL)})
    assert ask(Grants([grant()]), who=illegal, in_role=everything).blocked
    worst = (Match("l", "1", "bets.example", ("csam",)),)
    assert ask(Grants([grant()]), matches=worst, in_role=everything).blocked
    own = (*worst, Match("local", "1", "bets.example", (), Use.BLOCK))
    assert ask(Grants([grant()]), matches=own, in_role=everything).blocked


def test_it_begins_and_ends_to_the_second() -> None:
    """An override that is too early or over opens nothing, nor does a moment without a zone."""
    one = Grants([grant(minutes=2)])
    end = NOW + timedelta(seconds=60)
    assert not ask(one, now=end - timedelta(milliseconds=1)).blocked
    assert ask(one, now=end).blocked
    assert ask(one, now=NOW - timedelta(seconds=61)).blocked
    assert ask(one, now=NOW.replace(tzinfo=None)).blocked


@pytest.mark.parametrize(
    ("whom", "person", "client", "covered"),
    [
        (Whom(persons=frozenset({"amy"})), AMY, "", True),
        (Whom(persons=frozenset({"amy"})), Person("ks2", "x", Confidence.CERTAIN, "bob"), "", False),
        (Whom(persons=frozenset({""})), Person("ks2", "x"), "", False),
        (Whom(groups=KS2), AMY, "", True),
        (Whom(groups=KS2), Person("ks2", "unknown network", Confidence.UNKNOWN), "", False),
        (Whom(groups=KS2), Person("ks1", "x"), "", False),
        (Whom(networks=(ip_network("10.20.12.0/24"),)), AMY, "10.20.12.9", True),
        (Whom(networks=(ip_network("10.20.12.0/24"),)), AMY, "::ffff:10.20.12.9", True),
        (Whom(networks=(ip_network("10.20.12.0/24"),)), AMY, "10.20.13.9", False),
        (Whom(networks=(ip_network("10.20.12.0/24"),)), AMY, "", False),
        (Whom(groups=KS2, networks=(ip_network("10.20.12.0/24"),)), AMY, "10.20.13.9", False),
        (Whom(groups=frozenset({"ks1"}), networks=(ip_network("10.20.12.0/24"),)), AMY, "10.20.12.9", False),
        (Whom(devices=frozenset({"Trolley 3"})), Person("ks2", "x", device="Trolley 3"), "", True),
        (Whom(devices=frozenset({"10.20.0.5"})), AMY, "10.20.0.5", True),
        (Whom(devices=frozenset({""})), Person("ks2", "x"), "10.20.0.5", False),
        (Whom(), AMY, "10.20.0.5", False),
    ],
)  # fmt: skip
def test_it_is_for_exactly_those_people(whom: Whom, person: Person, client: str, covered: bool) -> None:
    """No grant acts outside its scope: an unknown child is never one of the class."""
    assert covers(whom, Asked(parse_url(BETS), person, client)) is covered


def test_of_several_the_one_that_lasts_longest_is_named() -> None:
    """Connections are cut when what they live by ends, so they live by what ends last."""
    one = Grants([grant(1, minutes=10), grant(2, minutes=30), grant(3, minutes=20)])
    assert ask(one).override == 2


def test_a_page_brings_what_it_needs_whoever_else_has_opened_it() -> None:
    """A colleague who opened the same site by name alone, and for longer, takes nothing from the lesson."""
    both = Grants([grant(1, minutes=60), replace(grant(2, minutes=20), learns=True)])
    assert ask(both).override == 2


def test_a_number_has_no_names_below_it() -> None:
    """Opening one address must not open another whose text happens to end like it."""
    numbered = Grants([grant(hosts=frozenset({"0.0.1"}))])
    assert list(numbered.naming(parse_url("http://10.0.0.1/"))) == []


_url = parse_url("https://www.example.org/a/b")


def _some_grant(dice: Random, number: int) -> Grant:
    what = What(
        frozenset(dice.sample(("example.org", "www.example.org", "other.example"), dice.randint(0, 3))),
        frozenset({("www.example.org", dice.choice(("/a", "/c")))} if dice.random() < 0.3 else ()),
        frozenset(dice.sample(strategies.IDS, dice.randint(0, 4))),
    )
    whom = Whom(
        frozenset(dice.sample(strategies.NAMES, dice.randint(0, 2))),
        frozenset(dice.sample(("group", "others"), dice.randint(0, 2))),
        tuple(ip_network(net) for net in dice.sample(("10.0.0.0/8", "192.0.2.0/24"), dice.randint(0, 2))),
    )
    starts = NOW.timestamp() + dice.choice((-7200, -60, 0, 60))
    return Grant(number, what, whom, dice.choice(("r", "gone")), starts, starts + dice.choice((60, 3600)))


def _some_role(dice: Random) -> Role:
    opens = frozenset(dice.sample(strategies.IDS, dice.randint(0, len(strategies.IDS))))
    people = frozenset(dice.sample(("group", "others"), dice.randint(0, 2)))
    flags = dice.random() < 0.5, dice.random() < 0.5
    return Role("r", "R", "So.", "roles.yaml:1", May.AT_ONCE, 60, 1, people, opens, *flags)


@pytest.mark.slow
@settings(max_examples=dice(150), deadline=None)
@given(
    strategies.knowns, strategies.people, strategies.profiles, strategies.categories, st.integers(0, 2**32)
)
def test_no_grant_opens_the_floor_or_acts_outside_its_scope(
    known: Known, person: Person, rules: Profile, categories: dict[str, object], seed: int
) -> None:
    """Over random grants, roles, profiles, people and moments: never the floor, never anybody else."""
    dice = Random(seed)
    client = dice.choice(("", "10.1.2.3", "192.0.2.9", "203.0.113.5"))
    asked, now = Asked(_url, person, client), NOW + timedelta(seconds=dice.choice((-61, 0, 59, 3600)))
    grants = [_some_grant(dice, number) for number in range(1, dice.randint(1, 6))]
    roles = {"r": _some_role(dice)}
    before = decide(known, person, now, rules, categories)  # type: ignore[arg-type]  # as the strategy makes them
    after = opened(before, known.matches, asked, now, rules, categories, Grants(grants), roles)  # type: ignore[arg-type]  # as above
    if after == before:
        return
    assert Grants(grants).touch(before, _url)
    assert before.blocked
    assert not before.floor
    assert not known.floor.hit
    assert known.floor.state is FloorState.OK
    assert before.reason not in (Reason.FLOOR, Reason.ILLEGAL, Reason.FLOOR_UNAVAILABLE)
    (one,) = [grant for grant in grants if grant.number == after.override]
    needs = needed(before, known.matches, person, now, rules, categories)  # type: ignore[arg-type]  # as above
    assert needs is not None
    assert not any(getattr(categories.get(name), "floor", False) for name in needs.categories)
    assert permits(roles[one.role], needs, rules.id)
    assert covers(one.whom, asked)
    assert one.starts <= now.timestamp() < one.ends
    named = {"example.org", "www.example.org"} & one.what.hosts or ("www.example.org", "/a") in one.what.pages
    assert named or needs.categories <= one.what.categories
