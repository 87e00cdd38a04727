"""What `appliance changes` shows: one change, the page of a list, the versions that are kept."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime

import click

from appliance import assembly, holding, releasing
from appliance.changes.difference import difference
from appliance.changes.doubts import Doubt
from appliance.changes.impact import in_words
from appliance.changes.store import Proposal, State
from appliance.cli.lists_show import grid, plain
from appliance.cli.setup import Setup
from appliance.identity.sessions import SCHOOL_ZONE

_MOST_LINES = 2_000


def one(setup: Setup, found: Proposal) -> None:
    """Show one change with everything: what differs, why, what it would have meant, how it stands."""
    store = assembly.snapshots(setup.settings)
    lines = [
        f"change {found.number}: {found.state}",
        f"  proposed by {found.by}, {moment(found.at)}: {found.reason}",
        f"  policy {found.base} -> {found.version}",
        *(f"  {name} {before or 'none'} -> {after}" for name, (before, after) in found.parts.items()),
        *(f"  {entry.act} {entry.address}" for entry in found.entries),
    ]
    if found.decided_at is not None:
        lines.append(
            f"  {found.state} by {found.decided_by}, {moment(found.decided_at)} {found.words}".rstrip()
        )
    elif stale := _stale(setup, found):
        lines.append(f"  stale: {stale} is in force by now; propose it again")
    if found.state is State.STAGED:
        lines.append(f"  in force for {found.stage['shown']} only; everybody else stays with {found.base}")
    lines += [f"  {text}" for text in in_words(found.impact)]
    before, after = holding.difference_of(setup.settings, found.parts)
    changed = difference(store.files(found.base) | before, store.files(found.version) | after)
    lines += changed[:_MOST_LINES]
    if len(changed) > _MOST_LINES:
        lines.append(f"... and {len(changed) - _MOST_LINES} lines more; `show --json` names the versions")
    for line in lines:
        click.echo(plain(line))


def many(setup: Setup, found: list[Proposal], *, full: bool, as_json: bool) -> None:
    """Show a page of changes, and what somebody is to look at."""
    if as_json:
        for each in found:
            click.echo(json.dumps(asdict(each)))
        return
    heads = ("change", "state", "proposed", "by", "decided by", "why")
    rows = ((str(p.number), p.state, moment(p.at), p.by, p.decided_by, p.reason) for p in found)
    grid(heads, (tuple(map(plain, row)) for row in rows))
    if full:
        click.echo(f"older ones: `appliance changes list --before {found[0].number}`", err=True)
    _notices(setup)
    for line in holding.unended(setup.settings):
        click.echo(f"note: {line}", err=True)
    click.echo(f"changes.approval: {setup.settings.changes.approval}", err=True)


def versions(setup: Setup, *, as_json: bool) -> None:
    """Show every version of the policy that is kept."""
    store = assembly.snapshots(setup.settings)
    current = store.current()
    rows = [(name, moment(at), "in force" if name == current else "") for name, at in store.kept()]
    if as_json:
        click.echo(
            json.dumps([{"version": name, "kept": at, "in_force": bool(now)} for name, at, now in rows])
        )
        return
    grid(("version", "kept since", ""), rows)


def moment(at: float) -> str:
    """Return a moment on the school's clocks."""
    return f"{datetime.fromtimestamp(at, SCHOOL_ZONE):%Y-%m-%d %H:%M}"


def _doubts(setup: Setup) -> None:
    found = releasing.doubts(setup.settings).all(time.time()) if setup.approval_of_two else []
    if found:
        click.echo("\ndo not count for changes, for somebody else set their password:")
        rows = ((one.name, one.by, moment(one.at), moment(one.until), _how(one)) for one in found)
        grid(("account", "set by", "when", "until", ""), (tuple(map(plain, row)) for row in rows))


def _how(doubt: Doubt) -> str:
    return f"or `appliance changes confirm {doubt.name}`" if doubt.proved else ""


def _notices(setup: Setup) -> None:
    _doubts(setup)
    notices = releasing.notices(setup.settings)
    if not (found := notices.open()):
        return
    click.echo("\nto be looked at by somebody else (`appliance changes seen NUMBER`):")
    heads = ("notice", "what", "when", "by", "")
    grid(heads, (tuple(map(plain, (str(n.number), n.kind, moment(n.at), n.by, n.words))) for n in found))
    if (more := notices.count() - len(found)) > 0:
        click.echo(f"and {more} more", err=True)


def _stale(setup: Setup, found: Proposal) -> str:
    current = holding.in_force(setup.settings, assembly.snapshots(setup.settings))
    bases: Iterable[tuple[str, str]] = (
        ("policy", found.base),
        *((n, pair[0]) for n, pair in found.parts.items()),
    )
    return next((f"{name} {current[name]}" for name, base in bases if current[name] != base), "")
