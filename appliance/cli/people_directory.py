"""`appliance people directory`: whether the school's directory answers, and what it says of somebody."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from appliance.cli import people_show as show
from appliance.cli.people_show import People
from appliance.cli.setup import Setup
from appliance.identity.names import IdentityError
from appliance.identity.outside import Found, NotAdmittedError, NotKnownError, UnreachableError
from appliance.model.secret import Secret

if TYPE_CHECKING:
    from appliance.identity.ldap import Ldap

FOUND = 1
_DOUBLES = 5_000


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--stdin", "typed", is_flag=True, help="Read NAME's password from standard input, and try it.")
@click.pass_obj
def directory(setup: Setup, *, names: tuple[str, ...], typed: bool) -> int:
    """Ask the school's directory, as the sign-in would: whether it answers, and what NAME is there.

    Says which groups of the settings are missing there, and which accounts are kept here as well (those
    count). Where the directory has no account of the gateway's own, it can be asked with a password only
    (--stdin). Exit status 1 where something is wrong.
    """
    from appliance import sources  # noqa: PLC0415 - no other verb about people needs it

    at = People(setup)
    there = sources.directory(at.settings)
    if there is None:
        raise IdentityError(f"{setup.config}: identity.directory is null; see deploy/appliance.yaml")
    if typed and len(names) != 1:
        raise click.UsageError("--stdin goes with one NAME")
    if not there.looks_up and not typed:
        raise click.UsageError("this directory is asked with a password: give one NAME, and --stdin")
    try:
        problems = list(_said(there, at, names, typed=typed))
    except UnreachableError as error:
        problems = [error.detail]
    for problem in problems:
        click.echo(problem, err=True)
    return FOUND if problems else 0


def _said(there: Ldap, at: People, names: tuple[str, ...], *, typed: bool) -> Iterator[str]:
    password = Secret(sys.stdin.readline().rstrip("\n")) if typed else None
    for name in names:
        try:
            found = there.ask(name, password) if password else there.look_up(name)
        except (NotKnownError, NotAdmittedError) as error:
            yield f"{show.plain(name)}: {error}"
        else:
            if found is None:
                yield f"{show.plain(name)}: nobody, or more than one, has this name there"
            else:
                _tell(at, found)
    if there.looks_up:
        for dn in there.missing_groups():
            yield f"the directory has no group {dn}"
        yield from _doubles(there, at)
        click.echo("the directory answers", err=True)


def _tell(at: People, found: Found) -> None:
    here = at.accounts.find(found.name)
    note = "; an account kept here has this name, and counts" if here and not here.source else ""
    click.echo(f"{show.plain(found.name)}: {found.kind.value}, group {found.group}{note}")


def _doubles(there: Ldap, at: People) -> Iterator[str]:
    kept = [
        each for each in at.accounts.all() if not each.source and not each.kind.shared and not each.sponsor
    ]
    for account in kept[:_DOUBLES]:
        try:
            double = there.look_up(account.name) is not None
        except NotAdmittedError:
            double = True
        if double:
            yield f"{show.plain(account.name)}: kept here and in the directory; the account here counts"
