"""One person in the database of people: everything that it keeps of them, and taking it out.

What lives only here: which rows are somebody's. No password hash leaves, nor who stopped somebody.
"""

from __future__ import annotations

import json
from typing import Any

from appliance.identity.database import Database
from appliance.identity.names import key

_MINE = {
    "account": 'SELECT name, kind, "group", source, created, changed, expires, disabled, purpose, devices, '
    "starts FROM account WHERE key = ?",
    "agreements": "SELECT version, at, address FROM agreement WHERE key = ? ORDER BY at",
    "sessions": "SELECT address, mac, began, seen, ends FROM session WHERE key = ? ORDER BY began",
    "proxy_sign_ins": "SELECT address, at, ends FROM proxy_sign_in WHERE key = ? ORDER BY at",
    "second_factor": "SELECT since FROM second_factor WHERE key = ?",
    "stops": "SELECT what, reason, at, until, lifted FROM stop WHERE key = ? ORDER BY at",
    "network_log_ins": "SELECT mac, addresses, at, ends, stopped FROM announced WHERE key = ? ORDER BY at",
    "wrong_passwords": "SELECT at FROM failure WHERE subject = 'account:' || ? ORDER BY at",
}


def kept(database: Database, name: str) -> dict[str, list[dict[str, Any]]]:
    """Return what is kept of `name`, in whatever spelling, by kind; IdentityError if it cannot be read."""
    found: dict[str, list[dict[str, Any]]] = {}
    with database.reading() as db:
        for kind, query in _MINE.items():
            cursor = db.execute(query, (key(name),))
            columns = [column[0] for column in cursor.description]
            found[kind] = [dict(zip(columns, row, strict=True)) for row in cursor]
    for row in found["network_log_ins"]:
        row["addresses"] = (
            json.loads(row["addresses"]) if row["addresses"].startswith("[") else row["addresses"]
        )
    return found


def erase(database: Database, name: str) -> tuple[dict[str, int], list[str]]:
    """Take everything of `name` out; return how many rows of each kind, and the stops that stay in force."""
    tables = {
        "account": "account WHERE key = ?",
        "agreements": "agreement WHERE key = ?",
        "sessions": "session WHERE key = ?",
        "proxy_sign_ins": "proxy_sign_in WHERE key = ?",
        "second_factor": "second_factor WHERE key = ?",
        "stops": "stop WHERE key = ? AND lifted IS NOT NULL",
        "network_log_ins": "announced WHERE key = ?",
        "wrong_passwords": "failure WHERE subject = 'account:' || ?",
    }
    with database.writing(changes=True) as db:
        db.execute("PRAGMA secure_delete = ON")
        mine = (key(name),)
        gone = {
            kind: db.execute(f"DELETE FROM {rest}", mine).rowcount  # noqa: S608 - our own words
            for kind, rest in tables.items()
        }
        stay = db.execute("SELECT what FROM stop WHERE key = ?", (key(name),)).fetchall()
    return {kind: count for kind, count in gone.items() if count}, [what for (what,) in stay]
