"""The order of judgement, against whatever a careless policy or a clever pupil might put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.model.category import Category, Risk, Severity
from appliance.model.decision import Reason
from appliance.model.known import Floor, FloorState, Known, Match, Use
from appliance.model.person import Person
from appliance.model.profile import Audience, Profile, Rating, Rule
from appliance.policy.decide import decide, decide_category, strictest
from tests.policy import strategies as some

NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
PUPIL = Person("ks2", "test")
OK = Floor(FloorState.OK)
HIT = Floor(FloorState.OK, "iwf", "7", "csam")
CATEGORIES = {
    name: Category(name, name, severity, Risk.CONTENT, name, name, floor)
    for name, severity, floor in (
        ("csam", Severity.CRITICAL, True),
        ("grooming", Severity.CRITICAL, False),
        ("gambling", Severity.MEDIUM, False),
        ("news", Severity.INFO, False),
    )
}
RATINGS = {"grooming": Rating.ILLEGAL, "gambling": Rating.UNACCEPTABLE, "news": Rating.ACCEPTABLE}
RULES = {name: Rule(name, rating, "Because.", "ks2.yaml:1") for name, rating in RATINGS.items()}
PROFILE = Profile("ks2", "KS2", Audience.KS2, True, "Pupils search.", "ks2.yaml:3", RULES)


def match(category: str, use: Use = Use.CATEGORY, entry: str = "example.org") -> Match:
    return Match("list", "1", entry, (category,) if category else (), use)


QUICKLY = settings(max_examples=20, deadline=None)
THOROUGHLY = settings(max_examples=1000, deadline=None)

HELP, OPENED, CLOSED = match("", Use.HELP), match("", Use.ALLOW), match("", Use.BLOCK)


@pytest.mark.parametrize(
    ("floor", "matches", "reason"),
    [
        (OK, (), Reason.UNLISTED),
        (OK, (match("news"),), Reason.ACCEPTABLE),
        (OK, (match("gambling"),), Reason.UNACCEPTABLE),
        (OK, (match("gambling"), OPENED), Reason.LOCAL_ALLOW),
        (OK, (match("news"), CLOSED), Reason.LOCAL_BLOCK),
        (OK, (OPENED,), Reason.LOCAL_ALLOW),
        (OK, (OPENED, CLOSED), Reason.LOCAL_BLOCK),
        (OK, (match("grooming"), OPENED), Reason.ILLEGAL),
        (OK, (match("csam"), OPENED), Reason.FLOOR),
        (OK, (match("gambling"), HELP, CLOSED), Reason.HELP),
        (HIT, (HELP, OPENED), Reason.FLOOR),
        (Floor(FloorState.STALE), (), Reason.FLOOR_UNAVAILABLE),
        (Floor(FloorState.MISSING), (OPENED,), Reason.FLOOR_UNAVAILABLE),
        (Floor(FloorState.UNREADABLE), (match("news"),), Reason.FLOOR_UNAVAILABLE),
        (Floor(FloorState.MISSING), (HELP,), Reason.HELP),
        (replace(HIT, state=FloorState.STALE), (HELP,), Reason.FLOOR),
    ],
)
def test_the_order_of_judgement(floor: Floor, matches: tuple[Match, ...], reason: Reason) -> None:
    """Floor, help, the floor's health, illegal, the school's own word, the rules, the unknown."""
    decision = decide(Known(floor, matches), PUPIL, NOW, PROFILE, CATEGORIES, "v1")
    assert decision.reason is reason
    assert (decision.profile, decision.policy_version) == ("ks2", "v1")


def test_an_ordinary_list_cannot_name_what_it_found_on_the_floor() -> None:
    """A list that somebody imported into a floor category blocks like the floor, and shows no entry."""
    decision = decide(Known(OK, (match("csam", entry="secret.example"),)), PUPIL, NOW, PROFILE, CATEGORIES)
    assert (decision.floor, decision.entry) == (True, "")
    assert "secret.example" not in repr(decision)


@pytest.mark.slow
@QUICKLY
@given(some.floor_hits, some.match_lists, some.people, some.moments, some.profiles, some.categories)
def test_no_policy_opens_the_floor(
    floor: Floor,
    matches: tuple[Match, ...],
    person: Person,
    now: datetime,
    profile: Profile,
    categories: Mapping[str, Category],
) -> None:
    """Whatever profile, entry, timetable or person: what a statutory list names is blocked (DFE-F2, S-18)."""
    decision = decide(Known(floor, matches), person, now, profile, categories)
    assert decision.blocked
    assert (decision.reason, decision.floor, decision.entry) == (Reason.FLOOR, True, "")


@pytest.mark.slow
@QUICKLY
@given(some.floor_misses, some.match_lists, some.people, some.moments, some.profiles, some.categories)
def test_help_is_always_open(
    floor: Floor,
    matches: tuple[Match, ...],
    person: Person,
    now: datetime,
    profile: Profile,
    categories: Mapping[str, Category],
) -> None:
    """Help lines open in every profile and while the floor lists fail, unflagged (S-54)."""
    decision = decide(Known(floor, (*matches, HELP)), person, now, profile, categories)
    assert (decision.reason, decision.flagged) == (Reason.HELP, False)


@pytest.mark.slow
@QUICKLY
@given(some.knowns, some.people, some.moments, some.profiles, some.categories)
def test_it_always_answers_and_flags_every_block(
    known: Known, person: Person, now: datetime, profile: Profile, categories: Mapping[str, Category]
) -> None:
    """No combination of inputs raises, every block is flagged, and every answer has a reason to print."""
    decision = decide(known, person, now, profile, categories, "v1")
    assert decision.because
    assert decision.policy_version == "v1"
    assert decision.flagged or not decision.blocked


@pytest.mark.slow
@QUICKLY
@given(some.match_lists, some.people, some.moments, some.profiles, some.categories, st.sampled_from(some.IDS))
def test_a_stricter_rating_never_opens(
    matches: tuple[Match, ...],
    person: Person,
    now: datetime,
    profile: Profile,
    categories: Mapping[str, Category],
    changed: str,
) -> None:
    """Tightening a rule to unacceptable or illegal never opens a site that was closed before."""
    known = Known(OK, matches)
    before = decide(known, person, now, profile, categories)
    for rating in (Rating.UNACCEPTABLE, Rating.ILLEGAL):
        rules = {**profile.rules, changed: Rule(changed, rating, "Because.", "x:1")}
        after = decide(known, person, now, replace(profile, rules=rules), categories)
        assert after.blocked or not before.blocked


@pytest.mark.slow
@QUICKLY
@given(
    st.permutations([match(name) for name in ("gambling", "news", "grooming")] + [OPENED, CLOSED]),
    st.integers(0, 5),
)
def test_the_order_of_the_lists_does_not_matter(matches: list[Match], kept: int) -> None:
    """The same lists give the same decision, in whatever order they answer."""
    some_of_them = matches[:kept]
    known = Known(OK, tuple(some_of_them))
    backwards = Known(OK, tuple(reversed(some_of_them)))
    one = decide(known, PUPIL, NOW, PROFILE, CATEGORIES)
    assert one == decide(backwards, PUPIL, NOW, PROFILE, CATEGORIES)


@pytest.mark.slow
@QUICKLY
@given(st.sampled_from(some.IDS), some.people, some.moments, some.profiles, some.categories)
def test_a_category_asked_alone_is_decided_as_if_listed(
    name: str, person: Person, now: datetime, profile: Profile, categories: Mapping[str, Category]
) -> None:
    """`explain --category` and a request to such a site cannot disagree."""
    alone = decide_category(name, person, now, profile, categories)
    found = decide(Known(OK, (match(name),)), person, now, profile, categories)
    assert (alone.action, alone.reason, alone.rule) == (found.action, found.reason, found.rule)
    assert (alone.floor, alone.severity, alone.flagged) == (found.floor, found.severity, found.flagged)
    assert (alone.list, alone.entry) == ("", "")


def test_a_floor_category_is_closed_even_without_a_rule() -> None:
    """A profile that forgets the floor, or rates it acceptable, changes nothing (UKF-I3)."""
    open_rules = {"csam": Rule("csam", Rating.ACCEPTABLE, "Because.", "x:1")}
    for rules in ({}, open_rules):
        decision = decide_category("csam", PUPIL, NOW, replace(PROFILE, rules=rules), CATEGORIES)
        assert (decision.blocked, decision.floor, decision.flagged) == (True, True, True)


@pytest.mark.slow
@QUICKLY
@given(st.lists(st.tuples(some.knowns, some.profiles), min_size=1, max_size=4))
def test_the_strictest_of_several_names_stands(cases: list[tuple[Known, Profile]]) -> None:
    """Any blocked name blocks the request, and the order of the names changes nothing."""
    decisions = [decide(known, PUPIL, NOW, profile, CATEGORIES) for known, profile in cases]
    stands = strictest(decisions)
    assert stands.blocked is any(decision.blocked for decision in decisions)
    rivals = [one for one in decisions if (one.blocked, one.floor) == (stands.blocked, stands.floor)]
    assert stands.severity == max(one.severity for one in rivals)
    assert strictest(list(reversed(decisions))) == stands


def test_the_floor_is_what_is_reported() -> None:
    """When one of several names is on a statutory list, no other block hides it."""
    grave = decide(Known(OK, (match("grooming"),)), PUPIL, NOW, PROFILE, CATEGORIES)
    floor = decide(Known(HIT), PUPIL, NOW, PROFILE, CATEGORIES)
    assert strictest([grave, floor]) is floor


def test_nothing_to_judge_is_closed() -> None:
    """A request without any name to judge does not pass."""
    assert strictest([]).blocked


@pytest.mark.slow
@THOROUGHLY
@given(some.knowns, some.people, some.moments, some.profiles, some.categories)
def test_the_laws_hold_for_thousands_of_policies(
    known: Known, person: Person, now: datetime, profile: Profile, categories: Mapping[str, Category]
) -> None:
    """The floor, the help lines and the closed gate, over more policies than a quick run has time for."""
    decision = decide(known, person, now, profile, categories)
    helps = any(one.use is Use.HELP for one in known.matches)
    if known.floor.hit:
        assert (decision.blocked, decision.reason, decision.entry) == (True, Reason.FLOOR, "")
    elif helps:
        assert (decision.blocked, decision.reason) == (False, Reason.HELP)
    elif known.floor.state is not FloorState.OK:
        assert (decision.blocked, decision.reason) == (True, Reason.FLOOR_UNAVAILABLE)
    else:
        illegal = {name for name, rule in profile.rules.items() if rule.rating is Rating.ILLEGAL}
        illegal |= {name for name, category in categories.items() if category.floor}
        named = {name for one in known.matches if one.use is Use.CATEGORY for name in one.categories}
        assert decision.blocked or not named & illegal
