from __future__ import annotations

import json
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from appliance.cli import overrides_show as show
from appliance.model.category import Severity
from appliance.model.grant import State
from appliance.model.need import Need
from appliance.overrides.report import Visit
from appliance.overrides.reports import LIST, MAIL, Kept, Unread
from appliance.overrides.written import Override, Step
from tests.overrides.making import HOUR, NOW, wish

ZONE = ZoneInfo("Europe/London")
ONE = Override(3, State.ACTIVE, wish(), HOUR, "mr.smith", NOW, "mrs.jones", "teacher")

type Output = pytest.CaptureFixture[str]


def test_minutes_left_are_shown_of_what_is_open_alone() -> None:
    """Nobody is told "0 min" while a site is still open, and nothing else has minutes."""
    assert show.facts(ONE, NOW + HOUR - 1, ZONE)["left"] == "1 min"
    assert show.facts(replace(ONE, state=State.GRANTED), NOW, ZONE)["left"] == ""


def test_nothing_shown_can_steer_a_terminal(capsys: Output) -> None:
    """A reason that somebody typed must not rewrite what stands above it."""
    show.notes(["a\x1b[2Jb", "a\x1b[2Jb"])
    assert capsys.readouterr().err == "note: a\\x1b[2Jb\n"
    show.one(ONE, [Step(NOW, State.REFUSED, "x", "no\x1b[2J")], NOW, ZONE, as_json=False)
    assert "\x1b[2J" not in capsys.readouterr().out


def test_the_report_stands_below_the_steps(capsys: Output) -> None:
    """The granter reads in one place why it was granted and what became of it."""
    visit = Visit("amy", "ks2", "", "bets.example", 3, NOW, NOW + 60)
    show.one(ONE, [], NOW, ZONE, as_json=False, report=[visit])
    told = capsys.readouterr()
    assert "amy (ks2)" in told.out
    assert "3 accesses" in told.err
    show.one(ONE, [], NOW, ZONE, as_json=True, report=[visit])
    assert json.loads(capsys.readouterr().out)["visited"][0]["last"] == "2026-11-25 10:01"
    show.one(ONE, [], NOW, ZONE, as_json=True)
    assert "visited" not in json.loads(capsys.readouterr().out)


def test_what_came_along_is_told_from_what_was_opened(capsys: Output) -> None:
    """In the report a picture of another site is a part of the page, and no visit."""
    needs = [
        Need("cdn.example", "bets.example", Severity.LOW),
        Need("worse.example", "bets.example", Severity.LOW, refused="it is more severe"),
    ]
    visits = [Visit("amy", "ks2", "", host, 3, NOW, NOW + 60) for host in ("bets.example", "cdn.example")]
    show.one(ONE, [], NOW, ZONE, as_json=True, report=visits, needs=needs)
    shown = json.loads(capsys.readouterr().out)
    assert [visit["as"] for visit in shown["visited"]] == ["", "part of bets.example"]
    show.one(ONE, [], NOW, ZONE, as_json=False, report=visits, needs=needs)
    told = capsys.readouterr().out
    assert "it is more severe" in told
    assert "open as a part of it" in told


def test_an_empty_list_is_said_in_words(capsys: Output) -> None:
    """An empty screen could also be a fault."""
    show.table([], NOW, ZONE, as_json=False)
    assert "nothing is open" in capsys.readouterr().err
    show.table([ONE], NOW, ZONE, as_json=False)
    assert "bets.example" in capsys.readouterr().out


def test_whose_report_waits_is_said_above_the_list(capsys: Output) -> None:
    """Whoever has no address is told here, and a hundred reports are one line."""
    unread = [Unread(number, "mrs.jones") for number in range(1, 13)]
    show.table([ONE], NOW, ZONE, as_json=True, unread=unread)
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    assert "1 (for mrs.jones), 2 (for mrs.jones)" in told.err
    assert "and 2 more is ready" in told.err
    assert len(json.loads(told.out)) == 1


def test_how_a_report_stands_is_one_line() -> None:
    """`show` says that there is a report, whether a mail said so, and whether it was read."""
    kept = Kept(3, NOW, 12, 4, 2, MAIL, None)
    assert show.report_line(kept, ZONE, "mrs.jones") == (
        "made 2026-11-25 10:00, a mail said so: 12 accesses, 4 people or devices, 2 sites; "
        "not read by mrs.jones yet"
    )
    read = show.report_line(replace(kept, told=LIST, read_at=NOW + 60), ZONE, "mrs.jones")
    assert read.endswith("; read by mrs.jones 2026-11-25 10:01")
    assert show.report_line(None, ZONE, "mrs.jones") == ""
