"""`appliance run`: start the gateway, or one worker of it."""

from __future__ import annotations

import fcntl
import os
import pwd
from pathlib import Path
from typing import IO

import click

from appliance import assembly, processes
from appliance.cli.announce import announce
from appliance.cli.setup import Setup
from appliance.events.errors import EventsError
from appliance.gateway.ca import AuthorityError
from appliance.gateway.listen import WorkerError
from appliance.supervisor import StartError

CANNOT = 2


@click.group(invoke_without_command=True)
@click.pass_context
def run(context: click.Context) -> int:
    """Start the gateway: workers, metrics, and what watches them. Ctrl-C ends it cleanly.

    Makes on the first start what is missing: the school's certificate authority, keys, compiled lists; then
    prints the addresses and what to try. Profiles and local lists may be edited while it runs; a broken edit
    changes nothing, not even over a restart. Settings (FILE) need a restart. Exit status 0 after a clean end,
    2 if it cannot start; `appliance check` says then what is wrong.
    """
    if context.invoked_subcommand is not None:
        return 0
    setup: Setup = context.obj
    loaded = setup.to_run
    try:
        with _only_one(loaded.settings.state):
            for note in assembly.notes(loaded):
                click.echo(f"note: {note}", err=True)
            click.echo(f"appliance: starting with {setup.config} ...", err=True)
            processes.supervise(
                loaded,
                lambda: assembly.prepare(loaded.settings),
                lambda: announce(loaded.settings, setup.config),
            )
    except (StartError, AuthorityError) as error:
        click.echo(f"appliance: {error}", err=True)
        return CANNOT
    click.echo("appliance: ended", err=True)
    return 0


@run.command()
@click.option("--place", default=0, show_default=True, help="Which of the workers this is: 0, 1, ...")
@click.option("--supervised", is_flag=True, hidden=True, help="Started by `run`, which has prepared all.")
@click.pass_obj
def worker(setup: Setup, *, place: int, supervised: bool) -> int:
    """Start one worker alone, in the foreground (as its own systemd unit does)."""
    settings = setup.settings
    from appliance import serving  # noqa: PLC0415 - brings mitmproxy: no other verb should wait for it

    try:
        if supervised:
            if not serving.wait_for_go():
                return 0
        else:
            assembly.prepare(setup.to_run.settings)
        serving.work(settings, supervised=supervised)
    except (WorkerError, AuthorityError, EventsError) as error:
        click.echo(f"appliance: worker {place}: {error}", err=True)
        return CANNOT
    return 0


def _only_one(state: Path) -> IO[str]:
    _refuse_to_be_root(state)
    # Two gateways on one state folder would publish policies and wipe metrics under each other.
    state.mkdir(parents=True, exist_ok=True)
    lock = (state / "appliance.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise StartError(
            f"another gateway runs with {state}; end it, or set APPLIANCE_STATE to another folder"
        ) from None
    return lock


def _refuse_to_be_root(state: Path) -> None:
    # What root wrote, the gateway's own user could not read at its next start: the gate would stay closed.
    if os.geteuid() == 0 and state.exists() and (owner := state.stat().st_uid) != 0:
        name = pwd.getpwuid(owner).pw_name if owner in {user.pw_uid for user in pwd.getpwall()} else owner
        raise StartError(
            f"{state} belongs to the user {name}; run the gateway as that user (sudo -u {name} ...), "
            "or start its service: systemctl start appliance"
        )
