"""What may leave the school: the whole of it.

What lives only here: the types that everything which is sent is made of. They have no field for a name, an
address, a site or a search term, and each field takes only what it is for; so no template can leak one
(W:422-424). Pure: no clock, disk or network.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum

from appliance.model.category import Severity

CASE = re.compile(r"A-[0-9]{5,12}")
LINK = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,255}/[A-Za-z0-9/_.~-]{0,200}")
_TOKEN = re.compile(r"[a-z2-7]{26}")
_REPORT = re.compile(r"(weekly|termly)-[0-9]{4}-[0-9]{2}-[0-9]{2}|override-[0-9]{1,9}")
_CHECKPOINT = re.compile(
    r"School gateway: audit checkpoint, version 1\nschool: [^\n]{0,1000}\n"
    r"records: (?P<records>[0-9]{1,15})\nhead: [0-9a-f]{64}\nmade: [0-9T:.+-]{19,40}\n"
    r"key: [A-Za-z0-9+/]{43}=\nsignature: [A-Za-z0-9+/]{86}==\n"
)
_LONGEST = 60


class What(StrEnum):
    """Why somebody is told."""

    ALERT = "alert"  # an episode began, or became more serious
    ESCALATED = "escalated"  # nobody acknowledged in time
    HANDED = "handed"  # somebody gave a case to this role
    TEST = "test"
    HEARTBEAT = "heartbeat"
    CONFIRM = "confirm"
    READY = "ready"  # a report was made
    TROUBLE = "trouble"  # alerts could not be delivered to somebody
    CHECKPOINT = "checkpoint"  # how far the audit goes, signed, for governors
    ALARM = "alarm"  # the gate closed because the filter could not answer, or opened again


def plain(text: str) -> str:
    """Return a title from a configuration file as one short line without controls."""
    return "".join(mark if mark.isprintable() else " " for mark in text)[:_LONGEST]


@dataclass(frozen=True, slots=True)
class Notice:
    """One alert as it leaves. `theme` is the title of a theme of the rules, never of what was seen.

    `link` is empty where the school has no page for cases.

    ValueError for a field that holds anything else than it is for.
    """

    what: What
    case: str
    severity: Severity
    theme: str
    at: datetime
    link: str

    def __post_init__(self) -> None:
        if not CASE.fullmatch(self.case):
            raise ValueError("a case reference is A- and digits")
        if self.theme != plain(self.theme):
            raise ValueError("a theme's title is one short printable line")
        if self.link and not LINK.fullmatch(self.link):
            raise ValueError("a link leads to a page, and carries nothing else")
        if self.at.tzinfo is None:
            raise ValueError("a moment needs its zone")


@dataclass(frozen=True, slots=True)
class Pulse:
    """The daily sign of life: numbers alone."""

    at: datetime
    episodes: int
    unacknowledged: int
    undelivered: int

    def __post_init__(self) -> None:
        for one in fields(self)[1:]:
            if type(getattr(self, one.name)) is not int:
                raise ValueError(f"{one.name} is a number")


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The question to a new recipient whether alerts arrive. `link` is empty where no page serves it."""

    at: datetime
    token: str
    link: str

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.token):
            raise ValueError("a token is 26 small letters and digits")
        if self.link and not LINK.fullmatch(self.link):
            raise ValueError("a link leads to a page, and carries nothing else")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something technical: a way that does not work, or a change made without a second person; how many."""

    at: datetime
    channel: str
    waiting: int

    def __post_init__(self) -> None:
        if self.channel not in ("mail", "webhook", "syslog", "nobody", "closed", "returned", "password"):
            raise ValueError("a channel is mail, webhook, syslog or nobody, or one word for a change")
        if type(self.waiting) is not int:
            raise ValueError("waiting is a number")


@dataclass(frozen=True, slots=True)
class Alarm:
    """The gate is closed because the filter cannot answer, or is open again; how many requests it refused."""

    at: datetime
    kind: str
    count: int
    over: bool

    def __post_init__(self) -> None:
        if self.kind not in ("floor", "fault", "deadline"):
            raise ValueError("a kind is floor, fault or deadline")
        if type(self.count) is not int or type(self.over) is not bool:
            raise ValueError("count is a number, over is true or false")


@dataclass(frozen=True, slots=True)
class Ready:
    """A report is there to be read, on the gateway; which one. `link` is empty where no page shows it."""

    at: datetime
    report: str
    link: str = ""

    def __post_init__(self) -> None:
        if not _REPORT.fullmatch(self.report):
            raise ValueError("a report is weekly or termly and a day, or override and a number")
        if self.link and not LINK.fullmatch(self.link):
            raise ValueError("a link leads to a page, and carries nothing else")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far the audit goes, signed, as governors keep it: numbers, hashes and the school's own name."""

    at: datetime
    text: str

    def __post_init__(self) -> None:
        if not _CHECKPOINT.fullmatch(self.text):
            raise ValueError("a checkpoint is a checkpoint of the audit, and nothing else")

    @property
    def records(self) -> int:
        """How many records it covers."""
        found = _CHECKPOINT.fullmatch(self.text)
        return int(found["records"]) if found else 0


type Message = Notice | Pulse | Confirmation | Trouble | Alarm | Ready | Checkpoint
