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

from appliance import assembly
from appliance.events.store import EventStore
from appliance.filtering import Filtering
from appliance.gateway.addon import GatewayAddon
from appliance.gateway.ca import Authority
from appliance.gateway.door import Doors
from appliance.gateway.handshakes import Handshakes
from appliance.gateway.loop import GuardedLoop
from appliance.gateway.nameservers import NameServers
from appliance.gateway.pages import Pages
from appliance.gateway.passage import Passage
from appliance.gateway.resolver import Resolver
from appliance.gateway.site import OwnSite
from appliance.gateway.tls import SchoolTls, write_roots
from appliance.gateway.worker import Worker, quiet_libraries, watch_lag
from appliance.metrics import Metrics
from appliance.model.profile import Policy
from appliance.processes import know, log_to_stderr
from appliance.recording import Recorder
from appliance.settings import Settings
from appliance.supervisor import GO, READY, go_on


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
    snapshots = assembly.snapshots(settings)
    policy = snapshots.open(snapshots.current())
    metrics = Metrics(settings.state / "metrics")
    lists = assembly.open_lists(settings)
    events = await EventStore.open(settings.state, metrics)
    journey = assembly.filtering(settings, policy, lists)
    recorder = Recorder(events, metrics)
    passage = _passage(settings, journey, recorder, metrics)
    worker = _worker(settings, journey, recorder, metrics, passage)
    know(metrics, policy, lists)

    def use(new: Policy) -> None:
        journey.use(new)
        know(metrics, new, lists)

    tasks = [
        loop.create_task(go_on(lambda: assembly.watch_lists(lists, journey.changed))),
        loop.create_task(go_on(lambda: assembly.watch_policy(snapshots, journey.policy.version, use))),
        loop.create_task(go_on(lambda: watch_lag(metrics.loop_lag))),
        loop.create_task(go_on(passage.watch)),
    ]
    _end_on_signals(worker, supervised=supervised)
    try:
        await worker.run(lambda: _say_ready(supervised=supervised))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await events.close()


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
    return Passage(journey, recorder, metrics, loop.connected, own_name, idle)


def _worker(
    settings: Settings, journey: Filtering, recorder: Recorder, metrics: Metrics, passage: Passage
) -> Worker:
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
    doors.passage = passage
    addon = GatewayAddon(
        filtering=journey,
        recorder=recorder,
        metrics=metrics,
        site=site,
        reach=assembly.reach(settings),
        doors=doors,
        deadline=settings.gateway.deadline_seconds,
        handshakes=Handshakes(settings.state),
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
