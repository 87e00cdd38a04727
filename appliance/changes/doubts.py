"""Accounts whose password somebody else has set: they do not count for changes until that is put right.

What lives only here: until when. Whoever sets the password of a member of staff knows it, and could be two
people with it. So the account decides and proposes nothing until an approver who is neither of the two says
that it is its owner's again, or until a week is over in which everybody could see it. A new password alone,
which whoever knows the first one can choose as well, puts nothing right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from appliance.changes.database import ChangeError, ChangesDatabase
from appliance.changes.notices import PASSWORD, put
from appliance.changes.store import Approval, Trail
from appliance.transactions import noted

LASTS = 7 * 86_400.0
"""Seconds until an account counts again by itself: a school with two people must not be stuck."""

_COLUMNS = "name, by, proved, at"


@dataclass(frozen=True, slots=True)
class Doubt:
    """One account that does not count, who has set its password, and since when (seconds since 1970).

    `proved` tells that they gave a password of their own; without it nobody knows who must not confirm.
    """

    name: str
    by: str
    proved: bool
    at: float

    @property
    def until(self) -> float:
        """When it counts again by itself."""
        return self.at + LASTS


class Doubts:
    """The accounts of one school that do not count. `same` tells whether two names are one person's."""

    def __init__(
        self, state: Path, trail: Trail, approval: Approval, same: Callable[[str], str] = str.casefold
    ) -> None:
        self._db = ChangesDatabase(state)
        self._trail = trail
        self._approval = approval
        self._key = same

    def begin(self, names: list[str], *, by: str, proved: bool, at: float) -> None:
        """Note that `by` has set the passwords of these accounts; the other approvers are told of approvers.

        Nothing where that is one's own. ChangeError, OSError: then no password must be set.
        """
        approvers = set(map(self._key, self._approval.approvers))
        own = self._key(by) if proved else None
        with noted(self._db.writing, self._trail) as db:
            for name in names:
                if self._key(name) == own:
                    continue
                values = (self._key(name), name, by, proved, at)
                db.execute(f"INSERT OR REPLACE INTO doubt (key, {_COLUMNS}) VALUES (?, ?, ?, ?, ?)", values)  # noqa: S608 - our own names
                if self._key(name) in approvers:
                    put(db, PASSWORD, _words(name, by), by=by, at=at)
                self._trail.add("account-does-not-count", name, by=by, at=at, proved=str(proved).lower())

    def all(self, now: float) -> list[Doubt]:
        """Return the accounts that do not count now, the oldest first."""
        with self._db.reading() as db:
            if db is None:
                return []
            rows = db.execute(f"SELECT {_COLUMNS} FROM doubt ORDER BY at, key").fetchall()  # noqa: S608 - our own names
        found = [Doubt(str(name), str(by), bool(proved), float(at)) for name, by, proved, at in rows]
        return [one for one in found if now < one.until]

    def of(self, name: str, now: float) -> Doubt | None:
        """Return why an account does not count, or None where it does."""
        return next((one for one in self.all(now) if self._key(one.name) == self._key(name)), None)

    def confirm(self, name: str, *, by: str, at: float) -> None:
        """Let an account count again: another approver says that it is its owner's. ChangeError."""
        found = self.of(name, at)
        if found is None:
            raise ChangeError(f"{name!a} waits for no confirmation; `appliance changes list` shows who does")
        if self._key(by) not in map(self._key, self._approval.approvers):
            raise ChangeError(f"{by} is none of changes.approvers (any more), who confirm this")
        if self._key(by) in (self._key(found.by), self._key(found.name)):
            raise ChangeError(f"somebody else than {found.by} and {found.name} has to confirm this")
        if not found.proved:
            raise ChangeError(
                f"nobody can confirm this, for {found.by} gave no password of their own with it: it counts "
                "by itself after seven days; or have the password set again, with --as NAME"
            )
        with noted(self._db.writing, self._trail) as db:
            db.execute("DELETE FROM doubt WHERE key = ?", (self._key(found.name),))
            db.execute(
                "UPDATE notice SET seen_by = ?, seen_at = ? WHERE kind = ? AND words = ? AND seen_by = ''",
                (by, at, PASSWORD, _words(found.name, found.by)),
            )
            self._trail.add("account-counts-again", found.name, by=by, at=at, password_set_by=found.by)


def _words(name: str, by: str) -> str:
    return f"the password of {name} was set by {by}; `appliance changes confirm` says that it is theirs again"
