"""What a worker process runs, from start to end.

What lives only here: the tasks beside its mitmproxy, and how it ends. It stands apart from
`processes`, because it brings mitmproxy, which the supervisor would only carry about.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

from appliance import assembly
from appliance.events.store import EventStore
from appliance.filtering import Filtering
from appliance.gateway.addon import GatewayAddon
from appliance.gateway.ca import Authority
from appliance.gateway.door import Doors
from appliance.gateway.lane_judge import Lane
from appliance.gateway.lane_pool import Pool
from appliance.gateway.pages import Pages
from appliance.gateway.reach import GuardedLoop
from appliance.gateway.site import OwnSite
from appliance.gateway.tls import SchoolTls, write_roots
from appliance.gateway.worker import Worker, quiet_libraries, watch_lag
from appliance.metrics import Metrics
from appliance.model.profile import Policy
from appliance.processes import know, log_to_stderr
from appliance.recording import Recorder
from appliance.settings import Settings
from appliance.supervisor import GO, READY, go_on

_DNS_THREADS = 32


def wait_for_go() -> bool:
    """Wait, with everything loaded, for the supervisor's word; False when it has gone instead."""
    return sys.stdin.readline().encode() == GO


def work(settings: Settings, *, supervised: bool) -> None:
    """Run one worker until SIGTERM, or until its supervisor has gone; WorkerError if it cannot serve."""
    log_to_stderr()
    quiet_libraries()
    # What is loaded by now lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
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
    know(metrics, policy, lists)

    def use(new: Policy) -> None:
        journey.use(new)
        know(metrics, new, lists)

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
        lean=settings.gateway.lean_lane,
    )
    roots = write_roots(settings.state / "ca" / "upstream-roots.pem", settings.gateway.extra_roots)
    lane = Lane(
        addon=addon,
        filtering=journey,
        recorder=recorder,
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
        lane=lane if settings.gateway.lean_lane else None,
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
