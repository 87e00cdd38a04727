from __future__ import annotations

import json
from pathlib import Path

import aiosqlite
import pytest

from appliance import assembly, sharing
from appliance.events.audit import Trail
from appliance.identity.accounts import Account, Accounts
from appliance.identity.database import Database
from appliance.identity.sharing import Sharing
from appliance.identity.uses import Used, Uses
from appliance.model.decision import Action, Reason
from appliance.model.person import Kind
from appliance.settings import Settings
from tests.doubles.people import LAPTOP, NOW, TABLET
from tests.doubles.school import configuration, edit, load_once

DEVICE = f'  devices:\n    - {{mac: "{TABLET.mac}", group: ks1, name: "Tablet 14"}}\n'


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return a school with two people and a policy in force."""
    path = configuration(tmp_path)
    edit(path, "identity:\n", f"identity:\n{DEVICE}")
    made = load_once(path).settings
    database = Database(made.state)
    database.prepare()
    amy = Account("amy", Kind.INDIVIDUAL, "ks2")
    Accounts(database).add(amy, Account("ms.jones", Kind.STAFF, "staff"))
    assembly.snapshots(made).publish()
    return made


def note(settings: Settings, *rows: tuple[str, str, str, str]) -> None:
    Uses(Database(settings.state)).note(
        Used(key, mac, address, way, NOW - 400, NOW - 5) for key, mac, address, way in rows
    )


async def rows(settings: Settings) -> list[tuple[object, ...]]:
    """Return what the log keeps of them."""
    async with aiosqlite.connect(settings.state / "events.sqlite3") as db:
        query = (
            "SELECT w.name, w.device, w.client, v.reason, v.action, a.flagged, v.severity, a.host, a.url "
            "FROM access a JOIN who w ON w.id = a.who JOIN verdict v ON v.id = a.verdict ORDER BY w.name"
        )
        return [tuple(row) for row in await db.execute_fetchall(query)]


@pytest.mark.slow
async def test_what_workers_noted_becomes_one_event_a_day(settings: Settings) -> None:
    """S-11: across ways, once for a pair and day, in the log that alerts read, and in the audit."""
    watching = sharing.Watching(settings)
    assert await watching.look(NOW) == 0
    note(
        settings,
        ("amy", TABLET.mac, "10.20.0.14", "network log-in"),
        ("amy", LAPTOP.mac, "10.20.0.15", "proxy credentials"),
        ("ms.jones", TABLET.mac, "10.20.0.14", "portal"),
        ("ms.jones", "", "10.99.0.1", "portal"),
    )
    # In no network of ours: the strictest group's, which is a pupils'.
    assert await watching.look(NOW) == 3
    assert await watching.look(NOW + 15) == 0
    assert await sharing.Watching(settings).look(NOW + 20) == 0, "a restart tells nothing twice"
    found = await rows(settings)
    assert [row[:2] for row in found] == [
        ("amy", f"{LAPTOP.mac} and Tablet 14"),
        ("ms.jones", "Tablet 14"),
        ("ms.jones", "10.99.0.1"),
    ] or [row[0] for row in found] == ["amy", "ms.jones", "ms.jones"]
    assert {row[3:] for row in found} == {("account_sharing", "allow", 1, 1, "", None)}
    noted = [entry for entry in Trail(settings.state).entries() if entry["what"] == "sharing"]
    assert sorted(entry["whom"] for entry in noted) == ["amy", "ms.jones", "ms.jones"]
    assert "the other device" in json.dumps(noted)


def test_the_event_says_what_was_seen_and_whose_it_is() -> None:
    """DFE-F10: the name of the account, both devices, and an action that blocked nobody."""
    account = Account("amy", Kind.INDIVIDUAL, "ks2")
    one = Used("amy", "", "10.20.0.14", "portal", NOW, NOW)
    other = Used("amy", "", "10.20.0.15", "network log-in", NOW, NOW)
    made = sharing.event(Sharing(account, one, other), NOW, {})
    assert (made.person.name, made.person.device) == ("amy", "10.20.0.14 and 10.20.0.15")
    assert (made.decision.action, made.decision.reason) == (Action.ALLOW, Reason.ACCOUNT_SHARING)
    assert made.decision.flagged
    assert "10.20" not in made.decision.because


@pytest.mark.slow
def test_a_device_belongs_where_the_school_registered_it(settings: Settings) -> None:
    """The registration counts before the network, and an unknown network is the strictest group's."""
    place = sharing.places(settings, "eyfs")
    found = place(Used("x", TABLET.mac, "10.20.0.14", "portal", NOW, NOW))
    assert (found.group, found.registered, found.name) == ("ks1", True, "Tablet 14")
    assert place(Used("x", "", "10.20.0.15", "portal", NOW, NOW)).group == "ks2"
    assert place(Used("x", "", "192.0.2.1", "portal", NOW, NOW)).group == "eyfs"
