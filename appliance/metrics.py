"""What the gateway tells Prometheus: several workers' numbers, summed, on a port of their own.

What lives only here: prometheus_client, and the rule that a label is an id
from the configuration or a member of a closed set. Anything else becomes "other", so no name, address
or search term can reach a label, and nobody outside can make the numbers grow without end.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from appliance.metrics_alerts import AlertMetrics
from appliance.metrics_files import registry
from appliance.metrics_specs import SPECS, Spec
from appliance.model.decision import Action, Decision, Reason
from appliance.model.known import FloorState

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

HELD_SECONDS: Final = 0.5
"""How long durations are gathered before they are written."""

OTHER: Final = "other"
"""The label of whatever is no id of the configuration."""

RENEWALS: Final = ("age", "memory")
ENDS: Final = ("over", "cut", "failed")
HANDSHAKES: Final = ("distrusted", "left")
FLOOR_MODES: Final = ("development", "upstream", "supplied")
RADIUS_OUTCOMES: Final = (
    "accepted", "duplicate", "unknown_client", "malformed", "forged", "unsigned", "untimely", "replayed",
    "failed",
)  # fmt: skip
_QUICK = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


METRICS: Mapping[str, str] = MappingProxyType({name: spec.help for name, spec in SPECS.items()})
"""Every metric by its name, with what it says."""


class Metrics(AlertMetrics):
    """One process's numbers. Ids must be made known first (`know`), else they are counted as "other"."""

    def __init__(self, directory: Path | None = None) -> None:
        """Count into `directory`, which all processes share; None counts in this process alone.

        A process makes one of these: two would overwrite each other in its file.

        Raises ValueError for a second directory.
        """
        self._directory = directory
        self._registry = registry(directory)
        self._made = {name: _make(name, spec, self._registry) for name, spec in SPECS.items()}
        self._ids: dict[str, frozenset[str]] = {}
        self._requests: dict[tuple[str, str, Action, Reason], Callable[[], None]] = {}
        self._adders: dict[tuple[str, ...], Callable[[float], None]] = {}
        self._decided = _Durations(self._made["gateway_decision_seconds"])
        self._added = _Durations(self._made["gateway_added_latency_seconds"])
        self._committed = _Durations(self._made["gateway_event_commit_seconds"])

    def know(
        self,
        *,
        profiles: Collection[str] | None = None,
        categories: Collection[str] | None = None,
        lists: Collection[str] | None = None,
        stages: Collection[str] | None = None,
        rules: Collection[str] | None = None,
    ) -> None:
        """Say which ids there are, at the start and after each change; None leaves a kind as it is."""
        kinds = {"profile": profiles, "category": categories, "list": lists, "stage": stages, "rule": rules}
        self._ids |= {kind: frozenset(ids) for kind, ids in kinds.items() if ids is not None}
        self._requests.clear()

    def request(self, decision: Decision) -> None:
        """Count one judged request."""
        key = (decision.profile, decision.category, decision.action, decision.reason)
        count = self._requests.get(key)
        if count is None:
            labels = (self._id("profile", key[0]), self._id("category", key[1]))
            counter = self._counter("gateway_requests_total", *labels, key[2].value, key[3].value)
            count = partial(_adder(counter), 1)
            if labels == key[:2]:  # a stranger's key is not remembered: memory is bounded as well
                self._requests[key] = count
        count()

    def decided(self, seconds: float) -> None:
        """Note how long one decision took."""
        self._decided.observe(seconds)

    def added_latency(self, seconds: float) -> None:
        """Note how much longer one request took because of the gateway."""
        self._added.observe(seconds)

    def fault(self, reason: Reason, stage: str) -> None:
        """Count one request that was blocked because `stage` could not answer."""
        self._counter("gateway_faults_closed_total", reason.value, self._id("stage", stage)).inc()

    def connection(self) -> None:
        """Count one accepted connection."""
        self._add(1, "gateway_connections_total")

    def incomplete(self) -> None:
        """Count one request that was never finished."""
        self._counter("gateway_incomplete_requests_total").inc()

    def passed_unread(self, end: str, sent: int, received: int) -> None:
        """Count one connection that was passed on unread and has ended, and its bytes."""
        self._add(1, "gateway_unread_connections_total", end if end in ENDS else OTHER)
        self._add(sent, "gateway_unread_bytes_total", "up")
        self._add(received, "gateway_unread_bytes_total", "down")

    def handshake_failed(self, why: str) -> None:
        """Count one client that broke off when it saw our certificate."""
        self._counter("gateway_handshakes_failed_total", why if why in HANDSHAKES else OTHER).inc()

    def review(self) -> None:
        """Count one review request."""
        self._counter("gateway_reviews_total").inc()

    def radius(self, outcome: str) -> None:
        """Count one accounting packet."""
        label = outcome if outcome in RADIUS_OUTCOMES else OTHER
        self._counter("gateway_radius_packets_total", label).inc()

    def list_in_force(self, list_id: str, entries: int, age_seconds: float) -> None:
        """Note size and age of one list."""
        label = self._id("list", list_id)
        self._gauge("gateway_list_entries", label).set(entries)
        self._gauge("gateway_list_age_seconds", label).set(age_seconds)

    def floor(self, list_id: str, state: FloorState) -> None:
        """Note the state of one statutory list."""
        for each in FloorState:
            self._gauge("gateway_floor_state", self._id("list", list_id), each.value).set(each is state)

    def floor_mode(self, list_id: str, mode: str) -> None:
        """Note how a statutory list is held."""
        for each in FLOOR_MODES:
            self._gauge("gateway_floor_mode", self._id("list", list_id), each).set(each == mode)

    def list_updated(self, list_id: str, failures: int, succeeded_at: float) -> None:
        """Note `failures` more failed updates of a feed, and when one went well (Unix time, 0: never)."""
        label = self._id("list", list_id)
        self._counter("gateway_list_update_failures_total", label).inc(failures)
        self._gauge("gateway_list_last_update_success_timestamp_seconds", label).set(succeeded_at)

    def floor_development(self, *, synthetic: bool) -> None:
        """Note whether the statutory lists are the development ones."""
        self._gauge("gateway_floor_development").set(synthetic)

    def event_queue(self, length: int) -> None:
        """Note how many ordinary events wait."""
        self._gauge("gateway_event_queue_length").set(length)

    def event_commit(self, seconds: float) -> None:
        """Note how long flagged events took to be safe."""
        self._committed.observe(seconds)

    def events_spilled(self, count: int) -> None:
        """Count flagged events that went to the spill file."""
        self._counter("gateway_events_spilled_total").inc(count)

    def events_dropped(self, count: int) -> None:
        """Count ordinary events that were given up."""
        self._counter("gateway_events_dropped_total").inc(count)

    def workers_running(self, count: int) -> None:
        """Note how many workers are alive."""
        self._gauge("gateway_workers_running").set(count)

    def worker_up(self, place: int, *, up: bool) -> None:
        """Note whether the worker in `place` (0, 1, ...) is alive."""
        self._gauge("gateway_worker_up", str(int(place))).set(up)

    def worker_restarted(self) -> None:
        """Count one worker that had to be started again."""
        self._counter("gateway_worker_restarts_total").inc()

    def worker_renewed(self, why: str) -> None:
        """Count one worker that another one has replaced while both served."""
        self._counter("gateway_worker_renewals_total", why if why in RENEWALS else OTHER).inc()

    def worker_gone(self, pid: int) -> None:
        """Forget what the dead process `pid` said of itself; what it counted stays in the sums."""
        from prometheus_client import multiprocess  # noqa: PLC0415 - see metrics_files.registry

        if self._directory is not None:
            multiprocess.mark_process_dead(int(pid), str(self._directory))  # type: ignore[no-untyped-call] # it has none

    def loop_lag(self, seconds: float) -> None:
        """Note how late the event loop runs."""
        self._gauge("gateway_event_loop_lag_seconds").set(seconds)

    def reloaded(self) -> None:
        """Note that the configuration was read, and is in force."""
        self._gauge("gateway_config_last_reload_successful").set(1)
        self._gauge("gateway_config_last_reload_success_timestamp_seconds").set_to_current_time()

    def reload_failed(self) -> None:
        """Note that an edit was refused, and the configuration before it stays in force."""
        self._counter("gateway_config_reload_failures_total").inc()
        self._gauge("gateway_config_last_reload_successful").set(0)

    def flush(self) -> None:
        """Write what is gathered in memory; a process does so once more at its end."""
        for each in (self._decided, self._added, self._committed):
            each.write()

    def text(self) -> str:
        """Return all numbers of all processes, as Prometheus reads them."""
        self.flush()
        from prometheus_client import generate_latest  # noqa: PLC0415 - see metrics_files.registry

        return generate_latest(self._everything()).decode()

    def serve(self, address: str, port: int) -> Endpoint:
        """Answer Prometheus at `address`:`port` from a thread; port 0 takes a free one. Raises OSError."""
        return Endpoint(address, port, _application(self._everything()))

    def _everything(self) -> CollectorRegistry:
        from prometheus_client import CollectorRegistry, multiprocess  # noqa: PLC0415 - see metrics_files.registry

        if self._directory is None or not self._directory.is_dir():  # no room for a folder: see metrics_files
            return self._registry
        joined = CollectorRegistry()
        multiprocess.MultiProcessCollector(joined, str(self._directory))  # type: ignore[no-untyped-call] # it has none
        return joined

    def _id(self, kind: str, text: str) -> str:
        return text if not text or text in self._ids.get(kind, ()) else OTHER

    def _add(self, amount: float, *key: str) -> None:
        # For what happens with each connection; the labels are of closed sets, so this stays small.
        add = self._adders.get(key)
        if add is None:
            add = self._adders[key] = _adder(self._counter(*key))
        add(amount)

    def _counter(self, name: str, *labels: str) -> Counter:
        metric: Counter = self._made[name]
        return metric.labels(*labels) if labels else metric

    def _gauge(self, name: str, *labels: str) -> Gauge:
        metric: Gauge = self._made[name]
        return metric.labels(*labels) if labels else metric


class Endpoint:
    """The port that Prometheus asks, and nothing else: GET /metrics."""

    def __init__(self, address: str, port: int, application: WSGIApplication) -> None:
        """Listen, and serve from a thread that ends with the process."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        server_class = type("_Server", (_Server,), {"address_family": family})
        self._server: _Server = server_class((address, port), _Handler)
        self._server.set_app(application)
        self.port: int = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        # The library asks the DNS for its own name here, which hangs where there is no DNS yet.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment] # v6 has four
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    timeout = 10  # seconds: who connects and says nothing does not keep a thread

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the library's signature
        """Say nothing: Prometheus asks every few seconds."""


def wipe(directory: Path) -> None:
    """Make `directory` ready for a new run: only the supervisor does this, before any worker starts."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in directory.glob("*.db"):
        old.unlink(missing_ok=True)


def _make(name: str, spec: Spec, registry: CollectorRegistry) -> Any:  # noqa: ANN401 - one of three classes
    from prometheus_client import Counter, Gauge, Histogram  # noqa: PLC0415 - see metrics_files.registry

    if spec.mode == "counter":
        return Counter(name, spec.help, spec.labels, registry=registry)
    if spec.mode == "histogram":
        return Histogram(name, spec.help, spec.labels, registry=registry, buckets=_QUICK)
    mode: Any = spec.mode
    return Gauge(name, spec.help, spec.labels, registry=registry, multiprocess_mode=mode)


def _adder(counter: Counter) -> Callable[[float], None]:
    """Return `counter.inc` without its checks of 2 us: these run for each request and connection."""
    add: Callable[[float], None] = counter._value.inc  # noqa: SLF001 - see above
    return add


class _Durations:
    """A histogram's durations, gathered for a moment: two come with each request, and each is two numbers.

    Without an event loop each is written at once. A process that is killed loses those of the last moment.
    """

    def __init__(self, histogram: Histogram) -> None:
        self._bounds, self._buckets = histogram._upper_bounds, histogram._buckets  # noqa: SLF001 - see `_adder`
        self._total = histogram._sum  # noqa: SLF001 - as above
        self._lock = threading.Lock()
        self._counts = [0] * len(self._bounds)
        self._seconds = 0.0
        self._due = False

    def observe(self, seconds: float) -> None:
        """Take one duration."""
        with self._lock:
            self._counts[bisect_left(self._bounds, seconds)] += 1
            self._seconds += seconds
            if self._due:
                return
            self._due = True
        try:
            asyncio.get_running_loop().call_later(HELD_SECONDS, self.write)
        except RuntimeError:
            self.write()

    def write(self) -> None:
        """Write what was gathered."""
        with self._lock:
            counts, self._counts = self._counts, [0] * len(self._bounds)
            seconds, self._seconds = self._seconds, 0.0
            self._due = False
        if seconds:
            self._total.inc(seconds)
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)


def _application(registry: CollectorRegistry) -> WSGIApplication:
    from prometheus_client import make_wsgi_app  # noqa: PLC0415 - see metrics_files.registry

    answer: WSGIApplication = make_wsgi_app(registry)

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/metrics":
            start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"The metrics are at /metrics.\n"]
        try:
            return answer(environ, start_response)
        except (OSError, struct.error):
            # A worker that has just started has made its file, and written nothing to it yet.
            return answer(environ, start_response)

    return application
