"""What each process runs: the supervisor and the worker, from start to end.

What lives only here: which tasks run beside each other in a process, and how it ends. Which things they
work with is chosen in `assembly`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from appliance import assembly
from appliance.config.problems import ProblemsError
from appliance.events.errors import EventsError
from appliance.events.retention import retire
from appliance.events.store import EventStore
from appliance.filtering import Filtering
from appliance.gateway.addon import GatewayAddon
from appliance.gateway.ca import Authority
from appliance.gateway.demo import serve_demo
from appliance.gateway.door import Doors
from appliance.gateway.pages import Pages
from appliance.gateway.reach import GuardedLoop
from appliance.gateway.site import OwnSite
from appliance.gateway.tls import SchoolTls, write_roots
from appliance.gateway.worker import Worker, quiet_libraries, watch_lag
from appliance.lists.compiler import CompileError
from appliance.lists.lists import Lists
from appliance.metrics import Metrics, wipe
from appliance.model.profile import Policy
from appliance.recording import Recorder
from appliance.settings import Settings
from appliance.supervisor import READY, Supervisor, claim_ports, go_on

_STAGES = (
    "client_connected",
    "client_disconnected",
    "http_connect",
    "tls_clienthello",
    "tls_failed_client",
    "server_connect",
    "requestheaders",
    "request",
    "responseheaders",
    "response",
    "error",
    "websocket_message",
    "refused_head",
    "connection",
)
_DNS_THREADS = 32
_LIST_METRICS_SECONDS = 10.0
_RETIRE_SECONDS = 3600.0
_REFRESH_SECONDS = 3600.0

logger = logging.getLogger(__name__)


def supervise(loaded: assembly.Loaded, config: Path, ready: Callable[[], None]) -> None:
    """Run the gateway until SIGINT or SIGTERM; StartError if it cannot start."""
    _log_to_stderr()
    settings = loaded.settings
    addresses = [address for address in (settings.gateway.listen, settings.gateway.transparent) if address]
    claim_ports([*addresses, settings.metrics.listen])
    wipe(settings.state / "metrics")
    metrics = Metrics(settings.state / "metrics")
    metrics.reloaded()
    endpoint = metrics.serve(*settings.metrics.listen)
    try:
        asyncio.run(_supervise(loaded, config, metrics, ready))
    finally:
        endpoint.close()


async def _supervise(
    loaded: assembly.Loaded, config: Path, metrics: Metrics, ready: Callable[[], None]
) -> None:
    settings = loaded.settings

    def command(place: int) -> list[str]:
        arguments = [
            "run",
            "worker",
            "--supervised",
            "--place",
            str(place),
            "--config",
            str(config.resolve()),
        ]
        return [sys.executable, "-m", "appliance", *arguments]

    def broken(error: ProblemsError | OSError) -> None:
        metrics.reload_failed()
        assembly.tell_problems(error)

    def changed(policy: Policy) -> None:
        metrics.reloaded()
        sys.stderr.write(f"appliance: policy {policy.version} is in force\n")

    store = assembly.snapshots(settings)
    lists = assembly.open_lists(settings)
    _know(metrics, loaded.policy, lists)
    supervisor = Supervisor(command, settings.worker_count, metrics)
    await supervisor.run(
        ready,
        lambda: assembly.watch_edits(store, changed, broken),
        lambda: _list_metrics(loaded.policy, lists, metrics),
        lambda: _retire(settings),
        lambda: _refresh_floor(settings),
        *([lambda: _demo(settings)] if settings.demo else []),
    )


async def _demo(settings: Settings) -> None:
    if settings.demo is None:
        return
    try:
        await serve_demo(*settings.demo.listen)
    except OSError as error:
        logger.warning("the demo site cannot be served: %s", error)


async def _list_metrics(policy: Policy, lists: Lists, metrics: Metrics) -> None:
    floor_lists: set[str] = set()
    while True:
        if lists.refresh():
            _know(metrics, policy, lists)
        status = lists.status()
        for one in status.lists:
            metrics.list_in_force(one.id, one.entries, one.age)
        for floor in status.floor.lists:
            metrics.list_in_force(floor.id, floor.entries, status.floor.age)
        # A floor that is lost names no lists any more: the ones that it had are not "ok" for that.
        floor_lists.update(floor.id for floor in status.floor.lists)
        for floor_list in floor_lists:
            metrics.floor(floor_list, status.floor.state)
        if status.floor.mode:
            metrics.floor_development(synthetic=status.floor.mode == "development")
        await asyncio.sleep(_LIST_METRICS_SECONDS)


async def _refresh_floor(settings: Settings) -> None:
    # The development floor has no supplier whose date could age: it is made anew in good time. What
    # was compiled before stays if this fails, and then ages until it closes the gate, as it must.
    while True:
        await asyncio.sleep(_REFRESH_SECONDS)
        try:
            await asyncio.to_thread(assembly.compile_lists, settings, child=True)
        except (OSError, CompileError, ProblemsError) as error:
            logger.warning("the lists could not be compiled; the old ones stay in force: %s", error)


async def _retire(settings: Settings) -> None:
    # Once at the start and then every hour: what is past its days goes (DP-2). A failure costs one
    # round, never the filter.
    while True:
        try:
            await retire(settings.state, settings.retention, datetime.now(UTC))
        except (OSError, EventsError) as error:
            logger.warning("old records could not be removed this time: %s", error)
        await asyncio.sleep(_RETIRE_SECONDS)


def work(settings: Settings, *, supervised: bool) -> None:
    """Run one worker until SIGTERM, or until its supervisor has gone; WorkerError if it cannot serve."""
    _log_to_stderr()
    quiet_libraries()
    with asyncio.Runner(loop_factory=GuardedLoop) as runner:
        runner.run(_work(settings, supervised=supervised))


async def _work(settings: Settings, *, supervised: bool) -> None:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_DNS_THREADS, thread_name_prefix="lookup"))
    snapshots = assembly.snapshots(settings)
    policy = snapshots.open(snapshots.current())
    metrics = Metrics(settings.state / "metrics")
    lists = assembly.open_lists(settings)
    events = await EventStore.open(settings.state, metrics)
    journey = assembly.filtering(settings, policy, lists)
    worker = _worker(settings, journey, Recorder(events, metrics), metrics)
    _know(metrics, policy, lists)

    def use(new: Policy) -> None:
        journey.use(new)
        _know(metrics, new, lists)

    tasks = [
        loop.create_task(go_on(lambda: assembly.watch_lists(lists))),
        loop.create_task(go_on(lambda: assembly.watch_policy(snapshots, journey.policy.version, use))),
        loop.create_task(go_on(lambda: watch_lag(metrics.loop_lag))),
    ]
    _end_on_signals(worker, supervised=supervised)
    try:
        await worker.run(lambda: _say_ready(supervised=supervised))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await events.close()


def _worker(settings: Settings, journey: Filtering, recorder: Recorder, metrics: Metrics) -> Worker:
    loop = asyncio.get_running_loop()
    reach = assembly.reach(settings)
    if isinstance(loop, GuardedLoop):
        loop.reach = reach
        loop.static_hosts = {name.lower(): found for name, found in settings.gateway.static_hosts.items()}
    authority = Authority(settings.state / "ca")
    site = OwnSite(
        pages=Pages(),
        filtering=journey,
        reviews=recorder,
        school=settings.school.name,
        own_name=settings.gateway.own_name,
        ca_pem=authority.certificate_file.read_bytes(),
        review_key=(settings.state / "keys" / "review.key").read_bytes(),
    )
    doors = Doors()  # type: ignore[no-untyped-call] # mitmproxy's constructor has no types
    addon = GatewayAddon(
        filtering=journey,
        recorder=recorder,
        metrics=metrics,
        site=site,
        reach=reach,
        doors=doors,
        deadline=settings.gateway.deadline_seconds,
    )
    return Worker(
        listen=settings.listen,
        tls=SchoolTls(authority, settings.state / "ca"),
        doors=doors,
        addon=addon,
        roots=write_roots(settings.state / "ca" / "upstream-roots.pem", settings.gateway.extra_roots),
        idle=settings.gateway.idle_seconds,
    )


def _end_on_signals(worker: Worker, *, supervised: bool) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, worker.stop)
    if supervised:
        # The supervisor holds the other end of our standard input; when it closes, it has gone.
        loop.add_reader(sys.stdin.fileno(), lambda: _supervisor_gone(worker))
    else:
        loop.add_signal_handler(signal.SIGINT, worker.stop)


def _supervisor_gone(worker: Worker) -> None:
    if not os.read(sys.stdin.fileno(), 1):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        worker.stop()


def _say_ready(*, supervised: bool) -> None:
    if supervised:
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.write(f"{READY.decode()}\n")
            sys.stdout.flush()


def _know(metrics: Metrics, policy: Policy, lists: Lists) -> None:
    profiles = {profile for chosen in policy.sets.values() for profile in chosen.profiles}
    status = lists.status()
    known_lists = {one.id for one in status.lists} | {one.id for one in status.floor.lists}
    metrics.know(profiles=profiles, categories=policy.categories.keys(), lists=known_lists, stages=_STAGES)


def _log_to_stderr() -> None:
    logging.basicConfig(
        level=logging.WARNING, format="appliance: %(levelname)s: %(message)s", stream=sys.stderr
    )
