"""`appliance alerts`: the cases that people were told of, and what becomes of them.

What lives only here: how a case looks on a terminal. Who it is about is shown here alone, and each such look
stands in the audit trail.
"""

from __future__ import annotations

from datetime import timedelta

import click

from appliance import alerting
from appliance.alerts import cases, ladder, recipients
from appliance.alerts.alarms import Closed
from appliance.alerts.cases import FEW
from appliance.alerts.status import Standing, standing
from appliance.cli.alerts_desk import Desk, moment
from appliance.cli.alerts_incidents import WORKING
from appliance.cli.log import Duration
from appliance.cli.people_show import as_json, grid, plain
from appliance.cli.setup import Setup
from appliance.reports.trials import ALERTS

FOUND = 1
_json = click.option("--json", "json", is_flag=True, help="Print JSON.")
_HEADS = ("case", "severity", "theme", "state", "hits", "first", "last", "group", "useful")


@click.group()
def alerts() -> None:
    """Cases: what was flagged and somebody was told of, grouped by person and theme.

    Messages that leave the gateway hold a case's reference and no personal details; those are shown here.
    """


for _verb in WORKING:
    alerts.add_command(_verb)


@alerts.command("list")
@click.option("--all", "everything", is_flag=True, help="Also closed ones, and those nobody was told of.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@_json
@click.pass_obj
def list_(setup: Setup, *, everything: bool, limit: int, json: bool) -> None:
    """Show the cases that are not closed, the newest last; without names, which `show` has."""
    desk = Desk(setup)
    found = desk.handling.all(desk.staff, everything=everything, limit=limit)
    if json:
        as_json([_facts(case) for case in found])
    elif found:
        grid(_HEADS, [[_facts(case)[head] for head in _HEADS] for case in found])
    else:
        click.echo("there is no case that is not closed", err=True)


@alerts.command()
@click.argument("case")
@click.option("--purpose", default="", metavar="TEXT", help="Why it is looked at, for the audit.")
@_json
@click.pass_obj
def show(setup: Setup, *, case: str, purpose: str, json: bool) -> None:
    """Show everything of one CASE: who, what was seen when, who was told, tasks, notes. The look is audited.

    Each access has its reference: `appliance log --flagged` shows more of it. Of illegal material there is
    nothing more, anywhere.
    """
    desk = Desk(setup)
    look = desk.handling.look(desk.staff, case, purpose)
    found = look.case
    facts = {"who": found.subject, **_facts(found), "rules": ", ".join(look.rules)}
    facts |= {"by": found.by, "in hand with": found.holder, "outcome": found.outcome}
    facts |= {"proposed": ", ".join(row.id for row in look.proposed)}
    parts = (
        ("seen", ("at", "reference", "category"), look.hits),
        ("told", ("at", "what", "to", "state", "error"), look.sent),
        ("notes", ("at", "by", "text"), look.notes),
    )
    tasks = [(t.number, t.title, t.source, t.state, t.by, moment(t.at), t.reason) for t in look.tasks]
    task_heads = ("number", "title", "source", "state", "by", "at", "reason")
    if json:
        lists = {
            title: [dict(zip(heads, (moment(at), *rest), strict=True)) for at, *rest in rows]
            for title, heads, rows in parts
        }
        as_json({**facts, **lists, "tasks": [dict(zip(task_heads, row, strict=True)) for row in tasks]})
        return
    grid(("", ""), [(name, value) for name, value in facts.items() if value != ""])
    if tasks:
        click.echo("\ntasks for people:")
        grid(task_heads, tasks)
    for title, heads, rows in parts:
        if rows:
            click.echo(f"\n{title}:")
            grid(heads, [[moment(at), *rest] for at, *rest in rows])


@alerts.command()
@click.argument("case")
@click.pass_obj
def ack(setup: Setup, *, case: str) -> None:
    """Say that you look after CASE: nobody else is called for it any more."""
    desk = Desk(setup)
    found = desk.handling.acknowledge(desk.staff, case)
    click.echo(f"{found.reference}: acknowledged", err=True)


@alerts.command()
@click.argument("case")
@click.option("--outcome", required=True, help="What came of it, for the record.")
@click.option(
    "--quiet",
    type=Duration(),
    metavar="SPAN",
    help="Tell nothing of the same theme and person for 1d, 2w, ... (12w at most).",
)
@click.pass_obj
def close(setup: Setup, *, case: str, outcome: str, quiet: timedelta | None) -> None:
    """End CASE with its outcome; what is seen after this is a new case.

    With --quiet the same theme of the same person is recorded and told to nobody for a while; anything more
    severe, and any other theme, is told all the same. Tasks that are open are done first, or not needed.
    """
    desk = Desk(setup)
    found = desk.handling.close(desk.staff, case, outcome, quiet=quiet)
    click.echo(f"{found.reference}: closed", err=True)


@alerts.command()
@click.argument("case")
@click.argument("text")
@click.pass_obj
def note(setup: Setup, *, case: str, text: str) -> None:
    """Write TEXT down in CASE; nothing that was written is ever changed."""
    desk = Desk(setup)
    found = desk.handling.note(desk.staff, case, text)
    click.echo(f"{found.reference}: noted", err=True)


@alerts.command()
@click.argument("case")
@click.option("--not", "useless", is_flag=True, help="It was of no use.")
@click.pass_obj
def useful(setup: Setup, *, case: str, useless: bool) -> None:
    """Say that it was good to be told of CASE, or not: rules that cry wolf are named by `status`."""
    desk = Desk(setup)
    found = desk.handling.judge(desk.staff, case, useful=not useless)
    click.echo(f"{found.reference}: {'not useful' if useless else 'useful'}", err=True)


@alerts.command()
@click.argument("token")
@click.pass_obj
def confirm(setup: Setup, *, token: str) -> None:
    """Say that mails arrive at an address: TOKEN stands in the mail that asked. Alerts go there then."""
    desk = Desk(setup)
    addresses = alerting.directory(desk.settings).addresses
    with desk.book.writing() as db:
        address = recipients.confirm(db, addresses, token, desk.now)
    desk.note("alert-confirm", address)
    click.echo(f"{plain(address)}: confirmed; alerts are sent there", err=True)


@alerts.command()
@click.pass_obj
def test(setup: Setup) -> int:
    """Send a test to everybody in the settings, by every way; `status` shows how it went.

    Exit status 1 where nobody could be told: alerts.deliver is false, or no gateway runs to send it.
    """
    desk = Desk(setup)
    if not desk.settings.alerts.deliver:
        click.echo("alerts.deliver is false: nobody is told of anything", err=True)
        return FOUND
    with desk.book.writing() as db:
        count = ladder.test(db, alerting.directory(desk.settings), desk.now)
    desk.note(ALERTS, f"{count} messages", test=ladder.test_name(desk.now))
    click.echo(f"{count} tests are on their way; `appliance alerts status` shows how they went", err=True)
    return 0


@alerts.command()
@_json
@click.pass_obj
def status(setup: Setup, *, json: bool) -> int:
    """Show how alerts stand: what waits, what failed and why, who has not confirmed, how precise rules are.

    Exit status 1 where somebody who is to be told cannot be.
    """
    desk = Desk(setup)
    with desk.book.reading() as db:
        found = standing(db, alerting.directory(desk.settings), desk.now)
    deliver = desk.settings.alerts.deliver
    if json:
        _status_json(found, deliver=deliver)
    else:
        _status(found, deliver=deliver)
    return 0 if found.good or not deliver else FOUND


def _status(found: Standing, *, deliver: bool) -> None:
    lines = [
        ("alerts are delivered", "yes" if deliver else "no: alerts.deliver is false, nobody is told"),
        ("cases not acknowledged", found.unacknowledged),
        ("messages that wait", found.waiting),
        ("the oldest waits for", f"{found.oldest:.0f} s" if found.waiting else ""),
        ("refused or given up", found.undelivered),
        ("alerts that have nobody confirmed to go to", found.without_recipient),
        ("not confirmed yet", ", ".join(found.unconfirmed)),
        *((f"THE GATE IS CLOSED ({one.kind})", _closed(one)) for one in found.closed),
        (f"rules of whose alerts most were of no use, by {FEW} answers or more", ", ".join(found.poor)),
    ]
    grid(("", ""), [(name, value) for name, value in lines if value != ""])
    if found.stuck:
        click.echo("\nnot delivered:")
        rows = [(s.channel, s.address, s.state, s.count, moment(s.since), s.error) for s in found.stuck]
        grid(("by", "to", "state", "messages", "since", "what the other side said"), rows)
    if found.precision:
        click.echo("\nrules, by what staff said of their alerts:")
        answers = [
            (p.rule, p.useful, p.useless, "poor: look at this rule" if p.poor else "")
            for p in found.precision
        ]
        grid(("rule", "useful", "not", ""), answers)


def _closed(one: Closed) -> str:
    return f"{one.count} requests refused since {moment(one.since)}, the last at {moment(one.last)}"


def _status_json(found: Standing, *, deliver: bool) -> None:
    as_json(
        {
            "deliver": deliver,
            "good": found.good,
            "waiting": found.waiting,
            "oldest_seconds": round(found.oldest, 1),
            "undelivered": found.undelivered,
            "without_recipient": found.without_recipient,
            "unacknowledged": found.unacknowledged,
            "unconfirmed": list(found.unconfirmed),
            "closed": [
                {"kind": one.kind, "since": moment(one.since), "refused": one.count} for one in found.closed
            ],
            "stuck": [
                {
                    "channel": s.channel,
                    "address": s.address,
                    "state": s.state,
                    "messages": s.count,
                    "error": s.error,
                }
                for s in found.stuck
            ],
            "rules": [
                {"rule": p.rule, "useful": p.useful, "not": p.useless, "poor": p.poor}
                for p in found.precision
            ],
        }
    )


def _facts(case: cases.Case) -> dict[str, object]:
    return {
        "case": case.reference,
        "severity": case.severity.name.lower(),
        "theme": case.title,
        "state": case.state if case.told else "nobody was told",
        "hits": case.count,
        "first": moment(case.first),
        "last": moment(case.last),
        "group": case.group,
        "useful": "" if case.useful is None else "yes" if case.useful else "no",
    }
