"""What the supervisor process runs, from start to end; `serving` is the worker's.

What lives only here: the tasks that run beside the workers, and how all of it ends. Which things they
work with is chosen in `assembly`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from appliance import assembly
from appliance.config.problems import ProblemsError
from appliance.config.snapshots import HeldError
from appliance.events.audit import Trail
from appliance.events.checkpoints import Checkpoints, send
from appliance.events.errors import EventsError
from appliance.events.retention import retire
from appliance.events.seals import Sealer
from appliance.gateway.demo import serve_demo
from appliance.identity.database import Database
from appliance.identity.names import IdentityError
from appliance.identity.passwords import Passwords
from appliance.identity.upkeep import add_people, end_what_is_over
from appliance.lists.compiler import CompileError
from appliance.lists.ledger import Ledger
from appliance.lists.lists import Lists
from appliance.lists.paths import Paths as ListPaths
from appliance.metrics import Metrics, wipe
from appliance.model.profile import Policy
from appliance.reporting import know, log_to_stderr
from appliance.settings import Settings, as_file
from appliance.supervisor import Process, Supervisor, claim_ports

if TYPE_CHECKING:
    from appliance.lists.update import Updater

_LIST_METRICS_SECONDS = 10.0
_RETIRE_SECONDS = 3600.0
_REFRESH_SECONDS = 3600.0
_UPDATE_SECONDS = 60.0
_SEAL_SECONDS = 60.0
_PEOPLE_SECONDS = 1.0
_PORTAL_SECONDS = 1.0

logger = logging.getLogger(__name__)


type StartWorker = Callable[[Path, int], Awaitable[Process]]
"""Starts the worker of a place, with the settings in a file."""


def supervise(
    loaded: assembly.Loaded,
    start_worker: StartWorker,
    prepare: Callable[[], None],
    ready: Callable[[], None],
) -> None:
    """Run the gateway until SIGINT or SIGTERM; StartError, or what `prepare` raises, if it cannot start.

    `prepare` makes what is missing, before the first worker starts.
    """
    log_to_stderr()
    settings = loaded.settings
    addresses = [address for address in (settings.gateway.listen, settings.gateway.transparent) if address]
    claim_ports([*addresses, settings.metrics.listen])
    wipe(settings.state / "metrics")
    metrics = Metrics(settings.state / "metrics")
    metrics.reloaded()
    endpoint = metrics.serve(*settings.metrics.listen)
    try:
        asyncio.run(_supervise(loaded, metrics, start_worker, prepare, ready))
    finally:
        endpoint.close()


async def _supervise(
    loaded: assembly.Loaded,
    metrics: Metrics,
    start_worker: StartWorker,
    prepare: Callable[[], None],
    ready: Callable[[], None],
) -> None:
    settings = loaded.settings
    # Workers read a copy: a worker that starts again in the middle of an edit must not stumble over it.
    running = _running_copy(settings)

    def broken(error: ProblemsError | OSError) -> None:
        if not isinstance(error, HeldError):  # what waits for a second person is no fault
            metrics.reload_failed()
        assembly.tell_problems(error)

    def changed(policy: Policy) -> None:
        metrics.reloaded()
        sys.stderr.write(f"appliance: policy {policy.version} is in force\n")

    await asyncio.to_thread(_note_approval, settings)
    store = assembly.snapshots(settings)
    lists = assembly.open_lists(settings)
    know(metrics, loaded.policy, lists)
    supervisor = Supervisor(lambda place: start_worker(running, place), settings.worker_count, metrics)
    await supervisor.run(
        ready,
        lambda: assembly.watch_edits(store, changed, broken),
        lambda: _list_metrics(settings, loaded.policy, lists, metrics),
        lambda: _retire(settings),
        lambda: _seal(settings),
        lambda: _refresh_floor(settings),
        lambda: _keep_people(settings, loaded.policy),
        *([lambda: _portal(running)] if settings.identity.portal else []),
        lambda: _update_lists(settings, running),
        *([lambda: _demo(settings)] if settings.demo else []),
        prepare=prepare,
    )


def _note_approval(settings: Settings) -> None:
    # That one person may change the policy alone is a choice of the school's, and stands in the audit.
    trail, chosen = Trail(settings.state), settings.changes.approval
    try:
        before = trail.last("approval")
        if before is None or before["whom"] != chosen:
            trail.add("approval", chosen, by=assembly.GATEWAY, at=time.time())
    except (EventsError, OSError) as error:
        logger.warning("the audit cannot be written: %s", error)


def _running_copy(settings: Settings) -> Path:
    # Whole or not at all: a worker that starts while the disk is full must not read half of it.
    running = settings.state.resolve() / "running.yaml"
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


async def _portal(config: Path) -> None:
    # In a process of its own: comparing a password takes a tenth of a second of a processor, which no
    # request should wait for. It ends when its standard input does, so that it never outlives us.
    command = [sys.executable, "-m", "appliance", "run", "portal", "--config", str(config)]
    while True:
        process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
        try:
            status = await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        logger.error("the sign-in ended (exit status %d); starting it again", status)
        await asyncio.sleep(_PORTAL_SECONDS)


async def _keep_people(settings: Settings, policy: Policy) -> None:
    # Who is named by the settings' file is added; then, each second, what is over ends: sessions that
    # nobody uses, and stops that were for a time.
    people, idle = settings.identity.people, settings.identity.idle_minutes * 60
    database, trail = Database(settings.state), Trail(settings.state)
    if people is not None:
        groups = policy.sets[settings.school.set].profiles
        await asyncio.to_thread(add_people, database, trail, people, groups, Passwords(), time.time())
    while True:
        try:
            await asyncio.to_thread(end_what_is_over, database, trail, idle, time.time())
        except (IdentityError, OSError) as error:
            logger.warning("sessions could not be ended this time: %s", error)
        await asyncio.sleep(_PEOPLE_SECONDS)


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


async def _retire(settings: Settings) -> None:
    # Once at the start and then every hour: what is past its days goes (DP-2). A failure costs one
    # round, never the filter.
    while True:
        try:
            done = await retire(settings.state, settings.retention, datetime.now(UTC))
            if gone := {name: count for name, count in (done.blanked | done.deleted).items() if count}:
                trail = Trail(settings.state)
                counts = {f"of_{name}": float(count) for name, count in gone.items()}
                trail.add("retention", "the log", by=assembly.GATEWAY, at=time.time(), **counts)
        except (OSError, EventsError) as error:
            logger.warning("old records could not be removed this time: %s", error)
        await asyncio.sleep(_RETIRE_SECONDS)


async def _seal(settings: Settings) -> None:
    # Flagged events join the audit within a minute, and what says how far it goes leaves the box in its time.
    sealer = Sealer(settings.state)
    points = Checkpoints(settings.state, settings.school.name)
    next_point = 0.0
    while True:
        try:
            await asyncio.to_thread(sealer.seal, time.time())
            if time.monotonic() >= next_point:
                next_point = time.monotonic() + settings.audit.checkpoint_hours * 3600
                await asyncio.to_thread(_checkpoint, points, settings)
        except (OSError, EventsError) as error:
            logger.warning("the audit could not be sealed this time: %s", error)
        await asyncio.sleep(_SEAL_SECONDS)


def _checkpoint(points: Checkpoints, settings: Settings) -> None:
    if points.due():
        made = points.make(time.time())
        send(made, settings.audit.copy_to, to_syslog=settings.audit.syslog)
