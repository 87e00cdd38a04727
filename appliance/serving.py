"""What a worker process runs, from start to end.

What lives only here: the tasks beside its mitmproxy, and how it ends. It stands apart from
`processes`, because it brings mitmproxy, which the supervisor would only carry about.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

from appliance import assembly
from appliance.config.problems import ProblemsError
from appliance.events.errors import EventsError
from appliance.events.store import EventStore
from appliance.filtering import Filtering
from appliance.gateway.addon import GatewayAddon
from appliance.gateway.ca import Authority, AuthorityError
from appliance.gateway.door import Doors
from appliance.gateway.listen import WorkerError
from appliance.gateway.pages import Pages
from appliance.gateway.reach import GuardedLoop
from appliance.gateway.relay import Relay
from appliance.gateway.site import OwnSite
from appliance.gateway.tls import SchoolTls, write_roots
from appliance.gateway.worker import Worker, quiet_libraries, watch_lag
from appliance.identity.database import FOLDER
from appliance.identity.resolver import Lost
from appliance.metrics import Metrics
from appliance.model.profile import Policy
from appliance.recording import Recorder
from appliance.reporting import know, log_to_stderr
from appliance.settings import Settings, load_settings
from appliance.supervisor import CANNOT_START, READY, go_on

_LEAVING_SECONDS = 2.0
_DNS_THREADS = 32

CANNOT_SERVE = (WorkerError, AuthorityError, EventsError, ProblemsError)
"""What keeps a worker from serving, told in words a technician understands."""


def serve_one(config: Path, place: int, said: Connection) -> int:
    """Be the worker of one place under a supervisor, to whom `said` leads; return the exit status."""
    parent = multiprocessing.parent_process()
    try:
        settings = load_settings(config).settings
        work(settings, ready=lambda: _say_ready(said), parent=parent.sentinel if parent else None)
    except CANNOT_SERVE as error:
        sys.stderr.write(f"appliance: worker {place}: {error}\n")
        return CANNOT_START
    return 0


def work(settings: Settings, *, ready: Callable[[], None] | None = None, parent: int | None = None) -> None:
    """Run one worker until SIGTERM, or until its supervisor has gone; WorkerError if it cannot serve.

    `ready` is called once its ports are open; `parent` is a descriptor that can be read when the
    supervisor has gone. A worker alone has neither, and ends with Ctrl-C as well.
    """
    log_to_stderr()
    quiet_libraries()
    with asyncio.Runner(loop_factory=GuardedLoop) as runner:
        runner.run(_work(settings, ready or _nobody, parent))


def _nobody() -> None:
    pass


async def _work(settings: Settings, ready: Callable[[], None], parent: int | None) -> None:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_DNS_THREADS, thread_name_prefix="lookup"))
    snapshots = assembly.snapshots(settings)
    policy = snapshots.open(snapshots.current())
    metrics = Metrics(settings.state / "metrics")
    lists = assembly.open_lists(settings)
    events = await EventStore.open(settings.state, metrics)
    who = assembly.resolver(settings, policy)
    journey = assembly.filtering(settings, policy, lists, identity=who)
    doors = Doors()  # type: ignore[no-untyped-call] # mitmproxy's constructor has no types
    people = assembly.follower(settings, who, lambda lost: _cut(doors, lost))
    await people.look()  # who is frozen is frozen from the first request on
    worker = _worker(settings, journey, Recorder(events, metrics), metrics, doors)
    know(metrics, policy, lists)

    def use(new: Policy) -> None:
        journey.use(new)
        know(metrics, new, lists)

    tasks = [
        loop.create_task(go_on(lambda: assembly.watch_lists(lists))),
        loop.create_task(go_on(lambda: assembly.watch_policy(snapshots, journey.policy.version, use))),
        loop.create_task(go_on(people.follow)),
        loop.create_task(go_on(lambda: watch_lag(metrics.loop_lag))),
    ]
    _end_on_signals(worker, parent)
    try:
        await worker.run(ready)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await events.close()


def _cut(doors: Doors, lost: Lost) -> None:
    doors.cut(lost.addresses, lost.users)
    if lost.left:
        asyncio.get_running_loop().call_later(_LEAVING_SECONDS, doors.cut, lost.left)


def _worker(
    settings: Settings, journey: Filtering, recorder: Recorder, metrics: Metrics, doors: Doors
) -> Worker:
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
        portal=Relay(settings.state / FOLDER) if settings.identity.portal else None,
    )
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


def _end_on_signals(worker: Worker, parent: int | None) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, worker.stop)
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
