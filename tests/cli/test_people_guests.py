from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from appliance.cli import people_guests
from appliance.cli.main import run_cli
from appliance.model.person import Kind
from tests.doubles.people import School, quick, school
from tests.doubles.school import configuration

type Output = pytest.CaptureFixture[str]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> School:
    monkeypatch.setattr(people_guests, "Passwords", quick)
    configuration(tmp_path)
    made = school(tmp_path / "state")
    made.add("ms.jones", Kind.STAFF, "staff")
    made.add("amy")
    return made


def ask(made: School, *more: str, sponsor: str = "ms.jones", until: int = 2) -> int:
    day = f"{datetime.now().astimezone() + timedelta(days=until):%Y-%m-%d}"
    options = ["--sponsor", sponsor, "--purpose", "Supply", "--until", day, *more]
    config = str(made.state.parent / "appliance.yaml")
    return run_cli(["people", "voucher", "Ann Other", *options, "--config", config])


@pytest.mark.slow
def test_a_voucher_is_an_account_that_ends(made: School, tmp_path: Path, capsys: Output) -> None:
    """S-08: purpose, sponsor, end and number of devices are kept, and the paper has the code."""
    sheet = tmp_path / "paper.html"
    assert ask(made, "--devices", "2", "--sheet", str(sheet)) == 0
    name, password = capsys.readouterr().out.strip().split(": ")
    account = made.accounts.get(name)
    assert (account.kind, account.group, account.devices) == (Kind.GUEST, "guest", 2)
    assert (account.sponsor, account.purpose) == ("ms.jones", "Supply")
    assert account.usable(time.time())
    assert not account.usable(time.time() + 4 * 86_400)
    assert password in sheet.read_text(encoding="utf-8")
    assert made.trail.entries()[-1]["what"] == "voucher"
    assert ask(made, "--sheet", str(sheet)) == 2  # nothing is overwritten
    assert len(made.accounts.all()) == 3


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sponsor": "amy"}, "is no member of staff"),
        ({"sponsor": "nobody"}, "there is no account"),
        ({"until": 60}, "within 31 days"),
        ({"until": -3}, "ends after it begins"),
    ],
)
def test_nobody_gets_a_voucher_that_nobody_answers_for(
    changes: dict[str, int | str], told: str, made: School, capsys: Output
) -> None:
    """S-08: a pupil sponsors nobody, and no guest stays for ever."""
    assert ask(made, **changes) == 2  # type: ignore[arg-type]  # a table of both
    assert told in capsys.readouterr().err
    assert len(made.accounts.all()) == 2


def test_a_voucher_can_begin_later(made: School, capsys: Output) -> None:
    """S-08: what is printed today for tomorrow opens nothing today."""
    tomorrow = f"{datetime.now().astimezone() + timedelta(days=1):%Y-%m-%d}"
    assert ask(made, "--from", tomorrow) == 0
    account = made.accounts.get(capsys.readouterr().out.split(": ")[0])
    assert not account.usable(time.time())
    assert account.usable(time.time() + 86_400)
