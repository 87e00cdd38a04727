"""Random policies, lists and moments: whatever a careless or hostile hand might put together."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from appliance.model.category import Category, Risk, Severity
from appliance.model.known import Floor, FloorState, Known, Match, Use
from appliance.model.person import Confidence, Person
from appliance.model.profile import Audience, Profile, Rating, Rule
from appliance.model.timetable import Term, Timetable, When, Window

IDS = ("csam", "gambling", "games", "learning", "news", "unheard_of")
NAMES = ("", "a.teacher", "b.pupil")
ZONES = tuple(ZoneInfo(name) for name in ("Europe/London", "Pacific/Apia", "Australia/Lord_Howe", "UTC"))

times = st.builds(time, st.integers(0, 23), st.sampled_from((0, 15, 59)))
windows = st.builds(Window, st.frozensets(st.integers(0, 6)), times, times)
dates = st.dates(date(2026, 1, 1), date(2027, 12, 31))
terms = st.builds(Term, st.just("term"), dates, dates)
timetables = st.builds(
    Timetable,
    st.just("times"),
    st.lists(windows, max_size=3).map(tuple),
    st.sampled_from(When),
    st.lists(terms, max_size=3).map(tuple),
    st.sampled_from(ZONES),
)
moments = st.one_of(
    st.datetimes(timezones=st.sampled_from((UTC, *ZONES))),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.sampled_from(ZONES)),  # noqa: DTZ001 - made aware by `timezones`
    st.datetimes(),
)


def rule(dice: Random, category: str) -> Rule:
    """Return a random rule for one category; the parts need not fit together."""
    return Rule(
        category,
        dice.choice(list(Rating)),
        f"Because of {category}.",
        f"profile.yaml:{len(category)}",
        dice.choice((None, timetable(dice))),
        frozenset(dice.sample(NAMES, dice.randint(0, 3))),
        dice.random() < 0.5,
    )


def timetable(dice: Random) -> Timetable:
    """Return random times, in or out of random terms."""
    found = tuple(
        Window(
            frozenset(dice.sample(range(7), dice.randint(0, 7))),
            time(dice.randint(0, 23), dice.choice((0, 15, 59))),
            time(dice.randint(0, 23), dice.choice((0, 15, 59))),
        )
        for _ in range(dice.randint(0, 3))
    )
    day = date(2026, 1, 1) + timedelta(days=dice.randint(0, 700))
    some_terms = (Term("term", day, day + timedelta(days=dice.randint(-5, 90))),) * dice.randint(0, 1)
    return Timetable("times", found, dice.choice(list(When)), some_terms, dice.choice(ZONES))


def profile(dice: Random) -> Profile:
    """Return a random profile, with rules for some of the categories."""
    rated = dice.sample(IDS, dice.randint(0, len(IDS)))
    return Profile(
        "group",
        "Group",
        dice.choice(list(Audience)),
        dice.random() < 0.5,
        "Because nobody knows.",
        "profile.yaml:1",
        {name: rule(dice, name) for name in rated},
    )


def some_categories(dice: Random) -> dict[str, Category]:
    """Return random categories, which may lift each other in any way; csam is the floor."""
    return {
        name: Category(
            name,
            name,
            dice.choice(list(Severity)),
            dice.choice(list(Risk)),
            name,
            name,
            name == "csam",
            frozenset(dice.sample(IDS, dice.randint(0, 3))),
        )
        for name in dice.sample(IDS, dice.randint(0, len(IDS)))
    }


def some_matches(dice: Random) -> tuple[Match, ...]:
    """Return what up to four random list entries say, of any use."""
    return tuple(
        Match(
            dice.choice(("first", "second")),
            "1",
            dice.choice(("example.org", "www.example.org", "example.org/a")),
            tuple(dice.sample(IDS, dice.randint(0, 3))),
            dice.choice(list(Use)),
            dice.choice(("", "The head said so.")),
        )
        for _ in range(dice.randint(0, 4))
    )


# Policies are rolled from one seed each: drawing every field by itself costs fifty times as much.
_seeds = st.integers(0, 2**32).map(Random)
rules = _seeds.map(lambda dice: rule(dice, "games"))
profiles = _seeds.map(profile)
categories = _seeds.map(some_categories)
floor_hits = st.builds(Floor, st.sampled_from(FloorState), st.just("iwf"), st.just("7"), st.sampled_from(IDS))
floor_misses = st.builds(Floor, st.sampled_from(FloorState))
match_lists = _seeds.map(some_matches)
knowns = st.builds(Known, floor_hits | floor_misses, match_lists)
people = st.builds(
    Person, st.just("group"), st.just("test"), st.sampled_from(Confidence), st.sampled_from(NAMES)
)
