"""The one place that chooses real things and joins rooms: one function a process.

What lives only here: which class stands behind which port. Everything below takes what it needs as an
argument, so that tests can hand it doubles.
"""

from __future__ import annotations

import fcntl
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from appliance import granting, holding
from appliance.config.problems import InWordsError, Problem, ProblemsError
from appliance.config.profiles import SET_FILE, blanks, load_policy
from appliance.config.snapshots import Snapshots
from appliance.events.audit import Trail
from appliance.events.hits import HITS_FILE, Hits
from appliance.filtering import Filtering, Rules
from appliance.gateway.ca import ensure_authority, expires_soon
from appliance.gateway.reach import Reach
from appliance.identity.database import Database
from appliance.identity.following import Follower
from appliance.identity.leases import Lease, LeaseFile
from appliance.identity.neighbours import neighbours
from appliance.identity.networks import Networks
from appliance.identity.resolver import Lost
from appliance.identity.resolver import Resolver as People
from appliance.learning import Learnt
from appliance.lists.catalogue import load_catalogue, load_help
from appliance.lists.compiler import CompileError, ensure_compiled
from appliance.lists.lists import Lists
from appliance.lists.paths import Paths as ListPaths
from appliance.lists.pinned import load_pinned
from appliance.model.profile import Policy, ProfileSet, Rating
from appliance.plausible import (
    cross_check,
    floor_problems,
    identity_notes,
    needs_of,
    role_notes,
    statutory_problems,
    term_notes,
    update_problems,
)
from appliance.policy.repeated import Limit
from appliance.settings import Configuration, Settings, load_paths, load_settings
from appliance.surroundings import Lists as Asked
from appliance.surroundings import Told
from appliance.watching import tell_problems

CATEGORIES = "categories.yaml"
DEVELOPMENT = "development"
"""The mode of a statutory list that is made up."""
_HELD = {
    "supplied": "is supplied to the school and held here as keyed hashes",
    "upstream": "is enforced by an upstream provider, which canaries prove",
}
NOBODY_NAMED = (
    "such rules open for nobody, since the gateway learns no names while identity.portal is false and no "
    "network has a proxy_sign_in"
)
GATEWAY = "the gateway"
"""Who did what nobody did by hand, in the audit."""
WHO_SIGNED_IN = "such rules open for those whom they name, while they are signed in"
"""What is to be known about rules for named users."""


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
    policy = catalogue = None
    if paths.blocklists.is_dir() and paths.profiles.is_dir():
        policy = _gather(problems, lambda: load_policy(paths.profiles, paths.blocklists / CATEGORIES))
    if paths.blocklists.is_dir():
        catalogue = _gather(problems, lambda: load_catalogue(paths.blocklists))
        _gather(problems, lambda: load_help(paths.blocklists))
        _gather(problems, lambda: load_pinned(paths.blocklists))
    if configuration is not None:
        problems += cross_check(configuration, policy)
    if configuration is not None and catalogue is not None:
        problems += update_problems(configuration, catalogue)
    if catalogue is not None:
        problems += floor_problems(paths.blocklists, catalogue)
    if policy is not None:
        problems += statutory_problems(policy, paths.blocklists)
    if problems or configuration is None or policy is None:
        raise ProblemsError(problems)
    return Loaded(configuration, policy)


def _gather[T](problems: list[Problem], read: Callable[[], T]) -> T | None:
    try:
        return read()
    except ProblemsError as error:
        problems += error.problems
        return None


def load_to_run(config: Path) -> Loaded:
    """Read what `run` needs; where an edit of the policy is broken, with the last good policy instead.

    A broken edit changes nothing, not even over a restart: what is wrong is told on stderr. ProblemsError
    where the settings themselves are wrong, or where no good policy was ever in force.
    """
    try:
        return load(config)
    except ProblemsError as error:
        last = _last_good(config)
        if last is None:
            raise
        tell_problems(error)
        return last


def _last_good(config: Path) -> Loaded | None:
    try:
        configuration = load_settings(config)
        settings = configuration.settings
        store = snapshots(settings)
        if not store.current() or not ListPaths(settings.state).table.exists():
            return None
        policy = store.open(store.current())
    except (ProblemsError, OSError):
        return None
    return None if cross_check(configuration, policy) else Loaded(configuration, policy)


def counting(loaded: Loaded) -> Loaded:
    """Return the same with the policy that is in force, where edits of it wait for a second person."""
    store = snapshots(loaded.settings)
    if loaded.settings.changes.approval == "single" or not store.current():
        return loaded
    return Loaded(loaded.configuration, store.open(store.current()))


def notes(loaded: Loaded, now: datetime | None = None) -> list[str]:
    """Return what is no error, but what a technician and a governor should know; `now` is aware."""
    now = now or datetime.now(UTC)
    settings = loaded.settings
    found = [f"{text} (a blank blocks)" for text in blanks(loaded.policy)]
    if not settings.identity.networks:
        strictest = loaded.policy.sets[settings.school.set].strictest
        found.append(f"identity.networks is empty: everybody is unknown and gets the profile {strictest!r}")
    try:
        found += term_notes(settings.paths.profiles / settings.school.set / SET_FILE, now.date())
        floor = load_catalogue(settings.blocklists).floor
    except ProblemsError:
        floor = ()  # a broken edit, while the last good policy is in force: it is told with the edit
    found += [text for text in (expires_soon(settings.state / "ca", now),) if text]
    found += [f"the statutory list {entry.id} {_HELD[entry.mode]}" for entry in floor if entry.mode in _HELD]
    synthetic = [entry.id for entry in floor if entry.mode == DEVELOPMENT]
    if synthetic:
        names = ", ".join(synthetic)
        found.append(
            f"the statutory lists {names} are synthetic: this is NOT COMPLIANT, and for trying out only"
        )
    found += _waiting(loaded.configuration)
    found += role_notes(loaded.policy.sets[settings.school.set])
    if not settings.alerts.deliver:
        found.append("alerts.deliver is false: nobody is told of what is flagged (DFE-M1)")
    found += identity_notes(settings)
    if not settings.identity.learns_names:
        found += _named_rules(loaded.policy.sets[settings.school.set])
    return found


def _waiting(configuration: Configuration) -> list[str]:
    try:
        file, settings = Path(configuration.document.file), configuration.settings
        return [*holding.unended(settings), *holding.waits(file, settings)]
    except (InWordsError, OSError) as error:
        return [str(error)]


def _named_rules(chosen: ProfileSet) -> list[str]:
    ratings = (Rating.CERTAIN_USERS, Rating.NOMINATED_USERS)
    named = [
        f"{profile.id} ({', '.join(rules)})"
        for profile in chosen.profiles.values()
        if (rules := sorted(name for name, rule in profile.rules.items() if rule.rating in ratings))
    ]
    return [f"rules for named users in {', '.join(named)}: {NOBODY_NAMED}"] if named else []


def resolver(settings: Settings, policy: Policy) -> People:
    """Return who is asking, by everything that a worker will know; until it is told, by networks alone."""
    strictest = policy.sets[settings.school.set].strictest
    return People(Networks(settings.client_networks, strictest), strictest, time.time)


def follower(settings: Settings, who: People, cut: Callable[[Lost], None]) -> Follower:
    """Return what keeps `who` on the database of people; `cut` ends open connections."""
    database = Database(settings.state)
    asked = settings.identity.leases
    leases = LeaseFile(asked.format, asked.file).look if asked is not None else dict[str, Lease]
    devices, hold = settings.identity.registered, settings.identity.stop_holds_hours * 3600
    return Follower(database, who, devices, cut, neighbours, leases, hold)


def filtering(
    settings: Settings,
    policy: Policy,
    lists: Asked,
    set_id: str = "",
    told: Told | None = None,
    identity: People | None = None,
    learnt: Learnt | None = None,
) -> Filtering:
    """Return the journey of one request, as the gateway and `explain` both take it.

    `told` is how a worker hears of floor hits that others have counted; `identity` is how it knows people,
    and `learnt` what the pages of overrides need.
    """
    set_id = set_id or settings.school.set
    hits = settings.gateway.floor_hits
    return Filtering(
        identity=identity or Networks(settings.client_networks, policy.sets[set_id].strictest),
        lists=lists,
        reach=reach(settings),
        policy=policy,
        rules=Rules(
            set_id,
            settings.gateway.ports,
            Limit(hits.hits, hits.window_seconds, hits.pause_seconds),
            settings.gateway.own_name,
            settings.identity.oidc.reachable if settings.identity.oidc else frozenset(),
        ),
        told=told,
        learnt=learnt,
    )


def stage(store: Snapshots, journey: Filtering) -> None:
    """Let the policy that counts for some people first count for them; where it is damaged, for nobody."""
    try:
        journey.stage(store.staged())
    except (ProblemsError, OSError) as error:
        _say(f"no policy counts for some people first: {error}")


def told(settings: Settings) -> Told | None:
    """Open what workers tell each other of floor hits; None, each counts alone, where it cannot be had."""
    try:
        return Hits(settings.state / HITS_FILE)
    except OSError as error:
        sys.stderr.write(f"appliance: each worker counts floor hits alone: {error}\n")
        return None


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
        needs = [Problem(str(profiles), 1, 1, message) for _, message in needs_of(settings, policy)]
        return needs + statutory_problems(policy, settings.blocklists)

    def record(before: str, after: str) -> None:
        trail = Trail(settings.state)
        trail.add("policy-in-force", after, by=GATEWAY, at=time.time(), instead_of=before)

    def held(version: str) -> str:
        if settings.changes.approval == "single":
            return ""
        return f"{version} waits until a second person has released it: `appliance changes propose`"

    # The file that is edited: it is part of the policy, and waits with it.
    store, categories = settings.state / "policy", settings.paths.blocklists / CATEGORIES
    return Snapshots(store, profiles, categories, unfit=unfit, record=record, held=held)


def prepare(settings: Settings) -> None:
    """Make what the first start needs: folders, the school's CA, keys, compiled lists, the policy in force.

    OSError if the state folder cannot be written; ProblemsError if the policy is bad and none was ever in
    force; AuthorityError if the CA cannot be used.
    """
    settings.state.mkdir(parents=True, exist_ok=True)
    with (settings.state / "prepare.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # workers that start alone, at the same moment, make one CA
        if ensure_authority(settings.state / "ca", settings.school.name):
            _say(f"made the school's certificate authority in {settings.state / 'ca'}")
        ensure_key(settings.state / "keys" / "review.key")
        Database(settings.state).prepare()
        granting.prepare(settings.state)
        holding.begin(settings)
        if not ListPaths(settings.state).table.exists():
            _say("compiling the lists for the first time, which takes some seconds ...")
        # A broken edit changes nothing: with lists and a policy in force, those are started with.
        try:
            compile_lists(settings, child=True)
        except (ProblemsError, CompileError) as error:
            if not ListPaths(settings.state).table.exists():
                raise
            _say(f"the lists from before stay in force: {error}")
        store = snapshots(settings)
        try:
            store.publish()
        except ProblemsError:
            if not store.current():
                raise


def ensure_key(path: Path) -> None:
    """Make the key of 32 random bytes at `path` where there is none."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    temporary.write_bytes(secrets.token_bytes(32))
    temporary.replace(path)  # whole or not at all: an empty key would make every review token guessable


def _say(text: str) -> None:
    sys.stderr.write(f"appliance: {text}\n")
    sys.stderr.flush()
