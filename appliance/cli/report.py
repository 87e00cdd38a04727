"""`appliance report`: figures for those who answer for the school, and bundles that may leave the gateway.

What lives only here: which span a report is of, and that each one that is made by hand stands in the audit.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from appliance import summing
from appliance.cli.report_case import case
from appliance.cli.report_people import OF_PEOPLE
from appliance.cli.setup import Setup
from appliance.model.profile import Policy
from appliance.reports.bundle import ReportError, write_new

_day = click.DateTime(["%Y-%m-%d"])
_ENDINGS = (".html", ".pdf")
_TERM = timedelta(weeks=13)


@click.group()
def report() -> None:
    """Reports, a case or one person's own data as a bundle, and what is past its days."""


def _spanned[F](command: F) -> F:
    for option in (
        click.option(
            "--to",
            required=True,
            type=click.Path(path_type=Path),
            help="New file (.html or .pdf), or a folder: both.",
        ),
        click.option("--until", "end", type=_day, help="The last day; today by default."),
        click.option("--from", "begin", type=_day, help="The first day."),
    ):
        command = option(command)  # type: ignore[type-var] # an option returns what it was given
    return command


@report.command()
@_spanned
@click.pass_obj
def weekly(setup: Setup, *, to: Path, begin: datetime | None, end: datetime | None) -> None:
    """Make the safeguarding team's report of the last seven days: every number, nobody's name.

    It is confidential: small numbers may point to a child. `run` makes one each week (reports.weekly).
    """
    _make(setup, summing.WEEKLY, to, begin, end, timedelta(days=7))


@report.command()
@_spanned
@click.pass_obj
def termly(setup: Setup, *, to: Path, begin: datetime | None, end: datetime | None) -> None:
    """Make the governors' report of the last thirteen weeks: what fewer than five people did is hidden.

    So is what would give it away. `run` makes one at the end of each term (reports.termly).
    """
    _make(setup, summing.TERMLY, to, begin, end, _TERM)


@report.command()
@click.pass_obj
def due(setup: Setup) -> None:
    """Make the reports that are due and not there yet, into STATE/reports; `run` does so by itself."""
    for made in summing.make_due(setup.settings, setup.loaded.policy, datetime.now(UTC)):
        click.echo(str(made.path))
        click.echo(f"{made.path.name} was made by {made.printer}", err=True)


def _make(
    setup: Setup, kind: str, to: Path, begin: datetime | None, end: datetime | None, span: timedelta
) -> None:
    folder = to.is_dir()
    if not folder and to.suffix not in _ENDINGS:
        raise click.UsageError(f"{to} is no folder and ends in neither .html nor .pdf")
    policy = setup.loaded.policy
    since, until = _span(policy, setup.settings.school.set, begin, end, span)
    made = summing.files(summing.paper(setup.settings, policy, kind, since, until))
    wanted = (
        {to / f"{kind}-{until:%Y-%m-%d}{ending}": ending for ending in _ENDINGS}
        if folder
        else {to: to.suffix}
    )
    for path in wanted:
        if path.exists():
            raise ReportError(f"{path}: there is a file already; give another name")
    for path, ending in wanted.items():
        write_new(path, made.data[ending])
        by = f" (made by {made.printer})" if ending == ".pdf" else ""
        click.echo(f"{path}{by}", err=True)
    setup.note("report", kind, since=since.isoformat(), until=until.isoformat())


def _span(
    policy: Policy, set_id: str, begin: datetime | None, end: datetime | None, span: timedelta
) -> tuple[datetime, datetime]:
    zone: ZoneInfo = policy.sets[set_id].zone
    now = datetime.now(zone)
    # A day is the school's, from midnight to midnight, also where the clocks change.
    until = now if end is None else min(now, (end + timedelta(days=1)).replace(tzinfo=zone))
    since = until - span if begin is None else begin.replace(tzinfo=zone)
    if since >= until:
        raise click.UsageError("--from must be before --until, and in the past")
    return since, until


for command in (case, *OF_PEOPLE):
    report.add_command(command)
