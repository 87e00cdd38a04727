"""The shapes of the files that make a policy: categories, a set, a profile.

What lives only here: which keys these files have and what one value of them may be. The editors'
JSON Schemas are generated from these classes, so every description and example here is read by a
technician while typing. What needs more than one file to judge stands in `sets` and `profiles`.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from appliance.config.fields import ClockText, Day, Name, Sentence, Texts, Zone, clock
from appliance.config.typed import Section
from appliance.model.category import Risk
from appliance.model.inspect import Inspect
from appliance.model.profile import Audience, Rating
from appliance.model.timetable import When
from appliance.model.url import UrlRefusedError, parse_host

type Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
type SeverityName = Literal["info", "low", "medium", "high", "critical"]
type DayName = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun", "weekdays", "every_day"]


class CategoryShape(Section):
    """What a site can be about."""

    title: Text
    """What staff call it."""
    severity: SeverityName
    """How much an attempt to reach it matters to the safeguarding lead."""
    risk: Risk
    """Which of the four Cs it belongs to."""
    plain: Text
    """What a page calls it, for pupils from Key Stage 2 and for adults."""
    simple: Text
    """What a page calls it for the youngest."""
    floor: bool = False
    """True where a statutory list feeds it: no profile may then rate it otherwise."""
    lifts: tuple[Name, ...] = ()
    """Broader categories that do not count for a site which is also in this one."""
    inspect: Inspect | None = None
    """How far its sites are looked into, unless a profile's rule says otherwise."""
    standards: tuple[Text, ...] = ()
    """Where it comes from: a line of the schools' policies (W:472) or a requirement (UKF-C4)."""


class CategoriesFile(Section):
    """blocklists/categories.yaml: everything that a profile can rate."""

    categories: Annotated[dict[Name, CategoryShape], Field(min_length=1)]
    """Each category under its id."""


class TermShape(Section):
    """One term or half-term."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Autumn 1"}]})

    name: Text
    """What the school calls it."""
    first: Annotated[Day, Field(examples=["2026-09-02"])]
    """The first school day."""
    last: Annotated[Day, Field(examples=["2026-10-23"])]
    """The last school day."""

    @field_validator("last")
    @classmethod
    def _after_first(cls, last: date, others: ValidationInfo) -> date:
        if last < others.data.get("first", last):
            raise ValueError(f"the term {others.data.get('name', '')!r} ends before it begins")
        return last


class WindowShape(Section):
    """A span of time on some days of the week, in local wall-clock time."""

    days: Annotated[tuple[DayName, ...], Field(min_length=1)] = ("weekdays",)
    """The days on which it starts; weekdays when left out."""
    start: Annotated[Text, Field(alias="from", examples=["12:15", "lunch"])]
    """When it begins: a time such as 12:15, or the name of a bell."""
    end: Annotated[Text, Field(alias="to", examples=["13:15", "afternoon"])]
    """When it ends: a time to 24:00, or the name of a bell. Earlier than `from` means the next day."""

    @field_validator("start", "end")
    @classmethod
    def _occurs(cls, text: str, others: ValidationInfo) -> str:
        if not text[:1].isdigit():
            return text  # the name of a bell; whether there is one is seen with the whole set
        if clock(text) == clock("24:00") and others.field_name == "start":
            raise ValueError("24:00 ends a day; a window that begins then is from 00:00")
        start = others.data.get("start", "")
        if start[:1].isdigit() and clock(start) == clock(text):
            raise ValueError(
                f"begins and ends at {text}, and so never occurs; a whole day is from 00:00 to 24:00"
            )
        return text


class TimetableShape(Section):
    """A named set of times that rules refer to."""

    title: str = ""
    """What it is for, in a few words."""
    when: When = When.TERM
    """In term time, in the holidays, or always."""
    windows: Annotated[tuple[WindowShape, ...], Field(min_length=1)]
    """The spans of time; any of them is enough."""


class SiteShape(Section):
    """How far connections to one site are looked into."""

    inspect: Inspect
    """never: its bytes pass as they are; addresses; or content."""
    because: Sentence
    """Why, as a governor reads it."""


class SetFile(Section):
    """set.yaml: what all profiles of one school, or of a trust's template, have in common."""

    set: Name
    """The id of this set: the name of its folder."""
    title: Text
    """The school's or the trust's name."""
    timezone: Annotated[Zone, Field(examples=["Europe/London"])] = "Europe/London"
    """Whose wall clock the times are read from."""
    strictest: Name
    """The profile for anybody whom nothing identifies."""
    terms: tuple[TermShape, ...] = ()
    """The terms of the school year; every other day is a holiday."""
    bells: dict[Name, ClockText] = Field(default_factory=dict, examples=[{"lunch": "12:15"}])
    """Times of day by name, so that moving a bell moves every timetable that uses it."""
    timetables: dict[Name, TimetableShape] = Field(default_factory=dict)
    """Named times for rules that are rated `acceptable_certain_times`."""
    sites: dict[str, SiteShape] = Field(
        default_factory=dict,
        examples=[{"app.example": {"inspect": "never", "because": "Its app pins its certificate."}}],
    )
    """Single sites, with everything below them, that are looked into otherwise than their category is."""

    @field_validator("sites")
    @classmethod
    def _are_hosts(cls, sites: dict[str, SiteShape]) -> dict[str, SiteShape]:
        for host in sites:
            try:
                plain = parse_host(host).host
            except UrlRefusedError:
                raise ValueError(f"{host!r} is no host name; write one such as app.example") from None
            if plain != host or "." not in host:
                raise ValueError(f"{host!r} must be a site's own name in small letters, such as app.example")
        return sites


class UnknownShape(Section):
    """What becomes of a site that no list names."""

    action: Literal["allow", "block"]
    """`allow` lets it through and records it; `block` makes a walled garden."""
    because: Sentence
    """Why, as a governor reads it."""


_TIMED = Rating.CERTAIN_TIMES
_NAMED = (Rating.CERTAIN_USERS, Rating.NOMINATED_USERS)


class RuleShape(Section):
    """How one category is rated, and why."""

    rating: Rating
    """The column of the school's User Actions table."""
    because: Sentence
    """Why, as a governor reads it: one sentence or more."""
    source: Texts = ()
    """Where it is written, for example W:472; added to the reason in brackets."""
    timetable: Name | None = None
    """With `acceptable_certain_times`: the timetable of the set that says when."""
    users: tuple[Text, ...] = ()
    """With `acceptable_certain_users` or `acceptable_nominated_users`: who; nobody when left out."""
    inspect: Inspect | None = None
    """How far encrypted connections to such sites are looked into: never, addresses or content."""
    watch: bool = False
    """True to flag what this rule allows for the safeguarding lead; blocks are always flagged."""

    @field_validator("timetable", "users")
    @classmethod
    def _has_effect[T](cls, value: T, others: ValidationInfo) -> T:
        rating = others.data.get("rating")
        fitting = (_TIMED,) if others.field_name == "timetable" else _NAMED
        if value and rating is not None and rating not in fitting:
            raise ValueError(
                f"{others.field_name!r} has no effect with the rating {rating}; remove one of them"
            )
        return value

    @model_validator(mode="after")
    def _has_times(self) -> Self:
        if self.rating is _TIMED and self.timetable is None:
            raise ValueError(
                "acceptable_certain_times needs a 'timetable'; without one it would never be open"
            )
        return self

    @property
    def reason(self) -> str:
        """The reason with its source: what pages, log and reports print."""
        return f"{self.because} ({', '.join(self.source)})" if self.source else self.because


class ProfileFile(Section):
    """One group's profile: what its people may reach, rule by rule, each with its reason."""

    profile: Name
    """The id of this profile: the name of its file."""
    title: Text
    """What staff call the group."""
    audience: Audience | None = None
    """For whom the pages are worded: early (EYFS, KS1), ks2, teen or adult."""
    extends: Annotated[str | None, Field(examples=["_pupils", "west/ks2"])] = None
    """A profile whose rules apply where this one has none of its own: of this set, or `set/profile`."""
    abstract: bool = False
    """True for a base that others extend and nobody is given."""
    inspect: Inspect | None = None
    """How far encrypted connections are looked into of which no rule, category or site says otherwise."""
    unknown: UnknownShape | None = None
    """What becomes of a site that no list names; inherited when left out."""
    rules: dict[Name, RuleShape] = Field(default_factory=dict)
    """The rating of each category. A category without any rule is blocked."""
