"""The words at the start: where things are, and what to try.

What lives only here: commands that work as they stand, from the folder in which the gateway was started.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import click

from appliance.cli.setup import default_config
from appliance.settings import STATE_VARIABLE, Settings


def announce(settings: Settings, config: Path) -> None:
    """Print what to try, once the gateway answers; `config` is the file that it was started with."""
    click.echo(what_to_try(settings, config))
    sys.stdout.flush()


def what_to_try(settings: Settings, config: Path) -> str:
    """Return where the CA and the proxy are, and commands that work as they stand."""
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
    if gateway.listen_tls is not None:
        name = gateway.proxy_name or gateway.listen_tls[0]
        lines.append(f"  encrypted proxy https://{name}:{gateway.listen_tls[1]} (HTTPS in a PAC file)")
    if gateway.transparent is not None:
        lines.append(f"  redirected connections are taken on {_address(gateway.transparent)}")
    profile = next(iter(network.group for network in settings.client_networks), "ks2")
    lines += [
        f"  {_command('explain', config)} --as {profile} https://gambling.example/",
        f"  {_command('log', config)} --flagged",
        f"  curl http://{_address(settings.metrics.listen)}/metrics",
        "",
    ]
    return "\n".join(lines)


def _command(verb: str, config: Path) -> str:
    # With the file and the state that this gateway has, or the answer would be another gateway's.
    named = "" if config.resolve() == default_config().resolve() else f" --config {shlex.quote(str(config))}"
    state = os.environ.get(STATE_VARIABLE)
    moved = f"{STATE_VARIABLE}={shlex.quote(state)} " if state else ""
    return f"{moved}{_own_name()} {verb}{named}"


def _own_name() -> str:
    # As this very program can be called again from here: the virtual environment is rarely on PATH.
    program = Path(sys.argv[0])
    if program.name != "appliance":
        return f"{os.path.relpath(sys.executable)} -m appliance"
    return os.path.relpath(program)


def _address(pair: tuple[str, int]) -> str:
    host, port = pair
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
