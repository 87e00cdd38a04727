"""What the supervisor process runs, from start to end; `serving` is the worker's.

What lives only here: the tasks that run beside the workers, and how all of it ends. Which things they
work with is chosen in `assembly`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from appliance import assembly, auditing, granting, handover, recycling, returning, sharing, watching
from appliance.config.problems import InWordsError, ProblemsError
from appliance.config.snapshots import HeldError, Snapshots
from appliance.events.audit import Trail
from appliance.events.carried import Carried
from appliance.events.errors import EventsError
from appliance.gateway.demo import serve_demo
from appliance.gateway.wording import upset_messages
from appliance.identity.database import Database
from appliance.identity.names import IdentityError
from appliance.identity.passwords import Passwords
from appliance.identity.stops import STEPS, Stops
from appliance.identity.upkeep import add_people, end_what_is_over
from appliance.lists.compiler import CompileError
from appliance.lists.ledger import Ledger
from appliance.lists.lists import Lists
from appliance.lists.paths import Paths as ListPaths
from appliance.metrics import Metrics, wipe
from appliance.model.profile import Policy
from appliance.overrides.names import OverrideError
from appliance.ports import Ports, claim_ports
from appliance.reporting import know, log_to_stderr
from appliance.settings import RUNNING, Settings, as_file
from appliance.supervisor import Process, Supervisor, go_on

if TYPE_CHECKING:
    from appliance.lists.update import Updater

_LIST_METRICS_SECONDS = 10.0
_REFRESH_SECONDS = 3600.0
_UPDATE_SECONDS = 60.0
_PEOPLE_SECONDS = 1.0
_OVERRIDES_SECONDS = 1.0
_BESIDE_SECONDS = 1.0
_REVIEW_SECONDS = 2.0
_REVIEW_LATE = 60.0
_REVIEW_DAY = 86_400.0
_SETTLE_SECONDS = 0.05
_END_SECONDS = 4.0
_KEEPER_SECONDS = 3.0

logger = logging.getLogger(__name__)


type StartWorker = Callable[[Path, int, Sequence[socket.socket], Connection], Awaitable[Process]]
"""Starts the worker of a place: with the settings in a file, on sockets, for as long as a pipe is open."""


def supervise(
    loaded: assembly.Loaded,
    start_worker: StartWorker,
    prepare: Callable[[], None],
    ready: Callable[[], None],
    check: Sequence[str] = (),
) -> None:
    """Run the gateway until SIGINT or SIGTERM; StartError, or what `prepare` raises, if it cannot start.

    `prepare` makes what is missing, before the first worker starts. With SIGHUP, the program starts anew
    and takes up the settings, if the command `check` finds nothing wrong with them; nobody is sent away.
    """
    log_to_stderr()
    settings = loaded.settings
    handed = handover.received()
    held = {each.getsockname()[:2] for each in handed.sockets}
    wanted = [address for address in settings.listen.addresses if address not in held]
    claim_ports([*wanted, settings.metrics.listen])
    if not handed.again:
        wipe(settings.state / "metrics")
    metrics = Metrics(settings.state / "metrics")
    metrics.reloaded()
    endpoint = metrics.serve(*settings.metrics.listen)
    try:
        asyncio.run(_supervise(loaded, metrics, start_worker, prepare, ready, _Door(handed, check)))
    finally:
        endpoint.close()
    if handed.workers:
        handover.start_again(handed)


@dataclass(slots=True)
class _Door:
    """What stays when the program starts anew, and the command that says whether it may."""

    handed: handover.Handed
    check: Sequence[str]


async def _supervise(
    loaded: assembly.Loaded,
    metrics: Metrics,
    start_worker: StartWorker,
    prepare: Callable[[], None],
    ready: Callable[[], None],
    door: _Door,
) -> None:
    settings = loaded.settings
    # Workers read a copy: a worker that starts again in the middle of an edit must not stumble over it.
    running = _running_copy(settings)

    await asyncio.to_thread(auditing.note_approval, settings)
    store = assembly.snapshots(settings)
    lists = assembly.open_lists(settings)
    know(metrics, loaded.policy, lists)
    handed, recycle = door.handed, settings.gateway.recycle
    ports = Ports(settings.listen.addresses, settings.worker_count, handed.sockets)
    old = replace(handed)
    handed.workers = []
    supervisor = Supervisor(
        lambda place: start_worker(running, place, ports.of(place), handed.alive.reading),
        settings.worker_count,
        metrics,
        gone=ports.give_up,
        leave_seconds=recycle.drain_seconds,
    )

    serve = asyncio.Event()

    async def see_off() -> None:
        await serve.wait()
        ready()
        await handover.see_off(old, recycle.drain_seconds, metrics.worker_gone)

    async def again() -> None:
        if await handover.sound(door.check):
            while not supervisor.settled:  # noqa: ASYNC110 - a moment, and nobody tells when it is over
                await asyncio.sleep(_SETTLE_SECONDS)
            handed.sockets, handed.workers = ports.all, [*supervisor.let_go(), *old.workers]

    _on_hang_up(again)
    await supervisor.run(
        serve.set,
        see_off,
        lambda: recycling.watch(supervisor, recycle),
        lambda: _watch_edits(store, metrics),
        lambda: _list_metrics(settings, loaded.policy, lists, metrics),
        lambda: auditing.keep_terms(settings),
        lambda: auditing.seal(settings),
        lambda: returning.watch(settings),
        lambda: _refresh_floor(settings),
        lambda: _keep_people(settings, loaded.policy),
        lambda: sharing.watch(settings),
        lambda: _keep_overrides(settings, loaded.policy),
        lambda: _take_reviews(settings),
        *_besides(settings, running),
        lambda: _update_lists(settings, running),
        prepare=prepare,
    )


async def _watch_edits(store: Snapshots, metrics: Metrics) -> None:
    def broken(error: ProblemsError | OSError) -> None:
        if not isinstance(error, HeldError):  # what waits for a second person is no fault
            metrics.reload_failed()
        watching.tell_problems(error)

    def changed(policy: Policy) -> None:
        metrics.reloaded()
        sys.stderr.write(f"appliance: policy {policy.version} is in force\n")

    await watching.watch_edits(store, changed, broken)


def _on_hang_up(start: Callable[[], Awaitable[None]]) -> None:
    if sys.stdin is not None and sys.stdin.isatty():
        return  # a terminal that closes says the same, and means the end
    loop = asyncio.get_running_loop()
    going: set[asyncio.Task[None]] = set()

    def wanted() -> None:
        if not going:  # one at a time
            task = loop.create_task(go_on(start))
            going.add(task)
            task.add_done_callback(going.discard)

    loop.add_signal_handler(signal.SIGHUP, wanted)


def _running_copy(settings: Settings) -> Path:
    # Whole or not at all: a worker that starts while the disk is full must not read half of it.
    running = settings.state.resolve() / RUNNING
    temporary = running.with_suffix(".new")
    temporary.write_text(as_file(settings), encoding="utf-8")
    temporary.replace(running)
    return running


async def _demo(settings: Settings) -> None:
    if settings.demo is None:
        return
    try:
        await serve_demo(*settings.demo.listen)
    except OSError as error:
        logger.warning("the demo site cannot be served: %s", error)


async def _list_metrics(settings: Settings, policy: Policy, lists: Lists, metrics: Metrics) -> None:
    floor_lists: set[str] = set()
    updates, failures = Ledger(ListPaths(settings.state)), Counter[str]()
    while True:
        records = await asyncio.to_thread(updates.all)
        lists.refresh()
        know(metrics, policy, lists, [record.id for record in records])
        for record in records:
            # The ledger counts for ever, and whoever updates writes to it; we tell what is new in it.
            metrics.list_updated(
                record.id, max(0, record.failures - failures[record.id]), record.succeeded_at
            )
            failures[record.id] = record.failures
        status = lists.status()
        for one in status.lists:
            metrics.list_in_force(one.id, one.entries, one.age)
        for floor in status.floor.lists:
            metrics.list_in_force(floor.id, floor.entries, max(0.0, time.time() - floor.dated))
            # A floor that is lost names no lists any more: the ones that it had are not "ok" for that.
            floor_lists.add(floor.id)
            metrics.floor_mode(floor.id, floor.mode)
        for floor_list in floor_lists:
            metrics.floor(floor_list, status.floor.state)
        if status.floor.mode:
            metrics.floor_development(synthetic=status.floor.mode == "development")
        await asyncio.sleep(_LIST_METRICS_SECONDS)


def _besides(settings: Settings, running: Path) -> list[Callable[[], Awaitable[None]]]:
    # Where people are known by the directory without any portal, its process asks about them again.
    asks = settings.identity.portal or settings.identity.directory is not None
    wanted = [("portal", asks), ("radius", settings.identity.radius is not None)]
    wanted.append(("cases", settings.alerts.pages is not None))
    chosen = [partial(_beside, running, what) for what, needed in wanted if needed]
    return [*chosen, lambda: _keeper(running), *([lambda: _demo(settings)] if settings.demo else [])]


async def _keeper(config: Path) -> None:
    # The workers load first: nobody waits for an alert in the first seconds, and nothing of them is lost.
    await asyncio.sleep(_KEEPER_SECONDS)
    await _beside(config, "keeper")


async def _beside(config: Path, what: str) -> None:
    # The sign-in, the network log-ins and the keeper of alerts, each in a process of its own: comparing a
    # password takes a tenth of a second of a processor, which no request should wait for, nor for a mail
    # server; and no worker should carry what they bring.
    # It ends when its standard input does, so that it never outlives us.
    command = [sys.executable, "-m", "appliance", "run", what, "--config", str(config)]
    while True:
        process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
        try:
            status = await process.wait()
        finally:
            await _end(process)
        logger.error("`run %s` ended (exit status %d); starting it again", what, status)
        await asyncio.sleep(_BESIDE_SECONDS)


async def _end(process: asyncio.subprocess.Process) -> None:
    # In order: what is just being sent is noted as sent. Who does not end in time is not waited for.
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), _END_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _keep_people(settings: Settings, policy: Policy) -> None:
    # Who is named by the settings' file is added; then, each second, what is over ends: sessions that
    # nobody uses, and stops that were for a time.
    people, idle = settings.identity.people, settings.identity.idle_minutes * 60
    database, trail = Database(settings.state), Trail(settings.state)
    stops = Stops(database, Carried(trail, STEPS))
    try:
        await asyncio.to_thread(stops.settle)
    except (InWordsError, OSError) as error:  # sessions end all the same; whoever stops somebody next does it
        logger.warning("the audit does not say yet which stops were rolled back: %s", error)
    if people is not None:
        groups = policy.sets[settings.school.set].profiles
        await asyncio.to_thread(add_people, database, trail, people, groups, Passwords(), time.time())
    while True:
        try:
            await asyncio.to_thread(end_what_is_over, database, stops, idle, time.time())
        except (IdentityError, OSError) as error:
            logger.warning("sessions could not be ended this time: %s", error)
        await asyncio.sleep(_PEOPLE_SECONDS)


async def _keep_overrides(settings: Settings, policy: Policy) -> None:
    # Workers end overrides by themselves, to the second; here it is written down, also for those that nobody
    # uses, and what was asked for and never decided is closed.
    school, days = policy.sets[settings.school.set], settings.overrides.keep_days
    keeper = granting.keeper(settings.state, school, days)
    while True:
        try:
            await keeper.look()
        except (OverrideError, EventsError, OSError) as error:
            logger.warning("overrides could not be looked after this time: %s", error)
        await asyncio.sleep(_OVERRIDES_SECONDS)


async def _take_reviews(settings: Settings) -> None:
    # What readers of block pages say is a mistake becomes a request that staff see and decide. At the start
    # a day is looked back: nothing is taken twice, and what was asked just before an end is not lost.
    intake = granting.intake(settings.state, upset_messages())
    since, failing = time.time() - _REVIEW_DAY, False
    while True:
        await asyncio.sleep(_REVIEW_SECONDS)
        now = time.time()
        try:
            found = await granting.asked_on_pages(settings.state, since)
            await asyncio.to_thread(intake.take, found, now)
        except (EventsError, OverrideError, OSError) as error:
            if not failing:  # said once, not every other second
                logger.warning("review requests are not taken in as requests for overrides now: %s", error)
            failing = True
        else:
            since, failing = now - _REVIEW_LATE, False


async def _refresh_floor(settings: Settings) -> None:
    # The development floor has no supplier whose date could age: it is made anew in good time. What
    # was compiled before stays if this fails, and then ages until it closes the gate, as it must.
    while True:
        await asyncio.sleep(_REFRESH_SECONDS)
        try:
            await asyncio.to_thread(assembly.compile_lists, settings, child=True)
        except (OSError, CompileError, ProblemsError) as error:
            logger.warning("the lists could not be compiled; the old ones stay in force: %s", error)


async def _update_lists(settings: Settings, config: Path) -> None:
    # In a process of its own: what it reads came from outside, and it may need much memory for a while.
    command = [
        sys.executable,
        "-m",
        "appliance",
        "lists",
        "update",
        "--due",
        "--config",
        str(config),
    ]
    from appliance.lists.update import Means, Updater  # noqa: PLC0415 - brings what downloads and unlocks: not before the start

    updater = Updater(Means(settings.blocklists, settings.state))
    while True:
        # At once at the start: a statutory list that is to be supplied keeps the gate closed until it is.
        if await asyncio.to_thread(_due, updater, settings):
            process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)
            try:
                await process.wait()
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
        await asyncio.sleep(_UPDATE_SECONDS)


def _due(updater: Updater, settings: Settings) -> bool:
    try:
        return bool(updater.due(settings.lists.updates))
    except ProblemsError as error:
        # A broken edit of the catalogue: what is in force stays, and it is looked at again in a minute.
        logger.warning("lists are not updated while the catalogue is broken: %s", error)
        return False
