"""Brings a feed up to date, step by step, or leaves everything as it was and says why.

What lives only here: the order of an update (fetch, prove genuine, check, build, swap, note) and the
way back. Whatever fails at any step leaves what was in force.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from appliance.config.problems import InWordsError, unknown
from appliance.lists.catalogue import CATALOGUE_FILE, Catalogue, load_catalogue
from appliance.lists.credentials import CredentialError, Credentials
from appliance.lists.feeds import Download, Fetching, FloorEntry, Proof
from appliance.lists.fetch import Answer, Ask, Fetcher, FetchError, Progress
from appliance.lists.importer import IMPORT_LOCK
from appliance.lists.ledger import Ledger, Record, Rhythm
from appliance.lists.local import LOCAL
from appliance.lists.paths import Paths, alone
from appliance.lists.store import Store
from appliance.lists.take import Job, TakeError, Taken, take_in_child
from appliance.lists.unseen import keep_unseen
from appliance.lists.upstream import Verdict, prove
from appliance.lists.verify import NotGenuineError, check_minisign, check_sha256, published_sha256, sha256_of

_MEGABYTE, _MINUTE = 1 << 20, 60.0
_SMALL_FILE = _MEGABYTE
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_EXPECTED = (FetchError, NotGenuineError, TakeError, CredentialError)


class UpdateError(InWordsError):
    """What was asked for cannot be done; the message says why."""


class Came(StrEnum):
    """What an update came to."""

    NEW = "new"
    SAME = "same"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one feed, with a sentence for people."""

    feed: str
    came: Came
    words: str


@dataclass(frozen=True, slots=True)
class Means:
    """What an update needs beside the feeds. `domains` are the school's own; they must stay open."""

    blocklists: Path
    state: Path
    domains: tuple[str, ...] = ()
    memory_megabytes: int = 1024
    clock: Callable[[], float] = time.time
    fetcher: Fetcher = field(default_factory=Fetcher)
    take: Callable[[Job, bytes], Taken] = take_in_child
    prove: Callable[[Proof], tuple[Verdict, str]] = prove
    unseen: Callable[[], None] = keep_unseen


class Updater:
    """Updates feeds, and goes back."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._paths = Paths(means.state)
        self._ledger = Ledger(self._paths)
        self._credentials = Credentials(means.state)

    def due(self, chosen: Iterable[str]) -> tuple[str, ...]:
        """Return which of the downloads `chosen`, and of the statutory lists, are to be fetched now."""
        now = self._means.clock()
        return tuple(name for name in self.regular(chosen) if self._ledger.read(name).due(now))

    def regular(self, chosen: Iterable[str]) -> tuple[str, ...]:
        """Return the downloads `chosen` and every statutory list that is not synthetic."""
        catalogue = load_catalogue(self._means.blocklists)
        wanted = set(chosen)
        return tuple(
            feed.id for feed in catalogue.feeds() if isinstance(feed, FloorEntry) or feed.id in wanted
        )

    def update(
        self, feed_id: str, *, accept: bool = False, progress: Progress | None = None, only: str = ""
    ) -> Outcome:
        """Bring one feed up to date, and note what came of it; what fails changes nothing.

        `accept` takes data whose size has changed too much, or that was rolled back; `only` is the SHA-256 of
        the one edition of a download that is meant. Raises `UpdateError` for what is no feed, `ProblemsError`
        for the catalogue.
        """
        feed = self._feed(load_catalogue(self._means.blocklists), feed_id)
        rhythm = Rhythm(feed.refresh_hours, feed.jitter_minutes)
        now = self._means.clock()
        with alone(self._paths, f".update-{feed.id}.lock"):
            try:
                if isinstance(feed, Download):
                    return self._download(feed, rhythm, now, accept=accept, progress=progress, only=only)
                return self._floor(feed, rhythm, now, accept=accept)
            except _EXPECTED as error:
                problem = str(error)
            except OSError as error:
                problem = f"{error.filename or ''}: {error.strerror or error}"
            self._ledger.failed(feed.id, problem, now, rhythm)
        return Outcome(feed.id, Came.FAILED, f"{problem}; what was in force stays")

    def roll_back(self, name: str, compile_all: Callable[[], object]) -> tuple[str, ...]:
        """Return a list, or all that one feed changed last, to the edition before; return which.

        Raises `UpdateError`; `compile_all` makes the table, and when it raises, all is as before.
        """
        catalogue = load_catalogue(self._means.blocklists)
        if any(entry.id == name for entry in catalogue.floor):
            raise UpdateError("a statutory list is never rolled back: that would unblock what the law closes")
        store = Store(self._paths)
        record = self._fed(name)
        names = record.changed if record and record.id == name and record.changed else (name,)
        with alone(self._paths, IMPORT_LOCK):
            dropped = store.dropped()
            able = [one for one in names if one in dropped or store.last(one)]
            if not able:
                raise UpdateError(f"there is no earlier edition of {name!r} to return to")
            saved = store.saved(able)
            try:
                with alone(self._paths):
                    for one in able:
                        store.roll_back(one)
                compile_all()
            except BaseException:
                with alone(self._paths):
                    store.restore(saved)
                raise
        if record:
            self._ledger.rolled_back(record.id)
        return tuple(able)

    def drop(self, name: str, chosen: Iterable[str], compile_all: Callable[[], object]) -> None:
        """Take an imported or downloaded list out of force; `roll_back` brings it back.

        `chosen` are the downloads that are kept up to date. Raises `UpdateError` for what cannot be dropped;
        when `compile_all` raises, all is as before.
        """
        catalogue = load_catalogue(self._means.blocklists)
        store = Store(self._paths)
        with alone(self._paths, IMPORT_LOCK):
            self._refuse_to_drop(name, catalogue, store, set(chosen))
            saved = store.saved([name])
            try:
                with alone(self._paths):
                    store.drop(name)
                compile_all()
            except BaseException:
                with alone(self._paths):
                    store.restore(saved)
                raise

    def _refuse_to_drop(self, name: str, catalogue: Catalogue, store: Store, chosen: set[str]) -> None:
        if any(entry.id == name for entry in catalogue.floor):
            raise UpdateError(f"{name!r} is a statutory list: nothing drops it (DFE-F2)")
        if any(entry.id == name for entry in catalogue.lists):
            raise UpdateError(
                f"{name!r} ships with the gateway: take its entry out of "
                f"{self._means.blocklists / CATALOGUE_FILE}, then: appliance lists compile"
            )
        if name == LOCAL:
            raise UpdateError("the school's own decisions are taken back one by one: appliance lists remove")
        if name not in store.ids():
            raise UpdateError(unknown("list", name, store.ids()))
        record = self._fed(name)
        if record and record.id in chosen:
            raise UpdateError(
                f"{name!r} would come back with the next update of {record.id!r}; "
                f"take {record.id!r} out of lists.updates first"
            )

    def _fed(self, name: str) -> Record | None:
        """Return the record of the feed of this id, or that feeds the list of this id."""
        return next((known for known in self._ledger.all() if name in (known.id, *known.lists)), None)

    def _download(
        self,
        feed: Download,
        rhythm: Rhythm,
        now: float,
        *,
        accept: bool,
        progress: Progress | None,
        only: str,
    ) -> Outcome:
        record = self._ledger.read(feed.id)
        file = self._paths.downloads / feed.id / _file_name(feed)
        known = self._in_force(record) and not accept
        answer = self._means.fetcher.to_file(self._ask(feed, record if known else None), file, progress)
        if answer.same:
            return self._same(feed.id, now, rhythm, "not modified since")
        try:
            sha256 = sha256_of(file)
            if only and sha256 != only:
                raise NotGenuineError(
                    "another edition came than the one that was looked at; propose it again"
                )
            self._genuine(feed, file, sha256)
            news: dict[str, object] = {"etag": answer.etag, "modified": answer.modified, "sha256": sha256}
            if known and sha256 in record.refused:
                return self._same(feed.id, now, rhythm, "the edition that was rolled back", **news)
            if known and sha256 == record.sha256:
                return self._same(feed.id, now, rhythm, "the same as before", **news)
            taken = self._means.take(self._job(feed.id, now, file=file, accept=accept), b"")
        finally:
            file.unlink(missing_ok=True)
        refused = tuple(one for one in record.refused if one != sha256)
        news |= {"lists": taken.lists, "changed": taken.changed, "changed_at": now, "refused": refused}
        self._ledger.succeeded(feed.id, now, rhythm, **news)
        return Outcome(feed.id, Came.NEW, _told(taken))

    def _floor(self, feed: FloorEntry, rhythm: Rhythm, now: float, *, accept: bool) -> Outcome:
        if feed.proof:
            return self._prove(feed, feed.proof, rhythm, now)
        data, answer, dated = self._supplied(feed, now)
        taken = self._means.take(self._job(feed.id, now, dated=dated, accept=accept), data)
        change = {"etag": answer.etag, "modified": answer.modified, "lists": taken.lists}
        if not taken.changed:
            return self._same(feed.id, now, rhythm, "no entry has changed", **change)
        self._ledger.succeeded(feed.id, now, rhythm, **change, changed_at=now)
        return Outcome(feed.id, Came.NEW, _told(taken))

    def _supplied(self, feed: FloorEntry, now: float) -> tuple[bytes, Answer, float]:
        """Return a statutory list as it was supplied, held in memory alone, and its date."""
        self._means.unseen()  # a supplier may send it as plain text within TLS
        if feed.file:
            data = _bounded(feed.file, feed.max_megabytes)
            return data, Answer(same=False), feed.file.stat().st_mtime
        # Always fetched whole: the list is small, and its date is to be the server's newest.
        answer, data = self._means.fetcher.to_memory(self._ask(feed, None))
        self._genuine(feed, data, "")
        return data, answer, answer.dated or now

    def _prove(self, feed: FloorEntry, proof: Proof, rhythm: Rhythm, now: float) -> Outcome:
        verdict, words = self._means.prove(proof)
        if verdict is Verdict.UNKNOWN:
            raise TakeError(words)
        # Disproved: the date goes, and with it the gate closes at once.
        dated = now if verdict is Verdict.PROVED else 0.0
        self._means.take(self._job(feed.id, now, dated=dated), b"")
        if verdict is Verdict.DISPROVED:
            self._ledger.failed(feed.id, words, now, rhythm)
            return Outcome(feed.id, Came.FAILED, f"{words}; the gate is closed until it is")
        self._ledger.succeeded(feed.id, now, rhythm, lists=(feed.id,))
        return Outcome(feed.id, Came.SAME, words)

    def _same(self, feed: str, now: float, rhythm: Rhythm, words: str, **news: object) -> Outcome:
        self._ledger.succeeded(feed, now, rhythm, **news)
        return Outcome(feed, Came.SAME, words)

    def _genuine(self, feed: Fetching, content: Path | bytes, sha256: str) -> None:
        name = urlsplit(feed.url or "").path.rpartition("/")[2]
        if feed.sha256 or feed.sha256_url:
            actual = sha256 or _sha256(content)
            check_sha256(actual, feed.sha256 or published_sha256(self._small(feed, feed.sha256_url), name))
        if feed.minisign_key:
            url = feed.minisign_url or f"{feed.url}.minisig"
            check_minisign(feed.minisign_key, self._small(feed, url), content)

    def _small(self, feed: Fetching, url: str | None) -> str:
        ask = self._ask(feed, None, url)
        return self._means.fetcher.to_memory(ask)[1].decode("utf-8", "replace")

    def _ask(self, feed: Fetching, record: Record | None, url: str | None = None) -> Ask:
        return Ask(
            url=url or feed.url or "",
            ca_file=feed.ca_file,
            user=feed.user,
            password=self._credentials.find(feed.password) if feed.password else None,
            token=self._credentials.find(feed.token) if feed.token else None,
            etag=record.etag if record else "",
            modified=record.modified if record else "",
            most_bytes=_SMALL_FILE if url else feed.max_megabytes * _MEGABYTE,
            most_seconds=feed.max_minutes * _MINUTE,
        )

    def _in_force(self, record: Record) -> bool:
        """Tell whether what the record speaks of is still there, and whole."""
        there = {meta.id for meta in Store(self._paths).whole()}
        return bool(record.lists) and there.issuperset(record.lists)

    def _job(
        self, feed: str, now: float, *, file: Path | None = None, dated: float = 0.0, accept: bool = False
    ) -> Job:
        means = self._means
        return Job(
            blocklists=means.blocklists,
            state=means.state,
            feed=feed,
            now=now,
            file=file,
            dated=dated,
            domains=means.domains,
            memory_megabytes=means.memory_megabytes,
            any_size=accept,
        )

    @staticmethod
    def _feed(catalogue: Catalogue, feed_id: str) -> Download | FloorEntry:
        feed = catalogue.feed(feed_id)
        if feed is None:
            known = ", ".join(sorted(one.id for one in catalogue.feeds())) or "none"
            raise UpdateError(f"{feed_id!r} is nothing that can be updated; there are: {known}")
        return feed


def _told(taken: Taken) -> str:
    words = f"{taken.entries} entries in {len(taken.lists)} lists, {len(taken.changed)} of them changed"
    return f"{words}; not taken: {'; '.join(taken.left_out)}" if taken.left_out else words


def _file_name(feed: Download) -> str:
    name = _UNFIT.sub("_", urlsplit(feed.url or "").path.rpartition("/")[2]).strip("._")
    return name[-80:] or "list"


def _sha256(content: Path | bytes) -> str:
    return sha256_of(content) if isinstance(content, Path) else hashlib.sha256(content).hexdigest()


def _bounded(path: Path, megabytes: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(megabytes * _MEGABYTE + 1)
    if len(data) > megabytes * _MEGABYTE:
        raise TakeError(f"larger than the {megabytes} MB that are allowed")
    return data
