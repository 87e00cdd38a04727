"""How much was blocked, and how much failed, of what some people asked for in some time.

What lives only here: counting each site once for each person and day. Whoever asks for the same blocked
site a thousand times has been blocked from one site.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from appliance.events.connection import to_read
from appliance.events.errors import EventsError
from appliance.events.store import DATABASE
from appliance.model.decision import FAULTS

_FAULTS = ", ".join(f"'{reason.value}'" for reason in FAULTS)
_KIND = f"CASE WHEN v.reason IN ({_FAULTS}) THEN 2 WHEN v.action = 'block' THEN 1 ELSE 0 END"
_QUERY = f"""SELECT a.who, {_KIND} AS kind, count(DISTINCT a.host)
    FROM access a JOIN verdict v ON v.id = a.verdict
    WHERE a.time >= ? AND a.time < ? AND (? = '' OR v.policy_version = ?)
    GROUP BY a.who, kind"""  # noqa: S608 - our own names
_WHO = 'SELECT id, "group", name, client FROM who WHERE id = ?'
_ALLOWED, _BLOCKED, _FAULT = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Client:
    """Who asked, as the log has it; each field may have been blanked already."""

    group: str
    name: str
    address: str


@dataclass(slots=True)
class Shares:
    """Sites that were asked for, once a person and day; `blocked` and `faults` by who it was."""

    asked: int = 0
    blocked: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    faults: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def shares(state: Path, since: float, until: float, version: str, meant: Callable[[Client], bool]) -> Shares:
    """Count what `meant` people asked for between two moments (seconds since 1970); EventsError.

    `version` leaves out what was decided by another policy; an empty text leaves out nothing.
    """
    path, found = state / DATABASE, Shares()
    if not path.exists():
        return found
    try:
        with closing(sqlite3.connect(to_read(path), uri=True, timeout=5)) as db:
            rows = db.execute(_QUERY, (int(since * 1000), int(until * 1000), version, version)).fetchall()
            for who, kind, count in rows:
                known = db.execute(_WHO, (who,)).fetchone() or (who, "", "", "")
                client = Client(str(known[1]), str(known[2]), str(known[3]))
                if not meant(client):
                    continue
                found.asked += count
                by = client.name or client.address or str(who)
                if kind == _BLOCKED:
                    found.blocked[by] += count
                elif kind == _FAULT:
                    found.faults[by] += count
    except sqlite3.Error as error:
        raise EventsError(f"{path}: cannot be read ({error})") from error
    return found
