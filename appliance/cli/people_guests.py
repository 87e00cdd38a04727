"""`appliance people voucher`: access for a visitor, for a time, with somebody who answers for it.

What lives only here: that command. A voucher is an account of the kind `guest`, so that everything about
accounts holds for it as well: it expires to the second, it can be frozen, its sessions end with it.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from appliance.cli import people_show as show
from appliance.cli.people_show import People
from appliance.cli.setup import Setup
from appliance.identity.accounts import Account
from appliance.identity.importing import day_end
from appliance.identity.names import IdentityError, neat
from appliance.identity.passwords import Passwords, first_password
from appliance.model.person import Kind
from appliance.portal.cards import write_sheet
from appliance.portal.vouchers import Voucher, voucher_sheet

_LONGEST_DAYS = 31
_DAY = 86_400.0


@click.command()
@click.argument("guest")
@click.option("--sponsor", required=True, metavar="NAME", help="The member of staff who answers for it.")
@click.option("--purpose", required=True, help="Why: supply teacher, governor's meeting, ...")
@click.option("--until", required=True, metavar="DAY", help="2026-12-18, or 2026-12-18T15:30.")
@click.option("--from", "starts", default="", metavar="TIME", help="When it begins; now by default.")
@click.option("--group", default="guest", show_default=True, help="The profile that counts.")
@click.option(
    "--devices", default=1, show_default=True, type=click.IntRange(1, 5), help="On how many at once."
)
@click.option("--sheet", type=click.Path(path_type=Path), help="Write a paper with a QR code to this file.")
@click.pass_obj
def voucher(
    setup: Setup,
    *,
    guest: str,
    sponsor: str,
    purpose: str,
    until: str,
    starts: str,
    group: str,
    devices: int,
    sheet: Path | None,
) -> None:
    """Give GUEST access until DAY, at most a month; prints the name and password to sign in with.

    It ends to the second, and open connections with it.
    """
    at = People(setup)
    at.check_group(group)
    host = at.accounts.get(sponsor)
    if host.kind is not Kind.STAFF or not host.usable(at.now):
        raise IdentityError(f"{sponsor!a} is no member of staff with an account in use; a sponsor must be")
    end, begin = day_end(until), _moment(starts)
    if not (begin or at.now) < end <= at.now + _LONGEST_DAYS * _DAY:
        raise IdentityError(f"a voucher ends after it begins, and within {_LONGEST_DAYS} days")
    password = first_password()
    account = Account(
        f"{neat(guest)[:40]} {secrets.token_hex(2)}",
        Kind.GUEST,
        group,
        Passwords().make(password),
        changed=at.now,
        created=at.now,
        expires=end,
        starts=begin,
        sponsor=host.name,
        purpose=purpose,
        devices=devices,
    )
    paper = Voucher(
        account.name, password, neat(guest), purpose, host.name, show.moment(begin), show.moment(end)
    )
    if sheet is not None:
        own_name = at.settings.gateway.own_name
        write_sheet(sheet, voucher_sheet(at.settings.school.name, own_name, [paper]))
    at.accounts.add(account)
    at.note("voucher", account.name, sponsor=host.name, purpose=purpose, until=until)
    click.echo(f"{show.plain(account.name)}: {password.reveal()}")
    click.echo(f"until {show.moment(end)}, sponsor {show.plain(host.name)}", err=True)


def _moment(text: str) -> float | None:
    if not text:
        return None
    return day_end(text if "T" in text else f"{text}T00:00")
