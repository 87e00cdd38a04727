"""What `appliance run` does: start the gateway once, and print what to try.

What lives only here: that one state folder serves one gateway, and the words at the start. Apart from
`run`, because all that is imported here loads while the workers load.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import sys
from pathlib import Path
from typing import IO

import click

from appliance import assembly, processes, releasing, workers
from appliance.cli.announce import announce
from appliance.cli.setup import Setup
from appliance.config.problems import InWordsError
from appliance.gateway.ca import AuthorityError
from appliance.settings import Settings, load_settings
from appliance.supervisor import StartError

CANNOT = 2


def start(setup: Setup) -> int:
    """Run the gateway until it is told to end; return the exit status."""
    settings = load_settings(setup.config).settings
    try:
        with _only_one(settings.state):
            _mend(settings)
            loaded = setup.to_run
            for note in assembly.notes(loaded):
                click.echo(f"note: {note}", err=True)
            click.echo(f"appliance: starting with {setup.config} ...", err=True)
            processes.supervise(
                loaded,
                workers.start,
                lambda: assembly.prepare(loaded.settings),
                lambda: announce(loaded.settings, setup.config),
                [sys.executable, "-m", "appliance", "check", "--config", str(setup.config)],
            )
    except (StartError, AuthorityError) as error:
        click.echo(f"appliance: {error}", err=True)
        return CANNOT
    click.echo("appliance: ended", err=True)
    return 0


def _mend(settings: Settings) -> None:
    # Before anything is read that a change could have touched: a power cut may have fallen into a release.
    try:
        releasing.changes(settings).mend(first=True)
    except (InWordsError, OSError) as error:
        click.echo(f"appliance: what was begun of a change could not be undone: {error}", err=True)


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
