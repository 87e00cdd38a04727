"""`appliance ca`: the school's certificate authority, which every device trusts."""

from __future__ import annotations

import click

from appliance.cli.setup import Setup
from appliance.gateway.ca import AuthorityError, renew, shown

CANNOT = 2


@click.group("ca")
def ca() -> None:
    """The school's certificate authority: look at it, or renew it before it ends.

    It is made at the gateway's first start. Exit status 0 done, 2 if it cannot be read or written.
    """


@ca.command("show")
@click.pass_obj
def show(setup: Setup) -> int:
    """Say where the certificate is, until when it is valid, and its fingerprint to compare on a device."""
    return _told(setup)


@ca.command("renew")
@click.pass_obj
def renew_(setup: Setup) -> int:
    """Make a new certificate, valid for ten years, for the same key and name; the old one is kept beside it.

    Restart the gateway, and give the new ca.pem (ca.cer on Windows) to every device. Until the old one
    ends, devices that have it go on working.
    """
    try:
        renew(setup.state / "ca")
    except AuthorityError as error:
        click.echo(f"appliance: {error}", err=True)
        return CANNOT
    click.echo("renewed; restart the gateway, and give the new certificate to every device", err=True)
    return _told(setup)


def _told(setup: Setup) -> int:
    folder = setup.state / "ca"
    try:
        until, fingerprint = shown(folder)
    except AuthorityError as error:
        click.echo(f"appliance: {error}; the gateway makes one at its first start", err=True)
        return CANNOT
    click.echo(f"certificate  {folder / 'ca.pem'} (for Windows: {folder / 'ca.cer'})")
    click.echo(f"valid until  {until:%Y-%m-%d}")
    click.echo(f"SHA-256      {fingerprint}")
    return 0
