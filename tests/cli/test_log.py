"""Tests of `appliance log`: what a technician sees, and what a pupil cannot make him see."""

from __future__ import annotations

import asyncio
import copy
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.cli.log import Duration, as_line, escape, log
from appliance.events.audit import Trail
from appliance.events.record import from_access
from appliance.events.schema import prepare
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from appliance.model.event import Access
from tests.doubles.events import BLOCKED, FLOOR, PUPIL, access

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=60)


@dataclass
class Setup:
    """What the command is given."""

    state: Path

    def note(self, what: str, whom: str, **details: str | float | None) -> None:
        """Put what was done into the audit."""
        Trail(self.state).add(what, whom, by="head", at=0.0, **details)


def run(state: Path, *arguments: str) -> Result:
    """Run the command on a state folder, without the configuration file that every verb may name."""
    alone = copy.copy(log)
    alone.params = [option for option in log.params if "--config" not in option.opts]
    return CliRunner().invoke(alone, arguments, obj=Setup(state), env={"COLUMNS": "200"})


def write(state: Path, *accesses: Access) -> None:
    """Put accesses into the log."""

    async def written() -> None:
        writer = Writer(state / DATABASE, durable=False, patience=1)
        await writer.write([from_access(one) for one in accesses])
        await writer.close()

    asyncio.run(written())


def recent(minutes: float) -> datetime:
    """Return a moment so many minutes ago."""
    return datetime.now(UTC) - timedelta(minutes=minutes)


@pytest.mark.slow
def test_programs_get_a_json_object_a_line(tmp_path: Path) -> None:
    """A script reads who, when, what, why and by which rule, with real booleans and a time in UTC."""
    write(tmp_path, access(1), access(2, BLOCKED))
    result = run(tmp_path, "--json")
    first, second = map(json.loads, result.stdout.splitlines())
    assert (result.exit_code, first["flagged"], second["flagged"]) == (0, False, True)
    assert second["time"] == "2026-11-23T10:15:00.002Z"
    assert (second["name"], second["rule"]) == (None, "profiles/westways/ks2.yaml:14")


@pytest.mark.slow
def test_people_get_a_table(tmp_path: Path) -> None:
    """A technician sees at a glance who was refused what, and why."""
    write(tmp_path, access(2, BLOCKED))
    shown = run(tmp_path, "--purpose", "a lesson was refused").stdout
    for words in (
        "Ada Example (ks2)",
        "ipad-014",
        "unacceptable gambling",
        "bets.example/page/2",
        "REF-00002",
    ):
        assert words in shown


@pytest.mark.slow
def test_an_endless_address_does_not_push_the_rest_away(tmp_path: Path) -> None:
    """One access of 4,000 characters leaves the table readable, and is whole for a program."""
    write(tmp_path, replace(access(1), url="https://x.example/" + "a" * 4_000))
    assert len(run(tmp_path).stdout.splitlines()) < 10
    assert "a" * 4_000 in run(tmp_path, "--json").stdout


@pytest.mark.slow
def test_a_floor_hit_shows_no_address(tmp_path: Path) -> None:
    """What must not be seen cannot be printed."""
    write(tmp_path, access(2, FLOOR))
    assert "bets.example" not in run(tmp_path).stdout + run(tmp_path, "--json").stdout
    assert "(not kept: statutory list)" in run(tmp_path).stdout


@pytest.mark.slow
def test_the_options_narrow_it_down(tmp_path: Path) -> None:
    """The last hour's blocks are one command away."""
    write(
        tmp_path,
        access(1, BLOCKED, at=recent(90)),
        access(2, at=recent(30)),
        access(3, BLOCKED, at=recent(20)),
        access(4, BLOCKED, at=recent(10)),
    )

    def seen(*arguments: str) -> list[str]:
        lines = run(tmp_path, "--json", *arguments).stdout.splitlines()
        return [json.loads(line)["reference"][-1] for line in lines]

    assert seen() == ["1", "2", "3", "4"]
    assert seen("--flagged") == ["1", "3", "4"]
    assert seen("--since", "1h") == ["2", "3", "4"]
    assert seen("--since", "25m", "--flagged", "--limit", "1") == ["4"]


@pytest.mark.slow
@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_hostile_address_cannot_move_the_cursor(tmp_path: Path, option: list[str]) -> None:
    """A pupil's URL with escape sequences, bidi marks or a line end does nothing to a terminal."""
    nasty = "https://x.example/\x1b[2J\x9b31m\u202egnp.exe\x7f\r\n2026 fake line\x00[red]\udcff"
    person = replace(PUPIL, name="\x1b]0;title\x07", device="")
    write(tmp_path, replace(access(1, person=person), url=nasty, client="\u2066"))
    shown = run(tmp_path, "--purpose", "a test", *option).stdout
    assert not set(shown) & set("\x1b\x9b\x07\x7f\r\x00\u202e\u2066")
    assert "fake line" in shown
    assert len([line for line in shown.splitlines() if line.startswith(("2026 fake", "fake"))]) == 0
    assert "[red]" in shown


@pytest.mark.slow
@settings(max_examples=40)
@given(ANYTHING)
def test_nothing_that_a_terminal_obeys_is_printed(text: str) -> None:
    """Whatever the characters, what is shown is printable, and ordinary text is left alone."""
    shown = escape(text)
    assert shown.isprintable()
    if text.isprintable():
        assert shown == text


@pytest.mark.slow
@settings(max_examples=40)
@given(ANYTHING)
def test_every_line_of_json_is_plain_ascii_and_complete(text: str) -> None:
    """A program reads back exactly what is in the log."""
    record = from_access(replace(access(), url=text, search_term=text))
    line = as_line(record)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["search_term"] == record.search_term


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1_800), ("1h", 3_600), ("2d", 172_800), ("1w", 604_800), (" 1 H ", 3_600)],
)
def test_a_span_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    """What people write is understood."""
    assert Duration().convert(text, None, None) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "h", "1", "0h", "-1h", "1.5h", "1y", "1h30m", "9999999d", "١h", "\x1b[2J"]
)
def test_a_span_that_is_none_is_explained(text: str) -> None:
    """The message says what would have been possible, and repeats nothing that a terminal obeys."""
    with pytest.raises(click.BadParameter, match=r"write a number and a unit, such as 90s, 30m") as caught:
        Duration().convert(text, None, None)
    assert "\x1b" not in caught.value.message


@pytest.mark.slow
def test_the_longest_span_is_no_error(tmp_path: Path) -> None:
    """Asking for everything of the last centuries is answered, not a traceback."""
    write(tmp_path, access(1, at=recent(5)))
    assert run(tmp_path, "--since", "999999w").exit_code == 0


@pytest.mark.slow
def test_an_empty_answer_is_good(tmp_path: Path) -> None:
    """A quiet day is no error; the note about it does not go into a program's input."""
    prepare(tmp_path / DATABASE)
    result = run(tmp_path, "--flagged")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing recorded" in result.stderr
    assert run(tmp_path, "--json").output == ""


def test_a_log_that_cannot_be_read_is_status_2(tmp_path: Path) -> None:
    """A script can tell "nothing happened" from "nobody knows"."""
    result = run(tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no event log there" in result.stderr
    (tmp_path / DATABASE).write_bytes(b"rubbish " * 600)
    assert run(tmp_path).exit_code == 2


def test_the_help_tells_the_exit_status() -> None:
    """Who writes a script need not try."""
    assert "The exit status is 0" in " ".join(CliRunner().invoke(log, ["--help"]).output.split())


@pytest.mark.slow
def test_a_persons_log_is_looked_at_for_a_purpose(tmp_path: Path) -> None:
    """DP: who looks at one child's log says why, and that stands in the audit before anything is shown."""
    amy, ben = replace(PUPIL, name="amy"), replace(PUPIL, name="ben")
    write(tmp_path, replace(access(1), person=amy), replace(access(2), person=ben))
    for wrong in (("--person", "amy"), ("--purpose", " "), ("--person", "amy", "--purpose", "  ")):
        assert run(tmp_path, *wrong).exit_code == 2
    assert Trail(tmp_path).entries() == []
    found = run(tmp_path, "--person", "amy", "--purpose", "a worried parent", "--json").stdout
    assert [json.loads(line)["name"] for line in found.splitlines()] == ["amy"]
    (entry,) = Trail(tmp_path).entries()
    assert (entry["what"], entry["whom"], entry["purpose"]) == ("log-look-up", "amy", "a worried parent")


@pytest.mark.slow
def test_no_name_is_shown_without_a_purpose(tmp_path: Path) -> None:
    """DP: whoever looks why a site is refused sees group and device; names are a look-up, on record."""
    nobody = replace(PUPIL, name="")
    write(tmp_path, access(1, BLOCKED), access(2, BLOCKED, person=nobody))
    table, lines = run(tmp_path), run(tmp_path, "--json")
    assert "Ada" not in table.output + lines.output
    assert "ks2" in table.stdout
    assert "--purpose TEXT shows them" in table.stderr
    assert [json.loads(line)["name"] for line in lines.stdout.splitlines()] == [None, ""]
    assert Trail(tmp_path).entries() == []
    for option in ([], ["--json"]):
        assert "Ada Example" in run(tmp_path, "--purpose", "who was it", *option).stdout
    first, second = Trail(tmp_path).entries()
    assert first["what"] == second["what"] == "log-look-up"
    assert (first["whom"], first["purpose"], first["since"]) == ("everybody", "who was it", "all")


@pytest.mark.slow
def test_without_an_audit_no_name_is_shown(tmp_path: Path) -> None:
    """A look that cannot be recorded does not happen; what shows no name goes on."""
    write(tmp_path, access(1, BLOCKED))
    Trail(tmp_path).path.mkdir(parents=True)
    refused = run(tmp_path, "--purpose", "who was it")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "REF-00001" in run(tmp_path).stdout
