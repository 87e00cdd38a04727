"""How overrides look: a table with the minutes left, one with all its steps, JSON for programs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from zoneinfo import ZoneInfo

import click

from appliance.cli.people_show import as_json as print_json
from appliance.cli.people_show import grid, plain
from appliance.model.need import Need
from appliance.overrides.report import Visit
from appliance.overrides.reports import MAIL, Kept, Unread
from appliance.overrides.shown import minutes_left, opens, people
from appliance.overrides.times import at_school
from appliance.overrides.written import Override, Step

PAST = "(past its days)"
"""Stands in a report for sites that may not be kept any more."""

_NAMED = 10
_HEADS = ("number", "state", "left", "opens", "for", "until", "by", "subject")


def notes(texts: Iterable[str]) -> None:
    """Print what should be known, on stderr."""
    for text in dict.fromkeys(texts):
        click.echo(plain(f"note: {text}"), err=True)


def table(
    found: list[Override], now: float, zone: ZoneInfo, *, as_json: bool, unread: Collection[Unread] = ()
) -> None:
    """Print overrides, one a row, and whose reports wait to be read by whoever granted them."""
    if unread:
        notes([waiting(unread)])
    rows = [facts(one, now, zone) for one in found]
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo("nothing is open by an override, and nothing waits", err=True)
        return
    grid(_HEADS, [[row[head] for head in _HEADS] for row in rows])


def waiting(unread: Collection[Unread]) -> str:
    """Return which reports wait for whom, in one sentence."""
    first = ", ".join(f"{one.number} (for {one.granted_by})" for one in list(unread)[:_NAMED])
    more = f" and {len(unread) - _NAMED} more" if len(unread) > _NAMED else ""
    return (
        f"the report of override {first}{more} is ready, and was not read yet by whoever granted it: "
        "`appliance overrides show NUMBER --report --by NAME --purpose TEXT`"
    )


def report_line(kept: Kept | None, zone: ZoneInfo, granter: str) -> str:
    """Return how the report of an override stands; an empty text where there is none."""
    if kept is None:
        return ""
    sums = f"{kept.accesses} accesses, {kept.people} people or devices, {kept.sites} sites"
    mailed = ", a mail said so" if kept.told == MAIL else ""
    read = f"read by {granter}" if kept.read_at else f"not read by {granter} yet"
    return (
        f"made {at_school(kept.made, zone)}{mailed}: {sums}; {read} {at_school(kept.read_at, zone)}".rstrip()
    )


def one(
    override: Override,
    steps: list[Step],
    now: float,
    zone: ZoneInfo,
    *,
    as_json: bool,
    report: list[Visit] | None = None,
    said: Iterable[str] = (),
    needs: Iterable[Need] = (),
    kept: Kept | None = None,
) -> None:
    """Print one override with its steps; with `report` what was visited under it.

    `said` is what was written on the block page, `needs` what its pages have named of other sites, `kept`
    how the report that was made after its end stands.
    """
    parts = [need_facts(need) for need in needs]
    pages = {part["site"]: part["for"] for part in parts}
    found = facts(override, now, zone) | ({"said": " / ".join(said)} if said else {})
    if line := report_line(kept, zone, override.granted_by):
        found["report"] = line
    done = [
        {"at": at_school(step.at, zone), "state": step.state.value, "by": step.by, "note": step.note}
        for step in steps
    ]
    visited = [
        {
            "who": visit.who,
            "site": visit.host or PAST,
            "as": f"part of {pages[visit.host]}" if visit.host in pages else "",
            "times": visit.times,
            "first": at_school(visit.first, zone),
            "last": at_school(visit.last, zone),
        }
        for visit in report or ()
    ]
    if as_json:
        print_json(
            {**found, "steps": done, "needs": parts, **({} if report is None else {"visited": visited})}
        )
        return
    grid(("", ""), found.items())
    grid(("at", "state", "by", "note"), [list(step.values()) for step in done])
    if parts:
        grid(("its pages need", "for", "which is", "because"), [list(part.values()) for part in parts])
    if report is not None:
        grid(("who", "site", "as", "times", "first", "last"), [list(visit.values()) for visit in visited])
        click.echo(f"{sum(visit.times for visit in report)} accesses under this override", err=True)


def need_facts(need: Need) -> dict[str, str]:
    """Return what is shown of something that a page needs."""
    state = "closed" if need.refused else "closed again" if need.dropped else "open as a part of it"
    return {"site": need.host, "for": need.page, "state": state, "because": need.refused}


def facts(override: Override, now: float, zone: ZoneInfo) -> dict[str, Any]:
    """Return what is shown of one override."""
    wish, left = override.wish, minutes_left(override, now)
    return {
        "number": override.number,
        "state": override.state.value,
        "left": "" if left is None else f"{left} min",
        "opens": opens(wish.what),
        "with it": "what its pages need" if wish.learns else "nothing else",
        "for": people(wish.whom),
        "from": at_school(wish.starts, zone),
        "until": at_school(wish.ends, zone),
        "by": override.granted_by or f"asked by {override.asked_by}",
        "role": override.role,
        "asked by": override.asked_by,
        "subject": wish.subject,
        "reason": wish.reason,
        "ended": at_school(override.ended_at, zone),
        **({"review": wish.review} if wish.review else {}),
    }
