"""A school's people in a folder of their own, with hashes that cost nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from appliance.events.audit import Trail
from appliance.events.carried import Carried
from appliance.identity.accounts import Account, Accounts
from appliance.identity.database import Database
from appliance.identity.passwords import Passwords
from appliance.identity.sessions import Device, Sessions
from appliance.identity.signing_in import SignIn, SignInRules
from appliance.identity.stops import STEPS, Stops
from appliance.model.person import Kind
from appliance.model.secret import Secret

NOW = 1_795_600_800.0  # 2026-11-25, 10:00 in school
WORD = Secret("Blue-kettle-42")
TABLET = Device("10.20.0.14", "3c:52:82:0a:1b:2c")
LAPTOP = Device("10.20.0.15", "3c:52:82:0a:1b:2d")


def quick() -> Passwords:
    """Return real argon2id at the least cost that there is."""
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


_QUICK = quick()
_HASH = _QUICK.make(WORD)


@dataclass
class School:
    """Everything of the room identity over one folder."""

    state: Path
    database: Database
    trail: Trail
    accounts: Accounts
    sessions: Sessions
    stops: Stops

    def sign_in(self, rules: SignInRules | None = None) -> SignIn:
        return SignIn(self.database, self.trail, rules or SignInRules(), _QUICK)

    def add(self, name: str, kind: Kind = Kind.INDIVIDUAL, group: str = "ks2", **more: Any) -> Account:
        """Add an account whose password is WORD."""
        account = Account(name, kind, group, _HASH, changed=NOW, created=NOW, **more)
        self.accounts.add(account)
        return account


def school(state: Path) -> School:
    """Make a school with nobody in it."""
    database, trail = Database(state), Trail(state)
    database.prepare()
    return School(
        state, database, trail, Accounts(database), Sessions(database), Stops(database, Carried(trail, STEPS))
    )
