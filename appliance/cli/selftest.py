"""`appliance selftest`: the filter shows that it filters, and each time it did stands in the audit.

What lives only here: how a test is told and recorded. Reports count these records (`summing`).
"""

from __future__ import annotations

from datetime import UTC, datetime

import click

from appliance import selftesting
from appliance.cli.alerts_desk import moment
from appliance.cli.people_show import as_json, grid
from appliance.cli.setup import Setup
from appliance.events.audit import Trail
from appliance.reports.trials import BY_HAND, FAILED, PASSED, SELFTEST
from appliance.selftesting import GATEWAY, Found

FAILURE = 1


@click.group()
def selftest() -> None:
    """Show that the filter works, and keep a record of it for the reports (DfE: at least each term).

    The lists and the policy are asked for every group, and the gateway that runs from this machine.
    """


@selftest.command()
@click.option("--yes", is_flag=True, help="Ask nothing, as for a timer.")
@click.pass_obj
def run(setup: Setup, *, yes: bool) -> int:
    """Ask for what `selftest.probes` names: whether it is blocked, or open, for every group.

    What is blocked for all is also asked of the gateway that runs, as any device would, and must be in the
    log with its reason: a flagged access from this machine's own address, of which the safeguarding lead is
    told as of any other. Tell them beforehand. What would not be blocked is asked of the lists alone, and its
    site is not contacted. Exit status 1 where something is not as it should be.
    """
    if setup.settings.alerts.deliver and not yes:
        click.confirm(
            "The safeguarding lead will be told of these test accesses, as of any other. Go on?",
            abort=True,
            err=True,
        )
    try:
        found, closed = selftesting.judged(setup.counting)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    found += selftesting.asked(setup.settings, closed)
    _show(found)
    wrong = [one for one in found if not one.good]
    setup.note(
        SELFTEST, FAILED if wrong else PASSED,
        groups=", ".join(dict.fromkeys(one.whom for one in found if one.whom != GATEWAY)),
        checks=float(len(found)), failed=float(len(wrong)),
        gateway="asked" if any(one.whom == GATEWAY for one in found) else "not asked",
        what_failed="; ".join(f"{one.probe}, {one.whom}: {one.words}" for one in wrong),
    )  # fmt: skip
    return FAILURE if wrong else 0


@selftest.command()
@click.argument("title")
@click.option("--outcome", required=True, type=click.Choice([PASSED, FAILED]), help="What it came to.")
@click.option("--on", "device", required=True, help="On which device, and where: 'tablet 14, library'.")
@click.option("--as", "group", required=True, help="As whom: 'ks2', 'guest'.")
@click.option("--note", "words", default="", help="What was seen; where a certificate is kept.")
@click.pass_obj
def record(setup: Setup, *, title: str, outcome: str, device: str, group: str, words: str) -> None:
    """Record a test that somebody made on a device, such as testfiltering.com (DFE-V4, S-50).

    For example: selftest record testfiltering.com --outcome passed --on 'tablet 14, library' --as ks2
    """
    if not (title.strip() and device.strip() and group.strip()):
        raise click.UsageError("say which test, on which device, and as whom")
    setup.note(
        BY_HAND, outcome, test=title.strip(), on=device.strip(), group=group.strip(), note=words.strip()
    )
    click.echo("recorded; reports count it", err=True)


@selftest.command("list")
@click.option("--json", "json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_(setup: Setup, *, json: bool) -> int:
    """Show every test on record: when, by whom, and what it came to. Exit status 1 where there is none."""
    rows = [one for one in Trail(setup.state).entries() if one.get("what") in (SELFTEST, BY_HAND)]
    if json:
        as_json(rows)
    elif rows:
        heads = ("when", "by", "test", "outcome", "details")
        grid(heads, [(_when(one), one["by"], _title(one), one["whom"], _details(one)) for one in rows])
    else:
        click.echo("no test is on record; begin with `appliance selftest run`", err=True)
    return 0 if rows else FAILURE


def _when(entry: dict[str, str]) -> str:
    return moment(datetime.fromisoformat(entry["at"]).astimezone(UTC))


def _title(entry: dict[str, str]) -> str:
    return entry.get("test", "self-test")


def _details(entry: dict[str, str]) -> str:
    names = ("on", "group", "note", "gateway", "what_failed")
    return "; ".join(f"{name.replace('_', ' ')}: {entry[name]}" for name in names if entry.get(name))


def _show(found: list[Found]) -> None:
    rows = [("" if one.good else "WRONG", one.probe, one.whom, one.words) for one in found]
    grid(("", "test", "for", "what happened"), rows)
    if not any(one.whom == GATEWAY for one in found):
        click.echo(
            "note: the gateway that runs was not asked: nothing here is blocked for all, or it has no "
            "gateway.listen",
            err=True,
        )
    wrong = sum(not one.good for one in found)
    click.echo(
        f"{len(found)} checks, {wrong} not as they should be" if wrong else f"{len(found)} checks, all good"
    )
