"""Tests of the numbers: named as Prometheus wants, summed over processes, and without a person in them."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.events.observer import Observer
from appliance.metrics import (
    ENDS,
    FLOOR_MODES,
    HANDSHAKES,
    METRICS,
    RADIUS_OUTCOMES,
    RENEWALS,
    Endpoint,
    Metrics,
    wipe,
)
from appliance.model.decision import FAULTS, Decision, Reason
from appliance.model.known import FloorState
from appliance.recording import Counts
from tests.doubles.events import ALLOWED, BLOCKED

ROOT = Path(__file__).resolve().parents[1]
ANYTHING = st.text(min_size=8, max_size=30)


@pytest.fixture
def metrics() -> Metrics:
    """The numbers of one process, with the ids of a small configuration."""
    made = Metrics()
    made.know(
        profiles=["ks2"], categories=["gambling", "education"], lists=["ut1-gambling"], stages=["policy"]
    )
    return made


@pytest.fixture
def endpoint(metrics: Metrics) -> Iterator[Endpoint]:
    """The port that Prometheus asks."""
    served = metrics.serve("127.0.0.1", 0)
    yield served
    served.close()


@cache
def shared() -> Metrics:
    """Numbers that a property test may go on filling; nothing in them is looked up by its amount."""
    made = Metrics()
    made.know(profiles=["ks2"], categories=["gambling"], lists=["ut1"], stages=["policy"])
    return made


def value(text: str, series: str) -> float:
    """Return the number of one series, spelled as Prometheus shows it."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    assert found, f"{series} is not in:\n{text}"
    return float(found[1])


def tell_everything(metrics: Metrics, text: str = "ks2") -> None:
    """Call every method once, with `text` wherever a text is taken."""
    metrics.request(replace(BLOCKED, profile=text, category=text))
    metrics.decided(0.00004)
    metrics.added_latency(0.004)
    metrics.fault(Reason.FAULT, text)
    metrics.connection()
    metrics.incomplete()
    metrics.passed_unread("cut", 5, 7)
    metrics.passed_unread(text, 0, 0)
    metrics.handshake_failed("left")
    metrics.handshake_failed(text)
    metrics.review()
    metrics.radius("accepted")
    metrics.list_in_force(text, 1_000, 60.0)
    metrics.floor(text, FloorState.STALE)
    metrics.floor_development(synthetic=True)
    metrics.floor_mode(text, "supplied")
    metrics.list_updated(text, 2, 1_800_000_000.0)
    metrics.event_queue(3)
    metrics.event_commit(0.002)
    metrics.events_spilled(2)
    metrics.events_dropped(5)
    metrics.workers_running(4)
    metrics.worker_up(1, up=True)
    metrics.worker_restarted()
    metrics.worker_renewed("age")
    metrics.worker_gone(4_000_000)
    metrics.loop_lag(0.01)
    metrics.reload_failed()
    metrics.reloaded()
    metrics.alert_sent(text, 1.0)
    metrics.alert_failed(text)
    metrics.alerts_standing(waiting=1, oldest=9.0, undelivered=1, without_recipient=1, unacknowledged=1)
    metrics.alert_answers(text, 3, 1)
    metrics.alerts_looked(1_800_000_000.0)


def test_requests_are_counted_by_what_was_decided(metrics: Metrics) -> None:
    """A technician sees which profile refuses what, and why."""
    for decision in (ALLOWED, BLOCKED, BLOCKED):
        metrics.request(decision)
    text = metrics.text()
    series = 'gateway_requests_total{action="%s",category="%s",profile="ks2",reason="%s"}'
    assert value(text, series % ("block", "gambling", "unacceptable")) == 2
    assert value(text, series % ("allow", "education", "acceptable")) == 1


def test_every_metric_is_in_the_table_and_in_use(metrics: Metrics) -> None:
    """What the README explains is what Prometheus gets, no more and no less."""
    tell_everything(metrics)
    text = metrics.text()
    shown = {
        name for name in re.findall(r"^# TYPE (\S+)", text, re.MULTILINE) if not name.endswith("_created")
    }
    assert shown == set(METRICS)
    for name, help_text in METRICS.items():
        assert help_text in text
        assert re.search(rf"^{name}(_count|_sum)?({{.*}})? [0-9.e+-]*[1-9]", text, re.MULTILINE), name


def test_names_follow_the_conventions(metrics: Metrics) -> None:
    """Dashboards that know Prometheus know this gateway: prefix, base units, _total for what only grows."""
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)", metrics.text(), re.MULTILINE))
    for name in METRICS:
        assert re.fullmatch(r"gateway_[a-z]+(_[a-z]+)*", name)
        assert name.endswith("_total") == (kinds[name] == "counter")
        assert not re.search(r"milli|micro|minutes|hours|_ms|percent", name)
        assert kinds[name] != "histogram" or name.endswith("_seconds")


@pytest.mark.slow
@settings(max_examples=30)
@given(ANYTHING)
def test_no_text_from_outside_reaches_a_label(text: str) -> None:
    """A name, an address or a search term can be handed in by mistake, and still cannot come out (DP-1)."""
    metrics = shared()
    tell_everything(metrics, text)
    lines = [line for line in metrics.text().splitlines() if not line.startswith("#")]
    labels = set(re.findall(r'"([^"]*)"', "\n".join(lines)))
    closed = {*Reason, *FloorState, *FLOOR_MODES, *ENDS, *HANDSHAKES, *RENEWALS, *RADIUS_OUTCOMES}
    closed |= {"block", "allow", "other", "1", "up", "down", "yes", "no"}
    assert {label for label in labels if not re.fullmatch(r"[0-9.e+-]+|\+Inf", label)} <= closed
    assert text not in labels - closed  # hypothesis also tries the words of our own sources


def test_strangers_do_not_fill_the_memory(metrics: Metrics) -> None:
    """Nobody outside can make the gateway remember a million series."""
    for number in range(500):
        metrics.request(replace(BLOCKED, category=f"invented-{number}"))
        metrics.fault(Reason.FAULT, f"stage-{number}")
    assert metrics.text().count("gateway_requests_total{") == 1
    assert metrics.text().count("gateway_faults_closed_total{") == 1
    assert len(metrics._requests) == 0


def test_an_empty_category_stays_empty(metrics: Metrics) -> None:
    """A site that no list names is told apart from one whose category is not known."""
    metrics.request(replace(ALLOWED, category="", reason=Reason.UNLISTED))
    assert 'category="",' in metrics.text()


def test_an_edit_makes_new_ids_known(metrics: Metrics) -> None:
    """A profile that was added this morning is counted by its name from then on."""
    new = replace(BLOCKED, profile="ks3")
    metrics.request(new)
    metrics.know(profiles=["ks2", "ks3"])
    metrics.request(new)
    text = metrics.text()
    counted = [line for line in text.splitlines() if line.startswith("gateway_requests_total{")]
    assert [re.findall('profile="([^"]*)"', line) for line in counted] == [["other"], ["ks3"]]


@pytest.mark.parametrize("reason", sorted(FAULTS))
def test_a_fault_that_closed_is_counted_with_its_stage(metrics: Metrics, reason: Reason) -> None:
    """A filter that cannot answer is seen before the school rings."""
    metrics.fault(reason, "policy")
    assert value(metrics.text(), f'gateway_faults_closed_total{{reason="{reason}",stage="policy"}}') == 1


def test_a_statutory_list_is_in_one_state(metrics: Metrics) -> None:
    """An alarm on "stale" ends when the list is well again."""
    for state in (FloorState.STALE, FloorState.OK):
        metrics.floor("ut1-gambling", state)
    states = {
        state: value(metrics.text(), f'gateway_floor_state{{list="ut1-gambling",state="{state}"}}')
        for state in FloorState
    }
    assert states == {FloorState.OK: 1, FloorState.STALE: 0, FloorState.MISSING: 0, FloorState.UNREADABLE: 0}


def test_a_refused_edit_shows_until_a_good_one(metrics: Metrics) -> None:
    """A broken edit is visible, and the count of failures stays."""
    metrics.reloaded()
    metrics.reload_failed()
    assert value(metrics.text(), "gateway_config_last_reload_successful") == 0
    metrics.reloaded()
    text = metrics.text()
    assert value(text, "gateway_config_last_reload_successful") == 1
    assert value(text, "gateway_config_reload_failures_total") == 1
    assert value(text, "gateway_config_last_reload_success_timestamp_seconds") > 1.7e9


@pytest.mark.slow
@settings(max_examples=10)
@given(st.lists(st.floats(0, 10), min_size=1, max_size=20))
def test_the_quick_histogram_counts_as_the_library_does(seconds: list[float]) -> None:
    """The short cut for each request puts every duration where Prometheus expects it."""
    ours, theirs = Metrics(), Metrics()
    for each in seconds:
        ours.decided(each)
        theirs._made["gateway_decision_seconds"].observe(each)

    def lines(metrics: Metrics) -> list[str]:
        return re.findall(r"^gateway_decision_seconds_(?:bucket|count|sum).*$", metrics.text(), re.MULTILINE)

    assert lines(ours) == lines(theirs)
    assert lines(ours)[0].startswith('gateway_decision_seconds_bucket{le="1e-05"}')


def test_the_metrics_fit_where_they_are_handed_in(metrics: Metrics) -> None:
    """The recorder and the log may tell the metrics what they have to tell."""
    counts: Counts = metrics
    observer: Observer = metrics
    counts.request(ALLOWED)
    observer.event_queue(1)


def ask(endpoint: Endpoint, method: str, path: str) -> tuple[int, str]:
    """Ask the endpoint once."""
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=60)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response.status, body


def test_prometheus_is_answered(metrics: Metrics, endpoint: Endpoint) -> None:
    """The numbers are where every Prometheus looks for them."""
    metrics.connection()
    status, body = ask(endpoint, "GET", "/metrics")
    assert status == 200
    assert value(body, "gateway_connections_total") == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/metrics/../etc/passwd", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/metrics", 405),
        ("POST", "/", 404),
    ],
)
def test_the_port_answers_nothing_else(endpoint: Endpoint, method: str, path: str, status: int) -> None:
    """Whoever finds the port finds the numbers, and no way in."""
    assert ask(endpoint, method, path)[0] == status


@pytest.mark.slow
def test_the_port_can_be_an_ipv6_one(metrics: Metrics) -> None:
    """A school on IPv6 can watch its gateway."""
    served = metrics.serve("::1", 0)
    connection = http.client.HTTPConnection("::1", served.port, timeout=60)
    connection.request("GET", "/metrics")
    assert connection.getresponse().status == 200
    connection.close()
    served.close()


def test_a_port_that_is_taken_is_said(metrics: Metrics, endpoint: Endpoint) -> None:
    """A second gateway on the same port does not run unwatched."""
    with pytest.raises(OSError, match="in use"):
        metrics.serve("127.0.0.1", endpoint.port)


def test_wiping_removes_the_numbers_of_the_last_run_only(tmp_path: Path) -> None:
    """A restart begins at nought, and no other file in the folder is touched."""
    folder = tmp_path / "a" / "metrics"
    wipe(folder)
    (folder / "counter_12.db").write_bytes(b"old")
    (folder / "notes.txt").write_text("mine")
    wipe(folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


MEMBER = """
import os, sys
from pathlib import Path
from appliance.metrics import METRICS, Metrics
assert "prometheus_client" not in sys.modules
metrics = Metrics(Path(sys.argv[1]))
metrics.know(profiles=["ks2"], categories=["gambling"])
from tests.doubles.events import BLOCKED
for _ in range(int(sys.argv[2])):
    metrics.request(BLOCKED)
    metrics.decided(0.00003)
metrics.event_queue(int(sys.argv[2]))
metrics.loop_lag(int(sys.argv[2]))
print(os.getpid(), flush=True)
sys.stdin.read(1)
"""

LEADER = """
import sys
from pathlib import Path
from appliance.metrics import Metrics
metrics = Metrics(Path(sys.argv[1]))
metrics.workers_running(2)
for pid in sys.argv[2:]:
    metrics.worker_gone(int(pid))
sys.stdout.write(metrics.text())
"""

FORKING = """
import os, sys
from pathlib import Path
from appliance.metrics import Metrics
metrics = Metrics(Path(sys.argv[1]))
metrics.connection()
child = os.fork()
if not child:
    metrics.connection()
    metrics.connection()
    os._exit(0)
os.waitpid(child, 0)
metrics.connection()
sys.stdout.write(metrics.text())
try:
    Metrics(Path(sys.argv[1]) / "other")
except ValueError:
    sys.stdout.write("# refused\\n")
"""


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a process that counts."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def output(process: subprocess.Popen[str]) -> str:
    """Return what a process prints until its end."""
    out, _ = process.communicate("x", timeout=30)
    assert process.returncode == 0
    return out


@pytest.mark.slow
def test_workers_are_summed_and_the_dead_are_forgotten(tmp_path: Path) -> None:
    """What a killed worker counted stays counted, but its queue no longer shows."""
    wipe(tmp_path)
    first, second = start(MEMBER, tmp_path, 3), start(MEMBER, tmp_path, 40)
    pids = [process.stdout.readline().strip() for process in (first, second) if process.stdout]
    together = output(start(LEADER, tmp_path))
    first.kill()
    first.communicate()
    afterwards = output(start(LEADER, tmp_path, pids[0]))
    output(second)
    requests = (
        'gateway_requests_total{action="block",category="gambling",profile="ks2",reason="unacceptable"}'
    )
    for text, queue in ((together, 43), (afterwards, 40)):
        assert value(text, requests) == 43
        assert value(text, "gateway_decision_seconds_count") == 43
        assert value(text, 'gateway_decision_seconds_bucket{le="5e-05"}') == 43
        assert value(text, "gateway_event_queue_length") == queue
        assert value(text, "gateway_event_loop_lag_seconds") == 40
        assert value(text, "gateway_workers_running") == 2
        assert "pid=" not in text


@pytest.mark.slow
def test_a_forked_worker_counts_for_itself(tmp_path: Path) -> None:
    """Parent and child do not overwrite each other's numbers, and one process has one folder."""
    text = output(start(FORKING, tmp_path))
    assert value(text, "gateway_connections_total") == 4
    assert "# refused" in text


def test_a_decision_tells_the_metrics_nothing_personal() -> None:
    """The only value that the hot path hands over has no field for a person or an address."""
    assert not {"person", "name", "client", "url", "host"} & set(Decision.__dataclass_fields__)
