from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.cli import people as verbs
from appliance.cli.main import run_cli
from appliance.cli.setup import Setup
from tests.doubles import two
from tests.doubles.people import WORD, quick
from tests.doubles.school import configuration

type Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(verbs, "Passwords", quick)
    return configuration(tmp_path)


def run(config: Path, *arguments: str) -> int:
    return run_cli(["people", *arguments, "--config", str(config)])


def listed(config: Path, output: Output) -> list[dict[str, str]]:
    output.readouterr()
    assert run(config, "list", "--json") == 0
    found: list[dict[str, str]] = json.loads(output.readouterr().out)
    return found


@pytest.mark.slow
def test_an_account_is_added_with_a_password_to_be_changed(config: Path, capsys: Output) -> None:
    """S-10: the first password is printed once, for the letter home, and no hash ever is."""
    assert run(config, "add", "amy.smith", "--group", "ks2") == 0
    assert len(capsys.readouterr().out.split(": ")[1].strip()) == 14
    assert run(config, "add", "Class 1B", "--group", "ks1", "--kind", "class", "--pictures") == 0
    assert len(capsys.readouterr().out.split(": ")[1].split()) == 3
    assert run(config, "add", "AMY.SMITH", "--group", "ks2") == 2
    assert "there is an account 'amy.smith' already" in capsys.readouterr().err
    assert run(config, "add", "bob", "--group", "ks9") == 2
    assert "unknown group 'ks9'" in capsys.readouterr().err
    rows = listed(config, capsys)
    assert [(row["name"], row["signs in with"]) for row in rows] == [
        ("Class 1B", "pictures"),
        ("amy.smith", "a password"),
    ]
    assert "argon2" not in json.dumps(rows)


@pytest.mark.slow
def test_an_import_says_what_it_did_and_what_is_wrong(config: Path, tmp_path: Path, capsys: Output) -> None:
    """A term's list comes in with one command, and a wrong one changes nothing."""
    file = tmp_path / "export.csv"
    file.write_text("Pupil,Year\nAmy,Year 4\nBen,Year 4\n")
    options = ("--column", "name=Pupil", "--column", "group=Year", "--map", "Year 4=ks2")
    assert run(config, "import", str(file), "--dry-run", *options) == 0
    assert "2 would be new" in capsys.readouterr().err
    assert run(config, "import", str(file), *options) == 0
    printed = capsys.readouterr()
    assert [line.partition(",")[0] for line in printed.out.split("\n")[:3]] == ["name", "Amy", "Ben"]
    assert "2 new, 0 changed, 0 the same" in printed.err
    assert run(config, "import", str(file), "--map", "x", *options) == 2
    file.write_text("name,group\nCay,ks2\nDan,ks22\n")
    assert run(config, "import", str(file)) == 2
    assert "export.csv:3:1: unknown group 'ks22'" in capsys.readouterr().err
    assert len(listed(config, capsys)) == 2


@pytest.mark.slow
def test_an_account_is_changed_and_ended(
    config: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each verb says how things stand afterwards, and the trail has all of it."""
    assert run(config, "add", "amy", "--group", "ks2", "--expires", "2031-07-20") == 0
    for verb, state in (("disable", "disabled"), ("enable", "in use")):
        assert run(config, verb, "amy") == 0
        assert listed(config, capsys)[0]["state"] == state
    assert run(config, "expire", "amy", "2026-01-01") == 0
    assert listed(config, capsys)[0]["state"] == "expired"
    assert run(config, "expire", "amy", "never") == 0
    assert run(config, "passwd", "amy") == 0
    monkeypatch.setattr("sys.stdin", iter([WORD.reveal() + "\n"]), raising=False)
    assert run(config, "show", "amy") == 0
    assert "a password" in capsys.readouterr().out
    assert run(config, "remove", "amy") == 0
    assert run(config, "show", "amy") == 2
    assert "there is no account 'amy'" in capsys.readouterr().err
    assert run(config, "audit", "--json") == 0
    assert [entry["what"] for entry in json.loads(capsys.readouterr().out)] == [
        "add", "disable", "enable", "expire", "expire", "passwd", "remove",
    ]  # fmt: skip


@pytest.mark.slow
def test_class_cards_are_made_and_written_once(config: Path, tmp_path: Path, capsys: Output) -> None:
    """S-03: each class gets new pictures with its sheet, and no file is overwritten."""
    sheet = tmp_path / "cards.html"
    assert run(config, "cards", str(sheet)) == 2
    assert "there is no class yet" in capsys.readouterr().err
    for name in ("Class 1B", "Class 2A"):
        assert run(config, "add", name, "--group", "ks1", "--kind", "class", "--pictures") == 0
    assert run(config, "cards", str(sheet)) == 0
    assert sheet.read_text().count("<section") == 2
    assert run(config, "cards", str(sheet), "Class 1B") == 2
    assert run(config, "cards", str(tmp_path / "one.html"), "class 1b") == 0
    assert (tmp_path / "one.html").read_text().count("<section") == 1


@pytest.mark.slow
def test_whose_password_somebody_else_sets_does_not_count_as_a_second_person(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """T:207: a technician who resets an approver, or makes up a colleague, is still one person."""
    where = Setup()
    where.config = configuration(tmp_path, own_files=True)
    made = two.set_up(where)
    monkeypatch.setattr("sys.stdin", two.Typed())
    assert two.call(made, "people", "passwd", "dsl", "--as", "tech", "--stdin") == 0
    told = capsys.readouterr().err
    assert "dsl will count when another approver than tech says `appliance changes confirm NAME`" in told
    assert two.call(made, "people", "add", "ghost", "--group", "staff", "--kind", "staff", "--stdin") == 0
    assert "ghost will count after seven days" in capsys.readouterr().err
    assert two.call(made, "people", "passwd", "amy", "--stdin") == 0  # a pupil: nothing changes
    assert "will count" not in capsys.readouterr().err
    two.loosen(made)
    for who in ("dsl", "ghost"):
        assert two.run(made, "propose", "--because", two.WHY, who=who) == 2
        assert f"has set the password of {who}" in capsys.readouterr().err
    assert two.run(made, "propose", "--because", two.WHY, who="tech") == 0
    before = two.in_force(made)
    assert two.run(made, "release", "1", who="dsl") == 2
    assert two.in_force(made) == before
    capsys.readouterr()
    assert two.run(made, "list") == 0
    shown = capsys.readouterr().out
    assert "do not count for changes" in shown
    assert "the password of dsl was set by tech" in shown
    for who, said in (("tech", "somebody else than tech and dsl"), ("dsl", "has set the password of dsl")):
        assert two.run(made, "confirm", "dsl", who=who) == 2
        assert said in capsys.readouterr().err
    assert two.run(made, "confirm", "ghost", who="head") == 2
    assert "gave no password of their own" in capsys.readouterr().err
    assert two.run(made, "confirm", "dsl", who="head") == 0
    assert two.run(made, "release", "1", who="dsl") == 0
    assert two.in_force(made) != before
    assert two.call(made, "people", "passwd", "tech", "--as", "tech", "--stdin") == 0
    assert two.run(made, "propose", "--because", two.WHY, "--block", "x.example", who="tech") == 0
