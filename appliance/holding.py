"""What waits for a second person beside the profiles: lists that ship, their catalogue, settings.

What lives only here: from when on they are held, which edits wait, and which versions are in force.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from appliance.changes.held_files import BLOCKLISTS, HeldFiles
from appliance.changes.held_settings import differing
from appliance.changes.journal import Journal
from appliance.config.snapshots import Snapshots
from appliance.events.audit import Trail
from appliance.lists.catalogue import load_catalogue, load_help
from appliance.lists.pinned import load_pinned
from appliance.settings import Settings, held_of, read_settings

SETTINGS = "settings"
_BY = "the gateway"
_SHOWN = 8


def begin(settings: Settings) -> None:
    """Hold lists and settings from now on as they are, where two people change them and nothing is held.

    To go from one person to two needs one; what counts from then on stands in the audit. ChangeError,
    OSError, EventsError.
    """
    if settings.changes.approval != "two":
        return
    files, trail = HeldFiles(settings.state), Trail(settings.state)
    agreed = files.settings()
    if agreed is None or agreed.get("changes", {}).get("approval") != "two":
        lists = files.keep_blocklists(settings.paths.blocklists)
        version = files.keep_settings(held_of(settings))
        trail.add("held", "settings", by=_BY, at=time.time(), version=version, blocklists=lists)
        with files.using_blocklists(lists):
            files.use_settings(version)


def in_force(settings: Settings, policies: Snapshots) -> dict[str, str]:
    """Return the version of each part that is in force; ChangeError where what is held is damaged."""
    files = HeldFiles(settings.state)
    return {
        "policy": policies.current(),
        BLOCKLISTS: files.blocklists_version(),
        SETTINGS: files.settings_version(),
    }


def proposed(config: Path, settings: Settings) -> dict[str, tuple[str, str]]:
    """Keep what was edited of lists and settings; return each part that differs, with its two versions.

    ProblemsError for edits that are wrong, ChangeError, OSError. Nothing with one person, whose edits count.
    """
    if settings.changes.approval != "two":
        return {}
    begin(settings)
    files = HeldFiles(settings.state)
    agreed = files.settings() or {}
    version = files.keep_blocklists(settings.paths.blocklists)
    kept = files.kept_blocklists(version)
    for read in (load_catalogue, load_help, load_pinned):
        read(kept)
    wanted = held_of(read_settings(config).settings)
    parts = {
        BLOCKLISTS: (files.blocklists_version(), version),
        SETTINGS: (files.keep_settings(agreed), files.keep_settings(wanted)),
    }
    return {name: pair for name, pair in parts.items() if pair[0] != pair[1]}


def unended(settings: Settings) -> list[str]:
    """Return a line where a decision about a change was begun and has not ended; OSError.

    None for whoever may not look into the folder.
    """
    with suppress(PermissionError):
        return [words for words in (Journal(settings.state).words(),) if words]
    return []


def waits(config: Path, settings: Settings) -> list[str]:
    """Return a line for each part that was edited and waits to be released; ProblemsError, ChangeError."""
    if settings.changes.approval != "two":
        return []
    files = HeldFiles(settings.state)
    agreed = files.settings()
    if agreed is None:
        return []
    found = []
    if keys := differing(agreed, held_of(read_settings(config).settings)):
        found.append(f"the settings {_some(keys)} are edited and not in force")
    if names := _edited(files, settings.paths.blocklists):
        found.append(f"{settings.paths.blocklists}: {_some(names)} edited and not in force")
    return [
        f"{text}: they wait until a second person has released them (`appliance changes propose`)"
        for text in found
    ]


def difference_of(
    settings: Settings, parts: dict[str, tuple[str, str]]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the texts of the parts before and after, for people to compare."""
    files = HeldFiles(settings.state)
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for name, (old, new) in parts.items():
        if name == BLOCKLISTS:
            before |= files.texts(old)
            after |= files.texts(new)
        else:
            before["settings"], after["settings"] = files.settings_text(old), files.settings_text(new)
    return before, after


def _edited(files: HeldFiles, edited: Path) -> list[str]:
    if not edited.is_dir() or not files.blocklists.is_dir():
        return []
    one, other = files.stamps(files.blocklists), files.stamps(edited)
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def use(settings: Settings, parts: dict[str, tuple[str, str]]) -> None:
    """Put released settings in force, from the next reload on; ChangeError, OSError."""
    if pair := parts.get(SETTINGS):
        HeldFiles(settings.state).use_settings(pair[1])
