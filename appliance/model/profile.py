"""A profile: what one group of people may reach, rule by rule, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from zoneinfo import ZoneInfo

from appliance.model.alerting import Alerting
from appliance.model.category import Category
from appliance.model.incident import Incidents
from appliance.model.inspect import Inspect, Sites
from appliance.model.role import Role
from appliance.model.timetable import Timetable


class Rating(StrEnum):
    """The columns of the schools' User Actions tables, spelled as in matrices.json."""

    ACCEPTABLE = "acceptable"
    CERTAIN_TIMES = "acceptable_certain_times"
    CERTAIN_USERS = "acceptable_certain_users"
    NOMINATED_USERS = "acceptable_nominated_users"
    UNACCEPTABLE = "unacceptable"
    ILLEGAL = "unacceptable_and_illegal"


class Audience(StrEnum):
    """For whom a page is worded."""

    EARLY = "early"  # EYFS and KS1: few words and a picture
    KS2 = "ks2"
    TEEN = "teen"  # KS3 to KS5
    ADULT = "adult"  # staff and guests


@dataclass(frozen=True, slots=True)
class Rule:
    """How one category is rated in one profile, and why.

    `where` is `profiles/westways/ks2.yaml:14`, so that explain and the log name the line;
    `watch` flags an allowed access for the record; `users` are the nominated persons; `inspect` is how
    far such sites are looked into, where this profile says so.
    """

    category: str
    rating: Rating
    because: str
    where: str
    timetable: Timetable | None = None
    users: frozenset[str] = frozenset()
    watch: bool = False
    inspect: Inspect | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """One group's rules. `allow_unknown` decides what no list names.

    `inspect` is how far sites are looked into of which nothing else is said.
    """

    id: str
    title: str
    audience: Audience
    allow_unknown: bool
    unknown_because: str
    unknown_where: str
    rules: Mapping[str, Rule]
    inspect: Inspect = Inspect.ADDRESSES
    inspect_because: str = "This profile says nothing else of this site."
    inspect_where: str = ""


@dataclass(frozen=True, slots=True)
class ProfileSet:
    """A school's whole policy: its profiles, which one an unknown person gets, and rules for single sites.

    `roles` say who may open what for a lesson; `zone` is whose wall clock the school lives by.
    """

    id: str
    title: str
    strictest: str
    profiles: Mapping[str, Profile]
    sites: Sites = field(default_factory=Sites)
    roles: Mapping[str, Role] = field(default_factory=dict)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Europe/London"))
    alerts: Alerting = field(default_factory=Alerting)
    incidents: Incidents = field(default_factory=Incidents)


@dataclass(frozen=True, slots=True)
class Policy:
    """All sets and categories in force, addressed by the hash of the files they came from."""

    version: str
    sets: Mapping[str, ProfileSet]
    categories: Mapping[str, Category]
