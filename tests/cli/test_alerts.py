"""`appliance alerts` as staff type it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import yaml

from appliance.alerts import outbox, recipients
from appliance.alerts.book import Book
from appliance.alerts.redact import What
from appliance.cli.main import run_cli
from appliance.events.audit import Trail
from appliance.settings import load_settings
from tests.doubles.alerts import DSL, book, happen, rules, sighting
from tests.doubles.school import configuration

type Output = pytest.CaptureFixture[str]

MAIL = {"server": "smtp.school.example", "sender": "gateway@school.example"}
ROLES = {role: [DSL] for role in ("dsl", "deputy", "head", "online_safety")}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = configuration(tmp_path)
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    section = {"deliver": True, "roles": ROLES, "mail": MAIL}
    path.write_text(yaml.safe_dump({**values, "alerts": section}), encoding="utf-8")
    return path


@pytest.fixture
def made(config: Path) -> Book:
    state = load_settings(config).settings.state
    state.mkdir()
    kept = book(state, DSL)
    happen(kept, rules(), sighting())
    return kept


def run(config: Path, *arguments: str) -> int:
    return run_cli(["alerts", *arguments, "--config", str(config)])


@pytest.mark.slow
def test_a_list_names_nobody_and_a_look_does_and_is_audited(config: Path, made: Book, capsys: Output) -> None:
    """Personal details are shown to who asks for one case, and that they asked stands in the trail (S-52)."""
    assert run(config, "list", "--json") == 0
    text = capsys.readouterr().out
    assert json.loads(text)[0]["case"] == "A-00001"
    assert "Ada" not in text
    assert run(config, "show", "a-1", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["who"], shown["seen"][0]["reference"], shown["told"][0]["to"]) == (
        "name Ada",
        "REF-00000",
        DSL,
    )
    assert run(config, "show", "1") == 0
    assert "REF-00000" in capsys.readouterr().out
    trail = Trail(made.path.parent.parent).path
    assert trail.read_text(encoding="utf-8").count("alert-show") == 2


@pytest.mark.slow
def test_a_case_is_taken_noted_judged_and_closed(config: Path, made: Book, capsys: Output) -> None:
    """The whole life of a case by command."""
    assert run(config, "ack", "1") == 0
    assert run(config, "note", "1", "spoke to her\x1b[31m") == 0
    assert run(config, "useful", "1") == 0
    assert run(config, "close", "1", "--outcome", "with the nurse", "--quiet", "1d") == 0
    capsys.readouterr()
    assert run(config, "show", "1") == 0
    out = capsys.readouterr().out
    assert "with the nurse" in out
    assert "\x1b[31m" not in out
    assert run(config, "list") == 0
    assert "no case" in capsys.readouterr().err
    with made.reading() as db:
        assert db.execute("SELECT count(*) FROM mute").fetchone() == (1,)


def test_no_such_case_is_told_in_words(config: Path, made: Book, capsys: Output) -> None:
    """A slip of the finger is no traceback."""
    del made
    for verb in (("show", "A-7"), ("ack", "x"), ("useful", "9")):
        assert run(config, *verb) == 2
        assert "there is no case" in capsys.readouterr().err


@pytest.mark.slow
def test_a_token_confirms_and_any_other_does_not(config: Path, made: Book, capsys: Output) -> None:
    """Only whoever reads the mail of an address makes it a recipient (GAI-4)."""
    with made.writing() as db:
        db.execute("DELETE FROM recipient")
        recipients.ask(db, [DSL], "", time.time(), lambda: "b" * 26)
    assert run(config, "status") == 1
    assert DSL in capsys.readouterr().out
    assert run(config, "confirm", "a" * 26) == 2
    assert "no token" in capsys.readouterr().err
    assert run(config, "confirm", "b" * 26) == 0
    assert run(config, "status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["unconfirmed"] == []


def test_a_test_goes_to_everybody_and_says_where_to_look(config: Path, made: Book, capsys: Output) -> None:
    """The button of the yearly review."""
    assert run(config, "test") == 0
    assert "1 tests are on their way" in capsys.readouterr().err
    with made.reading() as db:
        assert db.execute("SELECT count(*) FROM outbox WHERE what = 'test'").fetchone() == (1,)
        ((name, sent, taken),) = outbox.taken(db, What.TEST, 0, 1e12)
    assert (sent, taken) == (1, 0)
    noted = Trail(load_settings(config).settings.state).last("alert-test")
    assert noted is not None
    assert noted["test"] == name  # so that a report finds what became of it


def test_where_nobody_is_told_a_test_says_so(tmp_path: Path, capsys: Output) -> None:
    """Who presses the button on a gateway that tells nobody must not believe that it works."""
    path = configuration(tmp_path)
    Book(load_settings(path).settings.state).prepare()
    assert run(path, "test") == 1
    assert "alerts.deliver is false" in capsys.readouterr().err
    assert run(path, "status") == 0
    assert "nobody is told" in capsys.readouterr().out


def test_before_the_first_start_there_is_nothing_and_nothing_is_made(config: Path, capsys: Output) -> None:
    """A look with sudo must not leave a file behind that the gateway cannot read."""
    assert run(config, "list") == 2
    assert "has the gateway been started" in capsys.readouterr().err
    assert not load_settings(config).settings.state.exists()
