"""Which categories count, and which of several rules decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time
from itertools import permutations
from zoneinfo import ZoneInfo

import pytest

from appliance.model.category import Category, Risk, Severity
from appliance.model.decision import Action, Decision, Reason
from appliance.model.known import Match, Use
from appliance.model.person import Person
from appliance.model.profile import Audience, Profile, Rating, Rule
from appliance.model.timetable import Timetable, When, Window
from appliance.policy.profile import Listed, counting, illegal, listed, strictest_rule, unlisted

NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
PUPIL = Person("ks2", "test")


def category(name: str, severity: Severity = Severity.LOW, *lifts: str) -> Category:
    return Category(name, name, severity, Risk.CONTENT, name, name, lifts=frozenset(lifts))


def rule(name: str, rating: Rating, *, watch: bool = False) -> Rule:
    return Rule(name, rating, f"Because of {name}.", f"ks2.yaml:{len(name)}", watch=watch)


CATEGORIES = {
    "games": category("games"),
    "learning": category("learning", Severity.INFO, "games"),
    "drugs": category("drugs", Severity.HIGH),
    "news": category("news", Severity.INFO),
    "ai": category("ai"),
}
RULES = {
    "games": rule("games", Rating.UNACCEPTABLE),
    "learning": rule("learning", Rating.ACCEPTABLE),
    "drugs": rule("drugs", Rating.UNACCEPTABLE),
    "news": rule("news", Rating.ACCEPTABLE),
    "ai": rule("ai", Rating.ACCEPTABLE, watch=True),
}
PROFILE = Profile("ks2", "KS2", Audience.KS2, True, "Pupils search.", "ks2.yaml:3", RULES)


def judge(*names: str) -> Decision:
    matches = [Match(f"list of {name}", "1", "example.org", (name,)) for name in names]
    counted = counting(listed(matches), CATEGORIES)
    return strictest_rule(counted, PUPIL, NOW, PROFILE, CATEGORIES, "v1")


def test_an_educational_game_is_not_a_game() -> None:
    """Every list of games names educational games too; the narrower category lifts the broader (W:470)."""
    assert judge("games", "learning").action is Action.ALLOW
    assert judge("games").action is Action.BLOCK


def test_lifting_opens_nothing_else() -> None:
    """A drugs site does not become open by calling itself educational."""
    assert judge("learning", "drugs").category == "drugs"


def test_a_circle_of_lifting_lifts_nothing() -> None:
    """Two categories that lift each other must not turn a listed site into an unlisted one."""
    circle = {"a": category("a", Severity.LOW, "b"), "b": category("b", Severity.LOW, "a")}
    found = listed([Match("list", "1", "x", ("a", "b"))])
    assert counting(found, circle) == found


@pytest.mark.parametrize("names", list(permutations(("games", "drugs", "news"))))
def test_the_strictest_rule_decides_and_the_gravest_is_reported(names: tuple[str, ...]) -> None:
    """One blocked category is enough, and the safeguarding lead hears of drugs, not of games."""
    decision = judge(*names)
    assert (decision.action, decision.category) == (Action.BLOCK, "drugs")
    assert (decision.severity, decision.flagged) == (Severity.HIGH, True)


def test_the_decision_explains_itself() -> None:
    """List, version, entry, rule and reason are those that decided."""
    decision = judge("games")
    assert (decision.list, decision.list_version, decision.entry) == ("list of games", "1", "example.org")
    assert (decision.rule, decision.because) == ("ks2.yaml:5", "Because of games.")
    assert (decision.profile, decision.policy_version) == ("ks2", "v1")


def test_an_allowed_access_is_flagged_only_when_watched() -> None:
    """Reading the news is nobody's business; a watched category is for the record, also beside others."""
    assert not judge("news").flagged
    assert judge("ai").flagged
    assert judge("news", "ai").flagged


def test_a_category_without_a_rule_blocks() -> None:
    """A blank in the table is not permission, and a category that nobody knows is of medium weight."""
    decision = judge("never_heard_of")
    assert (decision.reason, decision.severity) == (Reason.UNRATED, Severity.MEDIUM)
    assert judge("never_heard_of", "news").reason is Reason.UNRATED


def test_a_list_that_gives_no_category_blocks() -> None:
    """A site that is listed as nothing in particular is not treated as if it were unlisted."""
    found = listed([Match("odd", "1", "example.org", ())])
    assert strictest_rule(found, PUPIL, NOW, PROFILE, CATEGORIES, "v1").reason is Reason.UNRATED


def test_only_category_lists_are_rated() -> None:
    """The categories of a help line or of a local entry do not count against it."""
    assert listed([Match("help", "1", "x", ("drugs",), Use.HELP)]) == []


def test_illegal_is_found_among_others() -> None:
    """One illegal category among several is enough."""
    rules = {**RULES, "drugs": rule("drugs", Rating.ILLEGAL)}
    profile = Profile("ks2", "KS2", Audience.KS2, True, "b", "w", rules)
    found = listed([Match("list", "1", "x", ("news", "drugs"))])
    assert illegal(found, profile) == found[1]
    assert illegal(found, PROFILE) is None


@pytest.mark.parametrize("allowed", [True, False])
def test_the_unknown_follows_the_profile(allowed: bool) -> None:
    """What no list names is decided by the profile, and says at which line."""
    profile = Profile("eyfs", "EYFS", Audience.EARLY, allowed, "A walled garden.", "eyfs.yaml:8", {})
    decision = unlisted(profile, "v1")
    assert decision.blocked is not allowed
    assert decision.flagged is not allowed
    assert (decision.rule, decision.because) == ("eyfs.yaml:8", "A walled garden.")


def test_what_is_closed_now_says_when_it_opens() -> None:
    """The reason that page, log and `explain` print names the times; open, it needs none."""
    window = Window(frozenset({0}), time(13), time(14))
    lunch = Timetable("lunch", (window,), When.ALWAYS, (), ZoneInfo("UTC"), "Monday 13:00 to 14:00")
    timed = Rule("news", Rating.CERTAIN_TIMES, "News is for lunch.", "ks2.yaml:4", timetable=lunch)
    profile = replace(PROFILE, rules={"news": timed})
    found: list[Listed] = [("news", Match("list", "1", "a.example", ("news",)))]
    closed = strictest_rule(found, PUPIL, NOW, profile, CATEGORIES, "")
    assert closed.because == "News is for lunch. It is open Monday 13:00 to 14:00."
    assert (
        strictest_rule(found, PUPIL, NOW.replace(hour=13), profile, CATEGORIES, "").because == timed.because
    )
