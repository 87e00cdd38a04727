"""What was in force before a change was put in force, and the way back to it.

What lives only here: all that a release, a widening or a return can touch beside the database of changes. It
is kept and put back as a whole and not act by act, so that it does not matter where a power cut fell, and
doing it twice does no harm.
"""

from __future__ import annotations

import logging
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from typing import Any

from appliance import assembly, trial
from appliance.changes.held_files import BLOCKLISTS, HeldFiles
from appliance.changes.proposals import Proposal
from appliance.holding import SETTINGS
from appliance.lists.catalogue import load_catalogue
from appliance.lists.importer import IMPORT_LOCK
from appliance.lists.ledger import Ledger
from appliance.lists.local import LocalFile
from appliance.lists.paths import Paths, alone
from appliance.lists.store import Store
from appliance.settings import Settings

_BY = "the gateway"
_log = logging.getLogger(__name__)


def because(number: int) -> str:
    """Return what the reason of an entry begins with that came by a change."""
    return f"change {number}: "


class Undoing:
    """What is in force beside the database of changes (`appliance.changes.store.Means`)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._files = HeldFiles(settings.state)
        self._local = LocalFile(Paths(settings.state).local)

    def before(self, found: Proposal) -> dict[str, Any]:
        """Return what is in force now of all that the proposal could change; InWordsError, OSError."""
        store = assembly.snapshots(self._settings)
        kept: dict[str, Any] = {
            "policy": store.current(),
            "stage": store.stage_text(),
            "local": self._local.size(),
            SETTINGS: self._files.settings_version() if SETTINGS in found.parts else "",
            BLOCKLISTS: self._files.blocklists_version() if BLOCKLISTS in found.parts else "",
        }
        if trial.list_acts(found.entries):
            kept["lists"] = {name: _text(data) for name, data in self._lists().items()}
            kept["feeds"] = Ledger(Paths(self._settings.state)).saved()
        return kept

    def undo(self, number: int, before: dict[str, Any]) -> None:
        """Put that in force again; InWordsError, OSError where something of it cannot be now."""
        store = assembly.snapshots(self._settings)
        if store.stage_text() != before["stage"]:
            store.put_stage_back(before["stage"])
        self._local.undo(before["local"], because(number), who=_BY, at=datetime.now(UTC))
        if (version := before[SETTINGS]) and version != self._files.settings_version():
            self._files.use_settings(version)
        lists = self._put_lists_back(before)
        if (version := before[BLOCKLISTS]) and version != self._files.blocklists_version():
            self._files.use_blocklists(version)
            lists = True
        if lists:
            trial.Where.real(self._settings).compile()
        if before["policy"] and before["policy"] != store.current():
            store.put_in_force(before["policy"])
        _log.warning("change %d was not carried out: what was in force before is in force again", number)

    def _lists(self) -> dict[str, bytes | None]:
        # A statutory list is never put back: an older edition would open what the law closes.
        store = Store(Paths(self._settings.state))
        floor = {entry.id for entry in load_catalogue(self._settings.blocklists).floor}
        return store.saved(sorted({*store.ids(), *store.dropped()} - floor))

    def _put_lists_back(self, before: dict[str, Any]) -> bool:
        if (kept := before.get("lists")) is None:
            return False
        paths = Paths(self._settings.state)
        with alone(paths, IMPORT_LOCK), alone(paths):
            saved = {name: b64decode(text) if text is not None else None for name, text in kept.items()}
            wanted = dict.fromkeys(self._lists()) | saved
            if wanted == self._lists():
                return False
            Store(paths).restore(wanted)
            Ledger(paths).restore(before["feeds"])
        return True


def _text(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode()
