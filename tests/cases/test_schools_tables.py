"""The schools' own tables, row by row, against what the shipped profiles decide.

The ratings are those of the User Actions and Communications tables (machine-readable in the shared
folder beside the repository). Where those contradict themselves, the compiled reading stands below,
each with its reason.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from appliance.config.profiles import load_policy
from appliance.model.decision import Reason
from appliance.model.person import Person
from appliance.model.profile import Rating, Rule
from appliance.policy.decide import decide_category

ROOT = Path(__file__).resolve().parents[2]
TABLES = json.loads((ROOT / ".." / "shared" / "matrices.json").read_text(encoding="utf-8"))
POLICY = load_policy(ROOT / "profiles", ROOT / "blocklists" / "categories.yaml")
SETS = {"W": "westways", "T": "west"}
PUPILS = {"W": ("eyfs", "ks1", "ks2"), "T": ("ks2", "ks3", "ks4", "ks5")}
LESSON = datetime(2026, 11, 23, 10, 15, tzinfo=ZoneInfo("Europe/London"))
LUNCH = datetime(2026, 11, 23, 12, 30, tzinfo=ZoneInfo("Europe/London"))

STAFF_COMPILED = {
    ("W", "games_educational"): Rating.ACCEPTABLE,  # the times are for pupils; staff prepare lessons
}
PUPILS_COMPILED = {
    ("W", "shopping"): Rating.UNACCEPTABLE,  # certain users are never pupils
    (
        "W",
        "file_sharing",
    ): Rating.UNACCEPTABLE,  # W:475 against W:507: only what the school approved, by local allow
    ("W", "video_streaming"): Rating.UNACCEPTABLE,  # certain users are never pupils
    ("T", "shopping"): Rating.UNACCEPTABLE,  # T:348 against T:478
    ("T", "file_sharing"): Rating.UNACCEPTABLE,  # T:349 against T:478
    ("T", "social_media"): Rating.UNACCEPTABLE,  # T:350 against T:490
    ("T", "messaging_apps"): Rating.UNACCEPTABLE,  # T:351 against T:490
    ("T", "video_streaming"): Rating.UNACCEPTABLE,  # T:352 against T:478
}
ROWS = [
    (key, row["id"], Rating(row["rating"]), row["line"])
    for key in SETS
    for row in TABLES["user_actions"][key]
]
COMMUNICATIONS = {
    "Use of personal email addresses in school, or on school network": "webmail",
    "Use of messaging Apps": "messaging_apps",
    "Use of social media": "social_media",
    "Use of blogs": "blogs",
}
LEVELS = {
    "allowed": Rating.ACCEPTABLE,
    "allowed_certain_times": Rating.CERTAIN_TIMES,
    "not_allowed": Rating.UNACCEPTABLE,
}


def rule(key: str, group: str, category: str) -> Rule:
    return POLICY.sets[SETS[key]].profiles[group].rules[category]


@pytest.mark.slow
@pytest.mark.parametrize(("key", "category", "rating", "line"), ROWS)
def test_staff_are_rated_as_in_the_table(key: str, category: str, rating: Rating, line: int) -> None:
    """Every row of both User Actions tables, and the reason names the row."""
    found = rule(key, "staff", category)
    assert found.rating is STAFF_COMPILED.get((key, category), rating)
    assert f"{key}:{line}" in found.because


@pytest.mark.slow
@pytest.mark.parametrize(("key", "category", "rating", "line"), ROWS)
def test_pupils_are_rated_as_in_the_table(key: str, category: str, rating: Rating, line: int) -> None:
    """The same for every pupil's profile: no key stage is looser than the school's own table."""
    for group in PUPILS[key]:
        found = rule(key, group, category)
        assert found.rating is PUPILS_COMPILED.get((key, category), rating)
        assert f"{key}:{line}" in found.because


@pytest.mark.parametrize(
    "row", [row for row in TABLES["communications"]["W"] if row["item"] in COMMUNICATIONS]
)
def test_the_communications_table_holds_too(row: dict[str, str]) -> None:
    """Email, messages, social media and blogs, for staff and other adults and for pupils (W:430 to W:444)."""
    category = COMMUNICATIONS[row["item"]]
    for group in ("staff", "guest"):
        assert rule("W", group, category).rating is LEVELS[row["staff"]]
    for group in PUPILS["W"]:
        assert rule("W", group, category).rating is LEVELS[row["pupil"]]


def test_every_row_of_the_communications_table_that_a_network_sees_is_here() -> None:
    """The other rows are about telephones and cameras in hands, or about what is written in an email."""
    items = {row["item"] for row in TABLES["communications"]["W"]}
    assert set(COMMUNICATIONS) <= items
    assert all(
        "phone" in item or "handheld" in item or "school email" in item
        for item in items - set(COMMUNICATIONS)
    )


@pytest.mark.parametrize("key", SETS)
def test_the_tables_are_read_whole(key: str) -> None:
    """Twenty-one and twenty-two rows, each a category that can be decided."""
    ids = [row["id"] for row in TABLES["user_actions"][key]]
    assert len(ids) == len(set(ids)) == {"W": 21, "T": 22}[key]
    assert set(ids) <= set(POLICY.categories)


@pytest.mark.slow
@pytest.mark.parametrize(("key", "category", "rating", "line"), ROWS)
def test_the_rating_is_what_is_decided(key: str, category: str, rating: Rating, line: int) -> None:
    """A rating in a file is only a word; this is what becomes of a request, in a lesson and at lunch."""
    closed = {
        Rating.ILLEGAL: Reason.FLOOR if category == "csam" else Reason.ILLEGAL,
        Rating.UNACCEPTABLE: Reason.UNACCEPTABLE,
        Rating.CERTAIN_USERS: Reason.NOT_NOMINATED,
        Rating.NOMINATED_USERS: Reason.NOT_NOMINATED,
        Rating.CERTAIN_TIMES: Reason.OUT_OF_TIME,
        Rating.ACCEPTABLE: Reason.ACCEPTABLE,
    }
    for group in (*PUPILS[key], "staff"):
        profile = POLICY.sets[SETS[key]].profiles[group]
        person = Person(group, "test", name="somebody")
        found = profile.rules[category].rating
        at_work = decide_category(category, person, LESSON, profile, POLICY.categories)
        assert at_work.reason is closed[found], line
        assert at_work.blocked is (found is not Rating.ACCEPTABLE)
        at_lunch = decide_category(category, person, LUNCH, profile, POLICY.categories)
        assert at_lunch.blocked is (found not in {Rating.ACCEPTABLE, Rating.CERTAIN_TIMES})
    assert isinstance(rating, Rating)


@pytest.mark.parametrize("key", SETS)
def test_staff_and_pupils_differ(key: str) -> None:
    """One profile for everybody would be no differentiation (DFE-F1, S-01)."""
    profiles = POLICY.sets[SETS[key]].profiles
    assert {"staff", "guest", *PUPILS[key]} == set(profiles)
    for group in PUPILS[key]:
        assert {name: one.rating for name, one in profiles[group].rules.items()} != {
            name: one.rating for name, one in profiles["staff"].rules.items()
        }


@pytest.mark.parametrize("key", SETS)
def test_the_strictest_profile_is_the_strictest(key: str) -> None:
    """Whoever is unknown gets no more than any child: what it opens, every pupil's profile opens (S-01)."""
    school = POLICY.sets[SETS[key]]
    opens = {
        group: {name for name, one in school.profiles[group].rules.items() if one.rating is Rating.ACCEPTABLE}
        for group in PUPILS[key]
    }
    assert all(opens[school.strictest] <= opens[group] for group in PUPILS[key])


def test_the_youngest_reach_only_what_is_listed() -> None:
    """What no list names is closed for early years and Key Stage 1, and open from Key Stage 2 on."""
    unknown = {group: profile.allow_unknown for group, profile in POLICY.sets["westways"].profiles.items()}
    assert unknown == {"eyfs": False, "ks1": False, "ks2": True, "staff": True, "guest": True}
    assert all(profile.allow_unknown for profile in POLICY.sets["west"].profiles.values())


@pytest.mark.parametrize("key", SETS)
def test_every_reason_is_a_sentence_of_its_own_school(key: str) -> None:
    """A governor of one school is not sent to the lines of another school's policy."""
    other = {"W": "T:", "T": "W:"}[key]
    for profile in POLICY.sets[SETS[key]].profiles.values():
        for one in profile.rules.values():
            assert other not in one.because.replace("DFE-", "")
            assert len(one.because.split()) >= 4
