"""A log and a counter that live in memory, and accesses to put into them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from appliance.model.category import Severity
from appliance.model.decision import Action, Decision, Reason
from appliance.model.event import Access, ReviewRequest
from appliance.model.person import Confidence, Person

START = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
ALLOWED = Decision(
    Action.ALLOW,
    Reason.ACCEPTABLE,
    "Pupils may use educational sites (W:472).",
    "ks2",
    "education",
    "profiles/westways/ks2.yaml:31",
    "ut1-education",
    "2026-11-01",
    policy_version="sha256:0123456789abcdef",
)
BLOCKED = Decision(
    Action.BLOCK,
    Reason.UNACCEPTABLE,
    "Gambling is not for pupils (W:472).",
    "ks2",
    "gambling",
    "profiles/westways/ks2.yaml:14",
    "ut1-gambling",
    "2026-11-01",
    severity=Severity.MEDIUM,
    flagged=True,
    policy_version="sha256:0123456789abcdef",
)
FLOOR = Decision(
    Action.BLOCK,
    Reason.FLOOR,
    "A statutory list names it.",
    "ks2",
    "csam",
    list="iwf-development",
    floor=True,
    severity=Severity.CRITICAL,
    flagged=True,
)
PUPIL = Person("ks2", "network Classrooms", Confidence.CERTAIN, "Ada Example", "ipad-014")


def access(
    number: int = 0, decision: Decision = ALLOWED, *, person: Person = PUPIL, at: datetime = START
) -> Access:
    """Return one access out of many: its number is in its reference, its time and its address."""
    return Access(
        reference=f"REF-{number:05}",
        at=at + timedelta(milliseconds=number),
        person=person,
        client="10.4.0.14",
        host="www.bets.example",
        url=f"https://www.bets.example/page/{number}?q=odds",
        method="GET",
        decision=decision,
        search_term="odds",
        status=200,
        bytes_sent=12,
        bytes_received=3_456,
    )


def review(number: int = 0, at: datetime = START) -> ReviewRequest:
    """Return one review request out of many."""
    return ReviewRequest(f"REF-{number:05}", at, "10.4.0.14", "ks2", "It is for my maths homework")


@dataclass
class MemoryEvents:
    """A log that keeps everything in memory; `broken` is what its next promise raises."""

    committed: list[Access] = field(default_factory=list)
    queued: list[Access] = field(default_factory=list)
    reviews: list[ReviewRequest] = field(default_factory=list)
    broken: Exception | None = None

    async def commit(self, access: Access) -> None:
        self._may_break()
        self.committed.append(access)

    def queue(self, access: Access) -> None:
        self.queued.append(access)

    async def review(self, request: ReviewRequest) -> None:
        self._may_break()
        self.reviews.append(request)

    def _may_break(self) -> None:
        if self.broken is not None:
            raise self.broken


@dataclass
class MemoryCounts:
    """A counter that remembers what it was told; `broken` is what it raises instead."""

    requests: list[Decision] = field(default_factory=list)
    reviews: int = 0
    broken: Exception | None = None

    def request(self, decision: Decision) -> None:
        if self.broken is not None:
            raise self.broken
        self.requests.append(decision)

    def review(self) -> None:
        if self.broken is not None:
            raise self.broken
        self.reviews += 1
