"""What a worker process runs, from start to end.

What lives only here: the tasks beside its mitmproxy, and how it ends. It stands apart from
`processes`, because it brings mitmproxy, which the supervisor would only carry about.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from appliance import assembly, granting, sources, watching
from appliance.config.problems import ProblemsError
from appliance.events.audit import Trail
from appliance.events.errors import EventsError
from appliance.events.store import EventStore
from appliance.filtering import Filtering
from appliance.gateway.addon import GatewayAddon
from appliance.gateway.ca import Authority, AuthorityError
from appliance.gateway.credentials import Credentials
from appliance.gateway.door import Doors
from appliance.gateway.handshakes import Handshakes
from appliance.gateway.lane_judge import Lane
from appliance.gateway.lane_pool import Pool
from appliance.gateway.listen import WorkerError
from appliance.gateway.lived import cut_overrides
from appliance.gateway.loop import GuardedLoop
from appliance.gateway.nameservers import NameServers
from appliance.gateway.ongoing import Ongoing
from appliance.gateway.options import Recycle
from appliance.gateway.pages import Pages
from appliance.gateway.passage import Passage
from appliance.gateway.proxy_tls import ProxyTls
from appliance.gateway.relay import Relay
from appliance.gateway.resolver import Resolver
from appliance.gateway.site import OwnSite
from appliance.gateway.tls import SchoolTls, write_roots
from appliance.gateway.worker import Worker, quiet_libraries, watch_lag
from appliance.giving_back import give_back
from appliance.identity.accounts import Account
from appliance.identity.database import FOLDER, Database
from appliance.identity.following import LOOK_SECONDS
from appliance.identity.networks import Networks, ProxySignIn
from appliance.identity.outside import DIRECTORY
from appliance.identity.passwords import Passwords
from appliance.identity.resolver import Lost
from appliance.identity.resolver import Resolver as People
from appliance.identity.signing_in import SignIn
from appliance.metrics import Metrics
from appliance.model.grant import Grant
from appliance.model.profile import Policy
from appliance.model.secret import Secret
from appliance.policy.overrides import Grants
from appliance.recording import Recorder
from appliance.reporting import know, log_to_stderr
from appliance.settings import Settings, load_settings
from appliance.supervisor import CANNOT_START, LEAVE, READY, go_on

logger = logging.getLogger(__name__)

_LEAVING_SECONDS = 2.0
"""How long the connections of whoever signed out go on: the page that says so travels on one of them."""

_KNOWN_SECONDS = 2.0
"""How long it is waited for that a worker knows whom the directory has just named."""

CANNOT_SERVE = (WorkerError, AuthorityError, EventsError, ProblemsError)
"""What keeps a worker from serving, told in words a technician understands."""


@dataclass(frozen=True, slots=True)
class Under:
    """What a worker has of its supervisor: listening sockets, and two ways to it."""

    said: Connection
    """Where it is told that the worker serves."""
    alive: Connection
    """Can be read when the supervisor has gone."""
    sockets: tuple[socket.socket, ...] = ()


def serve_one(config: Path, place: int, under: Under) -> int:
    """Be the worker of one place under a supervisor; return the exit status."""
    try:
        work(load_settings(config).settings, under)
    except CANNOT_SERVE as error:
        sys.stderr.write(f"appliance: worker {place}: {error}\n")
        return CANNOT_START
    return 0


COLLECTING = (5_000, 10, 20)
"""When Python looks for cycles: after how many new objects, and how many rounds until old ones as well.

A connection that has ended is such a cycle, with its buffers: seldom looked for, they are megabytes. Four
times as seldom saves no instruction that could be counted.
"""


def work(settings: Settings, under: Under | None = None) -> None:
    """Run one worker until SIGTERM, or until its supervisor has gone; WorkerError if it cannot serve.

    With SIGUSR1 it lets nobody in any more, and ends when nobody is left. A worker alone is under nobody,
    opens its ports itself, and ends with Ctrl-C as well.
    """
    log_to_stderr()
    quiet_libraries()
    with asyncio.Runner(loop_factory=GuardedLoop) as runner:
        runner.run(_work(settings, under))


async def _work(settings: Settings, under: Under | None) -> None:
    loop = asyncio.get_running_loop()
    snapshots = assembly.snapshots(settings)
    policy = snapshots.open(snapshots.current())
    metrics = Metrics(settings.state / "metrics")
    lists = assembly.open_lists(settings)
    events = await EventStore.open(settings.state, metrics)
    who = assembly.resolver(settings, policy)
    learnt, told = granting.learnt(settings.state), assembly.told(settings)
    journey = assembly.filtering(settings, policy, lists, told=told, identity=who, learnt=learnt)
    # Whom a new policy counts for, it counts for from the first request on.
    assembly.stage(snapshots, journey)
    recorder = Recorder(events, metrics)
    passage = _passage(settings, journey, recorder, metrics)
    passage.credentials = _credentials(settings, policy, who)
    doors = Doors()  # type: ignore[no-untyped-call] # mitmproxy's constructor has no types
    doors.passage, doors.given = passage, under.sockets if under is not None else ()

    def cut(lost: Lost) -> None:
        doors.cut(lost.addresses, lost.users, lost.nameless)
        if lost.left:
            loop.call_later(_LEAVING_SECONDS, doors.cut, lost.left)
        journey.changed()  # what passes spliced is judged again, and what is no help line's ends

    people = assembly.follower(settings, who, cut)
    await people.look()  # who is frozen is frozen from the first request on

    def grant(grants: tuple[Grant, ...], ended: frozenset[int]) -> None:
        journey.grant(Grants(grants))
        # What passes spliced is judged again, for the epoch has changed. Whatever lost a part begins anew.
        cut_overrides(doors, ended | learnt.lost())

    overrides = granting.follower(settings.state, policy.sets[settings.school.set], grant)
    await overrides.look()
    worker = _worker(settings, journey, recorder, metrics, doors, people.look)
    know(metrics, policy, lists)
    _collect_seldom()

    def use(new: Policy) -> None:
        journey.use(new)
        know(metrics, new, lists)

    for_ever = (
        lambda: watching.watch_lists(lists, journey.changed),
        lambda: watching.watch_policy(snapshots, journey.policy.version, use),
        lambda: watching.watch_stage(snapshots, journey.stage),
        people.follow,
        overrides.follow,
        lambda: watch_lag(metrics.loop_lag),
        passage.watch,
    )
    tasks = [loop.create_task(go_on(each)) for each in (*for_ever, give_back)]
    _end_on_signals(worker, under.alive.fileno() if under is not None else None, settings.gateway.recycle)
    try:
        await worker.run(lambda: _say_ready(under.said) if under is not None else None)
    finally:
        await _cancelled(tasks)
        await events.close()
        for close in (passage.credentials.close, learnt.close, metrics.flush):
            close()


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _collect_seldom() -> None:
    # What is there by now stays, and need not be looked at again. Connections come and go by the thousand
    # objects; looking for cycles among them ever so often is a tenth of the worker's time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTING)


def _passage(settings: Settings, journey: Filtering, recorder: Recorder, metrics: Metrics) -> Passage:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, GuardedLoop)  # noqa: S101 - `work` made it
    loop.resolver = Resolver(
        reach=assembly.reach(settings),
        static={name.lower(): found for name, found in settings.gateway.static_hosts.items()},
        asking=NameServers(settings.gateway.resolvers),
        helps=journey.helps,
    )
    idle, own_name = settings.gateway.idle_seconds, settings.gateway.own_name
    return Passage(journey, recorder, metrics, loop.connected, own_name, idle, loop.begin)


def _credentials(settings: Settings, policy: Policy, who: People) -> Credentials:
    networks = Networks(settings.client_networks, policy.sets[settings.school.set].strictest)
    if all(one.proxy is ProxySignIn.NEVER for one in settings.client_networks):
        return Credentials()
    try:
        directory = sources.directory(settings)
    except OSError as error:  # its CA is not there: nobody comes in by it, and everybody else does
        logger.error("the directory cannot be asked: %s", error)  # noqa: TRY400 - words, not a traceback
        directory = None
    trail = Trail(settings.state)
    entry = SignIn(Database(settings.state), trail, settings.identity.rules, Passwords(), directory)

    def usable(name: str) -> Account | None:
        account = who.account(name)
        return account if account is not None and account.usable(time.time()) else None

    def check(name: str, password: Secret, address: str) -> str:
        found = entry.shown(name, password, address, time.time()).name
        # Whom the directory has just named is in the database, and in a moment in what this worker knows.
        ends = time.monotonic() + _KNOWN_SECONDS
        while usable(found) is None and time.monotonic() < ends:
            time.sleep(LOOK_SECONDS / 2)
        return found

    def kept(name: str) -> str:
        account = usable(name)
        # Of whom the directory keeps no password is kept: what fitted there counts for its time.
        return "" if account is None else account.password or account.source

    def there(name: str) -> bool:
        if directory is None:
            return False
        account = who.account(name) or who.account(directory.plain(name))
        return account is None or account.source == DIRECTORY

    plain = settings.identity.allow_plain
    return Credentials(check, kept, networks.proxy_sign_in, plain=plain, there=there)


def _worker(
    settings: Settings,
    journey: Filtering,
    recorder: Recorder,
    metrics: Metrics,
    doors: Doors,
    look: Callable[[], Coroutine[Any, Any, None]],
) -> Worker:
    authority, reach = Authority(settings.state / "ca"), assembly.reach(settings)
    names = (settings.gateway.proxy_name or settings.gateway.own_name, settings.gateway.own_name)
    doors.proxy_tls = ProxyTls(authority, names)
    site = OwnSite(
        pages=Pages(),
        filtering=journey,
        reviews=recorder,
        school=settings.school.name,
        own_name=settings.gateway.own_name,
        ca_pem=authority.certificate_file.read_bytes(),
        review_key=(settings.state / "keys" / "review.key").read_bytes(),
        portal=Relay(settings.state / FOLDER, look) if settings.identity.portal else None,
    )
    addon = GatewayAddon(
        filtering=journey,
        recorder=recorder,
        metrics=metrics,
        site=site,
        reach=reach,
        doors=doors,
        deadline=settings.gateway.deadline_seconds,
        handshakes=Handshakes(settings.state),
        lean=settings.gateway.lean_lane,
        http2=settings.gateway.http2,
        credentials=doors.passage.credentials if doors.passage is not None else None,
    )
    if doors.passage is not None:
        doors.passage.ongoing = Ongoing(doors, journey, addon).judge_again
    roots = write_roots(settings.state / "ca" / "upstream-roots.pem", settings.gateway.extra_roots)
    lane = Lane(
        addon=addon,
        filtering=journey,
        metrics=metrics,
        site=site,
        doors=doors,
        pool=Pool(reach, roots),
    )
    return Worker(
        listen=settings.listen,
        tls=SchoolTls(authority, settings.state / "ca"),
        doors=doors,
        addon=addon,
        roots=roots,
        idle=settings.gateway.idle_seconds,
        http2=settings.gateway.http2,
        lane=lane if settings.gateway.lean_lane else None,
    )


def _end_on_signals(worker: Worker, parent: int | None, recycle: Recycle) -> None:
    loop = asyncio.get_running_loop()
    leaving: list[asyncio.Task[None]] = []

    def leave() -> None:
        if not leaving:
            leaving.append(loop.create_task(worker.leave(recycle.drain_seconds)))

    loop.add_signal_handler(signal.SIGTERM, worker.stop)
    loop.add_signal_handler(LEAVE, leave)
    if parent is None:
        loop.add_signal_handler(signal.SIGINT, worker.stop)
    else:
        # A worker whose supervisor was killed must not stand in the way of the next start.
        loop.add_reader(parent, lambda: _supervisor_gone(worker, parent))


def _supervisor_gone(worker: Worker, parent: int) -> None:
    asyncio.get_running_loop().remove_reader(parent)
    worker.stop()


def _say_ready(said: Connection) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more; that we end is seen in a moment
        said.send_bytes(READY)
