"""`appliance overrides`: what staff open for a lesson, for whom, why, and until when.

What lives only here: these verbs. Whoever types is not always whoever decides: the audit trail names both.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import time
from typing import Any

import click

from appliance import afterwards, granting
from appliance.cli import overrides_show as show
from appliance.cli.overrides_check import CANNOT, actor_of, could_open, role_to_grant
from appliance.cli.overrides_wish import Typed, options, wish_of
from appliance.cli.setup import Setup
from appliance.cli.who import decides, typed_word
from appliance.cli.why import why
from appliance.config.problems import InWordsError
from appliance.events.queries import open_reader
from appliance.identity.accounts import Account, Accounts
from appliance.identity.database import Database
from appliance.model.words import said
from appliance.overrides.names import OverrideError, sentence
from appliance.overrides.times import at_school, moment
from appliance.overrides.written import Override, Wish

_by = click.option("--by", default="", metavar="NAME", help="Who asks. Default: the signed-in user.")
_decides = click.option(
    "--by", default="", metavar="NAME", help="Who decides: a staff account, whose password is asked for."
)
_json = click.option("--json", "as_json", is_flag=True, help="Answer as JSON, for a program.")


class _At:
    """What the commands work with."""

    def __init__(self, setup: Setup, by: str = "") -> None:
        self.loaded = setup.counting
        self.school = self.loaded.policy.sets[self.loaded.settings.school.set]
        self.typist = os.environ.get("SUDO_USER") or getpass.getuser()
        self.by = by or self.typist
        people = Database(setup.state, asks=True)
        self.accounts: list[Account] = Accounts(people).all() if people.path.exists() else []
        granting.prepare(setup.state)
        typist = self.typist if self.by != self.typist else ""
        self.store = granting.store(setup.state, typist=typist)
        self.reports = granting.reports(setup.state, typist=typist)
        self.now = time.time()
        try:
            self.store.advance(self.now)
        except (OSError, InWordsError) as error:  # a full disk must not hide what is open
            click.echo(f"note: what has ended could not be written down this time: {error}", err=True)

    def tell(self, override: Override, did: str) -> None:
        """Say what became of an override, and until when."""
        until = at_school(override.wish.ends, self.school.zone)
        click.echo(f"override {override.number}: {did}; until {until}", err=True)


@click.group()
def overrides() -> None:
    """What staff open for a lesson: for whom, why, and until when; it ends by itself.

    Who may open what stands in profiles/<set>/roles.yaml. No override opens what a statutory list names,
    what a profile rates illegal, or anything for whoever is frozen.
    """


@overrides.command()
@click.argument("addresses", nargs=-1, metavar="[HOST_OR_URL]...")
@options
@_by
@click.pass_obj
def request(setup: Setup, /, *, by: str, **typed: Any) -> None:  # noqa: ANN401 - the options of a wish
    r"""Ask that something be opened; somebody with the role for it grants or refuses it.

    \b
        appliance overrides request example.org --for ks2 --until 10:50 \
            --subject 'Year 5 history' --reason 'We compare two museums about the war.'
    """
    at = _At(setup, by)
    wish = _wish(at, typed)
    actor_of(at.by, at.accounts, at.school)
    notes = _by_some_role(at, wish)
    number = at.store.request(wish, by=at.by, now=at.now)
    show.notes(notes)
    at.tell(at.store.get(number), "asked for; nothing is open yet")


@overrides.command()
@click.argument("addresses", nargs=-1, metavar="NUMBER | [HOST_OR_URL]...")
@options
@_decides
@typed_word
@click.pass_obj
def grant(setup: Setup, /, *, by: str, from_pipe: bool, **typed: Any) -> None:  # noqa: ANN401 - the options of a wish
    """Grant what was asked for under NUMBER, or open something at once where your role may.

    In force in every worker within a second. With NUMBER, --until or --minutes can only make it shorter. What
    its pages need of other sites comes with them, as far as your role may open it (`appliance overrides show`
    says what); not so with --only-named.
    """
    at = _At(setup, decides(setup, by, typed=from_pipe))
    words: tuple[str, ...] = typed["addresses"]
    if len(words) == 1 and words[0].isdecimal():
        override, notes = _grant_asked(at, int(words[0]), typed)
    else:
        wish = _wish(at, typed)
        actor = actor_of(at.by, at.accounts, at.school)
        role, notes = role_to_grant(wish, actor, at.by, at.loaded, at.accounts, at.now)
        override = at.store.request_and_grant(wish, role.id, by=at.by, now=at.now)
    show.notes(notes)
    at.tell(override, f"granted ({override.state.value})")


@overrides.command()
@click.argument("number", type=int)
@why("Why not, for whoever asked.", "reason", required=True)
@_decides
@typed_word
@click.pass_obj
def refuse(setup: Setup, *, number: int, reason: str, by: str, from_pipe: bool) -> None:
    """Refuse what was asked for under NUMBER."""
    at = _At(setup, decides(setup, by, typed=from_pipe))
    actor_of(at.by, at.accounts, at.school)
    at.store.refuse(number, by=at.by, now=at.now, note=sentence(reason))
    click.echo(f"override {number}: refused", err=True)


@overrides.command()
@click.argument("number", type=int)
@why("Why it ends before its time.", "reason")
@_decides
@typed_word
@click.pass_obj
def revoke(setup: Setup, *, number: int, reason: str, by: str, from_pipe: bool) -> None:
    """End NUMBER at once: within a second nothing is open by it, and connections that lived by it are cut.

    Anybody who may use this command may do so, for it only ever closes.
    """
    at = _At(setup, decides(setup, by, typed=from_pipe))
    at.store.revoke(number, by=at.by, now=at.now, note=reason)
    click.echo(f"override {number}: revoked", err=True)


@overrides.command("only-named")
@click.argument("number", type=int)
@click.argument("hosts", nargs=-1, metavar="[HOST]...")
@_decides
@typed_word
@click.pass_obj
def only_named(setup: Setup, *, number: int, hosts: tuple[str, ...], by: str, from_pipe: bool) -> None:
    """Close HOSTs that come with the pages of NUMBER; without any, all of them, and nothing more comes.

    Anybody who may use this command may do so, for it only ever closes.
    """
    at = _At(setup, decides(setup, by, typed=from_pipe))
    names = [name.strip().lower() for name in hosts]
    closed = at.store.only_named(number, names, by=at.by, now=at.now)
    what = ", ".join(closed) or "nothing came with its pages"
    click.echo(f"override {number}: closed again: {what}", err=True)


@overrides.command("list")
@click.option("--all", "over", is_flag=True, help="Also what was refused or has ended.")
@_json
@click.pass_obj
def list_(setup: Setup, *, over: bool, as_json: bool) -> None:
    """Show what is open by an override, with the minutes left, and what waits to be decided.

    Says as well which reports of overrides that have ended were not read yet by whoever granted them.
    """
    at = _At(setup)
    found, unread = at.store.all(over=over), at.reports.unread()
    show.table(found, at.now, at.school.zone, as_json=as_json, unread=unread)


@overrides.command("show")
@click.argument("number", type=int)
@click.option("--report", is_flag=True, help="Also what was visited under it, and by whom; needs --purpose.")
@click.option(
    "--purpose", default="", metavar="TEXT", help="Why people's visits are looked at, for the audit."
)
@click.option(
    "--by",
    default="",
    metavar="NAME",
    help="Who reads the report: a staff account, whose password is asked for.",
)
@typed_word
@_json
@click.pass_obj
def show_(
    setup: Setup, *, number: int, report: bool, purpose: str, by: str, from_pipe: bool, as_json: bool
) -> None:
    """Show everything about NUMBER: what, for whom, why, each step, and what its pages need of other sites.

    With --report also what was visited under it, and by whom; the look is in the audit trail with its
    purpose. Until it has ended that comes from the log; then a report is made once, and kept. Names and sites
    stay in it for as long as the log keeps them (or overrides.report_days), after that what each group did,
    as numbers. It counts as read when whoever granted it shows it with --by.
    """
    if report != bool(said(purpose)) or (by and not report):
        raise click.UsageError(
            "what people visited is shown for a purpose: give --report and --purpose together"
        )
    at = _At(setup, decides(setup, by, typed=from_pipe) if by else "")
    override, steps = at.store.get(number), at.store.steps(number)
    found = None
    if report:
        at.reports.look(number, by=at.by, purpose=said(purpose), now=at.now)
        made = at.reports.of(number) is not None
        found = at.reports.visits(number) if made else afterwards.visited(setup.state, override)
    written = asyncio.run(_said(setup, override)) if override.wish.review else []
    needs, kept = at.store.needs(number), at.reports.of(number)
    show.one(
        override,
        steps,
        at.now,
        at.school.zone,
        as_json=as_json,
        report=found,
        said=written,
        needs=needs,
        kept=kept,
    )


async def _said(setup: Setup, override: Override) -> list[str]:
    # From the log, which keeps what somebody wrote on a block page for its own time, and no copy of it.
    async with open_reader(setup.state) as reader:
        reviews = await reader.reviews(reference=override.wish.review)
    return [review.message for review in reviews if review.message]


def _wish(at: _At, typed: dict[str, Any]) -> Wish:
    values = {**typed, "minutes": typed["minutes"] or 0}
    return wish_of(Typed(**values), at.loaded, at.accounts, at.now)


def _by_some_role(at: _At, wish: Wish) -> list[str]:
    # What no role could ever grant is refused at once, in the same words as everything that cannot be opened.
    for role in at.school.roles.values():
        try:
            return could_open(wish, role, at.loaded, at.accounts)
        except OverrideError:
            continue
    raise OverrideError(CANNOT)


def _grant_asked(at: _At, number: int, typed: dict[str, Any]) -> tuple[Override, list[str]]:
    given = Typed(**{**typed, "addresses": (), "minutes": typed["minutes"] or 0})
    if given or given.starts or given.subject:
        raise click.UsageError("a request is granted as it was asked for; only its end can be made earlier")
    asked = at.store.get(number)
    ends = asked.wish.ends
    if given.until:
        ends = min(ends, moment(given.until, at.school.zone, at.now))
    elif given.minutes:
        ends = min(ends, max(at.now, asked.wish.starts) + given.minutes * 60)
    wish = Wish(**{**_fields(asked.wish), "ends": ends})
    actor = actor_of(at.by, at.accounts, at.school)
    role, notes = role_to_grant(wish, actor, asked.asked_by, at.loaded, at.accounts, at.now)
    done = at.store.grant(
        number, role.id, by=at.by, now=at.now, ends=ends, note=given.reason, learns=not given.only_named
    )
    return done, notes


def _fields(wish: Wish) -> dict[str, Any]:
    return {name: getattr(wish, name) for name in Wish.__slots__}
