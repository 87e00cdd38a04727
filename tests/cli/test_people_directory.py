from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from appliance import sources
from appliance.cli.main import run_cli
from appliance.identity.outside import Found
from appliance.model.person import Kind
from tests.doubles.directory import InMemory
from tests.doubles.school import configuration

type Output = pytest.CaptureFixture[str]


class There(InMemory):
    """A directory that lacks a group."""

    def missing_groups(self) -> list[str]:
        return ["cn=Chess,dc=x"]


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> There:
    made = There({"ms.jones": Found("ms.jones", "staff", Kind.STAFF)})
    monkeypatch.setattr(sources, "directory", lambda _settings: made)
    return made


def run(config: Path, *arguments: str) -> int:
    return run_cli(["people", *arguments, "--config", str(config)])


def test_a_school_without_a_directory_is_told_so(tmp_path: Path, capsys: Output) -> None:
    """The answer names the file and the key."""
    assert run(configuration(tmp_path), "directory") == 2
    assert "identity.directory is null" in capsys.readouterr().err


@pytest.mark.slow
def test_what_the_directory_says_is_shown(tmp_path: Path, there: There, capsys: Output) -> None:
    """A technician sees before the lesson what a name is, what is missing, and who is there twice."""
    config = configuration(tmp_path)
    assert run(config, "directory", "ms.jones", "nobody") == 1
    said = capsys.readouterr()
    assert "ms.jones: staff, group staff" in said.out
    assert "nobody: nobody, or more than one" in said.err
    assert "no group cn=Chess,dc=x" in said.err
    run(config, "add", "ms.jones", "--group", "staff")
    run(config, "directory", "ms.jones")
    said = capsys.readouterr()
    assert "kept here and in the directory; the account here counts" in said.err
    there.down = True
    assert run(config, "directory") == 1
    assert "nobody answers" in capsys.readouterr().err


def test_a_password_is_read_and_never_shown(
    tmp_path: Path, there: There, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    """Where the gateway has no account of its own there, somebody tries theirs."""
    there.looks_up = False
    config = configuration(tmp_path)
    assert run(config, "directory", "ms.jones") == 2
    assert "--stdin" in capsys.readouterr().err
    for word, status in ((there.password.reveal(), 0), ("Wrong-kettle-42", 1)):
        monkeypatch.setattr("sys.stdin", io.StringIO(word + "\n"))
        assert run(config, "directory", "ms.jones", "--stdin") == status
        assert word not in json.dumps(capsys.readouterr()._asdict())
