"""How `appliance lists` shows its answers: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime

import click

from appliance.cli.tables import show
from appliance.lists.compiler import Compiled
from appliance.lists.history import since
from appliance.lists.importer import Imported
from appliance.lists.ledger import Record
from appliance.lists.local import LOCAL
from appliance.lists.paths import Paths
from appliance.lists.status import ListStatus, Status
from appliance.lists.store import Meta
from appliance.model.known import FloorState, Known, Match
from appliance.model.url import Url

_MINUTE, _HOUR, _DAY = 60, 3600, 86400

MAKE_ANEW = "`appliance lists compile`, or a start of the gateway, compiles them"
"""What to do where there is no table, or a damaged one."""

_SUPPLY = "then `appliance lists update` what is supplied or proved"
_NEXT = {
    FloorState.MISSING: f"; the gate is closed. Next: `appliance lists compile`, {_SUPPLY}",
    FloorState.UNREADABLE: f"; the gate is closed. Next: `appliance lists compile`, {_SUPPLY}",
    FloorState.STALE: "; the gate is closed. Next: `appliance lists update`, and see why the last one failed",
}
"""What to do where the statutory lists are not in order."""


def plain(text: str, keep: str = "") -> str:
    """Return text that cannot steer a terminal: control characters are written out."""
    return "".join(c if c.isprintable() or c in keep else ascii(c)[1:-1] for c in text)


def imported(done: Imported, paths: Paths, *, as_json: bool) -> None:
    """Show what an import took, line for line accounted, and what it left out."""
    if as_json:
        lists = [meta.model_dump(mode="json") | {"version": meta.version} for meta in done.lists]
        _json({"lists": lists, "left_out": done.left_out})
        return
    rows = (
        (m.id, ", ".join(m.categories) or m.use, m.format, m.entries, m.lines, m.skipped, m.quarantined)
        for m in done.lists
    )
    grid(("list", "about", "format", "entries", "lines", "skipped", "quarantined"), rows)
    for folder, why in done.left_out.items():
        click.echo(f"not taken: {plain(folder)}: {why}")
    click.echo(f"Lines that were not used, and why: {paths.imported}/*/problems.txt", err=True)


def replaced(before: Meta | None, now: Meta) -> None:
    """Say what an import did to the list of the same id that was there before."""
    if before is None:
        click.echo(f"{now.id}: a new list; `appliance lists drop {now.id}` takes it out again", err=True)
    elif before.sha256 == now.sha256:
        click.echo(f"{now.id}: the same entries as before", err=True)
    else:
        click.echo(
            f"{now.id}: takes the place of the edition of {before.imported_at:%Y-%m-%d %H:%M} UTC "
            f"({before.entries} entries from {before.source}); "
            f"`appliance lists rollback {now.id}` returns to it",
            err=True,
        )


def compiled(done: Compiled, *, as_json: bool) -> None:
    """Show what a compile did."""
    lists = [info for info in done.contents.lists if info.excepts < 0]
    if as_json:
        _json({"fresh": done.fresh, "lists": len(lists), "entries": done.names, "floor": asdict(done.floor)})
        return
    what = "compiled" if done.fresh else "already current"
    click.echo(f"{len(lists)} lists with {done.names} entries: {what}")


def found(url: Url, known: Known, status: Status, paths: Paths, *, as_json: bool) -> None:
    """Show which lists name an address and since when; of the floor only that it does, never an entry."""
    titles = {item.id: item.title for item in status.lists}
    if as_json:
        matches = [
            asdict(match) | {"title": titles.get(match.list, ""), "since": _since(match, paths)}
            for match in known.matches
        ]
        floor = {"state": known.floor.state, "hit": known.floor.hit, "detail": known.floor.detail}
        address = "" if known.floor.hit else str(url)
        _json({"address": address, "listed": bool(matches), "matches": matches, "floor": floor})
        return
    if known.floor.hit:
        click.echo(f"a statutory list names it ({known.floor.list}); its entries are never shown")
    elif not known.matches:
        click.echo("no list names it")
    rows = (
        (m.list, m.entry, ", ".join(m.categories) or m.use, m.version, _since(m, paths), plain(m.because))
        for m in known.matches
    )
    grid(("list", "entry", "about", "version", "since", "because"), rows)
    _say_floor(status)


def problems(lines: list[str], *, as_json: bool) -> None:
    """Show the lines of a list that are not used: file, line, what became of it, why, and its text."""
    if as_json:
        _json({"problems": lines})
        return
    for line in lines:
        click.echo(plain(line))
    if not lines:
        click.echo("every line is used", err=True)


def _since(match: Match, paths: Paths) -> str:
    """Say since when a list names it: exactly, or at the latest since the oldest edition that is kept."""
    if match.list == LOCAL:
        return match.version
    known = since(paths, match.list, match.entry)
    if known is None:
        return ""
    return f"{known.date:%Y-%m-%d %H:%M}{'' if known.exact else ' or before'}"


def status(known: Status, updates: Iterable[Record], paths: Paths, *, as_json: bool) -> None:
    """Show sizes, editions and ages of all lists, how their updates went, and how the floor stands."""
    updates = tuple(updates)
    if as_json:
        _json(asdict(known) | {"updates": [record.model_dump() for record in updates]})
        return
    rows = (
        (
            s.id,
            ", ".join(s.categories),
            _use(s),
            s.entries,
            s.skipped,
            s.quarantined,
            s.version,
            _age(s.age),
            s.licence,
        )
        for s in known.lists
    )
    grid(("list", "about", "use", "entries", "skipped", "quarantined", "version", "age", "licence"), rows)
    click.echo(
        f"{known.table_keys} names in {known.table_bytes / 1e6:.1f} MB; "
        f"{known.help_addresses} help addresses; {known.local_entries} local decisions"
    )
    floor = ", ".join(f"{item.id} {item.mode} {item.entries} entries" for item in known.floor.lists)
    if floor:
        age = f", {_age(known.floor.age)} old" if known.floor.compiled_at else ""
        click.echo(f"floor: {known.floor.state}, {floor}{age}")
    _say_updates(updates)
    _say_floor(known)
    if known.fault:
        click.echo(f"{known.fault}; {MAKE_ANEW}", err=True)
    if warning := known.warning.removeprefix(known.fault).removeprefix("; "):
        click.echo(warning, err=True)
    if known.local_broken:
        click.echo(
            f"{paths.local}: {known.local_broken} lines cannot be read, and decide nothing; "
            "take them out, and decide again with: appliance lists add",
            err=True,
        )


def _use(one: ListStatus) -> str:
    # What a collection says of its own folder (black, white) is kept beside what the school makes of it.
    return f"{one.use} ({'/'.join(one.usage)})" if one.usage else one.use


def _say_updates(updates: tuple[Record, ...]) -> None:
    rows = ((r.id, _when(r.succeeded_at), _when(r.changed_at), _when(r.next_at)) for r in updates)
    grid(("update of", "current at", "changed at", "next"), rows)
    for record in updates:
        if record.problem:
            click.echo(
                f"{record.id}: the update of {_when(record.tried_at)} failed: {plain(record.problem)}",
                err=True,
            )


def _when(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC" if seconds else "never"


def _say_floor(known: Status) -> None:
    if known.floor.detail:
        click.echo(f"floor: {known.floor.detail}{_NEXT.get(known.floor.state, '')}", err=True)


def _age(seconds: float) -> str:
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.0f} h" if seconds < 2 * _DAY else f"{seconds / _DAY:.0f} d"


def _json(value: object) -> None:
    click.echo(json.dumps(value, default=str))


def grid(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a table, if it has any row."""
    show(heads, ((plain(str(cell)) for cell in row) for row in rows))
