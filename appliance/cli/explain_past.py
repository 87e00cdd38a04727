"""`appliance explain --decision ID`: a past decision, made again by the policy of that day.

What lives only here: what a record says the lists knew. The policy is the one that was in force, by its hash,
with the list and its version that the record names; so nothing that was changed since counts. What staff
had opened is judged by the override as it was granted.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click

from appliance import assembly
from appliance.cli.explain_override import made_again
from appliance.cli.log import escape
from appliance.cli.setup import Setup
from appliance.config.problems import ProblemsError
from appliance.events.queries import open_reader
from appliance.events.record import Record
from appliance.model.decision import Decision, Reason
from appliance.model.known import Floor, FloorState, Known, Match, Use
from appliance.model.person import Confidence, Person
from appliance.overrides.names import OverrideError
from appliance.policy.decide import decide

FOUND = 1
_RATED = frozenset(
    {
        Reason.ACCEPTABLE, Reason.IN_TIME, Reason.NOMINATED, Reason.ILLEGAL, Reason.UNACCEPTABLE,
        Reason.OUT_OF_TIME, Reason.NOT_NOMINATED, Reason.UNRATED,
    }
)  # fmt: skip
_USES = {Reason.HELP: Use.HELP, Reason.LOCAL_ALLOW: Use.ALLOW, Reason.LOCAL_BLOCK: Use.BLOCK}
_COMPARED = (
    "action", "reason", "because", "profile", "category", "rule", "list", "list_version", "severity",
    "flagged",
)  # fmt: skip


def explain_past(setup: Setup, reference: str, *, as_json: bool) -> int:
    """Show the decisions of this reference, each made again; 1 where none is kept, or one differs."""
    records = asyncio.run(_find(setup.state, reference.strip().upper()))
    if not records:
        click.echo(f"no decision {reference!a} is kept in the log", err=True)
    same = [_again(setup, record, as_json=as_json) for record in records]
    return 0 if same and all(same) else FOUND


async def _find(state: Path, reference: str) -> list[Record]:
    async with open_reader(state) as reader:
        return await reader.accesses(reference=reference, ordinary=True)


def _again(setup: Setup, record: Record, *, as_json: bool) -> bool:
    known, by_staff = _known(record), record.reason == Reason.OVERRIDE
    if known is None and not by_staff:
        words, differs = "no profile decided this: it was closed or opened before any was asked", {}
    else:
        try:
            made = _decided(setup, record, known)
            differs = {name: (_was(record, name), _is(made, name)) for name in _COMPARED}
            differs = {name: pair for name, pair in differs.items() if pair[0] != pair[1]}
            words = "made again, it comes out differently" if differs else "made again, it comes out the same"
        except (ProblemsError, OverrideError) as error:
            words, differs = f"it cannot be made again: {error}", {"policy_version": ("", "")}
    if as_json:
        shown = {name: getattr(record, name) for name in (*_COMPARED, "reference", "host", "policy_version")}
        click.echo(json.dumps(shown | {"at": record.at.isoformat(), "again": words, "differs": differs}))
    else:
        _show(record, words, differs)
    return not differs


def _known(record: Record) -> Known | None:
    """Return what the lists said, as far as the record tells; None where they did not decide."""
    floor, reason = Floor(FloorState.OK), Reason(record.reason)
    categories = (record.category,) if record.category else ()
    if reason in (Reason.UNLISTED, Reason.UNLISTED_BLOCKED):
        return Known(floor)
    if reason in _RATED:
        return Known(floor, (Match(record.list, record.list_version, "", categories),))
    if reason in _USES:
        own = Match(record.list, record.list_version, record.host, (), _USES[reason], record.because)
        return Known(floor, (own, *([Match("", "", "", categories)] if categories else [])))
    return None


def _decided(setup: Setup, record: Record, known: Known | None) -> Decision:
    policy = assembly.snapshots(setup.settings).open(record.policy_version)
    school = policy.sets[setup.settings.school.set]
    if known is None:
        return made_again(setup.state, record, policy, school)
    profile = school.profiles.get(record.profile) or school.profiles[school.strictest]
    person = Person(record.group, record.source, Confidence(record.confidence), record.name)
    return decide(known, person, record.at, profile, policy.categories, policy.version)


def _was(record: Record, name: str) -> str | int:
    value: str | int = getattr(record, name)
    return value


def _is(made: Decision, name: str) -> str | int:
    value = getattr(made, name)
    return int(value) if name in ("severity", "flagged") else str(value)


def _show(record: Record, words: str, differs: dict[str, tuple[str | int, str | int]]) -> None:
    gone = "(not kept: statutory list)" if record.floor else "(the address is past its days)"
    lines = [
        f"{record.action.upper()}  {record.url or record.host or gone}",
        f"  when      {record.at.astimezone():%Y-%m-%d %H:%M:%S}, reference {record.reference}",
        f"  as        {record.profile} ({record.source})",
        f"  reason    {record.reason} {record.category}".rstrip(),
        f"  because   {record.because}",
        f"  rule      {record.rule}",
        f"  list      {record.list} (version {record.list_version})" if record.list else "",
        f"  policy    {record.policy_version}",
        f"  again     {words}",
        *(f"  {name}: then {was!r}, again {now!r}" for name, (was, now) in differs.items()),
    ]
    for line in lines:
        if line:
            click.echo(escape(line))
