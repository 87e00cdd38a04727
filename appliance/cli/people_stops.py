"""`appliance people freeze`, and everything else that ends somebody's access or shows who has it.

What lives only here: the order in which a freeze is put in force. First the stop, which counts within a
second; then the legal hold on the log; then the sealed bundle. A later step that fails undoes none before.
"""

from __future__ import annotations

import asyncio

import click

from appliance.cli import people_show as show
from appliance.cli.people_show import People
from appliance.cli.setup import Setup
from appliance.events.errors import EventsError
from appliance.events.evidence import keep_evidence
from appliance.events.holds import release
from appliance.identity.announced import announced
from appliance.identity.importing import day_end
from appliance.model.person import Standing

_because = click.option("--reason", required=True, help="Why, for the record.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@click.argument("name")
@_because
@click.pass_obj
def freeze(setup: Setup, *, name: str, reason: str) -> int:
    """Stop all access of NAME at once, and keep everything that the log knows of them.

    In force in every worker within a second; open connections are cut, help lines stay open. The log's
    records of NAME are kept until `unfreeze`, whatever their retention, and a sealed copy is made.
    """
    at = People(setup)
    account = at.accounts.get(name)
    at.stops.freeze(account.name, reason, by=at.by, now=at.now)
    click.echo(f"{show.plain(account.name)}: frozen; help lines stay open", err=True)
    try:
        bundle = asyncio.run(keep_evidence(at.state, account.name, by=at.by, now=at.now))
    except EventsError as error:
        # The stop holds all the same; what could not be kept is said, so that it can be tried again.
        click.echo(f"the log could not be put on hold: {error}", err=True)
        return 1
    click.echo(f"{bundle.records} records on hold; sealed copy: {bundle.folder}", err=True)
    click.echo(f"its hash, to be kept elsewhere as well: {bundle.digest}", err=True)
    return 0


@click.command()
@click.argument("name")
@click.option("--reason", default="", help="Why it is lifted.")
@click.pass_obj
def unfreeze(setup: Setup, *, name: str, reason: str) -> None:
    """Give access back after `freeze`, and end the hold on the log; the sealed copy stays."""
    at = People(setup)
    account = at.accounts.get(name)
    at.stops.lift(account.name, Standing.FROZEN, by=at.by, now=at.now, reason=reason)
    asyncio.run(release(at.state, account.name))
    click.echo(f"{show.plain(account.name)}: no longer frozen", err=True)


@click.command("remove-access")
@click.argument("name")
@click.option("--until", required=True, metavar="DAY", help="2026-12-18, or 2026-12-18T15:30.")
@_because
@click.pass_obj
def remove_access(setup: Setup, *, name: str, until: str, reason: str) -> None:
    """Take access away from NAME until DAY; it comes back by itself. Help lines stay open."""
    at = People(setup)
    account = at.accounts.get(name)
    end = day_end(until)
    at.stops.remove(account.name, reason, end, by=at.by, now=at.now)
    click.echo(f"{show.plain(account.name)}: no access until {show.moment(end)}", err=True)


@click.command()
@click.argument("name")
@click.option("--reason", default="", help="Why it is given back early.")
@click.pass_obj
def restore(setup: Setup, *, name: str, reason: str) -> None:
    """Give access back before the time of `remove-access` is over."""
    at = People(setup)
    account = at.accounts.get(name)
    at.stops.lift(account.name, Standing.REMOVED, by=at.by, now=at.now, reason=reason)
    click.echo(f"{show.plain(account.name)}: access restored", err=True)


@click.command("signed-in")
@_json
@click.pass_obj
def signed_in(setup: Setup, *, as_json: bool) -> None:
    """Show who is signed in, on which device, since when and until when."""
    at = People(setup)
    names = {account.key: account for account in at.accounts.all()}
    rows = [
        {
            "name": names[each.key].name if each.key in names else each.key,
            "as": names[each.key].kind.value if each.key in names else "",
            "address": each.device.address,
            "hardware": each.device.mac,
            "since": show.moment(each.began),
            "used": show.moment(each.seen),
            "until": show.moment(each.ends),
        }
        for each in at.sessions.open(at.now)
    ]
    with at.database.reading() as db:
        rows += [
            {
                "name": names[each.key].name if each.key in names else each.key,
                "as": "network log-in",
                "address": " ".join(each.addresses),
                "hardware": each.mac,
                "since": "",
                "used": "",
                "until": show.moment(each.ends),
            }
            for each in announced(db, at.now)
        ]
    if as_json:
        show.as_json(rows)
        return
    heads = ("name", "as", "address", "hardware", "since", "used", "until")
    show.grid(heads, [[row[head] for head in heads] for row in rows])


@click.command("sign-out")
@click.argument("name")
@click.pass_obj
def sign_out(setup: Setup, *, name: str) -> None:
    """End every session of NAME."""
    at = People(setup)
    account = at.accounts.change(name)
    at.note("sign-out", account.name)
    click.echo(f"{show.plain(account.name)}: signed out everywhere", err=True)


@click.command()
@_json
@click.pass_obj
def audit(setup: Setup, *, as_json: bool) -> None:
    """Show who did what to whom, and check that nothing in it was changed."""
    entries = People(setup).trail.entries()
    if as_json:
        show.as_json(entries)
        return
    fixed = ("at", "what", "whom", "by", "before")
    rows = [
        (
            e["at"][:19],
            e["what"],
            e["whom"],
            e["by"],
            ", ".join(f"{k}: {v}" for k, v in e.items() if k not in fixed),
        )
        for e in entries
    ]
    show.grid(("at (UTC)", "what", "whom", "by", "details"), rows)
    click.echo(f"{len(rows)} entries; the chain is whole", err=True)


STOPPING = (freeze, unfreeze, remove_access, restore, signed_in, sign_out, audit)
"""The verbs of this file."""
