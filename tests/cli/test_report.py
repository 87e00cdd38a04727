"""Tests of `appliance report weekly`, `termly` and `due` as a technician types them."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance.cli.main import run_cli
from appliance.events.audit import Trail
from appliance.events.record import from_access
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from appliance.settings import load_settings
from tests.doubles.events import BLOCKED, access
from tests.doubles.school import configuration

type Output = pytest.CaptureFixture[str]


@pytest.mark.slow
def test_the_group_says_what_there_is(capsys: Output) -> None:
    """A technician who types the bare verb reads which reports there are."""
    assert run_cli(["report", "--help"]) == 0
    told = capsys.readouterr().out
    verbs = ("weekly", "termly", "due", "case", "subject-access", "erase", "retire")
    assert all(verb in told for verb in verbs)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return the configuration of a school whose log has one access of yesterday."""
    path = configuration(tmp_path)
    asyncio.run(_write(load_settings(path).settings.state))
    return path


async def _write(state: Path) -> None:
    state.mkdir(exist_ok=True)  # noqa: ASYNC240 - in a test
    writer = Writer(state / DATABASE, durable=False, patience=1)
    await writer.write([from_access(access(decision=BLOCKED, at=datetime.now(UTC) - timedelta(days=1)))])
    await writer.close()


def run(config: Path, *arguments: str) -> int:
    return run_cli(["report", *arguments, "--config", str(config)])


@pytest.mark.slow
def test_a_report_goes_where_it_is_told_and_into_the_audit(config: Path, capsys: Output) -> None:
    """One file by its ending, both in a folder; nothing that is there is written over."""
    folder = config.parent
    assert run(config, "weekly", "--to", str(folder / "week.pdf")) == 0
    assert (folder / "week.pdf").read_bytes().startswith(b"%PDF")
    assert re.search(r"week\.pdf \(made by (WeasyPrint [\d.]+|fpdf2)\)", capsys.readouterr().err)
    assert run(config, "termly", "--to", str(folder)) == 0
    today = f"{datetime.now():%Y-%m}"  # noqa: DTZ005 - the school's own day, whatever it is
    assert [path.suffix for path in sorted(folder.glob(f"termly-{today}*"))] == [".html", ".pdf"]
    assert run(config, "weekly", "--to", str(folder / "week.pdf")) == 2
    assert "already" in capsys.readouterr().err
    noted = Trail(load_settings(config).settings.state).entries()
    assert [(entry["what"], entry["whom"]) for entry in noted] == [("report", "weekly"), ("report", "termly")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--to", "x.docx"), "neither .html nor .pdf"),
        (("--to", "x.pdf", "--from", "2026-11-20", "--until", "2026-11-01"), "must be before"),
        (("--to", "x.pdf", "--from", "20.11.2026"), "does not match"),
    ],
)
def test_a_slip_makes_no_file(config: Path, capsys: Output, arguments: tuple[str, ...], said: str) -> None:
    """A wrong ending or a span turned round is told, and nothing is written."""
    assert run(config, "weekly", *arguments) == 2
    assert said in capsys.readouterr().err
    assert not Path("x.pdf").exists()


@pytest.mark.slow
def test_what_is_due_is_made_by_a_timer_too(config: Path, capsys: Output) -> None:
    """Where workers are units of their own a timer makes the week's report, once."""
    assert run(config, "due") == 0
    first = capsys.readouterr()
    assert "weekly-" in first.out
    assert "was made by" in first.err
    assert run(config, "due") == 0
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_no_log_is_said_in_words(tmp_path: Path, capsys: Output) -> None:
    """A technician with the wrong folder reads so, without a traceback."""
    assert run(configuration(tmp_path), "weekly", "--to", str(tmp_path / "x.pdf")) == 2
    assert "no event log there" in capsys.readouterr().err
