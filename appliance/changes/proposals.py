"""One proposal, as it is kept: what it says, how it stands, and the row of the database that says so."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

COLUMNS = (
    "number, state, base, version, entries, reason, by, at, impact, decided_by, decided_at, words, parts, "
    "stage"
)
"""The columns of a row, in the order that `proposal_of` reads."""


class State(StrEnum):
    """How a proposal stands."""

    PROPOSED = "proposed"
    STAGED = "staged"
    RELEASED = "released"
    REFUSED = "refused"
    RETURNED = "returned"


class Entry(NamedTuple):
    """What a proposal does beside new versions of files: an act, and to what.

    `allow`, `block` and `remove` are about an address of the school's own list; `drop`, `rollback` and
    `accept` about a list; `import` about a copy of a list that is kept until it is released.
    """

    act: str
    address: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposal; moments in seconds since 1970. `version` is the policy that it would put in force.

    `parts` are further things of which it brings a new version, with the one it was made against:
    `blocklists`, `settings`. `stage` says for whom it is in force first, and until when.
    """

    number: int
    state: State
    base: str
    version: str
    entries: tuple[Entry, ...]
    reason: str
    by: str
    at: float
    impact: dict[str, Any]
    decided_by: str = ""
    decided_at: float | None = None
    words: str = ""
    parts: dict[str, tuple[str, str]] = field(default_factory=dict)
    stage: dict[str, Any] = field(default_factory=dict)


def one(db: sqlite3.Connection, number: int) -> Proposal | None:
    """Return a proposal by its number; None where there is none."""
    row = db.execute(f"SELECT {COLUMNS} FROM proposal WHERE number = ?", (number,)).fetchone()  # noqa: S608 - our own names
    return proposal_of(row) if row else None


def known(db: sqlite3.Connection, found: Proposal) -> str:
    """Return a name of how every decision stands, and a proposal as it was `found`.

    With another decision it is another: by it, what a backup brings back is told from what was kept now.
    """
    query = "SELECT number, state, at, decided_at FROM proposal WHERE decided_by != '' AND number != ?"
    rows = [tuple(row) for row in db.execute(f"{query} ORDER BY number", (found.number,))]
    rows.append((found.number, str(found.state), found.at, found.decided_at))
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def proposal_of(row: tuple[Any, ...]) -> Proposal:
    """Return what a row of COLUMNS says."""
    (
        number,
        state,
        base,
        version,
        entries,
        reason,
        by,
        at,
        impact,
        decided_by,
        decided_at,
        words,
        parts,
        stage,
    ) = row
    return Proposal(
        number,
        State(state),
        base,
        version,
        tuple(Entry(*entry) for entry in json.loads(entries)),
        reason,
        by,
        at,
        json.loads(impact),
        decided_by,
        decided_at,
        words,
        {name: (pair[0], pair[1]) for name, pair in json.loads(parts).items()},
        json.loads(stage),
    )
