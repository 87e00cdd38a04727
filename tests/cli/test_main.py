from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import appliance
from appliance.cli import main as entry
from appliance.cli.main import cli, run_cli
from tests.doubles.school import configuration

type Output = pytest.CaptureFixture[str]


def leaves(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every verb, down to the last word."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from leaves(child, (*words, name))
    else:
        yield words


def test_help_and_version_need_no_files(
    capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first two things that anybody types work in any folder."""
    monkeypatch.chdir(tmp_path)
    assert run_cli(["--version"]) == 0
    assert appliance.__version__ in capsys.readouterr().out
    assert run_cli(["--help"]) == run_cli(["-h"]) == run_cli(["explain", "--help"]) == 0
    assert "Exit status: 0 good, 1 found something" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("verb", [*leaves(cli), ("run",), ("lists",), ()])
def test_every_verb_takes_a_configuration(verb: tuple[str, ...], capsys: Output) -> None:
    """A script gives --config wherever it likes, and every verb's help names the option."""
    assert run_cli([*verb, "--help"]) == 0
    assert "--config" in capsys.readouterr().out


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_configuration_may_stand_anywhere(place: int, tmp_path: Path, capsys: Output) -> None:
    """Before the verb, after it and after its arguments are the same to a person who types."""
    words = ["lists", "status"]
    words[place:place] = ["--config", str(tmp_path / "none.yaml")]
    assert run_cli(words) == 2
    assert f"{tmp_path}/none.yaml:1:1: cannot be read" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["explain"], "give URLs"),
        (["explain", "a.example"], "say whose profile"),
        (["log", "--since", "yesterday"], "'yesterday'"),
        (["check", "--nonsense"], "No such option"),
    ],
)
def test_a_slip_is_answered_in_words(arguments: list[str], said: str, capsys: Output) -> None:
    """A typing error is exit status 2 and one line that says what it is, without a traceback."""
    assert run_cli(arguments) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""
    assert "Traceback" not in told.err


@pytest.mark.slow
def test_every_problem_of_the_files_is_told(tmp_path: Path, capsys: Output) -> None:
    """A verb that cannot read its configuration says everything that is wrong with it, at its line."""
    path = configuration(tmp_path, changes={"listen": "x", "set": "westway"})
    assert run_cli(["explain", "--as", "ks2", "a.example", "--config", str(path)]) == 2
    assert f"{path}:9:11: must be an address and a port" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    "verb", [["explain", "--as", "ks2", "a.example"], ["run"], ["run", "worker"], ["log"]]
)
def test_a_state_that_cannot_be_used_is_told(
    verb: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    """A wrong path for the state is named, and nothing falls over."""
    (tmp_path / "file").write_text("x", encoding="utf-8")
    monkeypatch.setenv("APPLIANCE_STATE", str(tmp_path / "file" / "state"))
    assert run_cli([*verb, "--config", str(configuration(tmp_path))]) == 2
    told = capsys.readouterr().err
    assert str(tmp_path / "file") in told
    assert "Traceback" not in told


@click.command()
@click.argument("error")
def failing(error: str) -> None:
    """Fail as the test says."""
    raise {"abort": click.Abort(), "ctrl-c": KeyboardInterrupt(), "disk": OSError(28, "No space", "/var/x")}[
        error
    ]


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        ("abort", 130, "appliance: stopped"),
        ("ctrl-c", 130, "appliance: stopped"),
        ("disk", 2, "/var/x: No space"),
    ],
)
def test_what_stops_a_command_is_told(
    error: str, status: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    """Ctrl-C and a full disk end a command with a line and a status that scripts understand."""
    monkeypatch.setitem(cli.commands, "failing", failing)
    assert run_cli(["failing", error]) == status
    assert said in capsys.readouterr().err


def test_a_reader_that_has_gone_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """`appliance ... | head` ends quietly with status 0, and is not taken for a problem found."""

    @click.command()
    def gone() -> None:
        raise BrokenPipeError

    closed: list[int] = []
    monkeypatch.setitem(cli.commands, "gone", gone)
    monkeypatch.setattr(sys, "argv", ["appliance", "gone"])
    monkeypatch.setattr(os, "dup2", lambda _old, new: closed.append(new))
    monkeypatch.setattr(sys.stdout, "fileno", lambda: 1, raising=False)
    with pytest.raises(SystemExit) as left:
        entry()
    assert left.value.code == 0
    assert closed == [1]


@pytest.mark.slow
def test_a_real_reader_that_goes_ends_a_real_command(tmp_path: Path) -> None:
    """A long answer whose reader leaves after one line is no traceback and no error."""
    command = [sys.executable, "-m", "appliance", "explain", "--as", "ks2", "-"]
    urls = "".join(f"https://site-{number}.example/\n" for number in range(20_000)).encode()
    (tmp_path / "urls").write_bytes(urls)
    with (
        (tmp_path / "urls").open() as source,
        subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"{")
        process.stdout.close()
        assert process.stderr.read().count(b"\n") == 1  # that the lists were compiled for this answer alone
        assert process.wait(20) == 0


def test_the_entry_point_leaves_with_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed program's exit status is the verb's."""
    monkeypatch.setattr(sys, "argv", ["appliance", "nonsense"])
    with pytest.raises(SystemExit) as left:
        entry()
    assert left.value.code == 2
