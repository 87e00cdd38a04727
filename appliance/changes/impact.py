"""What a proposal would have changed: past decisions, judged again, counted.

What lives only here: the counting and its words. No person appears in it: numbers, profiles, classes, sites.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

_MOST_SITES = 20


class Again(NamedTuple):
    """One past request judged twice: under what is in force, and under the proposal."""

    profile: str
    group: str
    host: str
    blocked_now: bool
    blocked_then: bool


@dataclass(slots=True)
class Impact:
    """What would be newly allowed and newly blocked, by profile, class (where one signed in) and site."""

    judged: int = 0
    left_out: int = 0
    allowed: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    blocked: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def count(self, found: Iterable[Again]) -> None:
        """Count requests that were judged again."""
        for one in found:
            self.judged += 1
            if one.blocked_now is not one.blocked_then:
                kind = self.blocked if one.blocked_then else self.allowed
                kind[one.profile, one.group, one.host] += 1

    def add(self, other: Self) -> None:
        """Add what another process has counted."""
        self.judged += other.judged
        self.left_out += other.left_out
        self.allowed += other.allowed
        self.blocked += other.blocked

    def as_dict(self, days: float) -> dict[str, Any]:
        """Return what is kept with a proposal."""
        return {
            "days": days,
            "judged": self.judged,
            "left_out": self.left_out,
            "newly_allowed": _parts(self.allowed),
            "newly_blocked": _parts(self.blocked),
        }


def _parts(counted: Counter[tuple[str, str, str]]) -> dict[str, Any]:
    profiles, groups, hosts = Counter[str](), Counter[str](), Counter[str]()
    for (profile, group, host), count in counted.items():
        profiles[profile] += count
        hosts[host] += count
        if group:
            groups[group] += count
    return {
        "requests": counted.total(),
        "profiles": dict(profiles.most_common()),
        "classes": dict(groups.most_common()),
        "hosts": dict(hosts.most_common(_MOST_SITES)),
        "more_hosts": max(0, len(hosts) - _MOST_SITES),
    }


def in_words(impact: dict[str, Any]) -> list[str]:
    """Return the lines that somebody reads who is to release a proposal."""
    if not impact:
        return ["no past decisions were judged again"]
    lines = [f"{impact['judged']} decisions of the last {impact['days']:g} days judged again:"]
    for key in ("newly_allowed", "newly_blocked"):
        part = impact[key]
        lines.append(f"  {key.replace('_', ' ')}: {part['requests']} requests")
        for name in ("profiles", "classes", "hosts"):
            if part[name]:
                shown = ", ".join(f"{each} {count}" for each, count in part[name].items())
                more = f" and {part['more_hosts']} more" if name == "hosts" and part["more_hosts"] else ""
                lines.append(f"    {name}: {shown}{more}")
    if impact["left_out"]:
        lines.append(
            f"  {impact['left_out']} left out: no profile decides them (statutory lists, stops, faults)"
        )
    return lines
