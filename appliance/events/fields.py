"""Every field that the log keeps: what for, and for how long.

What lives only here: the record of processing (UK GDPR, DP-2): a column that is not in this table does
not exist, and deploy/appliance.yaml lists each with its days. Ordinary and flagged accesses have terms
of their own: a raw address is needed for 90 days, an incident until the yearly review (DP-5).

What is left of an ordinary access after 90 days is the decision alone: when, which group, which category,
what was decided and by which rule. It bears no pseudonym: whoever must look back on one person has the
flagged accesses, which keep the name, and nothing that a school reports joins up one pupil's ordinary pages.
A name that is not there cannot be found again, whoever holds a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import NamedTuple, Self

RAW = 90
"""Days that addresses and names are kept by default, in ordinary accesses."""

YEAR = 395
"""Days that the pseudonymous decision, and all of a flagged access, is kept: 13 months."""


class Keep(NamedTuple):
    """For how many days: in ordinary accesses, and in flagged ones."""

    days: int
    flagged_days: int


@dataclass(frozen=True, slots=True)
class Field:
    """One column. `key` is its name in the settings; `table` is where it is stored."""

    key: str
    table: str
    purpose: str
    default: Keep
    fixed: bool = False
    """True for what makes the row a record: it lives exactly as long as `time`."""

    @property
    def column(self) -> str:
        """The column's name in its table."""
        return self.key.removeprefix("review_")


_DECISION = Keep(YEAR, YEAR)
_PERSONAL = Keep(RAW, YEAR)
_REVIEW = Keep(YEAR, YEAR)

_ALL = (
    Field("time", "access", "when it was; the record as a whole lives as long as this", _DECISION),
    Field("flagged", "access", "whether the safeguarding lead may need it", _DECISION, fixed=True),
    Field("reference", "access", "what a pupil reads out, to find this very access", _DECISION),
    Field("name", "who", "the person, when signed in with own credentials", _PERSONAL),
    Field("group", "who", "whose rules applied", _DECISION),
    Field("source", "who", "how the gateway knew who it was", _DECISION),
    Field("confidence", "who", "how sure that is: a child is never guessed", _DECISION),
    Field("device", "who", "the device, to find who used it", _PERSONAL),
    Field("client", "who", "the device's network address, to find who used it", _PERSONAL),
    Field("host", "access", "the site; none for a statutory list's hit", _PERSONAL),
    Field("url", "access", "the full address; none for a statutory list's hit", _PERSONAL),
    Field("method", "access", "whether something was read or sent", _DECISION),
    Field("search_term", "access", "what was searched for", _PERSONAL),
    Field("action", "verdict", "allowed or blocked", _DECISION),
    Field("reason", "verdict", "why, as one of a closed set", _DECISION),
    Field("category", "verdict", "what the site is about", _DECISION),
    Field("profile", "verdict", "the profile that decided", _DECISION),
    Field("because", "verdict", "why, as the sentence a governor reads", _DECISION),
    Field("rule", "verdict", "file and line of the rule that decided", _DECISION),
    Field("list", "verdict", "the list that named the site", _DECISION),
    Field("list_version", "verdict", "which version of that list", _DECISION),
    Field("policy_version", "verdict", "which version of the profiles", _DECISION),
    Field("floor", "verdict", "whether a statutory list decided", _DECISION),
    Field("severity", "verdict", "how much it matters, from 0 to 4", _DECISION),
    Field("status", "access", "the status of the answer", _DECISION),
    Field("bytes_sent", "access", "how much was sent: uploads", _DECISION),
    Field("bytes_received", "access", "how much came back: downloads", _DECISION),
    Field("review_time", "review", "when somebody said that a block is a mistake", _REVIEW),
    Field("review_reference", "review", "which block it was", _REVIEW),
    Field("review_client", "review", "the device's network address", Keep(RAW, RAW)),
    Field("review_group", "review", "whose rules applied", _REVIEW),
    Field("review_message", "review", "what the person wrote", Keep(RAW, RAW)),
)

FIELDS: Mapping[str, Field] = MappingProxyType({field.key: field for field in _ALL})
"""Every column of the log by its key in the settings, with its purpose and default days."""


@dataclass(frozen=True, slots=True)
class Retention:
    """For how long each field is kept; made by `of`, so that it cannot contradict itself."""

    keep: Mapping[str, Keep]

    @classmethod
    def of(cls, days: Mapping[str, int | Keep]) -> Self:
        """Return the defaults, changed by `days`: one number for both kinds of access, or a Keep.

        A review has one term: the first of the two. Raises ValueError naming every problem, one a line.
        """
        keep = terms(days)
        if problems := [f"{key}: {text}" for key, text in contradictions(days)]:
            raise ValueError("\n".join(problems))
        return cls(MappingProxyType(keep))


def terms(days: Mapping[str, int | Keep]) -> dict[str, Keep]:
    """Return the term of every field: the defaults, changed by `days`."""
    keep = {key: field.default for key, field in FIELDS.items()}
    for key in FIELDS.keys() & days.keys():
        value = days[key]
        keep[key] = value if isinstance(value, Keep) else Keep(value, value)
    for key, field in FIELDS.items():
        if field.fixed and key not in days:
            keep[key] = keep["time"]
    return keep


def contradictions(days: Mapping[str, int | Keep]) -> list[tuple[str, str]]:
    """Return each field whose term makes no sense, with what is wrong and what would be right."""
    keep = terms(days)
    found = [(key, _unknown(key)) for key in days if key not in FIELDS]
    return found + [(key, text) for key in sorted(keep) for text in _wrong(key, keep)[:1]]


def _unknown(key: str) -> str:
    near = get_close_matches(key, FIELDS, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown field {key!r}; {hint}There are: {', '.join(FIELDS)}"


def _wrong(key: str, keep: Mapping[str, Keep]) -> list[str]:
    field, own = FIELDS[key], keep[key]
    whole = "review_time" if field.table == "review" else "time"
    life = keep[whole]
    found = []
    if min(own) < 1:
        found.append(f"at least 1 day, not {min(own)}")
    if own.flagged_days < own.days:
        found.append(
            f"a flagged access would be kept for {own.flagged_days} days and an ordinary one for {own.days}; "
            "what may matter is kept at least as long"
        )
    if any(mine > all_of_it for mine, all_of_it in zip(own, life, strict=True)):
        found.append(f"{_days(own)}, longer than the record itself is kept; {whole}: {_days(life)}")
    if field.fixed and own != life:
        found.append(f"is kept exactly as long as the record; {whole}: {_days(life)}")
    if key == "url" and any(mine > host for mine, host in zip(own, keep["host"], strict=True)):
        found.append(
            f"{_days(own)}, longer than the host, which an address contains; host: {_days(keep['host'])}"
        )
    return found


def _days(keep: Keep) -> str:
    if keep.days == keep.flagged_days:
        return f"{keep.days} days"
    return f"{keep.days} days (flagged: {keep.flagged_days})"
