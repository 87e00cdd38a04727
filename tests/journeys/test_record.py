"""After a day of all this: the log, the command that shows it, and the numbers agree and give nobody away."""

from __future__ import annotations

import json
import re

import pytest

from tests.journeys.lab import SETS, Lab, Via
from tests.journeys.running import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+|[0-9a-f]*:[0-9a-f:]{3,}")


@pytest.fixture(scope="module")
def day(lab: Lab) -> Lab:
    """A school in which each group asked for something good, something bad and something unlawful."""
    for who in SETS["westways"]:
        for url in (
            "https://education.example/day",
            "https://gambling.example/day?q=poker",
            "https://social.example/",
            "http://floor-test.example/listed/page.html",
            "https://childline.org.uk/",
            "http://10.77.0.1/",
        ):
            lab.curl(url, who=who)
    return lab


def test_the_numbers_say_what_the_log_says(day: Lab) -> None:
    """A safeguarding lead who compares the dashboard with the log finds no gap (DFE-M)."""
    until(
        lambda: day.total("gateway_requests_total") == len(day.gateway.log()),
        "as many requests are counted as are on record",
    )
    rows = day.gateway.log()
    for labels in ({"action": "block"}, {"category": "gambling"}, {"reason": "floor"}, {"profile": "ks2"}):
        (name, value), *_ = labels.items()
        expected = sum(row[name] == value for row in rows)
        assert expected > 0
        assert day.total("gateway_requests_total", **labels) == expected, labels


def test_nothing_failed_and_nothing_was_lost(day: Lab) -> None:
    """No journey of the others made the filter close by a fault of its own, or drop a record."""
    assert day.total("gateway_faults_closed_total") == 0
    assert day.total("gateway_events_dropped_total") == 0
    # A slow disk may send events by way of the spill file; what counts is that none stays there.
    until(lambda: not list((day.gateway.state / "spill").glob("*.jsonl")), "all that was spilled is taken in")
    assert day.total("gateway_worker_restarts_total") == 0
    assert day.total("gateway_workers_running") == 2
    assert day.total("gateway_floor_development") == 1
    assert "Traceback" not in day.gateway.said()
    assert "ERROR" not in day.gateway.said()


def test_no_label_holds_a_person_or_a_site(day: Lab) -> None:
    """Whoever reads the numbers learns how much, and never who or where (DP-2)."""
    names = set(day.origin.hosts())
    for name, found in day.metrics().items():
        for labels, _ in found:
            for value in labels.values():
                assert value not in names, (name, labels)
                assert not ADDRESS.search(value), (name, labels)


def test_the_command_shows_what_was_flagged_and_nothing_else(day: Lab) -> None:
    """The person who looks after children's safety sees each flagged access with its reason, and no noise."""
    done = day.gateway.ask("log", "--flagged", "--since", "1h", "--json", "--limit", "100000")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows == [row | {"name": None if row["name"] else ""} for row in day.gateway.log(flagged=True)]
    assert all(row["flagged"] for row in rows)
    assert {row["action"] for row in rows} >= {"block"}
    assert {row["group"] for row in rows} >= set(SETS["westways"])
    assert not [row for row in rows if row["reason"] == "floor" and (row["url"] or row["host"])]
    shown = day.gateway.ask("log", "--flagged", "--since", "1h")
    assert shown.returncode == 0
    assert "floor-test" not in shown.stdout


@pytest.mark.parametrize("client", ["--http1.1", "--http2"])
@pytest.mark.parametrize("via", Via)
def test_what_was_searched_for_is_on_record(lab: Lab, via: Via, client: str) -> None:
    """A search says more about a child in need than the site's address does, also sent as a form (S-40)."""
    site = "https://html.duckduckgo.example/html"
    lab.curl(f"{site}?q=how+to+hide+bruises&n={via.name}{client}", client, via=via)
    row = lab.gateway.logged(lambda row: f"{via.name}{client}" in (row["url"] or ""), "the search")
    assert row["search_term"] == "how to hide bruises"
    said = f"who can i tell {via.name} {client}"
    lab.curl(site, client, "--data-urlencode", f"q={said}", "--data", "pad=" + "x" * 40_000, via=via)
    row = lab.gateway.logged(lambda row: row["method"] == "POST" and row["search_term"] == said, "the form")
    assert row["bytes_sent"] > 40_000
