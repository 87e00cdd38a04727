"""The room's door: an address in, what the lists know of it out.

What lives only here: joining the table, the floor, the help lines and the school's own
decisions into one answer, and taking up what was changed on the disk. Nothing here raises while
a request waits; what cannot be answered becomes a floor that is not to be relied upon, which
closes the gate while help lines stay open.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from appliance.config.problems import ProblemsError
from appliance.lists.catalogue import HELP_FILE
from appliance.lists.compiler import help_addresses
from appliance.lists.entries import key_of_url, shown
from appliance.lists.finder import MOST_HOSTS, Finder
from appliance.lists.local import LocalFile
from appliance.lists.locked import LockedFloor
from appliance.lists.overlay import Overlay
from appliance.lists.paths import Paths
from appliance.lists.pinned import PINNED_FILE, Pinned, load_pinned
from appliance.lists.status import FloorStatus, ListStatus, Status
from appliance.lists.table import Table, TableError
from appliance.model.inspect import Traits
from appliance.model.known import Floor, FloorState, Known, Match, Use
from appliance.model.url import Url, UrlRefusedError

MAX_AGE_HOURS = 48.0
"""Age at which the floor is stale, unless the settings say otherwise."""

type _Stamp = tuple[int, int, int] | None


class Lists:
    """All lists, as one worker holds them. `open` it, `refresh` it about once a second."""

    def __init__(
        self,
        blocklists: Path,
        paths: Paths,
        floor_max_age_hours: float = MAX_AGE_HOURS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._blocklists = blocklists
        self._paths = paths
        self._clock = clock
        self._fault = "the lists have not been opened"
        self._table: Table | None = None
        self._finder = Finder(None)
        self._floor = LockedFloor(paths, floor_max_age_hours, clock)
        self._help = Overlay()
        self._help_fault = ""
        self._pinned = Pinned()
        self._pinned_fault = ""
        self._local = Overlay()
        self._overlay = Overlay()
        self._broken_local = 0
        self._local_fault = ""
        self._faults = 0
        self._hosts: dict[str, Known] = {}
        self._traits: dict[str, Traits] = {}
        self._stamps: dict[str, _Stamp] = {}
        own = (blocklists / HELP_FILE, blocklists / PINNED_FILE)
        watched = (paths.table, paths.floor, paths.floor_key, *own, paths.local)
        self._watched = tuple(os.fspath(path) for path in watched)
        self.refresh()

    @classmethod
    def open(
        cls,
        blocklists: Path,
        state: Path,
        floor_max_age_hours: float = MAX_AGE_HOURS,
        clock: Callable[[], float] = time.time,
    ) -> Lists:
        """Open what `ensure_compiled` made. Never raises: what is missing closes the gate, and says so."""
        return cls(blocklists, Paths(state), floor_max_age_hours, clock)

    def lookup(self, url: Url) -> Known:
        """Return everything the lists say of `url`. Never raises."""
        try:
            known = self._hosts.get(url.host)
            # The floor's state is asked each time: it may have become stale since.
            if known is not None and known.floor is self._floor.state() and not self._finder.expresses(url):
                return known
            return self._look_up(url)
        except Exception as error:  # noqa: BLE001 - a fault of any kind closes the gate, it never opens it
            self._faults += 1
            # The error's text may hold the address; its kind is enough to begin a search with.
            return self._closed(f"the look-up failed ({type(error).__name__})", url)

    def traits(self, url: Url) -> Traits:
        """Return what else the lists say of the site of `url`. Never raises; a fault means: look into it."""
        found = self._traits.get(url.host)
        if found is not None:
            return found
        try:
            # Patterns name pages of any site, so they say nothing of this one; nor does what opens.
            self._finder.find(url)  # so that it knows the host
            self._floor.check(url)
            pages = self._floor.has_urls_on(url) or self._finder.has_urls_on(url)
            pages = pages or self._local.ask(url)[1] or self._table is None
            found = Traits(pages, self._pinned.of(url.host))
        except Exception:  # noqa: BLE001 - as in `lookup`
            self._faults += 1
            return Traits()
        if len(self._traits) >= MOST_HOSTS:
            self._traits.clear()
        self._traits[url.host] = found
        return found

    def refresh(self) -> bool:
        """Take up what has changed on the disk since the last call; return whether anything had.

        Costs a handful of stat calls. A new table that cannot be read changes nothing: the mapped
        one stays, and `status` says why. The floor has no such grace.
        """
        table, floor, floor_key, helps, pinned, local = self._watched
        changed = self._changed(table)
        if changed:
            self._open_table()
        if self._changed(floor) | self._changed(floor_key):
            self._floor.reload()
            changed = True
        if self._changed(helps):
            self._open_help(self._blocklists)
            changed = True
        if self._changed(pinned):
            self._open_pinned()
            changed = True
        if self._changed(local):
            self._open_local()
            changed = True
        if changed:
            self._overlay = Overlay((*self._help.entries, *self._local.entries))
            self._hosts, self._traits = {}, {}
        return changed

    @property
    def fault(self) -> str:
        """Why no address can be judged now, or an empty text."""
        return self._fault if self._table is None else ""

    def status(self) -> Status:
        """Return what `lists status` and the metrics say: sizes, ages, versions, floor; no address."""
        return Status(
            lists=self._list_statuses(),
            floor=FloorStatus.of(self._floor, self._clock()),
            help_addresses=len(self._help),
            local_entries=len(self._local),
            local_broken=self._broken_local,
            fault=self.fault,
            warning="; ".join(
                filter(None, (self._fault, self._help_fault, self._pinned_fault, self._local_fault))
            ),
            faults=self._faults,
            table_bytes=self._table.size if self._table is not None else 0,
            table_keys=len(self._table) if self._table is not None else 0,
        )

    def _look_up(self, url: Url) -> Known:
        floor = self._floor.check(url)
        matches = self._finder.find(url)
        if self._table is None and not floor.hit:
            floor = Floor(FloorState.UNREADABLE, detail=self._fault)
        own, varies = self._overlay.ask(url)
        known = Known(floor, matches + own if own else matches)
        # Where no path on this host could have another answer, the host's answer is kept.
        varies = varies or self._floor.has_urls_on(url) or self._finder.has_urls_on(url)
        if not varies and not self._finder.expresses(url):
            if len(self._hosts) >= MOST_HOSTS:
                self._hosts.clear()
            self._hosts[url.host] = known
        return known

    def _list_statuses(self) -> tuple[ListStatus, ...]:
        if self._table is None:
            return ()
        contents, now = self._table.contents, self._clock()
        return tuple(
            ListStatus.of(info, contents.compiled_at, now) for info in contents.lists if info.excepts < 0
        )

    def _closed(self, detail: str, url: Url) -> Known:
        try:
            matches = self._help.lookup(url)
        except Exception:  # noqa: BLE001 - already closed; help could not be found either
            matches = ()
        return Known(Floor(FloorState.UNREADABLE, detail=detail), matches)

    def _open_table(self) -> None:
        try:
            self._table = Table(self._paths.table)
            self._finder = Finder(self._table)
            self._fault = ""
        except (TableError, OSError, ValueError, KeyError, TypeError) as error:
            self._fault = f"the compiled lists cannot be read: {error}"

    def _open_help(self, folder: Path) -> None:
        path = folder / HELP_FILE
        try:
            version = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
            addresses = help_addresses(folder)
        except (ProblemsError, UrlRefusedError, OSError) as error:
            self._help_fault = f"the help lines cannot be read: {error}"
            if self._help or folder == self._paths.root:
                return  # a broken edit changes nothing
            # This process has none yet: those of the last compile, so that nobody is cut off from help.
            fault = self._help_fault
            self._open_help(self._paths.root)
            self._help_fault = fault
            return
        self._help_fault = ""
        keys = [(name, key_of_url(url)) for name, url in addresses]
        self._help = Overlay(
            (key, Match(f"help:{name}", version, shown(key), (), Use.HELP)) for name, key in keys
        )

    def _open_pinned(self) -> None:
        try:
            self._pinned = Pinned(load_pinned(self._blocklists))
            self._pinned_fault = ""
        except (ProblemsError, OSError) as error:
            self._pinned_fault = f"the list of pinned sites cannot be read: {error}"  # the old one stays

    def _open_local(self) -> None:
        try:
            decisions = LocalFile(self._paths.local).read()
        except OSError as error:  # those that are known stay in force
            self._local_fault = (
                f"the school's own decisions cannot be read: {self._paths.local}: {error.strerror or error}; "
                "they must be a file that the gateway's user may read"
            )
        else:
            self._local, self._broken_local = decisions.overlay(), decisions.broken
            self._local_fault = ""

    def _changed(self, path: str) -> bool:
        try:
            found = os.stat(path)  # noqa: PTH116 - ten times a second, and a Path costs more than the call
            stamp: _Stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            stamp = None
        if path in self._stamps and self._stamps[path] == stamp:
            return False
        self._stamps[path] = stamp
        return True
