"""Who has said that alerts reach them: a question by mail, answered once (GAI-4).

What lives only here: that question. Its secret is random, stands in the mail alone, counts once and for three
days; of it only a hash is kept. Whoever answers need not sign in: reading that mailbox is what is to be
shown.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from sqlite3 import Connection

from appliance.alerts import outbox
from appliance.alerts.book import AlertsError
from appliance.alerts.redact import What

LASTS = 3 * 86_400.0
"""Seconds for which a question can be answered; whoever did not is asked once more then."""

_BYTES = 16


def new_token() -> str:
    """Return what only whoever reads one mail is told."""
    return base64.b32encode(secrets.token_bytes(_BYTES)).decode().rstrip("=").lower()


def confirmed(db: Connection) -> frozenset[str]:
    """Return the addresses whose owners said that alerts arrive."""
    return frozenset(a for (a,) in db.execute("SELECT address FROM recipient WHERE confirmed IS NOT NULL"))


def ask(
    db: Connection, addresses: Iterable[str], page: str, now: float, token: Callable[[], str] = new_token
) -> None:
    """Ask each address that is not confirmed yet; `page` is where the link leads, or empty."""
    for address in addresses:
        row = db.execute("SELECT asked, confirmed FROM recipient WHERE address = ?", (address,)).fetchone()
        if row is not None and (row[1] is not None or abs(now - row[0]) < LASTS):
            continue
        db.execute(
            """INSERT INTO recipient (address, asked) VALUES (?, ?)
                ON CONFLICT DO UPDATE SET asked = excluded.asked""",
            (address, now),
        )
        secret = token()
        # The question from before ends with the new one. The mail that waits holds the secret until it is
        # sent.
        db.execute(
            "INSERT OR REPLACE INTO invitation (address, hash, until) VALUES (?, ?, ?)",
            (address, _hash(secret), now + LASTS),
        )
        body: dict[str, str | int] = {"token": secret, "link": f"{page}{secret}" if page else ""}
        outbox.add(db, f"confirm|{int(now)}", What.CONFIRM, (outbox.MAIL, address), now, body=body)


def confirm(db: Connection, addresses: Iterable[str], given: str, now: float) -> str:
    """Note that whoever has the secret `given` can be told; return the address, AlertsError for any other.

    `addresses` are those of the settings: nobody else is made a recipient.
    """
    said = _hash(given.strip().lower())
    for address in addresses:
        row = db.execute("SELECT hash, until FROM invitation WHERE address = ?", (address,)).fetchone()
        if row is None or not hmac.compare_digest(str(row[0]), said) or not now <= row[1] <= now + LASTS:
            continue
        db.execute("DELETE FROM invitation WHERE address = ?", (address,))
        db.execute(
            """INSERT INTO recipient (address, asked, confirmed) VALUES (?, ?, ?)
                ON CONFLICT DO UPDATE SET confirmed = coalesce(confirmed, excluded.confirmed)""",
            (address, now, now),
        )
        # What waited for somebody to be told of it has somebody now.
        db.execute("UPDATE duty SET due = min(due, ?) WHERE told < 0", (now,))
        return address
    raise AlertsError(
        "this is no token that counts: each counts once, for three days; take it from the newest mail"
    )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
