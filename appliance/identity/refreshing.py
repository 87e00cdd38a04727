"""What the single sign-on gives the gateway to ask again with about somebody (a refresh token, RFC 6749 1.5).

What lives only here: keeping it, sealed (`sealing`): a copy of the database alone asks nobody.
"""

from __future__ import annotations

from pathlib import Path

from appliance.identity.database import Database
from appliance.identity.sealing import Seal
from appliance.model.secret import Secret

KEY = Path("keys") / "refresh.key"


class Tokens:
    """The refresh tokens of one school. Each method may wait for the disk; IdentityError, OSError."""

    def __init__(self, database: Database, state: Path) -> None:
        self._database = database
        self._seal = Seal(state / KEY)

    def keep(self, key: str, token: Secret) -> None:
        """Keep the token of an account, in place of the one before."""
        sealed = self._seal.close(token.reveal().encode(), key)
        with self._database.writing() as db:
            db.execute("INSERT OR REPLACE INTO refresh VALUES (?, ?)", (key, sealed))

    def find(self, key: str) -> Secret | None:
        """Return the token of an account, or None where there is none that can be read."""
        with self._database.reading() as db:
            row = db.execute("SELECT token FROM refresh WHERE key = ?", (key,)).fetchone()
        opened = self._seal.open(row[0], key) if row else None
        return Secret(opened.decode()) if opened is not None else None

    def forget(self, key: str) -> None:
        """Forget the token of an account: it is good for nothing any more."""
        with self._database.writing() as db:
            db.execute("DELETE FROM refresh WHERE key = ?", (key,))
