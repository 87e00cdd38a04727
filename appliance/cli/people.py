"""`appliance people`: who may sign in, as what, until when.

What lives only here: the commands about accounts. Those that stop somebody stand in `people_stops`.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click

from appliance.cli import people_show as show
from appliance.cli.people_directory import directory
from appliance.cli.people_factor import second_factor
from appliance.cli.people_guests import voucher
from appliance.cli.people_show import People
from appliance.cli.people_stops import STOPPING
from appliance.cli.setup import Setup
from appliance.cli.who import who_sets
from appliance.identity import importing, passwords
from appliance.identity.accounts import Account
from appliance.identity.importing import Reading, day_end
from appliance.identity.names import IdentityError, key, neat
from appliance.identity.passwords import Passwords
from appliance.identity.tries import Tries
from appliance.model.person import Kind
from appliance.model.secret import Secret
from appliance.portal.cards import sheet, write_sheet

_KINDS = click.Choice([kind.value for kind in Kind])
_as = click.option(
    "--as", "who", default="", metavar="NAME", help="Your own account (where two people change the policy)."
)
_stdin = click.option("--stdin", "typed", is_flag=True, help="Read the password from standard input.")
_with_pictures = click.option("--pictures", is_flag=True, help="A picture password, for a class card.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def people() -> None:
    """Who may sign in: accounts, class cards, guests, and stopping somebody at once.

    Changes are in force in every worker within a second, and stand in the audit trail.
    """


@people.command("list")
@click.option("--group", default="", help="Only this group.")
@_json
@click.pass_obj
def list_(setup: Setup, *, group: str, as_json: bool) -> None:
    """Show every account: what it is, how it stands, when its password was last changed."""
    at = People(setup)
    stops = {stop.key: stop for stop in at.stops.in_force(at.now)}
    counts: dict[str, int] = {}
    for session in at.sessions.open(at.now):
        counts[session.key] = counts.get(session.key, 0) + 1
    rows = [
        show.facts(account, stops.get(account.key), counts.get(account.key, 0))
        for account in at.accounts.all()
        if group in ("", account.group)
    ]
    if as_json:
        show.as_json(rows)
        return
    heads = ("name", "kind", "group", "state", "signs in with", "changed", "signed in on")
    show.grid(heads, [[row[head] for head in heads] for row in rows])


@people.command("show")
@click.argument("name")
@_json
@click.pass_obj
def show_(setup: Setup, *, name: str, as_json: bool) -> None:
    """Show everything about one account: agreements accepted, devices signed in on, stops."""
    at = People(setup)
    account = at.accounts.get(name)
    stop = next((stop for stop in at.stops.in_force(at.now) if stop.key == account.key), None)
    sessions = at.sessions.open(at.now, account.key)
    found = show.facts(account, stop, len(sessions))
    if stop is not None:
        found["stopped because"] = f"{stop.reason} ({stop.by}, {show.moment(stop.at)})"
    agreed = at.accounts.agreed(name)
    found["agreed to"] = ", ".join(f"{each.version} ({show.moment(each.at)})" for each in agreed)
    found["devices"] = ", ".join(f"{s.device.address} {s.device.mac}".strip() for s in sessions)
    if as_json:
        show.as_json(found)
        return
    show.grid(("", ""), found.items())


@people.command()
@click.argument("name")
@click.option("--group", required=True, help="The profile that counts: ks2, staff, ...")
@click.option("--kind", type=_KINDS, default=Kind.INDIVIDUAL.value, show_default=True)
@click.option("--expires", default="", metavar="DAY", help="The last day: 2026-12-18.")
@_with_pictures
@_as
@_stdin
@click.pass_obj
def add(
    setup: Setup, *, name: str, group: str, kind: str, expires: str, pictures: bool, who: str, typed: bool
) -> None:
    """Add one account, and print its first password, which must be changed at the first sign-in.

    With --stdin the password is read instead (with --as yours before it); a class or generic login keeps it
    as it is.
    """
    at = People(setup)
    at.check_group(group)
    sort = Kind(kind)
    account = Account(
        neat(name), sort, group, changed=at.now, created=at.now, must_change=not sort.shared and not pictures
    )
    account = replace(account, expires=day_end(expires) if expires else None)
    note = who_sets(setup, who, [account], typed=typed)
    made, told = _new_password(at, account, typed=typed, pictures=pictures)
    if at.accounts.find(account.name) is None:
        note()
    at.accounts.add(replace(account, password=made, pictures=pictures))
    at.note("add", account.name, group=group, kind=kind)
    _tell(account.name, told)


@people.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--column", "columns", multiple=True, metavar="OURS=THEIRS", help="name='Pupil name', ...")
@click.option("--map", "groups", multiple=True, metavar="THEIRS=GROUP", help="What the file calls a group.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@_as
@click.pass_obj
def import_(
    setup: Setup, *, file: Path, columns: tuple[str, ...], groups: tuple[str, ...], dry_run: bool, who: str
) -> None:
    """Add or change accounts from a YAML or CSV file; prints the first password of each new one.

    Columns: name, group, kind, password, expires. Whoever the file does not name stays as they are.
    Nothing is done where anything is wrong with the file.
    """
    at = People(setup)
    reading = Reading(_pairs(columns, "--column"), _pairs(groups, "--map"))
    found = importing.read_people(file, reading, at.groups())
    plan = importing.plan(found, at.accounts.all(), at.now)
    if not dry_run:
        kinds = {account.key: account.kind for account in at.accounts.all()}
        became = [one for one in plan.changed if kinds.get(one.key) is not Kind.STAFF]
        who_sets(setup, who, [*plan.new, *became], typed=False)()
        _carry_out(at, plan)
        at.note("import", file.name, new=str(len(plan.new)), changed=str(len(plan.changed)))
    done = "would be " if dry_run else ""
    click.echo(
        f"{len(plan.new)} {done}new, {len(plan.changed)} {done}changed, {plan.same} the same", err=True
    )


@people.command()
@click.argument("name")
@_with_pictures
@_as
@_stdin
@click.pass_obj
def passwd(setup: Setup, *, name: str, pictures: bool, who: str, typed: bool) -> None:
    """Give an account a new password, print it, and end its sessions; it must be changed at the sign-in.

    Where two people change the policy, staff whose password somebody else has set do not count for that
    until another approver has confirmed it (`appliance changes confirm NAME`), or for seven days.
    """
    at = People(setup)
    account = _kept_here(at, name)
    note = who_sets(setup, who, [account], typed=typed)
    made, told = _new_password(at, account, typed=typed, pictures=pictures)
    note()
    must = not account.kind.shared and not pictures
    at.accounts.change(name, password=made, pictures=pictures, must_change=must, changed=at.now)
    Tries(at.database, at.settings.identity.rules.limits).forget(f"account:{account.key}")
    at.note("passwd", account.name)
    _tell(account.name, told)


@people.command()
@click.argument("name")
@click.pass_obj
def disable(setup: Setup, *, name: str) -> None:
    """Switch an account off and end its sessions; `enable` switches it on again."""
    at = People(setup)
    account = at.accounts.change(name, disabled=True)
    at.note("disable", account.name)
    click.echo(f"{show.plain(account.name)}: disabled, and signed out everywhere", err=True)


@people.command()
@click.argument("name")
@click.pass_obj
def enable(setup: Setup, *, name: str) -> None:
    """Switch an account on again, and lift its lock after wrong passwords."""
    at = People(setup)
    account = at.accounts.change(name, disabled=False)
    Tries(at.database, at.settings.identity.rules.limits).forget(f"account:{account.key}")
    at.note("enable", account.name)
    click.echo(f"{show.plain(account.name)}: {show.state(account, None)}", err=True)


@people.command()
@click.argument("name")
@click.argument("day")
@click.pass_obj
def expire(setup: Setup, *, name: str, day: str) -> None:
    """Let an account end with DAY (2026-12-18, or 2026-12-18T15:30; `never` takes it back)."""
    at = People(setup)
    _kept_here(at, name)
    account = at.accounts.change(name, expires=None if day == "never" else day_end(day))
    at.note("expire", account.name, day=day)
    click.echo(f"{show.plain(account.name)}: expires {show.moment(account.expires) or 'never'}", err=True)


@people.command()
@click.argument("name")
@click.pass_obj
def remove(setup: Setup, *, name: str) -> None:
    """Take an account out; what the log says of it stays."""
    at = People(setup)
    if any(stop.key == key(name) for stop in at.stops.in_force(at.now)):
        raise IdentityError(f"{name!a} is stopped; lift that first, or `disable` the account")
    at.accounts.remove(name)
    at.note("remove", name)
    click.echo(f"{show.plain(name)}: removed", err=True)


@people.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.pass_obj
def cards(setup: Setup, *, file: Path, names: tuple[str, ...]) -> None:
    """Give classes new pictures, and write a sheet with their cards to FILE, to be printed.

    Without names, every class and generic login gets new ones. The sheet is the only place where they can be
    read: destroy it once the cards are cut.
    """
    at = People(setup)
    chosen = [at.accounts.get(name) for name in names] or [a for a in at.accounts.all() if a.kind.shared]
    if not chosen:
        raise IdentityError("there is no class yet: appliance people add 'Class 1B' --group ks1 --kind class")
    made = [(account.name, passwords.pictures()) for account in chosen]
    write_sheet(file, sheet(at.settings.school.name, made))
    for name, pictures in made:
        word = Passwords().make(passwords.of_pictures(pictures))
        at.accounts.change(name, password=word, pictures=True, must_change=False, changed=at.now)
        at.note("cards", name)
    click.echo(f"{len(made)} cards in {file}; print it, then destroy the file", err=True)


for _verb in (voucher, directory, second_factor, *STOPPING):
    people.add_command(_verb)


def _kept_here(at: People, name: str) -> Account:
    account = at.accounts.get(name)
    if account.source:
        raise IdentityError(
            f"{name!a} is kept by the {account.source}: change it there, or `disable` it here"
        )
    return account


def _new_password(at: People, account: Account, *, typed: bool, pictures: bool) -> tuple[str, str]:
    # The hash to keep, and what to tell whoever asked; nothing is told of what they typed themselves.
    if pictures:
        chosen = passwords.pictures()
        return Passwords().make(passwords.of_pictures(chosen)), " ".join(chosen)
    secret = Secret(sys.stdin.readline().rstrip("\n")) if typed else passwords.first_password()
    if typed:
        passwords.check(secret, account.name, account.kind, at.settings.identity.rules.passwords)
    return Passwords().make(secret), "" if typed else secret.reveal()


def _carry_out(at: People, plan: importing.Plan) -> None:
    made: list[Account] = []
    hashing = Passwords()
    click.echo("name,password" if plan.new else "", nl=bool(plan.new))
    with click.progressbar(plan.new, label="Making passwords", file=sys.stderr) as accounts:
        for account in accounts:
            secret, told = importing.first_secret(plan.passwords[account.key])
            made.append(replace(account, password=hashing.make(secret)))
            if told:
                click.echo(f"{show.plain(account.name)},{told}")
    at.accounts.add(*made)
    for account in plan.changed:
        at.accounts.change(account.name, group=account.group, kind=account.kind, expires=account.expires)


def _pairs(texts: tuple[str, ...], option: str) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if wrong := [name for name, equals, value in pairs if not (name and equals and value)]:
        raise click.UsageError(f"{option} {wrong[0]}: write it as one=other")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _tell(name: str, told: str) -> None:
    click.echo(f"{show.plain(name)}: {told}" if told else f"{show.plain(name)}: done")
