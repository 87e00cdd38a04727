"""The words of the pages: which of them a reader gets, for whom, and why.

What lives only here: the way from (audience, decision) to sentences, and the two ways of making
foreign text harmless for a reader (`shown`, `shown_host`). The sentences themselves stand in
`templates/wording.toml`, where a school can read and change them. It knows no HTML but escaping.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from appliance.model.category import Category
from appliance.model.decision import Decision, Reason
from appliance.model.profile import Audience

REFUSED = frozenset({Reason.MALFORMED, Reason.MISMATCH, Reason.PORT, Reason.OWN_NETWORK})
"""Reasons that mean the request cannot be judged, or must not be carried."""

UPSTREAM = frozenset({Reason.UPSTREAM_CERTIFICATE, Reason.UPSTREAM_UNREACHABLE})
"""Reasons that mean the site is allowed, but could not be reached safely."""

STOPPED = frozenset({Reason.FROZEN, Reason.REMOVED, Reason.SIGNED_OUT})
"""Reasons that lie in who asks, and not in what was asked for."""

POLICY = frozenset(
    {
        Reason.ILLEGAL,
        Reason.UNACCEPTABLE,
        Reason.OUT_OF_TIME,
        Reason.NOT_NOMINATED,
        Reason.LOCAL_BLOCK,
        Reason.UNLISTED_BLOCKED,
        Reason.UNRATED,
    }
)
"""Reasons that a school decided; here a review can change the answer."""

MAX_TEXT = 400
"""Longest foreign text on a page, in characters: a governor's sentence fits, an attack does not."""

MAX_HOST = 90
"""Longest address on a page, in characters; the end is kept, for that is where the owner stands."""

WORDS = Path(__file__).with_name("templates") / "wording.toml"

_HOST_END = re.compile(r"[/?#\\\s]")
_CITATION = re.compile(r"\s*\((?:[A-Z]{1,4}:)[^)]{0,60}\)")


@dataclass(frozen=True, slots=True)
class Line:
    """One place that helps: its name, what it does, and how to reach it (`phone` and `text` are numbers)."""

    name: str
    says: str
    simple: str
    url: str
    phone: str = ""
    text: str = ""

    @property
    def dial(self) -> str:
        """The phone number as a link needs it: digits only."""
        return self.phone.replace(" ", "")


@dataclass(frozen=True, slots=True)
class Words:
    """What one page says.

    `why` and `rule` may hold `{about}` and `{because}`; `after` stands behind the help lines.
    `picture` names a file of `templates/pictures`, `help` names lines.
    """

    title: str
    lead: tuple[str, ...]
    picture: str
    help: tuple[str, ...]
    why: str = ""
    rule: str = ""
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wording:
    """All words. `labels` are the words that every page of an audience shares."""

    lines: Mapping[str, Line]
    labels: Mapping[Audience, Mapping[str, Any]]
    words: Mapping[Audience, Mapping[str, Words]]
    support: frozenset[str]
    help_for: Mapping[str, tuple[str, ...]]

    @property
    def floors(self) -> frozenset[str]:
        """The floor categories that have words of their own."""
        keys = (key for words in self.words.values() for key in words)
        return frozenset(key.removeprefix("floor_") for key in keys if key.startswith("floor_")) - {
            "unavailable",  # reasons, not categories
            "repeated",
        }

    def choose(self, audience: Audience, decision: Decision, category: Category | None) -> Words:
        """Return the most fitting words; every audience has some for every decision."""
        words = self.words[audience]
        return next(words[key] for key in self._keys(decision, category) if key in words)

    def help(self, audience: Audience, decision: Decision, category: Category | None) -> tuple[Line, ...]:
        """Return the help lines for this page, the most fitting first."""
        ids = self.choose(audience, decision, category).help
        if audience in (Audience.TEEN, Audience.ADULT) and decision.reason in POLICY:
            first = 1 if audience is Audience.TEEN else 0  # for a pupil Childline stays on top
            ids = (*ids[:first], *self.help_for.get(decision.category, ()), *ids[first:])
        return tuple(self.lines[name] for name in dict.fromkeys(ids))

    def supportive(self, decision: Decision) -> bool:
        """True when help comes first, because the reader may be at risk (A10)."""
        return decision.category in self.support and decision.reason in POLICY

    def _keys(self, decision: Decision, category: Category | None) -> tuple[str, ...]:
        if is_floor(decision, category):
            return (f"floor_{decision.category}", "floor")
        if self.supportive(decision):
            return ("support",)
        return (decision.reason.value, group(decision.reason))


def is_statutory(decision: Decision, category: Category | None) -> bool:
    """True when a statutory list or category is in play: then a page names no address at all."""
    return decision.floor or decision.reason is Reason.FLOOR or (category is not None and category.floor)


def is_floor(decision: Decision, category: Category | None) -> bool:
    """True when the page is the access-denied page of the statutory lists (IWF-4)."""
    return is_statutory(decision, category) and (decision.reason is Reason.FLOOR or decision.reason in POLICY)


def group(reason: Reason) -> str:
    """Return the family of a reason. One that allows has no page of its own: asking for it is a fault."""
    for name, members in (
        ("policy", POLICY),
        ("refused", REFUSED),
        ("stopped", STOPPED),
        ("upstream", UPSTREAM),
    ):
        if reason in members:
            return name
    return "fault"


def about(audience: Audience, category: Category | None) -> str:
    """Return what a site is about, in words for the reader; empty when no category decided."""
    if category is None:
        return ""
    return category.simple if audience in (Audience.EARLY, Audience.KS2) else category.plain


def fill(sentences: Iterable[str], **values: str) -> list[Markup]:
    """Put escaped values into sentences; leave out a sentence for which there is nothing to say."""
    return [
        escape(sentence).format(**values)  # Markup.format escapes what it is given
        for sentence in sentences
        if sentence and all(value for name, value in values.items() if f"{{{name}}}" in sentence)
    ]


def shown(text: str, limit: int = MAX_TEXT) -> str:
    """Return foreign text fit to be read: bounded, and without invisible or direction-changing characters."""
    cut = text if len(text) <= limit else f"{text[: limit - 1]}…"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cut)


def shown_host(text: str) -> str:
    """Return only the host of what was asked for: no user name, path or query can reach a page."""
    host = _HOST_END.split(text[:4096], maxsplit=1)[0].rpartition("@")[2]
    return shown(host if len(host) <= MAX_HOST else f"…{host[1 - MAX_HOST :]}")


def for_pupils(because: str) -> str:
    """Return a rule's sentence without its source reference, such as `(W:472)`."""
    return _CITATION.sub("", because).strip()


def load_wording(file: Path) -> Wording:
    """Read the words; raise `OSError`, `ValueError` or `TypeError` where the file is not whole."""
    data = tomllib.loads(file.read_text(encoding="utf-8"))
    try:
        lines = {name: Line(**line) for name, line in data["lines"].items()}
        sections = {audience: data[audience.value] for audience in Audience}
        return Wording(
            lines=lines,
            labels={audience: _labels(section) for audience, section in sections.items()},
            words={audience: _words(section) for audience, section in sections.items()},
            support=frozenset(data["support_categories"]),
            help_for={category: tuple(names) for category, names in data["help_for"].items()},
        )
    except KeyError as error:
        raise ValueError(f"{file.name}: {error} is missing") from error


def _labels(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if not isinstance(value, dict)}


def _words(section: Mapping[str, Any]) -> dict[str, Words]:
    lists = {field.name for field in fields(Words) if str(field.type).startswith("tuple")}
    words = {}
    for key, value in section.items():
        if isinstance(value, dict):
            texts: dict[str, Any] = {
                name: tuple(text) if name in lists else text for name, text in value.items()
            }
            words[key] = Words(**texts)
    return words


@cache
def upset_messages(file: Path = WORDS) -> frozenset[str]:
    """Return what the buttons say by which somebody tells that they are upset, and asks for no site."""
    labels = load_wording(file).labels.values()
    return frozenset(str(one["upset_message"]) for one in labels if "upset_message" in one)
