"""`appliance inspect`: what is decrypted, as a technician looks after it."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from appliance import assembly
from appliance.cli.lists_show import grid
from appliance.cli.setup import Setup
from appliance.gateway.handshakes import suggestions as found
from appliance.model.inspect import Inspect
from appliance.model.person import Person
from appliance.model.request import Request
from appliance.model.url import parse_host

_ADVICE = """\
A device that does not know the school's CA breaks off everywhere; an app that pins its certificate,
at its own hosts alone. If it is the app, add the host under `sites` in set.yaml:
  sites:
    {host}: {{inspect: never, because: Its app accepts no certificate but its own.}}"""


@click.group()
def inspect() -> None:
    """Look after what is decrypted."""


@inspect.command()
@click.option("--at-least", default=3, show_default=True, help="Leave out hosts with fewer failures.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def suggestions(setup: Setup, *, at_least: int, as_json: bool) -> int:
    """List the hosts at which devices would not accept the school's certificate.

    Nothing is ever added by itself. Exit status 1 if there are such hosts that are still decrypted.
    """
    settings, policy = setup.loaded.settings, setup.loaded.policy
    lists = assembly.open_lists(settings)
    journey = assembly.filtering(settings, policy, lists)
    everybody = [Person(group, "command line") for group in policy.sets[settings.school.set].profiles]
    rows = []
    for one in found(settings.state, at_least):
        request = Request(parse_host(one.host))
        levels = {journey.inspection(request, person).level for person in everybody}
        if levels != {Inspect.NEVER}:
            rows.append(one)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in rows], default=str))
    elif rows:
        grid(("host", "failures", "first", "last"), ((r.host, r.failures, r.first, r.last) for r in rows))
        click.echo(_ADVICE.format(host=rows[0].host), err=True)
    else:
        click.echo("No host suggests itself.", err=True)
    return 1 if rows else 0
