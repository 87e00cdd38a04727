"""The one place that chooses real things and joins rooms: one function a process.

What lives only here: which class stands behind which port. Everything below takes what it needs as an
argument, so that tests can hand it doubles.
"""

from __future__ import annotations

import asyncio
import fcntl
import secrets
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from appliance.config.problems import Problem, ProblemsError, unknown
from appliance.config.profiles import SET_FILE, blanks, load_policy
from appliance.config.snapshots import Snapshots
from appliance.filtering import Filtering, Rules
from appliance.gateway.ca import ensure_authority
from appliance.gateway.reach import Reach
from appliance.identity.audit import Trail
from appliance.identity.database import Database
from appliance.identity.following import Follower
from appliance.identity.neighbours import neighbours
from appliance.identity.networks import Networks
from appliance.identity.resolver import Lost, Resolver
from appliance.lists.catalogue import CATALOGUE_FILE, Catalogue, load_catalogue, load_help
from appliance.lists.compiler import ensure_compiled
from appliance.lists.lists import Lists
from appliance.model.profile import Policy
from appliance.policy.repeated import Limit
from appliance.settings import Configuration, Settings, load_paths, load_settings

CATEGORIES = "categories.yaml"
DEVELOPMENT = "development"
"""The mode of a statutory list that is made up."""
_HELD = {
    "supplied": "is supplied to the school and held here as keyed hashes",
    "upstream": "is enforced by an upstream provider, which canaries prove",
}
type Need = tuple[tuple[str | int, ...], str]
"""A key of the settings, and what is wrong with what stands there."""

STATUTORY = ("csam", "terrorism")
"""The categories that a statutory list must feed, whatever else the catalogue holds (S-18, S-19)."""

POLL_SECONDS = 0.1
"""How often processes look whether a policy or a list has changed: in force within a second."""

RETRY_SECONDS = 2.0
"""How long a process waits before it reads a published policy again that it could not read."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and the policy that its files hold now."""

    configuration: Configuration
    policy: Policy

    @property
    def settings(self) -> Settings:
        """The configuration's settings."""
        return self.configuration.settings


def load(config: Path) -> Loaded:
    """Read everything that `run` needs; ProblemsError with all that `run` would refuse."""
    problems: list[Problem] = []
    configuration = _gather(problems, lambda: load_settings(config))
    # What can still be found of a broken configuration is checked as well: one round of repairs, not three.
    paths = configuration.settings.paths if configuration else load_paths(config)
    if paths is None:
        raise ProblemsError(problems)
    policy = _gather(problems, lambda: load_policy(paths.profiles, paths.blocklists / CATEGORIES))
    catalogue = _gather(problems, lambda: load_catalogue(paths.blocklists))
    _gather(problems, lambda: load_help(paths.blocklists))
    if configuration is not None:
        problems += _cross_check(configuration, policy)
    if configuration is not None and catalogue is not None:
        problems += _update_problems(configuration, catalogue)
    if catalogue is not None:
        problems += _floor_problems(paths.blocklists, catalogue)
    if problems or configuration is None or policy is None:
        raise ProblemsError(problems)
    return Loaded(configuration, policy)


def _gather[T](problems: list[Problem], read: Callable[[], T]) -> T | None:
    try:
        return read()
    except ProblemsError as error:
        problems += error.problems
        return None


def notes(loaded: Loaded) -> list[str]:
    """Return what is no error, but what a technician and a governor should know."""
    settings = loaded.settings
    found = [f"{text} (a blank blocks)" for text in blanks(loaded.policy)]
    if not settings.identity.networks:
        strictest = loaded.policy.sets[settings.school.set].strictest
        found.append(f"identity.networks is empty: everybody is unknown and gets the profile {strictest!r}")
    floor = load_catalogue(settings.blocklists).floor
    found += [f"the statutory list {entry.id} {_HELD[entry.mode]}" for entry in floor if entry.mode in _HELD]
    synthetic = [entry.id for entry in floor if entry.mode == DEVELOPMENT]
    if synthetic:
        names = ", ".join(synthetic)
        found.append(
            f"the statutory lists {names} are synthetic: this is NOT COMPLIANT, and for trying out only"
        )
    return found


def resolver(settings: Settings, policy: Policy) -> Resolver:
    """Return who is asking, by everything that a worker will know; until it is told, by networks alone."""
    strictest = policy.sets[settings.school.set].strictest
    return Resolver(Networks(settings.client_networks, strictest), strictest, time.time)


def follower(settings: Settings, who: Resolver, cut: Callable[[Lost], None]) -> Follower:
    """Return what keeps `who` on the database of people; `cut` ends open connections."""
    database, trail = Database(settings.state), Trail(settings.state)
    return Follower(database, trail, who, settings.identity.registered, cut, neighbours)


def filtering(
    settings: Settings, policy: Policy, lists: Lists, set_id: str = "", identity: Resolver | None = None
) -> Filtering:
    """Return the journey of one request, as the gateway and `explain` both take it."""
    set_id = set_id or settings.school.set
    hits = settings.gateway.floor_hits
    return Filtering(
        identity=identity or Networks(settings.client_networks, policy.sets[set_id].strictest),
        lists=lists,
        reach=reach(settings),
        policy=policy,
        rules=Rules(
            set_id, settings.gateway.ports, Limit(hits.hits, hits.window_seconds, hits.pause_seconds)
        ),
    )


def reach(settings: Settings) -> Reach:
    """Return the judgement of what lies inside the school."""
    return Reach(
        settings.gateway.reachable,
        [network.network for network in settings.client_networks],
        settings.gateway.static_hosts,
    )


def open_lists(settings: Settings) -> Lists:
    """Open the compiled lists as they are; never raises, a missing table closes the gate."""
    return Lists.open(settings.blocklists, settings.state, settings.floor_max_age_hours)


def compile_lists(settings: Settings, *, child: bool) -> None:
    """Compile what is due, in a process of its own for one that goes on living; CompileError, OSError."""
    ensure_compiled(settings.blocklists, settings.state, child=child)


def snapshots(settings: Settings) -> Snapshots:
    """Return the store of published policies."""
    profiles = settings.paths.profiles

    def unfit(policy: Policy) -> list[Problem]:
        # An edit can be right in itself and still take away what this gateway's settings count on.
        return [Problem(str(profiles), 1, 1, message) for _, message in _needs(settings, policy)]

    return Snapshots(settings.state / "policy", profiles, settings.blocklists / CATEGORIES, unfit=unfit)


def prepare(settings: Settings) -> None:
    """Make what the first start needs: folders, the school's CA, keys, compiled lists, the policy in force.

    OSError if the state folder cannot be written; ProblemsError if the policy is bad.
    """
    settings.state.mkdir(parents=True, exist_ok=True)
    with (settings.state / "prepare.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # workers that start alone, at the same moment, make one CA
        ensure_authority(settings.state / "ca", settings.school.name)
        _ensure_key(settings.state / "keys" / "review.key")
        Database(settings.state).prepare()
        compile_lists(settings, child=True)
        snapshots(settings).publish()


def _ensure_key(path: Path) -> None:
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    temporary.write_bytes(secrets.token_bytes(32))
    temporary.replace(path)  # whole or not at all: an empty key would make every review token guessable


async def watch_lists(lists: Lists) -> None:
    """Keep `lists` on the newest table for ever."""
    while True:
        await asyncio.sleep(POLL_SECONDS)
        lists.refresh()


async def watch_policy(store: Snapshots, version: str, use: Callable[[Policy], None]) -> None:
    """Put each newly published policy in force, for ever; `version` is the one that is in force now."""
    while True:
        await asyncio.sleep(POLL_SECONDS)
        try:
            if (published := store.current()) == version:
                continue
            # In a thread, so that reading does not hold up requests.
            policy = await asyncio.to_thread(store.open, published)
        except (ProblemsError, OSError, ValueError):
            # A copy that cannot be read leaves the policy in force; the supervisor publishes only what it
            # could read itself.
            await asyncio.sleep(RETRY_SECONDS)
        else:
            use(policy)
            version = policy.version


async def watch_edits(
    store: Snapshots, changed: Callable[[Policy], None], broken: Callable[[ProblemsError | OSError], None]
) -> None:
    """Publish each good edit of the technician's files, for ever.

    A bad edit is told once, and changes nothing.
    """
    failed = False
    seen: object = None  # so that an edit made while the gateway started is seen as well
    while True:
        await asyncio.sleep(POLL_SECONDS)
        signature = store.signature()
        if signature == seen:
            continue
        # An editor may still be writing: wait until the files have kept still.
        await asyncio.sleep(POLL_SECONDS)
        if store.signature() != signature:
            continue
        seen = signature
        before = store.current()
        try:
            policy = await asyncio.to_thread(store.publish)
        except (ProblemsError, OSError) as error:
            failed = True
            broken(error)
        else:
            # A broken edit that was taken back is news as well: the alarm must end.
            if failed or policy.version != before:
                changed(policy)
            failed = False


def tell_problems(error: ProblemsError | OSError) -> None:
    """Print what is wrong with an edit, on stderr."""
    sys.stderr.write("appliance: the edit is not in force; the policy from before stays. What is wrong:\n")
    sys.stderr.write(f"{error}\n")
    sys.stderr.flush()


def _floor_problems(blocklists: Path, catalogue: Catalogue) -> list[Problem]:
    fed = {entry.category for entry in catalogue.floor}
    return [
        Problem(
            str(blocklists / CATALOGUE_FILE), 1, 1, f"no statutory list in `floor:` feeds {name!r} (DFE-F2)"
        )
        for name in STATUTORY
        if name not in fed
    ]


def _update_problems(configuration: Configuration, catalogue: Catalogue) -> list[Problem]:
    known = [feed.id for feed in catalogue.downloads]
    return [
        configuration.document.problem(("lists", "updates", index), unknown("download", name, known))
        for index, name in enumerate(configuration.settings.lists.updates)
        if name not in known
    ]


def _cross_check(configuration: Configuration, policy: Policy | None) -> list[Problem]:
    settings = configuration.settings
    needs = _needs(settings, policy) if policy is not None else _file_needs(settings)
    needs += _root_needs(settings.gateway.extra_roots)
    return [configuration.document.problem(key, message) for key, message in needs]


def _root_needs(extra: Path | None) -> list[Need]:
    if extra is None:
        return []
    try:
        holds = b"-----BEGIN CERTIFICATE-----" in extra.read_bytes()
    except OSError as error:
        return [(("gateway", "extra_roots"), f"{extra} cannot be read: {error.strerror or error}")]
    return [] if holds else [(("gateway", "extra_roots"), f"{extra} holds no certificate in PEM form")]


def _file_needs(settings: Settings) -> list[Need]:
    # While a profile is broken there is no policy to ask; the names of the files say what there would be.
    folders = {entry.name: entry for entry in settings.paths.profiles.glob("*/") if entry.is_dir()}
    chosen = folders.get(settings.school.set)
    if chosen is None:
        return [(("school", "set"), unknown("set", settings.school.set, folders))] if folders else []
    profiles = {file.stem for file in chosen.glob("*.yaml")} - {Path(SET_FILE).stem}
    return _group_needs(settings, {name for name in profiles if not name.startswith("_")})


def _group_needs(settings: Settings, profiles: Collection[str]) -> list[Need]:
    identity = settings.identity
    named: list[tuple[tuple[str | int, ...], str]] = [
        *((("networks", index, "group"), one.group) for index, one in enumerate(identity.networks)),
        *((("devices", index, "group"), one.group) for index, one in enumerate(identity.devices)),
        *((("agreements", group), group) for group in identity.agreements),
    ]
    return [
        (("identity", *place), unknown("group", group, profiles))
        for place, group in named
        if group not in profiles
    ]


def _needs(settings: Settings, policy: Policy) -> list[Need]:
    # What the settings need and the policy lacks: the settings' key, and what is wrong with it.
    chosen = policy.sets.get(settings.school.set)
    if chosen is None:
        return [(("school", "set"), unknown("set", settings.school.set, policy.sets))]
    return _group_needs(settings, chosen.profiles)
