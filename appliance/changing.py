"""Changes of the policy, joined with the log, the lists, the versions that are kept, and who somebody is.

What lives only here: judging the past again under a proposal, and putting in force what was released.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from appliance import assembly
from appliance.changes.impact import Again, Impact
from appliance.changes.store import Approval, ChangeError, Changes, Entry, Proposal
from appliance.events.audit import Trail
from appliance.events.past import Past, past, span
from appliance.filtering import Filtering
from appliance.identity.names import key
from appliance.lists.entries import shown
from appliance.lists.lists import Lists
from appliance.lists.local import LOCAL, LocalFile, LocalRefusedError, local_key
from appliance.lists.overlay import Overlay
from appliance.lists.paths import Paths
from appliance.model.decision import Reason
from appliance.model.inspect import Traits
from appliance.model.known import Known, Match, Use
from appliance.model.person import Confidence, Person
from appliance.model.request import Request
from appliance.model.url import Url, UrlRefusedError, parse_host, parse_typed, parse_url
from appliance.settings import Settings, load_settings

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


def changes(settings: Settings) -> Changes:
    """Return the proposals of the school."""
    approval = Approval(settings.changes.approval == "two", settings.changes.approvers)
    return Changes(settings.state, Trail(settings.state), approval, key)


def put_in_force(settings: Settings, proposal: Proposal) -> None:
    """Do what a released proposal says; ProblemsError, OSError."""
    store = assembly.snapshots(settings)
    local = LocalFile(Paths(settings.state).local)
    check_entries(settings, proposal.entries)
    if proposal.version != proposal.base:
        store.put_in_force(proposal.version)
    for act, address in proposal.entries:
        why = f"change {proposal.number}: {proposal.reason}"
        if act == "remove":
            local.remove(address, because=why, who=proposal.by, at=datetime.now(UTC))
        else:
            local.add(Use(act), address, because=why, who=proposal.by, at=datetime.now(UTC))


def check_entries(settings: Settings, entries: Iterable[Entry]) -> None:
    """Raise ChangeError for an entry that cannot be one, before anything of it is written down.

    What a statutory list names is not kept in a proposal either: it may be read, and those lists may not.
    """
    lists = assembly.open_lists(settings)
    for act, address in entries:
        known = lists.lookup(_example(entry_key(address)))
        if known.floor.hit:
            raise ChangeError("an entry is on a statutory list: it is closed, and no entry opens it")
        if act == Use.BLOCK and any(match.use is Use.HELP for match in known.matches):
            raise ChangeError(f"{address} is a help line; help lines stay open")


def _example(one: str) -> Url:
    # An address that the entry covers; a network has none, and no list names one by name.
    try:
        return parse_typed(shown(one))
    except UrlRefusedError:
        return parse_host("invalid")


def roll_back(settings: Settings, version: str, by: str) -> None:
    """Put an earlier version in force; the technician's files stay, and count again once they are edited."""
    store = assembly.snapshots(settings)
    if version not in {name for name, _ in store.kept()}:
        raise ChangeError(f"no version {version} is kept; `appliance changes list --versions` shows them")
    files = store.keep().version
    store.open(version)
    Trail(settings.state).add("policy-rollback", version, by=by, at=time.time(), instead_of=store.current())
    store.set_aside("" if files == version else files)
    store.put_in_force(version)


def entry_key(address: str) -> str:
    """Return the key of an entry; ChangeError where the text can be none."""
    try:
        return local_key(address)
    except LocalRefusedError as error:
        raise ChangeError(f"{address}: {error}") from None


@dataclass(frozen=True, slots=True)
class Question:
    """What is judged again: two versions of the policy, and entries that the second one brings."""

    config: Path
    state: Path
    base: str
    version: str
    entries: tuple[Entry, ...]


class Proposed:
    """The lists as they would be with a proposal's entries."""

    def __init__(self, lists: Lists, entries: tuple[Entry, ...]) -> None:
        self._lists = lists
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
    later = Proposed(lists, question.entries) if question.entries else lists
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
