"""`appliance log`: what was asked and answered, on a terminal or for a program.

What lives only here: how a record looks there, and that a name is shown for a purpose alone. Everything in
it may come from a pupil's browser or a hostile site, so nothing is printed that a terminal would obey.
"""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import click

from appliance.cli.tables import show
from appliance.events.errors import EventsError
from appliance.events.queries import LIMIT, open_reader
from appliance.events.record import Record
from appliance.model.words import said

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"([0-9]{1,6})\s*([smhdw])", re.ASCII)
_FLAGS = ("floor", "flagged")
_HEADS = ("time", "who", "device", "action", "reason", "address", "reference")
_EVERYBODY = "everybody"
"""Whom the audit names where nobody's log in particular is looked at, with names."""

_LEFT_OUT = "names are left out; --purpose TEXT shows them, and puts the look into the audit"
_SHOWN = 240
"""Characters of an address in the table; `--json` gives all of it."""


class Context(Protocol):
    """What the command needs from `ctx.obj`."""

    @property
    def state(self) -> Path:
        """The folder where the gateway writes."""

    def note(self, what: str, whom: str, **details: str | float | None) -> None:
        """Put what was done into the audit."""


class Duration(click.ParamType[timedelta]):
    """A span such as 30m, 1h or 2d."""

    name = "duration"

    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Read the text; a problem names what would be possible."""
        if isinstance(value, timedelta):
            return value
        found = _DURATION.fullmatch(value.strip().lower())
        if not found or not int(found[1]):
            self.fail(
                f"{escape(value)!r} is no span of time; write a number and a unit, "
                "such as 90s, 30m, 1h, 2d or 4w",
                param,
                ctx,
            )
        return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


@click.command("log")
@click.option("--flagged", is_flag=True, help="Only what was blocked or is watched.")
@click.option("--since", type=Duration(), metavar="SPAN", help="Only the last 30m, 1h, 2d, ...")
@click.option(
    "--limit",
    type=click.IntRange(1, LIMIT),
    default=100,
    show_default=True,
    help="The newest so many, oldest first.",
)
@click.option("--person", default="", metavar="NAME", help="Only what NAME did; needs --purpose.")
@click.option("--purpose", default="", metavar="TEXT", help="Show names, and put into the audit why.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
@click.pass_obj
def log(
    obj: Context,
    *,
    flagged: bool,
    since: timedelta | None,
    limit: int,
    person: str,
    purpose: str,
    as_json: bool,
) -> None:
    """Show what was asked and what the gateway answered, in this machine's local time, the newest last.

    Who asked is shown by group and device; with --purpose also by name. Then who looks, at whose log, and why
    stands in the audit before anything is shown. In --json a name that is left out is null.

    The exit status is 0 when the log could be read, even if nothing in it fits, and 2 when not.
    """
    named = bool(said(purpose))
    if (person or purpose) and not named:
        raise click.UsageError("a person's log is shown for a purpose: give --purpose, with words")
    if named:
        span = str(since) if since else "all"
        whom = person or _EVERYBODY
        obj.note("log-look-up", whom, purpose=said(purpose), since=span, flagged=str(flagged))
    try:
        records = asyncio.run(_read(obj.state, flagged=flagged, since=since, limit=limit, person=person))
    except EventsError as error:
        click.echo(f"appliance log: {error}", err=True)
        raise click.exceptions.Exit(2) from error
    if as_json:
        for record in records:
            click.echo(as_line(record, named=named))
    elif records:
        show(_HEADS, (tuple(map(escape, _cells(record, named=named))) for record in records))
        if not named and any(record.name for record in records):
            click.echo(f"appliance log: {_LEFT_OUT}", err=True)
    else:
        click.echo("appliance log: nothing recorded that fits", err=True)


def escape(text: str) -> str:
    """Return `text` with everything visible: controls, bidi marks and half characters as escapes."""
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() else _visible(mark) for mark in text)


def as_line(record: Record, *, named: bool = True) -> str:
    """Return one record as a line of JSON: ASCII only, with the time in UTC; `named` false: without name."""
    values: dict[str, Any] = record._asdict()
    if not named and record.name:
        values["name"] = None
    values["time"] = record.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for flag in _FLAGS:
        values[flag] = bool(values[flag])
    # JSON leaves DEL as it is, and a terminal may not.
    return json.dumps(values).replace("\x7f", "\\u007f")


async def _read(
    state: Path, *, flagged: bool, since: timedelta | None, limit: int, person: str
) -> list[Record]:
    start = None if since is None else _before(since)
    async with open_reader(state) as reader:
        return await reader.accesses(since=start, flagged=flagged, person=person, limit=limit)


def _before(span: timedelta) -> datetime | None:
    try:
        return datetime.now(UTC) - span
    except OverflowError:
        return None  # before the year 1: everything


def _cells(record: Record, *, named: bool) -> tuple[str, ...]:
    address = record.url or record.host or ("(not kept: statutory list)" if record.floor else "")
    why = f"{record.reason} {record.category}".strip()
    return (
        f"{record.at.astimezone():%Y-%m-%d %H:%M:%S}",
        f"{record.name} ({record.group})" if named and record.name else record.group,
        record.device or record.client,
        record.action,
        why,
        address if len(address) <= _SHOWN else f"{address[:_SHOWN]}…",
        record.reference,
    )


def _visible(mark: str) -> str:
    # backslash-n would do as well as backslash-x0a, but one form is easier to look for.
    short = {"\n": "\\x0a", "\r": "\\x0d", "\t": "\\x09"}
    return short.get(mark) or ascii(mark)[1:-1]
