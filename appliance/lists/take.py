"""Puts fetched data in force, in a process of its own with a limit on its memory.

What lives only here: the child process of an update. It reads, checks and compiles; a list that needs
more memory than it may have ends this process and nothing else. Its answer is JSON on stdout, or a
reason on stderr and exit status 2.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

import appliance
from appliance.config.categories import read_categories
from appliance.config.problems import InWordsError
from appliance.config.typed import open_document
from appliance.lists import importer
from appliance.lists.catalogue import CATEGORIES_FILE, Catalogue, load_catalogue, load_help
from appliance.lists.checks import Edition, Watched, objections
from appliance.lists.compiler import compile_lists, lock_again
from appliance.lists.credentials import Credentials
from appliance.lists.custody import entries
from appliance.lists.feeds import Demands, Download, FloorEntry
from appliance.lists.lock import Fresh
from appliance.lists.locked import LockedFloor
from appliance.lists.paths import Paths, alone
from appliance.lists.store import Meta, Store
from appliance.lists.unseen import keep_unseen
from appliance.model.category import Severity

REFUSED = 2
"""Exit status of the child when it says why the data is not taken."""
_MEGABYTE = 1 << 20


class TakeError(InWordsError):
    """The data is not taken; what was in force stays. The message says why."""


class Job(BaseModel):
    """What the child is to do. Times are seconds since 1970.

    For a download, `file` is what was fetched. For a statutory list its bytes come on stdin where it
    is supplied, and `dated` is its date, or 0 where a proof has failed. `any_size` skips the checks of
    size, which a person has looked at.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    blocklists: Path
    state: Path
    feed: str
    now: float
    file: Path | None = None
    dated: float = 0.0
    domains: tuple[str, ...] = ()
    memory_megabytes: int = 1024
    any_size: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """What is now in force: the lists of the feed, those that have changed, and their entries."""

    lists: tuple[str, ...]
    changed: tuple[str, ...]
    entries: int
    left_out: tuple[str, ...] = ()


def take_in_child(job: Job, data: bytes = b"") -> Taken:
    """Do the job in a child process; raises `TakeError` with its reason."""
    package = str(Path(appliance.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH", ""))))
    done = subprocess.run(  # noqa: S603 - this interpreter and this module, arguments without a shell
        [sys.executable, "-m", "appliance.lists.take", job.model_dump_json()],
        env=os.environ | {"PYTHONPATH": path},
        input=data,
        capture_output=True,
        check=False,
    )
    said = done.stderr.decode("utf-8", "replace").strip() or "nothing was said"
    if done.returncode < 0:
        raise TakeError(f"the build was stopped by signal {-done.returncode} (out of memory?)")
    if done.returncode == REFUSED:
        raise TakeError(said)
    if done.returncode:
        raise TakeError(said.splitlines()[-1])
    answer = json.loads(done.stdout)
    return Taken(
        tuple(answer["lists"]), tuple(answer["changed"]), answer["entries"], tuple(answer["left_out"])
    )


def take(job: Job, data: bytes = b"") -> Taken:
    """Do the job in this process; raises `TakeError`."""
    try:
        catalogue = load_catalogue(job.blocklists)
        feed = catalogue.feed(job.feed)
        if isinstance(feed, FloorEntry):
            return _take_floor(job, catalogue, feed, data)
        if feed is None or job.file is None:
            raise TakeError(f"there is no feed {job.feed!r} in the catalogue")
        return _take_download(job, catalogue, feed, job.file)
    except InWordsError as error:
        raise TakeError(str(error)) from None
    except OSError as error:
        raise TakeError(f"{error.filename or job.state}: {error.strerror or error}") from None
    except MemoryError:
        raise TakeError(f"more than {job.memory_megabytes} MB of memory would be needed") from None


def _take_download(job: Job, catalogue: Catalogue, feed: Download, file: Path) -> Taken:
    paths = Paths(job.state)
    before = {meta.id: meta for meta in Store(paths).whole()}
    judge = _Judge(job, catalogue, feed, before)
    now = datetime.fromtimestamp(job.now, UTC)

    def compile_all() -> object:
        return compile_lists(job.blocklists, job.state, job.now)

    if feed.tree:
        found = importer.survey_of(file)
        trees = tuple(tree for tree in catalogue.trees if tree.id == feed.tree)
        only = catalogue.model_copy(update={"trees": trees})
        done = importer.import_tree(
            file, found, only, paths, now=now, compile_all=compile_all, accept=judge.accept
        )
    else:
        wanted = importer.Wanted(
            feed.id,
            feed.title,
            feed.categories,
            feed.use,
            feed.format,
            feed.means_suffixes,
            feed.column,
            feed.licence,
        )
        done = importer.import_list(
            file, wanted, paths, now=now, compile_all=compile_all, accept=judge.accept
        )
    changed = [
        meta.id for meta in done.lists if meta.id not in before or before[meta.id].sha256 != meta.sha256
    ]
    left_out = tuple(f"{folder}: {why}" for folder, why in done.left_out.items())
    count = sum(meta.entries for meta in done.lists)
    return Taken(tuple(meta.id for meta in done.lists), tuple(changed), count, left_out)


class _Judge:
    """Holds new editions against what the catalogue demands of them."""

    def __init__(self, job: Job, catalogue: Catalogue, feed: Download, before: dict[str, Meta]) -> None:
        self._before = before
        self._severities = {
            name: category.severity
            for name, category in read_categories(open_document(job.blocklists / CATEGORIES_FILE)).items()
        }
        helping = [address for line in load_help(job.blocklists).lines for address in line.addresses]
        # Real lists of adult sites name a few help lines. Those stay open whatever a list says, so a school
        # that has looked at it may let such a list pass.
        keep_open = (*catalogue.keep_open, *helping, *job.domains)
        watched = tuple(address for address in keep_open if address not in feed.may_list)
        self._watched = Watched(feed.must_list, feed.must_not_list, watched)
        free = Demands(minimum_entries=1, max_shrink_percent=100, max_growth_percent=1e9)
        self._demands: Demands = free if job.any_size else feed

    def accept(self, editions: Sequence[tuple[Meta, Path]]) -> None:
        """Raise `ImportRefusedError` with everything that speaks against these editions."""
        found = objections(
            [self._edition(meta, keys) for meta, keys in editions], self._demands, self._watched
        )
        if found:
            raise importer.ImportRefusedError("; ".join(found))

    def _edition(self, meta: Meta, keys: Path) -> Edition:
        old = self._before.get(meta.id)
        # A list of news or of games may name such sites (UT1's do, and help stays open all the same); one
        # of what every school blocks may not.
        blocks = meta.use == "block" or any(
            self._severities.get(name, Severity.HIGH) >= Severity.MEDIUM for name in meta.categories
        )
        return Edition(meta.id, meta.entries, old.entries if old else None, blocks, keys)


def _take_floor(job: Job, catalogue: Catalogue, feed: FloorEntry, data: bytes) -> Taken:
    paths = Paths(job.state)
    fresh = Fresh(job.dated)
    if feed.mode == "supplied":
        secret = Credentials(job.state).find(feed.container.secret) if feed.container else None
        # A list, not a stream: what cannot be opened whole must not be locked in part.
        fresh = Fresh(job.dated, list(entries(data, feed.container, secret)))
    if job.any_size:
        free = feed.model_copy(update={"max_shrink_percent": 100.0, "max_growth_percent": 1e9})
        floor = tuple(free if entry.id == feed.id else entry for entry in catalogue.floor)
        catalogue = catalogue.model_copy(update={"floor": floor})
    with alone(paths):
        before = LockedFloor(paths, 1.0).manifest
        manifest = lock_again(job.blocklists, paths, catalogue, job.now, {feed.id: fresh})
    about = next(known for known in manifest.lists if known.id == feed.id)
    versions = {known.id: known.version for known in before.lists} if before else {}
    changed = (feed.id,) if versions.get(feed.id) != about.version else ()
    return Taken((feed.id,), changed, about.entries)


def main(arguments: list[str]) -> int:
    """Do one job as a child process does, and return the exit status."""
    job = Job.model_validate_json(arguments[0])
    most = job.memory_megabytes * _MEGABYTE
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    keep_unseen()
    try:
        taken = take(job, sys.stdin.buffer.read())
    except TakeError as error:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{error}\n")
        return REFUSED
    answer = {
        "lists": taken.lists,
        "changed": taken.changed,
        "entries": taken.entries,
        "left_out": taken.left_out,
    }
    json.dump(answer, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
