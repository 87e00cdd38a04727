"""Accounts: who may sign in, as what, until when.

What lives only here: reading and writing accounts and accepted agreements. Whoever loses the right to be
here (disabled, expired, removed, a new password) loses open sessions in the same transaction.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from typing import Any

from appliance.identity.database import Database
from appliance.identity.names import IdentityError, key, neat
from appliance.model.person import Kind

_COLUMNS = (
    'name, kind, "group", password, pictures, must_change, changed, expires, disabled, created, sponsor, '
    "purpose, devices, starts, source"
)
_MARKS = ", ".join("?" * (1 + len(_COLUMNS.split(", "))))


@dataclass(frozen=True, slots=True)
class Account:
    """One log-in. Moments are seconds since 1970, UTC; `expires` and `starts` None for none.

    `password` is a hash, empty where nobody can sign in yet; `pictures` says that it is one of pictures.
    `sponsor` and `purpose` are a guest's; `devices` is on how many at once, 0 for any number. `source` names
    the system that keeps the account, and is empty for one that is kept here.
    """

    name: str
    kind: Kind
    group: str
    password: str = ""
    pictures: bool = False
    must_change: bool = False
    changed: float = 0.0
    expires: float | None = None
    disabled: bool = False
    created: float = 0.0
    sponsor: str = ""
    purpose: str = ""
    devices: int = 0
    starts: float | None = None
    source: str = ""

    @property
    def key(self) -> str:
        """What is the same for every spelling of the name."""
        return key(self.name)

    def usable(self, now: float) -> bool:
        """Return whether this account may sign in at `now`, whatever its password."""
        begun = self.starts is None or self.starts <= now
        return not self.disabled and begun and (self.expires is None or now < self.expires)


@dataclass(frozen=True, slots=True)
class Agreed:
    """Which version of the acceptable-use agreement was accepted, when, and from where (S-09)."""

    version: str
    at: float
    address: str


class Accounts:
    """The accounts of one school, in its database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Account]:
        """Return every account, by group and name; IdentityError if they cannot be read."""
        with self._database.reading() as db:
            rows = db.execute(f'SELECT {_COLUMNS} FROM account ORDER BY "group", key').fetchall()  # noqa: S608 - our own names
        return [_account(row) for row in rows]

    def find(self, name: str) -> Account | None:
        """Return the account of this name, in whatever spelling, or None."""
        with self._database.reading() as db:
            return _find(db, key(name))

    def get(self, name: str) -> Account:
        """Return the account of this name; IdentityError with what to do where there is none."""
        account = self.find(name)
        if account is None:
            near = [a.name for a in self.all() if key(name) and key(name)[:3] == a.key[:3]][:3]
            hint = f"did you mean {', '.join(near)}?" if near else "`appliance people list` shows all"
            raise IdentityError(f"there is no account {name!a}; {hint}")
        return account

    def add(self, *accounts: Account) -> None:
        """Add all or none; IdentityError names the first that exists already."""
        with self._database.writing(changes=True) as db:
            for account in accounts:
                neat(account.name)
                if (there := _find(db, account.key)) is not None:
                    raise IdentityError(
                        f"there is an account {there.name!a} already; `appliance people passwd` changes it"
                    )
                db.execute(f"INSERT INTO account VALUES ({_MARKS})", (account.key, *_row(account)))  # noqa: S608 - question marks

    def change(self, name: str, **values: Any) -> Account:  # noqa: ANN401 - fields of Account
        """Change an account and end its sessions; return it as it is now. IdentityError if unknown."""
        before = self.get(name)
        with self._database.writing(changes=True) as db:
            account = replace(_find(db, before.key) or before, **values)
            _put(db, account)
            db.execute("DELETE FROM session WHERE key = ?", (account.key,))
        return account

    def own_password(self, account: Account, password: str, now: float) -> None:
        """Keep the hash of a password that its owner chose; the session that chose it goes on.

        What was shown to the proxy with the password from before counts no longer.
        """
        with self._database.writing(changes=True) as db:
            found = _find(db, account.key)
            if found is not None:
                _put(db, replace(found, password=password, must_change=False, changed=now))

    def told(self, account: Account, group: str, kind: Kind, now: float, expires: float) -> Account:
        """Keep what the system that keeps an account says of it now, and until when; sessions go on."""
        with self._database.writing(changes=True) as db:
            before = _find(db, account.key) or account
            told = replace(before, group=group, kind=kind, changed=now, expires=expires)
            _put(db, told)
        return told

    def remove(self, name: str) -> None:
        """Take an account out altogether, with its sessions; what the log says of it stays."""
        account = self.get(name)
        with self._database.writing(changes=True) as db:
            for table in ("session", "agreement", "second_factor", "proxy_sign_in", "account"):
                db.execute(f"DELETE FROM {table} WHERE key = ?", (account.key,))  # noqa: S608 - our own names

    def accept(self, account: Account, version: str, address: str, now: float) -> None:
        """Record that a version of the acceptable-use agreement was accepted."""
        with self._database.writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO agreement VALUES (?, ?, ?, ?)", (account.key, version, now, address)
            )

    def agreed(self, name: str) -> list[Agreed]:
        """Return what this account accepted, the newest last."""
        with self._database.reading() as db:
            query = "SELECT version, at, address FROM agreement WHERE key = ? ORDER BY at"
            return [Agreed(*row) for row in db.execute(query, (key(name),))]


def _find(db: sqlite3.Connection, wanted: str) -> Account | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM account WHERE key = ?", (wanted,)).fetchone()  # noqa: S608 - our own names
    return None if row is None else _account(row)


def _put(db: sqlite3.Connection, account: Account) -> None:
    db.execute(f"INSERT OR REPLACE INTO account VALUES ({_MARKS})", (account.key, *_row(account)))  # noqa: S608 - question marks


def _account(row: tuple[Any, ...]) -> Account:
    name, kind, group, password, pictures, must, changed, expires, disabled, *rest = row
    return Account(
        name,
        Kind(kind),
        group,
        password,
        bool(pictures),
        bool(must),
        changed,
        expires,
        bool(disabled),
        *rest,
    )


def _row(account: Account) -> tuple[Any, ...]:
    return (
        account.name,
        account.kind.value,
        account.group,
        account.password,
        int(account.pictures),
        int(account.must_change),
        account.changed,
        account.expires,
        int(account.disabled),
        account.created,
        account.sponsor,
        account.purpose,
        account.devices,
        account.starts,
        account.source,
    )
