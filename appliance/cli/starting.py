"""What `appliance run` does: start the gateway once, and print what to try.

What lives only here: that one state folder serves one gateway, and the words at the start. Apart from
`run`, because all that is imported here loads while the workers load.
"""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path
from typing import IO

import click

from appliance import assembly, processes, workers
from appliance.cli.setup import Setup
from appliance.gateway.ca import AuthorityError
from appliance.settings import Settings
from appliance.supervisor import StartError

CANNOT = 2


def start(setup: Setup) -> int:
    """Run the gateway until it is told to end; return the exit status."""
    loaded = setup.to_run
    try:
        with _only_one(loaded.settings.state):
            for note in assembly.notes(loaded):
                click.echo(f"note: {note}", err=True)
            processes.supervise(
                loaded,
                workers.start,
                lambda: assembly.prepare(loaded.settings),
                lambda: _announce(loaded.settings),
            )
    except (StartError, AuthorityError) as error:
        click.echo(f"appliance: {error}", err=True)
        return CANNOT
    click.echo("appliance: ended", err=True)
    return 0


def _only_one(state: Path) -> IO[str]:
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


def _announce(settings: Settings) -> None:
    click.echo(_what_to_try(settings))
    sys.stdout.flush()


def _what_to_try(settings: Settings) -> str:
    gateway = settings.gateway
    ca = os.path.relpath(settings.state / "ca" / "ca.pem")
    lines = [
        f"The gateway of {settings.school.name} is running. Ctrl-C ends it.",
        "",
        f"  school's CA    {ca} (devices must trust it to see pages on https sites)",
    ]
    if gateway.listen is not None:
        proxy = _address(gateway.listen)
        curl = f"curl -x http://{proxy} --cacert {ca}"
        lines.append(f"  proxy address  {proxy} (set it as HTTP and HTTPS proxy in a browser)")
        lines += ["", "Try:"]
        if settings.demo is not None:
            site = f"http://{settings.demo.name}:{settings.demo.listen[1]}/"
            lines.append(f"  {curl} {site}    # allowed: the demo site")
        else:
            lines.append(f"  {curl} https://www.bbc.co.uk/    # allowed")
        lines.append(f"  {curl} https://gambling.example/    # blocked, with a page that says why")
        lines.append(f"  {curl} http://{gateway.own_name}/    # what the gateway says of itself and of you")
    if gateway.transparent is not None:
        lines.append(f"  redirected connections are taken on {_address(gateway.transparent)}")
    lines += [
        f"  {_own_name()} explain --as ks2 https://gambling.example/",
        f"  {_own_name()} log --flagged",
        f"  curl http://{_address(settings.metrics.listen)}/metrics",
        "",
    ]
    return "\n".join(lines)


def _own_name() -> str:
    # As this very program can be called again from here: the virtual environment is rarely on PATH.
    program = Path(sys.argv[0])
    if program.name != "appliance":
        return f"{os.path.relpath(sys.executable)} -m appliance"
    return os.path.relpath(program)


def _address(pair: tuple[str, int]) -> str:
    host, port = pair
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
