"""A technician edits profiles and lists while lessons run."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.journeys.lab import Lab, address
from tests.journeys.network import GATEWAY
from tests.journeys.running import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

BROKEN = {
    "not YAML": "rules: [",
    "an unknown category": "profile: ks2\ntitle: K\naudience: ks2\nextends: _pupils\nrules:\n  gamblin:\n"
    "    rating: acceptable\n    because: Because.\n",
    "an unknown base": "profile: ks2\ntitle: K\naudience: ks2\nextends: _pupil\n",
    "empty": "",
    "gone": None,
}
CLOSED = """

rules:
  education:
    rating: unacceptable
    because: Closed for the inspection.
"""


@pytest.fixture
def ks2(rough_lab: Lab) -> Iterator[str]:
    """The text of a profile that the test may spoil; it is put back afterwards, and in force again."""
    file = rough_lab.gateway.profile("westways/ks2")
    text = file.read_text(encoding="utf-8")
    before = rough_lab.explain("ks2", "https://gambling.example/")["policy_version"]
    yield text
    file.write_text(text, encoding="utf-8")
    current = rough_lab.gateway.state / "policy" / "current"
    until(lambda: current.read_text(encoding="ascii").strip() == before, "the old policy is back")
    until(lambda: status(rough_lab) == 200, "the site is open again")


def status(lab: Lab, url: str = "https://education.example/", who: str = "ks2") -> int:
    """Return the status that somebody gets for an address."""
    return lab.curl(url, who=who).status


@contextlib.contextmanager
def download(lab: Lab, seconds: int = 60) -> Iterator[subprocess.Popen[bytes]]:
    """Be in the middle of a slow download from an allowed site; it must end whole."""
    command = ["ip", "netns", "exec", lab.network.client, "curl", "-s", "-m", str(seconds), "-o", "/dev/null"]
    command += [
        "--interface",
        address("ks2"),
        "-x",
        f"http://{GATEWAY}:8080",
        "--cacert",
        str(lab.gateway.ca),
    ]
    command += ["-w", "%{http_code} %{size_download}", "-r", "0-999999", "https://education.example/slow"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        time.sleep(0.5)
        assert running.poll() is None
        yield running
        told, _ = running.communicate(timeout=seconds)
        assert told.decode().split() == ["206", "1000000"], "a connection was dropped"


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_edit_changes_nothing_and_is_shown(rough_lab: Lab, ks2: str, what: str) -> None:
    """A slip of the pen must not unlock the school, nor close it, and the technician is told where it is."""
    assert ks2
    gateway, text = rough_lab.gateway, BROKEN[what]
    failures = rough_lab.total("gateway_config_reload_failures_total")
    told = gateway.said().count("the edit is not in force")
    file = gateway.profile("westways/ks2")
    file.unlink() if text is None else file.write_text(text, encoding="utf-8")
    until(lambda: gateway.said().count("the edit is not in force") > told, "stderr says so")
    until(lambda: rough_lab.total("gateway_config_reload_failures_total") > failures, "the metric says so")
    assert rough_lab.total("gateway_config_last_reload_successful") == 0
    checked = gateway.ask("check")
    assert checked.returncode == 1
    assert f"{'appliance' if text is None else 'westways/ks2'}.yaml:" in checked.stdout
    assert "Traceback" not in checked.stdout + checked.stderr + gateway.said()
    assert status(rough_lab, "https://gambling.example/") == 403
    assert status(rough_lab) == 200


def test_a_worker_that_starts_amid_a_broken_edit_keeps_the_old_policy(rough_lab: Lab, ks2: str) -> None:
    """A crash at the worst moment leaves nobody unfiltered, and nobody without the web."""
    assert ks2
    before = rough_lab.gateway.workers()
    rough_lab.gateway.profile("westways/ks2").write_text("rules: [", encoding="utf-8")
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(set(rough_lab.gateway.workers()) - set(before)) >= 2, "new workers are there")
    until(lambda: rough_lab.total("gateway_workers_running") == 2, "both serve again")
    assert status(rough_lab, "https://gambling.example/") == 403
    assert status(rough_lab) == 200


def test_a_good_edit_is_in_force_soon_and_drops_no_connection(rough_lab: Lab, ks2: str) -> None:
    """A site is opened or closed without a restart, and a pupil's download goes on through it all."""
    file = rough_lab.gateway.profile("westways/ks2")
    with download(rough_lab):
        file.write_text("rules: [", encoding="utf-8")
        until(
            lambda: rough_lab.total("gateway_config_last_reload_successful") == 0, "the broken edit is seen"
        )
        assert status(rough_lab) == 200
        file.write_text(ks2.rstrip() + CLOSED, encoding="utf-8")
        begun = time.monotonic()
        until(lambda: status(rough_lab) == 403, "the edit is in force")
        print(f"a good edit was in force after {time.monotonic() - begun:.2f} s, as curl sees it")
    row = rough_lab.gateway.logged(
        lambda row: row["action"] == "block" and "education" in row["host"], "a block"
    )
    assert (row["category"], row["because"]) == ("education", "Closed for the inspection.")
    assert rough_lab.total("gateway_config_last_reload_successful") == 1
    assert rough_lab.explain("ks2", "https://education.example/")["because"] == row["because"]


@pytest.mark.parametrize(
    ("use", "host", "who", "before", "after"),
    [
        ("block", "closed-later.example", "ks2", 200, 403),
        ("allow", "opened-later.example", "eyfs", 403, 200),
    ],
)
def test_the_schools_own_word_is_in_force_without_a_restart(
    rough_lab: Lab, use: str, host: str, who: str, before: int, after: int
) -> None:
    """A site is opened for the lesson that has begun, or closed because a child was just seen on it."""
    url = f"https://{host}/"
    assert status(rough_lab, url, who) == before
    workers = rough_lab.gateway.workers()
    done = rough_lab.gateway.ask("lists", "add", use, host, "--because", "The head asked for it.")
    begun = time.monotonic()
    assert done.returncode == 0, done.stderr
    until(lambda: status(rough_lab, url, who) == after, "the decision is in force")
    print(f"lists add {use}: in force after {time.monotonic() - begun:.2f} s, as curl sees it")
    assert set(rough_lab.gateway.workers()) >= set(workers)
    assert rough_lab.explain(who, url)["reason"] == f"local_{use}"
