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

from pydantic import ValidationError

from appliance import assembly, trial
from appliance.changes.database import ChangeError
from appliance.changes.held_files import BLOCKLISTS, HeldFiles
from appliance.changes.proposals import Proposal
from appliance.config.problems import InWordsError
from appliance.holding import SETTINGS
from appliance.lists.catalogue import load_catalogue
from appliance.lists.importer import IMPORT_LOCK
from appliance.lists.ledger import Ledger
from appliance.lists.local import LocalFile
from appliance.lists.paths import Paths, alone
from appliance.lists.store import Store
from appliance.settings import Settings, agreed

_BY = "the gateway"
_log = logging.getLogger(__name__)


def reason_of(proposal: Proposal) -> str:
    """Return the reason of an entry that comes by a change."""
    return f"change {proposal.number}: {proposal.reason}"


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
            "reason": reason_of(found),
            SETTINGS: self._files.settings_version() if SETTINGS in found.parts else "",
            BLOCKLISTS: self._files.blocklists_version() if BLOCKLISTS in found.parts else "",
        }
        if trial.list_acts(found.entries):
            kept["lists"] = {name: _text(data) for name, data in self._lists().items()}
            kept["feeds"] = Ledger(Paths(self._settings.state)).saved()
        return kept

    def undo(self, number: int, before: dict[str, Any]) -> None:
        """Put that in force again; InWordsError, OSError where something of it cannot be now.

        The rest is in force again all the same.
        """
        failed = list[InWordsError | OSError]()
        settings = self._settings
        try:
            settings = self._put_settings_back(before[SETTINGS])
        except (InWordsError, OSError) as error:
            failed.append(error)
        for put_back in (_put_policy_back, self._put_entries_back, self._put_all_lists_back):
            try:
                put_back(settings, number, before)
            except (InWordsError, OSError) as error:
                failed.append(error)
        if failed:
            raise failed[0]
        _log.warning("change %d was not carried out: what was in force before is in force again", number)

    def _put_settings_back(self, version: str) -> Settings:
        if not version:
            return self._settings
        if version != self._files.settings_version():
            self._files.use_settings(version)
        # Ours may have been read half way; and what is in force goes with these.
        try:
            return agreed(self._settings, self._files.kept_settings(version))
        except ValidationError as error:
            raise ChangeError(
                f"the settings file does not go with {version}: {error.errors()[0]['msg']}"
            ) from None

    def _put_entries_back(self, _settings: Settings, number: int, before: dict[str, Any]) -> None:
        because = f"change {number}: not carried out"
        now = datetime.now(UTC)
        self._local.undo(before["local"], before["reason"], because=because, who=_BY, at=now)

    def _put_all_lists_back(self, settings: Settings, _number: int, before: dict[str, Any]) -> None:
        if "lists" in before:
            self._put_lists_back(before)
        if (version := before[BLOCKLISTS]) and version != self._files.blocklists_version():
            self._files.use_blocklists(version)
        if version or "lists" in before:
            # Also where all lies as it did: whoever put it back may have been ended before this.
            trial.Where.real(settings).compile()

    def _lists(self) -> dict[str, bytes | None]:
        # A statutory list is never put back: an older edition would open what the law closes.
        store = Store(Paths(self._settings.state))
        floor = {entry.id for entry in load_catalogue(self._settings.blocklists).floor}
        return store.saved(sorted({*store.ids(), *store.dropped()} - floor))

    def _put_lists_back(self, before: dict[str, Any]) -> None:
        kept, paths = before["lists"], Paths(self._settings.state)
        with alone(paths, IMPORT_LOCK), alone(paths):
            saved = {name: b64decode(text) if text is not None else None for name, text in kept.items()}
            wanted = dict.fromkeys(self._lists()) | saved
            if wanted != self._lists():
                Store(paths).restore(wanted)
                Ledger(paths).restore(before["feeds"])


def _put_policy_back(settings: Settings, _number: int, before: dict[str, Any]) -> None:
    store = assembly.snapshots(settings)
    if store.stage_text() != before["stage"]:
        store.put_stage_back(before["stage"])
    if before["policy"] and before["policy"] != store.current():
        store.put_back(before["policy"])


def _text(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode()
