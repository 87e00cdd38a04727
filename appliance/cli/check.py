"""`appliance check`: everything that `run` would refuse, all at once."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import click

from appliance import assembly
from appliance.cli.setup import Setup
from appliance.config import lint as rules
from appliance.config.problems import Problem, ProblemsError
from appliance.config.written import read_written
from appliance.gateway.ca import expired

FOUND = 1


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for a program.")
@click.option("--lint", is_flag=True, help="Say instead what the school should decide: blanks and clashes.")
@click.pass_obj
def check(setup: Setup, *, as_json: bool, lint: bool) -> int:
    """Check configuration, profiles, categories and catalogue, as `run` would read them.

    Prints `file:line:column: what is wrong, and what else was possible`. Exit status 0 if `run` would
    start, 1 if something is wrong, 2 if the configuration file itself cannot be opened. With --lint: what the
    school should decide about its own policy, by file and line; 1 if there is anything.
    """
    if not setup.config.is_file():
        click.echo(f"appliance: {setup.config}: there is no such file; name one with --config", err=True)
        return 2
    if lint:
        return _lint(setup, as_json=as_json)
    problems: tuple[Problem, ...] = ()
    notes: list[str] = []
    try:
        loaded = assembly.load(setup.config)
        notes = assembly.notes(loaded)
        if text := expired(loaded.settings.state / "ca", datetime.now(UTC)):
            problems = (Problem(str(loaded.settings.state / "ca/ca.pem"), 1, 1, text),)
    except ProblemsError as error:
        problems = error.problems
    if as_json:
        _print_json(problems, notes)
    else:
        _print(problems, notes)
    return FOUND if problems else 0


def _lint(setup: Setup, *, as_json: bool) -> int:
    policy, profiles = setup.loaded.policy, setup.settings.paths.profiles
    found = rules.lint(read_written(profiles), policy)
    for each in found:
        click.echo(json.dumps(each._asdict()) if as_json else str(each))
    click.echo(f"{len(found)} questions to the school; the stricter reading is in force", err=True)
    return FOUND if found else 0


def _print(problems: tuple[Problem, ...], notes: list[str]) -> None:
    for problem in problems:
        click.echo(str(problem))
    for note in notes:
        click.echo(f"note: {note}", err=True)
    count = len(problems)
    if count:
        click.echo(f"{count} problem{'s' if count > 1 else ''} found; nothing was changed", err=True)
    else:
        click.echo("everything is in order", err=True)


def _print_json(problems: tuple[Problem, ...], notes: list[str]) -> None:
    shown = [{"file": p.file, "line": p.line, "column": p.column, "message": p.message} for p in problems]
    json.dump({"ok": not problems, "problems": shown, "notes": notes}, sys.stdout)
    click.echo()
