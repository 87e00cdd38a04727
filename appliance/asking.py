"""The lists for a verb that only asks, and never writes.

What lives only here: what such a verb opens, and what is said with its answer. A look with sudo must not
leave a file behind that the gateway cannot read, nor lock a list anew that has gone stale.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from appliance.config.problems import ProblemsError
from appliance.lists.compiler import ensure_compiled, is_current
from appliance.lists.lists import Lists
from appliance.lists.paths import Paths
from appliance.lists.store import StoreError
from appliance.model.known import FloorState
from appliance.settings import Settings


@contextlib.contextmanager
def lists_to_ask(settings: Settings) -> Iterator[tuple[Lists, list[str]]]:
    """Yield the lists for a verb that only asks, with what should be known about them; STATE stays untouched.

    They are those that a gateway on this state has in force. Where nothing is compiled yet, they are what it
    would compile at its start, made in a temporary folder. CompileError, ProblemsError, OSError.
    """
    paths = Paths(settings.state)
    if paths.table.exists():
        yield _opened(settings, settings.state), _list_notes(settings, paths)
        return
    with tempfile.TemporaryDirectory(prefix="appliance-") as folder:
        if paths.root.exists():
            shutil.copytree(paths.root, Paths(Path(folder)).root, ignore=shutil.ignore_patterns("downloads"))
        ensure_compiled(settings.blocklists, Path(folder), child=False)
        yield (
            _opened(settings, Path(folder)),
            ["no lists are compiled in this state yet; they were compiled for this answer alone"],
        )


def _list_notes(settings: Settings, paths: Paths) -> list[str]:
    # To make a table anew is no business of a verb that asks; but its answer must not puzzle.
    again = "`appliance lists compile` or the gateway's next start makes them anew"
    floor = _opened(settings, settings.state).status().floor
    notes = []
    if floor.state is not FloorState.OK:
        notes.append(f"the gate is closed: {floor.detail}; {again}")
    try:
        if not is_current(settings.blocklists, paths):
            notes.append(f"the lists have changed since they were compiled; {again}")
    except (ProblemsError, StoreError) as error:
        notes.append(f"the lists that are compiled answer; those in the files cannot be read: {error}")
    return notes


def _opened(settings: Settings, state: Path) -> Lists:
    return Lists.open(settings.blocklists, state, settings.floor_max_age_hours)
