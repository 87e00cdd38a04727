"""Changes that were released: put in force, for some first or for all, and taken back.

What lives only here: all of a change or nothing of it, and for whom a network, class or profile stands.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from appliance import assembly, holding, trial
from appliance.changes.doubts import Doubts
from appliance.changes.held_files import BLOCKLISTS, HeldFiles
from appliance.changes.notices import Notices
from appliance.changes.store import FOLDER, Approval, ChangeError, Changes, Entry, Proposal, State
from appliance.config.problems import unknown
from appliance.events.audit import Trail
from appliance.events.carried import Carried
from appliance.identity.accounts import Accounts
from appliance.identity.database import Database
from appliance.identity.names import key
from appliance.lists.entries import shown
from appliance.lists.local import LocalFile, LocalRefusedError, local_key
from appliance.lists.paths import Paths
from appliance.model.known import Use
from appliance.model.stage import Stage
from appliance.model.url import Url, UrlRefusedError, parse_host, parse_typed
from appliance.settings import Settings
from appliance.undoing import Undoing, reason_of


def changes(settings: Settings) -> Changes:
    """Return the proposals of the school."""
    return Changes(settings.state, _trail(settings), _approval(settings), key, Undoing(settings))


def notices(settings: Settings) -> Notices:
    """Return what somebody else is to look at."""
    return Notices(settings.state, _trail(settings), _approval(settings), key)


def doubts(settings: Settings) -> Doubts:
    """Return the accounts that do not count, for somebody else has set their password."""
    return Doubts(settings.state, _trail(settings), _approval(settings), key)


def _trail(settings: Settings) -> Carried:
    return Carried(Trail(settings.state), FOLDER)


def _approval(settings: Settings) -> Approval:
    return Approval(settings.changes.approval == "two", settings.changes.approvers)


def policy_alone(proposal: Proposal) -> bool:
    """Tell whether a change is one of the profiles alone, which can be staged and taken back as a whole."""
    return proposal.base != proposal.version and not proposal.parts and not proposal.entries


def stage_of(
    settings: Settings, proposal: Proposal, first: Iterable[str], until: float | None, *, shown_as: str = ""
) -> Stage:
    """Return for whom a change counts first; ChangeError where it cannot be staged, or a name is nobody's."""
    if settings.changes.approval != "two":
        raise ChangeError(
            "with changes.approval: single an edit counts for everybody at once; set it to two first"
        )
    if not policy_alone(proposal):
        raise ChangeError(
            f"change {proposal.number} changes more than profiles: lists, settings and entries are the same "
            "for everybody; propose the profiles by themselves"
        )
    profiles = assembly.snapshots(settings).open(proposal.version).sets[settings.school.set].profiles
    rooms = {one.name for one in settings.client_networks}
    database = Database(settings.state, asks=True)
    names = {account.key for account in Accounts(database).all()} if database.path.exists() else set()
    groups, people, networks = set(), set(), []
    for name in first:
        if name in profiles:
            groups.add(name)
        elif name in rooms:
            # A room can have several networks: one for each version of IP.
            networks += [one.network for one in settings.client_networks if one.name == name]
        elif key(name) in names:
            people.add(name.casefold())
        else:
            known = [*profiles, *rooms]
            raise ChangeError(
                f"{unknown('profile or network', name, known)}; or the name of a class's log-in"
            )
    words = shown_as or ", ".join(first)
    return Stage(
        proposal.version, proposal.number, words, frozenset(groups), frozenset(people), tuple(networks), until
    )


def said_of(stage: Stage) -> dict[str, Any]:
    """Return what is kept with a change of for whom it counts first."""
    return {
        "shown": stage.shown, "groups": sorted(stage.groups), "names": sorted(stage.names),
        "networks": [str(each) for each in stage.networks], "until": stage.until,
    }  # fmt: skip


def widen(settings: Settings, proposal: Proposal) -> None:
    """Put a staged policy in force for everybody; ProblemsError, OSError."""
    store = assembly.snapshots(settings)
    if store.current() != proposal.base:
        raise ChangeError(
            f"{store.current()} is in force by now, and not {proposal.base}: return the change first"
        )
    store.put_in_force(proposal.version)
    store.set_stage(None)


def take_back(settings: Settings, proposal: Proposal) -> None:
    """Return to the policy from before; ChangeError where something else came in force since.

    What was opened or closed by an entry, an emergency block above all, is no part of it and stays.
    """
    store = assembly.snapshots(settings)
    if proposal.state is State.STAGED:
        store.set_stage(None)
        return
    if not policy_alone(proposal):
        raise ChangeError(
            f"change {proposal.number} changed more than profiles: edit back what is to be undone, and "
            "propose that"
        )
    if store.current() != proposal.version:
        raise ChangeError(
            f"{store.current()} is in force by now: `appliance changes rollback {proposal.base}`"
        )
    store.put_in_force(proposal.base)


def put_in_force(settings: Settings, proposal: Proposal) -> None:
    """Do what a released proposal says; InWordsError, OSError. Who decides undoes what was not decided."""
    check_entries(settings, proposal.entries)
    pair, acts = proposal.parts.get(BLOCKLISTS), trial.list_acts(proposal.entries)
    if pair:
        HeldFiles(settings.state).use_blocklists(pair[1])
    if pair or acts:
        where = trial.Where.real(settings)
        for entry in acts:
            trial.done(entry, where)
        where.compile()
    if proposal.version != proposal.base:
        assembly.snapshots(settings).put_in_force(proposal.version)
    holding.use(settings, proposal.parts)
    _write_entries(settings, proposal)


def _write_entries(settings: Settings, proposal: Proposal) -> None:
    local = LocalFile(Paths(settings.state).local)
    for act, address in proposal.entries:
        if act in trial.LIST_ACTS:
            continue
        why = reason_of(proposal)
        if act == "remove":
            local.remove(address, because=why, who=proposal.by, at=datetime.now(UTC))
        else:
            local.add(Use(act), address, because=why, who=proposal.by, at=datetime.now(UTC))


def check_entries(settings: Settings, entries: Iterable[Entry]) -> None:
    """Raise ChangeError for an entry that cannot be one, before anything of it is written down.

    What a statutory list names is not kept in a proposal either: it may be read, and those lists may not.
    """
    lists = assembly.open_lists(settings)
    for act, address in entries:
        if act in trial.LIST_ACTS:
            continue
        known = lists.lookup(_example(entry_key(address)))
        if known.floor.hit:
            raise ChangeError("an entry is on a statutory list: it is closed, and no entry opens it")
        if act == Use.BLOCK and any(match.use is Use.HELP for match in known.matches):
            raise ChangeError(f"{address} is a help line; help lines stay open")


def _example(one: str) -> Url:
    # An address that the entry covers; a network has none, and no list names one by name.
    try:
        return parse_typed(shown(one))
    except UrlRefusedError:
        return parse_host("invalid")


def roll_back(settings: Settings, version: str, by: str) -> None:
    """Put an earlier version in force; the technician's files stay, and count again once they are edited."""
    store = assembly.snapshots(settings)
    if version not in {name for name, _ in store.kept()}:
        raise ChangeError(f"no version {version} is kept; `appliance changes list --versions` shows them")
    files = store.keep().version
    store.open(version)
    Trail(settings.state).add("policy-rollback", version, by=by, at=time.time(), instead_of=store.current())
    store.set_aside("" if files == version else files)
    store.put_in_force(version)


def entry_key(address: str) -> str:
    """Return the key of an entry; ChangeError where the text can be none."""
    try:
        return local_key(address)
    except LocalRefusedError as error:
        raise ChangeError(f"{address}: {error}") from None
