"""What a change would mean: the log, judged again with the versions and the lists of a proposal.

What lives only here: that judging, and the copy of the lists in which it is done.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from appliance import assembly, trial
from appliance.changes.held_files import BLOCKLISTS, HeldFiles
from appliance.changes.impact import Again, Impact
from appliance.changes.store import ChangeError, Entry
from appliance.config.categories import read_categories
from appliance.config.problems import unknown
from appliance.config.typed import open_document
from appliance.events.past import Past, past, span
from appliance.filtering import Filtering
from appliance.lists.catalogue import CATEGORIES_FILE, load_catalogue
from appliance.lists.entries import shown
from appliance.lists.importer import Wanted, list_id_of, survey_of
from appliance.lists.lists import Lists
from appliance.lists.local import LOCAL
from appliance.lists.overlay import Overlay
from appliance.model.decision import Reason
from appliance.model.inspect import Traits
from appliance.model.known import Known, Match, Use
from appliance.model.person import Confidence, Person
from appliance.model.request import Request
from appliance.model.url import Url, UrlRefusedError, parse_host, parse_url
from appliance.releasing import entry_key
from appliance.settings import Settings, agreed, load_settings

PART = 25_000
"""Accesses that one process judges at a time."""

_UNTOUCHED = frozenset(
    str(reason.value)
    for reason in (
        Reason.FLOOR, Reason.FLOOR_REPEATED, Reason.FROZEN, Reason.REMOVED, Reason.SIGNED_OUT,
        Reason.MALFORMED, Reason.MISMATCH, Reason.FLOOR_UNAVAILABLE, Reason.FAULT, Reason.DEADLINE,
        Reason.OWN_PAGE, Reason.ACCOUNT_SHARING,
    )
)  # fmt: skip
_CLASS = "class login"
_DAY = 86_400


@contextmanager
def tried_lists(
    settings: Settings, parts: dict[str, tuple[str, str]], entries: tuple[Entry, ...]
) -> Iterator[trial.Where | None]:
    """Give the lists as a proposal would have them, for a while; None where it leaves them alone."""
    pair = parts.get(BLOCKLISTS)
    if pair is None and not trial.list_acts(entries):
        yield None
        return
    folder = HeldFiles(settings.state).kept_blocklists(pair[1]) if pair else settings.blocklists
    with trial.tried(settings, folder, entries) as where:
        yield where


def named_editions(settings: Settings, entries: tuple[Entry, ...], lists: trial.Where) -> tuple[Entry, ...]:
    """Return the entries with the edition of each update that was tried: no other one is released by them."""
    return tuple(
        trial.named_edition(settings, entry.address, lists) if entry.act == trial.ACCEPT else entry
        for entry in entries
    )


def import_wanted(settings: Settings, path: Path, said: dict[str, Any]) -> Wanted | None:
    """Return how a list is to be imported; None for a collection that the catalogue knows. ChangeError."""
    names, use = tuple(said["categories"]), str(said["use"])
    if survey_of(path).folders and not names and use == "category":
        return None
    known = read_categories(open_document(settings.blocklists / CATEGORIES_FILE))
    if wrong := next((name for name in names if name not in known), ""):
        raise ChangeError(unknown("category", wrong, known))
    if use == "category" and not names:
        raise ChangeError("say what the list is about: --category NAME (or --use block, --use allow)")
    name = str(said["list_id"]) or list_id_of(path)
    catalogue = load_catalogue(settings.blocklists)
    parts = (catalogue.lists, catalogue.downloads, catalogue.floor, catalogue.trees)
    if name != list_id_of(Path(name)) or name in {
        LOCAL,
        "built-in",
        "help",
        *(e.id for part in parts for e in part),
    }:
        raise ChangeError(
            f"the id {name!r} cannot be used: choose another with --id, such as school-{list_id_of(path)}"
        )
    return Wanted(name, name, names, use)


@dataclass(frozen=True, slots=True)
class Question:
    """What is judged again: two versions of the policy, and entries that the second one brings."""

    config: Path
    state: Path
    base: str
    version: str
    entries: tuple[Entry, ...]
    lists: tuple[Path, Path] | None = None
    """The folder of lists and the state of a copy in which the proposal's lists are in force."""
    settings: str = ""
    """The version of the settings that the proposal brings; empty where it leaves them alone."""


class Proposed:
    """The lists as they would be with a proposal's entries."""

    def __init__(self, lists: Lists, entries: tuple[Entry, ...]) -> None:
        self._lists = lists
        entries = tuple(entry for entry in entries if entry.act not in trial.LIST_ACTS)
        self._gone = {shown(entry_key(address)) for act, address in entries if act == "remove"}
        new = [(entry_key(address), Use(act)) for act, address in entries if act != "remove"]
        self._new = Overlay((one, Match(LOCAL, "proposed", shown(one), (), use)) for one, use in new)

    def lookup(self, url: Url) -> Known:
        """Return what the lists would say of `url`."""
        known = self._lists.lookup(url)
        own = self._new.lookup(url)
        if not own and not self._gone:
            return known
        kept = (each for each in known.matches if each.list != LOCAL or each.entry not in self._gone)
        return replace(known, matches=(*kept, *own))

    def traits(self, url: Url) -> Traits:
        """Return what else the lists say of the site."""
        return self._lists.traits(url)


def replay(question: Question, days: float, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Judge the accesses of the last days again, on all processors; EventsError where the log is unreadable.

    `progress` is told how many of how many are done.
    """
    since = int((time.time() - days * _DAY) * 1000)
    first, end = span(question.state, since)
    parts = [(start, min(start + PART, end)) for start in range(first, end, PART)]
    whole, done = Impact(), 0
    progress(0, end - first)
    if len(parts) > 1:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(len(parts), os.cpu_count() or 1), context, _open, (question,)) as pool:
            for (start, stop), found in zip(parts, pool.map(_part, parts), strict=True):
                whole.add(found)
                done += stop - start
                progress(done, end - first)
    elif parts:
        _open(question)
        whole.add(_part(parts[0]))
        progress(end - first, end - first)
    return whole.as_dict(days)


_JUDGES: list[tuple[Path, Filtering, Filtering]] = []
"""What this process judges with; set once, by `_open`."""


def _open(question: Question) -> None:
    settings = load_settings(question.config).settings
    store, lists = assembly.snapshots(settings), assembly.open_lists(settings)
    before = assembly.filtering(settings, store.open(question.base), lists)
    there = Lists.open(*question.lists, settings.floor_max_age_hours) if question.lists else lists
    later = Proposed(there, question.entries) if question.entries else there
    if question.settings:
        settings = agreed(settings, HeldFiles(settings.state).kept_settings(question.settings))
    after = assembly.filtering(settings, store.open(question.version), later)
    _JUDGES[:] = [(question.state, before, after)]


def _part(part: tuple[int, int]) -> Impact:
    state, before, after = _JUDGES[0]
    impact = Impact()
    impact.count(_again(past(state, *part), before, after, impact))
    return impact


def _again(found: Iterator[Past], before: Filtering, after: Filtering, impact: Impact) -> Iterator[Again]:
    for one in found:
        if not one.host or one.reason in _UNTOUCHED:
            impact.left_out += 1
            continue
        try:
            request = Request(parse_url(one.url) if one.url else parse_host(one.host))
        except UrlRefusedError:
            impact.left_out += 1
            continue
        confidence = Confidence.CERTAIN if one.name else Confidence.GROUP
        person = Person(one.group, one.source, confidence, one.name)
        now = datetime.fromtimestamp(one.time / 1000, UTC)
        old, new = before.judge(request, person, now), after.judge(request, person, now)
        group = one.name if one.source.startswith(_CLASS) else ""
        yield Again(old.profile.id, group, one.host, old.decision.blocked, new.decision.blocked)
