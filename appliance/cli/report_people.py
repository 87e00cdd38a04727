"""`appliance report subject-access`, `erase` and `retire`: what is kept of a person, and what goes.

What lives only here: how a bundle is handed over. The archive's password is shown once and kept nowhere, and
a bundle is in the audit, with its purpose and digest, before anybody hears where it lies.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from appliance import auditing, subjects
from appliance.cli.people_show import plain
from appliance.cli.setup import Setup
from appliance.events.record import moment
from appliance.model.words import said
from appliance.reports import bundle

STAYS = 1
"""Exit status of an erasure that left something under a hold."""


def handing_over[F: Callable[..., object]](command: F) -> F:
    """Give a command the options by which its bundle is handed over."""
    for option in (
        click.option("--typed", is_flag=True, help="Read the archive's password from standard input."),
        click.option("--folder", is_flag=True, help="Write a plain folder instead, for this machine alone."),
        click.option("--purpose", required=True, metavar="TEXT", help="Why, for the audit."),
        click.option(
            "--to", required=True, type=click.Path(path_type=Path), help="The new archive (.zip) or folder."
        ),
    ):
        command = option(command)
    return command


def hand_over(
    setup: Setup,
    files: Mapping[str, bytes],
    to: Path,
    what: str,
    whom: str,
    *,
    purpose: str,
    folder: bool,
    typed: bool,
) -> None:
    """Write a bundle, note it in the audit, and say where it is; a new password is shown once."""
    if not said(purpose):
        raise click.UsageError("a bundle is made for a purpose, which the audit keeps: --purpose ...")
    if to.exists():
        raise click.UsageError(f"{to} exists; give another name")
    password = ""
    if not folder:
        password = (
            bundle.check_password(sys.stdin.readline().rstrip("\n")) if typed else bundle.new_password()
        )
    # Noted first: a bundle that nobody knows of must not lie about.
    setup.note(what, whom, purpose=said(purpose), file=to.name, form="folder" if folder else "archive")
    digest = bundle.lay_out(files, to) if folder else bundle.lock(files, to, password)
    setup.note(f"{what}-made", whom, file=to.name, digest=digest)
    click.echo(f"{to}: {len(files)} files; SHA-256 {digest}", err=True)
    if folder:
        click.echo("not encrypted: it must not leave this machine like this", err=True)
    elif not typed:
        click.echo(f"password, shown once; send it another way than the file: {password}", err=True)


@click.command("subject-access")
@click.argument("name")
@handing_over
@click.pass_obj
def subject_access(setup: Setup, *, name: str, to: Path, purpose: str, folder: bool, typed: bool) -> None:
    """Write everything that is kept about NAME into one bundle: log, cases, overrides, account, audit.

    Names of other people are left out. The archive is encrypted (AES-256; 7-Zip and WinZip open it). Read the
    notes of cases before you hand it over: they are free text.
    """
    _say_whose(setup, name)
    files = subjects.access(setup.settings, name, datetime.now(UTC))
    hand_over(setup, files, to, "subject-access", name, purpose=purpose, folder=folder, typed=typed)


@click.command()
@click.argument("name")
@click.option("--reason", required=True, metavar="TEXT", help="Why, for the audit.")
@click.option("--yes", is_flag=True, help="Do not ask again.")
@click.pass_obj
def erase(setup: Setup, *, name: str, reason: str, yes: bool) -> int:
    """Take what is kept about NAME out, for good, as far as no hold says otherwise.

    A legal hold keeps everything; a case that is not closed keeps itself and the flagged accesses; the audit
    trail stays as it is. Exit status 1 where something stays under a hold that ends.
    """
    if not said(reason):
        raise click.UsageError("an erasure has a reason, which the audit keeps: --reason ...")
    _say_whose(setup, name)
    if not yes:
        click.confirm(f"Erase everything about {plain(name)}? This cannot be undone.", abort=True, err=True)
    done = subjects.erase(setup.settings, name, said(reason), by=setup.by, now=datetime.now(UTC))
    for what, count in done.gone.items():
        if count:
            click.echo(f"erased  {count} {what}")
    for text in done.stays:
        click.echo(f"stays   {plain(text)}")
    return STAYS if done.held else 0


@click.command()
@click.pass_obj
def retire(setup: Setup) -> None:
    """Remove from the log what is past its days (events.retention_days), and say what; what is on hold stays.

    `appliance run` does so every hour; this is for a timer where workers are units of their own.
    """
    for gone in asyncio.run(auditing.forget(setup.settings, datetime.now(UTC), setup.by)):
        click.echo(f"{gone.rows} rows, until {moment(gone.upto):%Y-%m-%d}: {gone.what}")


def _say_whose(setup: Setup, name: str) -> None:
    # A name that is mistyped must not look like somebody of whom nothing is kept.
    found = subjects.spellings(setup.settings.state, name)
    if not found:
        text = "no account, no access and no case has this name; `appliance log` shows how names are spelled"
        click.echo(f"{plain(name)}: {text}", err=True)
        return
    if found[0] != name:
        click.echo(f"{plain(name)}: kept as {plain(found[0])}", err=True)
    for other in found[1:]:
        text = "something is kept under this spelling as well; ask for it by itself"
        click.echo(f"{plain(other)}: {text}", err=True)


OF_PEOPLE = (subject_access, erase, retire)
"""The verbs of this file."""
