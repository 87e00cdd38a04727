"""`appliance alerts take`, `hand-over`, `task` and `incidents` as staff type them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.alerts.book import Book
from appliance.cli.main import run_cli
from tests.cli.test_alerts import config as config  # noqa: PLC0414 - a fixture that both share
from tests.cli.test_alerts import made as made  # noqa: PLC0414 - the same

type Output = pytest.CaptureFixture[str]


def run(config: Path, *arguments: str) -> int:
    return run_cli(["alerts", *arguments, "--config", str(config)])


@pytest.mark.slow
def test_a_case_goes_from_the_table_to_its_outcome(config: Path, made: Book, capsys: Output) -> None:
    """What the pages can do, a command can: take, tasks, what is held, hand over, close."""
    del made
    assert run(config, "take", "1", "--as", "pupil_illegal") == 0
    assert run(config, "close", "1", "--outcome", "x") == 2
    assert "4 open tasks" in capsys.readouterr().err
    assert run(config, "task", "done", "1", "3") == 2
    assert "held" in capsys.readouterr().err
    assert run(config, "task", "clear", "1", "3") == 0
    for number in ("1", "3"):
        assert run(config, "task", "done", "1", number) == 0
    for number in ("2", "4"):
        assert run(config, "task", "not-needed", "1", number, "--reason", "no crime") == 0
    capsys.readouterr()
    assert run(config, "show", "1", "--purpose", "to see", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert [task["state"] for task in shown["tasks"]] == ["done", "not needed", "done", "not needed"]
    assert shown["tasks"][0]["source"] == "W:503"
    assert run(config, "hand-over", "1", "deputy") == 0
    assert run(config, "close", "1", "--outcome", "spoken to") == 0
    assert run(config, "take", "1") == 2
    assert "closed already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("take", "1", "--as", "pupil_ilegal"), "did you mean 'pupil_illegal'"),
        (("hand-over", "1", "dls"), "did you mean 'dsl'"),
        (("task", "done", "1", "7"), "no task 7"),
        (("task", "done", "9", "1"), "there is no case"),
    ],
)
def test_a_slip_of_the_finger_is_told_in_words(
    config: Path, made: Book, capsys: Output, arguments: tuple[str, ...], said: str
) -> None:
    """No traceback, and what was meant."""
    del made
    assert run(config, *arguments) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_the_table_of_the_school_is_shown(config: Path, capsys: Output) -> None:
    """Whoever takes a case `--as` something must find what there is."""
    assert run(config, "incidents", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 32
    assert rows[0]["source"] == "W:503"
    assert "Inform the parents or carers (held)" in rows[0]["steps"]
    assert run(config, "incidents") == 0
    assert "W:540" in capsys.readouterr().out
