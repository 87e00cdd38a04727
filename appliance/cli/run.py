"""`appliance run`: start the gateway, or one worker of it."""

from __future__ import annotations

import click

from appliance import workers
from appliance.cli.setup import Setup

CANNOT = 2


@click.group(invoke_without_command=True)
@click.pass_context
def run(context: click.Context) -> int:
    """Start the gateway: workers, metrics, and what watches them. Ctrl-C ends it cleanly.

    Makes on the first start what is missing: the school's certificate authority, keys, compiled lists; then
    prints the addresses and what to try. Profiles and local lists may be edited while it runs; a broken edit
    changes nothing, not even over a restart. Settings (FILE) and a new version are taken up with SIGHUP,
    without refusing anybody. Exit status 0 after a clean end, 2 if it cannot start; `appliance check` says
    then what is wrong.
    """
    if context.invoked_subcommand is not None:
        return 0
    workers.load()
    from appliance.cli import starting  # noqa: PLC0415 - loads while the workers load

    try:
        return starting.start(context.obj)
    finally:
        workers.unload()


@run.command()
@click.pass_obj
def portal(setup: Setup) -> int:
    """Start the sign-in alone, until standard input ends (`run` starts it where identity.portal is true)."""
    from appliance import welcoming  # noqa: PLC0415 - no other verb should wait for what it needs

    welcoming.welcome(setup.settings)
    return 0


@run.command()
@click.pass_obj
def radius(setup: Setup) -> int:
    """Take network log-ins, until standard input ends (`run` starts it where identity.radius is set)."""
    from appliance import announcing  # noqa: PLC0415 - no other verb should wait for what it needs

    announcing.announce(setup.settings)
    return 0


@run.command()
@click.pass_obj
def keeper(setup: Setup) -> int:
    """Turn what is flagged into alerts, until standard input ends (`run` starts it)."""
    from appliance import alerting  # noqa: PLC0415 - no other verb should wait for what it needs

    alerting.keep(setup.settings)
    return 0


@run.command()
@click.pass_obj
def cases(setup: Setup) -> int:
    """Serve the pages of cases, until standard input ends (`run` starts it where alerts.pages is set)."""
    from appliance import casework  # noqa: PLC0415 - no other verb should wait for what it needs

    casework.serve_cases(setup.settings)
    return 0


@run.command()
@click.option("--place", default=0, show_default=True, help="Which of the workers this is: 0, 1, ...")
@click.pass_obj
def worker(setup: Setup, *, place: int) -> int:
    """Start one worker alone, in the foreground (as its own systemd unit does)."""
    settings = setup.settings
    from appliance import assembly  # noqa: PLC0415 - no other verb should wait for what a worker needs
    from appliance.loaded import serving  # noqa: PLC0415 - brings mitmproxy

    try:
        assembly.prepare(setup.to_run.settings)
        serving.work(settings)
    except serving.CANNOT_SERVE as error:
        click.echo(f"appliance: worker {place}: {error}", err=True)
        return CANNOT
    return 0
