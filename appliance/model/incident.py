"""What a school does about an incident: its own table, as values.

Nothing here is done by the machine. A row proposes tasks, which people do, or say why they are not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.model.alerting import Who


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a person may have to do. `held`: not before the safeguarding lead says so (B2)."""

    id: str
    title: str
    help: str = ""
    """How it is done here, such as a command; for whoever does it."""
    held: bool = False


@dataclass(frozen=True, slots=True)
class Incident:
    """One row of the school's table: what happened, and the steps that follow from it, in their order.

    `who` is whom it is about, None for anybody; `themes` and `rules` of alerts.yaml are those whose cases it
    is proposed for. `source` says where it is written, `where` in which line of the file.
    """

    id: str
    title: str
    source: str
    where: str
    steps: tuple[Step, ...]
    who: Who | None = None
    themes: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()

    def about(self, *, adult: bool) -> bool:
        """Return whether this row is for an adult, or for a pupil."""
        return self.who is None or (self.who is Who.ADULTS) is adult


@dataclass(frozen=True, slots=True)
class Incidents:
    """The tables of one school. `clears` are the roles that may let a held task be done."""

    rows: Mapping[str, Incident] = field(default_factory=dict)
    clears: frozenset[str] = frozenset()

    def proposed(self, theme: str, rules: frozenset[str], *, adult: bool) -> tuple[Incident, ...]:
        """Return the rows for a case: by its theme, or by a rule that told of it."""
        return tuple(
            row
            for row in self.rows.values()
            if row.about(adult=adult) and (theme in row.themes or rules & row.rules)
        )
