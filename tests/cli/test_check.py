from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.cli.main import run_cli
from appliance.gateway import ca
from tests.doubles.school import configuration, edit

type Output = pytest.CaptureFixture[str]


def check(path: Path, *more: str) -> int:
    return run_cli(["check", "--config", str(path), *more])


@pytest.mark.slow
def test_what_would_start_is_in_order(tmp_path: Path, capsys: Output) -> None:
    """Nothing on stdout and status 0: a script may go on; that the floor is made up is said (DFE-F3)."""
    assert check(configuration(tmp_path)) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "NOT COMPLIANT" in told.err
    assert told.err.endswith("everything is in order\n")


@pytest.mark.slow
def test_every_problem_is_printed_at_its_line(tmp_path: Path, capsys: Output) -> None:
    """An editor jumps to each problem, and the status says that there are some."""
    path = configuration(tmp_path, own_files=True, changes={"listen": "x"})
    edit(tmp_path / "profiles/westways/ks2.yaml", "audience: ks2", "audience: ks22")
    assert check(path) == 1
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0].startswith(f"{path}:9:11: must be an address")
    assert any(":8:11: unknown audience 'ks22'; did you mean 'ks2'?" in line for line in lines)
    assert f"{len(lines)} problems found; nothing was changed" in told.err


@pytest.mark.slow
def test_one_problem_is_one(tmp_path: Path, capsys: Output) -> None:
    """A person reads a sentence and not a template."""
    assert check(configuration(tmp_path, changes={"set": "westway"})) == 1
    assert "1 problem found" in capsys.readouterr().err


@pytest.mark.slow
def test_a_program_reads_the_same(tmp_path: Path, capsys: Output) -> None:
    """One JSON object says whether it would start, every problem with its place, and the notes."""
    path = configuration(tmp_path, changes={"set": "westway"})
    assert check(path, "--json") == 1
    read = json.loads(capsys.readouterr().out)
    assert (read["ok"], read["notes"]) == (False, [])
    (problem,) = read["problems"]
    assert (problem["file"], problem["line"], problem["column"]) == (str(path), 3, 8)
    assert "did you mean 'westways'?" in problem["message"]
    assert check(configuration(tmp_path), "--json") == 0
    read = json.loads(capsys.readouterr().out)
    assert read["ok"] is True
    assert "NOT COMPLIANT" in read["notes"][0]


@pytest.mark.parametrize("name", ["none.yaml", "."])
def test_a_configuration_that_is_none_cannot_be_checked(tmp_path: Path, capsys: Output, name: str) -> None:
    """A wrong path is status 2, which is no finding about a file."""
    assert check(tmp_path / name) == 2
    assert "there is no such file; name one with --config" in capsys.readouterr().err


@pytest.mark.slow
def test_an_expired_ca_is_a_problem(tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` says what `run` would refuse, the certificate included."""
    path = configuration(tmp_path)
    monkeypatch.setattr(ca, "CA_YEARS", 0)
    ca.ensure_authority(tmp_path / "state/ca", "Westways")
    assert check(path) == 1
    assert "appliance ca renew" in capsys.readouterr().out


@pytest.mark.slow
def test_the_linter_asks_the_school(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A governor sees what the policy leaves open, and a program gets an object a line."""
    path = configuration(tmp_path)
    assert run_cli(["check", "--lint", "--config", str(path)]) == 1
    shown = capsys.readouterr()
    assert "document.toml:" in shown.out
    assert "questions to the school" in shown.err
    assert run_cli(["check", "--lint", "--json", "--config", str(path)]) == 1
    assert all("message" in json.loads(line) for line in capsys.readouterr().out.splitlines())
