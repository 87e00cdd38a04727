"""`appliance audit`: who did what, and the proof that nothing in it was changed."""

from __future__ import annotations

import json
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import click

from appliance.cli.lists_show import grid, plain
from appliance.cli.setup import Setup
from appliance.events import verify_audit as rules
from appliance.events.audit import FOLDER, OLDER, Trail
from appliance.events.checkpoints import Checkpoints, send
from appliance.events.seals import SEALED, check_seals
from appliance.events.store import DATABASE
from appliance.model.words import said

FOUND = 1
_FIXED = ("at", "what", "whom", "by", "before", "n")
_DAY = 86_400
_SHORTEST = 10
_READ_ME = """\
The audit of a school gateway: who did what, one record a line (audit.jsonl), and its checkpoints.

To check it: python verify_audit.py THIS.zip --checkpoint ONE-THAT-YOU-KEPT.txt
Take verify_audit.py and the checkpoint from where you have kept them, not from the gateway on this day:
`appliance audit verifier FILE` writes the program.
"""

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def audit() -> None:
    """Show who did what, and show that nothing in it was changed."""


@audit.command("list")
@click.option("--what", default="", metavar="WORD", help="Only one kind, such as freeze or list-import.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="The newest so many.")
@_json
@click.pass_obj
def list_(setup: Setup, *, what: str, limit: int, as_json: bool) -> None:
    """Show what was done, the newest last. Seals of flagged events are shown with --what seal alone."""
    entries = Trail(setup.state).entries()
    found = [each for each in entries if each["what"] == what or (not what and each["what"] != "seal")]
    if as_json:
        for entry in found[-limit:]:
            click.echo(json.dumps(entry))
        return
    heads = ("record", "at (UTC)", "what", "whom", "by", "details")
    grid(heads, (tuple(map(plain, _cells(entry))) for entry in found[-limit:]))
    words = "the chain is whole as far as it goes; `appliance audit verify` says whether that is to its end"
    click.echo(f"{len(entries)} records; {words}", err=True)


@audit.command()
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=click.Path(path_type=Path),
    help="One that was kept elsewhere; may be given several times.",
)
@click.option("--fingerprint", "prints", multiple=True, help="Of the key, as it was noted elsewhere.")
@_json
@click.pass_obj
def verify(setup: Setup, *, checkpoints: tuple[Path, ...], prints: tuple[str, ...], as_json: bool) -> int:
    """Check every record, every checkpoint, and that flagged events are as they were sealed.

    Exit status: 0 all is whole, 1 something was changed (its place is told), 2 it cannot be read.
    """
    folder = setup.state / FOLDER
    path = folder if (folder / rules.TRAIL).exists() else setup.state / OLDER
    if not path.exists() and any((folder / rules.CHECKPOINTS).glob("*.txt")):
        path = folder  # what the checkpoints tell of is gone: that is found, and not told as a beginning
    elif not path.exists():
        click.echo(f"{folder / rules.TRAIL}: there is no audit yet; the first entry makes it", err=True)
        return rules.UNREADABLE
    report = rules.verify_path(path, checkpoints, prints)
    seals = 0
    if not report.findings and (setup.state / DATABASE).exists():
        seals, wrong = check_seals(setup.state, Trail(setup.state).entries(), _kept_since(setup))
        report.findings += wrong
    if as_json:
        told = {"records": report.records, "head": report.head, "seals": seals}
        click.echo(json.dumps(told | {"findings": report.findings, "notes": report.notes}))
    else:
        for text in report.findings:
            click.echo(f"FOUND  {plain(text)}")
        for text in report.notes:
            click.echo(f"note: {plain(text)}", err=True)
        words = "something was changed" if report.findings else "the chain is whole"
        click.echo(f"{report.records} records, {seals} seals of flagged events compared; {words}", err=True)
    return FOUND if report.findings else rules.WHOLE


@audit.command()
@click.pass_obj
def checkpoint(setup: Setup) -> None:
    """Sign how far the audit goes now, and print it: for a governor, on paper or in a mail.

    It is kept in the state folder as well, and goes where the settings send it (audit.copy_to, audit.syslog).
    """
    settings = setup.settings
    made = Checkpoints(setup.state, settings.school.name).make(time.time())
    click.echo(made.text, nl=False)
    click.echo(f"kept as {made.path}; fingerprint of the key: {made.fingerprint}", err=True)
    send(made, settings.audit.copy_to, to_syslog=settings.audit.syslog)


@audit.command("new-key")
@click.option("--reason", required=True, metavar="TEXT", help="Why, for governors: a sentence.")
@click.pass_obj
def new_key(setup: Setup, *, reason: str) -> None:
    """Sign checkpoints with a new key from now on; the chain says so, and the old key signs that.

    A checkpoint is made before and after it. Give the new fingerprint to whoever keeps the old one:
    checkpoints that they have already stay good.
    """
    if len(said(reason)) < _SHORTEST:
        raise click.UsageError("say why, in a sentence: governors read the reason")
    settings = setup.settings
    points = Checkpoints(setup.state, settings.school.name)
    send(points.make(time.time()), settings.audit.copy_to, to_syslog=settings.audit.syslog)
    old, new = points.new_key(reason, setup.by, time.time())
    made = points.make(time.time())
    send(made, settings.audit.copy_to, to_syslog=settings.audit.syslog)
    click.echo(made.text, nl=False)
    click.echo(f"the key {old} is given up; fingerprint of the new key: {new}", err=True)


@audit.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def export(setup: Setup, *, file: Path) -> None:
    """Write the audit and its checkpoints into FILE, a zip archive to be checked elsewhere.

    It names people: keep it as confidential as the log.
    """
    if file.exists():
        raise click.UsageError(f"{file} exists; give another name")
    points = Checkpoints(setup.state, setup.settings.school.name)
    setup.note("audit-export", file.name)
    points.make(time.time())
    trail = Trail(setup.state)
    with trail.alone() as end, zipfile.ZipFile(file, "x", zipfile.ZIP_DEFLATED) as archive:
        data = trail.path.read_bytes()[: end.size]
        archive.writestr(rules.TRAIL, data)
        for path in points.paths():
            archive.write(path, f"{rules.CHECKPOINTS}/{path.name}")
        archive.writestr("README.txt", _READ_ME)
    click.echo(f"{file}: {end.records} records, {len(points.paths())} checkpoints", err=True)


@audit.command()
@click.argument("file", type=click.Path(path_type=Path))
def verifier(file: Path) -> None:
    """Write the stand-alone verifier to FILE: one Python file that needs only the library cryptography."""
    if file.exists():
        raise click.UsageError(f"{file} exists; give another name")
    shutil.copyfile(rules.__file__, file)
    click.echo(f"{file}: run it with Python on an export, on a computer of your own", err=True)


def _cells(entry: dict[str, Any]) -> tuple[str, ...]:
    details = ", ".join(f"{name}: {value}" for name, value in entry.items() if name not in _FIXED)
    at = str(entry["at"])[:19].replace("T", " ")
    return (str(entry.get("n", "")), at, entry["what"], entry["whom"], entry["by"], details)


def _kept_since(setup: Setup) -> float:
    keep = setup.settings.retention.keep
    return time.time() - min(keep[key].flagged_days for key in SEALED) * _DAY
