"""`appliance alerts`, where a case becomes an incident: in hand, with tasks for people, handed over.

What lives only here: those verbs. The pages of cases do the same by the same functions
(`appliance.handling`).
"""

from __future__ import annotations

import click

from appliance.cli.alerts_desk import Desk
from appliance.cli.people_show import as_json, grid, plain
from appliance.cli.setup import Setup

_json = click.option("--json", "json", is_flag=True, help="Print JSON.")
_case, _number = click.argument("case"), click.argument("number", type=click.IntRange(1))


@click.command()
@_case
@click.option("--as", "row", default="", metavar="INCIDENT", help="What it is, by the school's own table.")
@click.pass_obj
def take(setup: Setup, *, case: str, row: str) -> None:
    """Take CASE in hand; with --as, the steps of that row of incidents.yaml become tasks for people.

    `appliance alerts incidents` shows the rows, and `show` those that are proposed for a case. Nothing of it
    is done by the gateway.
    """
    desk = Desk(setup)
    found = desk.handling.take(desk.staff, case, row)
    click.echo(f"{found.reference}: in hand, with {plain(desk.by)}", err=True)


@click.command("hand-over")
@_case
@click.argument("role")
@click.pass_obj
def hand_over(setup: Setup, *, case: str, role: str) -> None:
    """Give CASE to a ROLE of alerts.yaml, such as deputy: its people are told, and it is open again."""
    desk = Desk(setup)
    found = desk.handling.hand_over(desk.staff, case, role)
    click.echo(f"{found.reference}: handed over to {plain(role)}", err=True)


@click.command()
@_json
@click.pass_obj
def incidents(setup: Setup, *, json: bool) -> None:
    """Show the school's own table: what follows from which incident (profiles/<set>/incidents.yaml)."""
    rows = setup.loaded.policy.sets[setup.settings.school.set].incidents.rows.values()
    facts = [
        {
            "incident": row.id,
            "title": row.title,
            "who": row.who.value if row.who else "",
            "source": row.source,
            "steps": [f"{step.title}{' (held)' if step.held else ''}" for step in row.steps],
        }
        for row in rows
    ]
    if json:
        as_json(facts)
    elif facts:
        heads = ("incident", "title", "who", "source", "steps")
        grid(heads, [[*list(fact.values())[:4], "; ".join(fact["steps"])] for fact in facts])
    else:
        click.echo("the school's set has no incidents.yaml; copy that of another set", err=True)


@click.group()
def task() -> None:
    """Tasks of a case that was taken `--as` an incident: `appliance alerts show` numbers them."""


@task.command()
@_case
@_number
@click.pass_obj
def done(setup: Setup, *, case: str, number: int) -> None:
    """Say that task NUMBER of CASE was done."""
    desk = Desk(setup)
    found = desk.handling.done(desk.staff, case, number)
    click.echo(f"{found.reference}: task {number} done", err=True)


@task.command("not-needed")
@_case
@_number
@click.option("--reason", required=True, help="Why, for the record.")
@click.pass_obj
def not_needed(setup: Setup, *, case: str, number: int, reason: str) -> None:
    """Say that task NUMBER of CASE is not to be done."""
    desk = Desk(setup)
    found = desk.handling.not_needed(desk.staff, case, number, reason)
    click.echo(f"{found.reference}: task {number} not needed", err=True)


@task.command()
@_case
@_number
@click.pass_obj
def clear(setup: Setup, *, case: str, number: int) -> None:
    """Let a held task be done, such as telling parents: for the safeguarding lead to say, and nobody else."""
    desk = Desk(setup)
    found = desk.handling.clear(desk.staff, case, number)
    click.echo(f"{found.reference}: task {number} may be done", err=True)


WORKING = (take, hand_over, incidents, task)
"""The verbs of this file."""
