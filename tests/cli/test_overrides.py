from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import assembly, granting
from appliance.cli.main import run_cli
from appliance.events.audit import Trail
from appliance.lists.compiler import compile_lists
from appliance.model.category import Severity
from appliance.model.need import Need
from appliance.model.person import Kind
from appliance.overrides.report import Visit
from tests.doubles.people import school
from tests.doubles.school import ROOT, configuration

type Output = pytest.CaptureFixture[str]
WHY = ("--subject", "Year 5 history", "--reason", "We watch a film about the war.")
FOR_KS2 = ("--for", "ks2", "--minutes", "50", *WHY)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A school with its own profiles, lists compiled, and a teacher, a head and a pupil."""
    folder = tmp_path_factory.mktemp("overrides")
    config = configuration(folder, own_files=True)
    config.write_text(f"{config.read_text()}overrides: {{typed_for_others: true}}\n")
    roles = folder / "profiles" / "westways" / "roles.yaml"
    text = roles.read_text(encoding="utf-8")
    roles.write_text(text.replace("people: []", "people: [head, tech]"), encoding="utf-8")
    compile_lists(ROOT / "blocklists", folder / "state", time.time())
    made = school(folder / "state")
    made.add("mrs.jones", Kind.STAFF, "staff")
    made.add("head", Kind.STAFF, "staff")
    made.add("amy")
    made.add("bob", group="staff", kind=Kind.STAFF, disabled=True)
    return config


@pytest.fixture
def config(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same, with nothing asked for yet."""
    monkeypatch.setenv("APPLIANCE_STATE", str(shared.parent / "state"))
    loaded = assembly.load(shared)
    monkeypatch.setattr(assembly, "load", lambda _: loaded)
    yield shared
    shutil.rmtree(shared.parent / "state" / "overrides", ignore_errors=True)


def run(config: Path, *arguments: str, by: str = "mrs.jones") -> int:
    named = ("--by", by) if by and arguments[0] not in ("list", "show") else ()
    return run_cli(["overrides", *arguments, *named, "--config", str(config)])


def listed(config: Path, capsys: Output, *more: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert run(config, "list", "--json", *more) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def floor_host() -> str:
    """Return a host of the made-up statutory list."""
    lines = (ROOT / "blocklists/floor-development/iwf.txt").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line and not line.startswith("#") and "/" not in line)


@pytest.mark.slow
def test_a_teacher_opens_a_film_and_explain_says_so(config: Path, capsys: Output) -> None:
    """S-23: one command opens a site for a class and a lesson; list, show and explain name it."""
    assert run(config, "grant", "video.example", *FOR_KS2) == 0
    assert "override 1: granted (active)" in capsys.readouterr().err
    (one,) = listed(config, capsys)
    assert (one["state"], one["left"], one["by"], one["role"]) == ("active", "50 min", "mrs.jones", "teacher")
    assert run_cli(["explain", "--as", "ks2", "--json", "video.example", "--config", str(config)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["reason"], answer["override"], answer["rule"]) == ("override", 1, "override 1")
    assert run_cli(["explain", "--as", "ks1", "--json", "video.example", "--config", str(config)]) == 0
    assert json.loads(capsys.readouterr().out)["action"] == "block"
    assert run(config, "revoke", "1", "--reason", "The lesson is over.") == 0
    assert listed(config, capsys) == []
    assert run(config, "show", "1") == 0
    shown = capsys.readouterr().out
    assert "revoked" in shown
    assert "We watch a film about the war." in shown
    assert "The lesson is over." in shown


@pytest.mark.slow
def test_nobody_learns_what_is_on_a_statutory_list(config: Path, capsys: Output) -> None:
    """DFE-F2: a floor URL is refused in the words of all that cannot be opened, and kept nowhere."""
    before = len(Trail(config.parent / "state").entries())
    said = []
    for host in (floor_host(), "pornography.example", f"{floor_host()}/a/page"):
        for verb in ("request", "grant"):
            for by in ("mrs.jones", "head"):
                assert run(config, verb, host, *FOR_KS2, by=by) == 2
                said.append(capsys.readouterr().err)
    assert len(set(said[::2])) == 1
    assert "cannot be opened by an override" in said[0]
    assert listed(config, capsys, "--all") == []
    assert len(Trail(config.parent / "state").entries()) == before


@pytest.mark.slow
def test_a_wish_is_granted_by_somebody_else_where_the_role_wants_two(config: Path, capsys: Output) -> None:
    """T:207: what is dangerous is asked for by one person and granted by another, and both are on record."""
    drugs = ("--category", "drugs", "--for", "ks2", "--minutes", "90", *WHY)
    assert run(config, "grant", *drugs) == 2
    assert "may not open drugs" in capsys.readouterr().err
    assert run(config, "grant", *drugs, by="head") == 2
    assert "somebody else" in capsys.readouterr().err
    assert run(config, "request", *drugs) == 0
    assert run(config, "grant", "1") == 2
    assert run(config, "grant", "1", "--minutes", "30", by="head") == 0
    assert "granted" in capsys.readouterr().err
    (one,) = listed(config, capsys)
    assert (one["asked by"], one["by"], one["role"], one["left"]) == ("mrs.jones", "head", "study", "30 min")
    whats = [
        (e["what"], e["by"]) for e in Trail(config.parent / "state").entries() if "override" in e["what"]
    ]
    assert whats[-3:] == [
        ("override-requested", "mrs.jones"),
        ("override-granted", "head"),
        ("override-active", "the gateway"),
    ]


@pytest.mark.slow
def test_a_refusal_says_why(config: Path, capsys: Output) -> None:
    """Whoever asked is owed an answer, and a request is refused once."""
    assert run(config, "request", "video.example", *FOR_KS2) == 0
    assert run(config, "refuse", "1", "--reason", "no", by="head") == 2
    assert run(config, "refuse", "1", "--reason", "There is a film on our own server.", by="head") == 0
    assert run(config, "refuse", "1", "--reason", "There is a film on our own server.", by="head") == 2
    assert "is refused" in capsys.readouterr().err
    (one,) = listed(config, capsys, "--all")
    assert one["state"] == "refused"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "by", "said"),
    [
        (("video.example", "--for", "ks9", "--minutes", "5", *WHY), "mrs.jones", "unknown profile 'ks9'"),
        (("video.example", "--person", "ammy", "--minutes", "5", *WHY), "mrs.jones", "did you mean 'amy'?"),
        (("video.example", "--network", "Attic", "--minutes", "5", *WHY), "mrs.jones", "'Attic'"),
        (("video.example", "--device", "Trolley", "--minutes", "5", *WHY), "mrs.jones", "'Trolley'"),
        (("co.uk", *FOR_KS2), "mrs.jones", "everybody's sites"),
        (("video.example", "--minutes", "5", *WHY), "mrs.jones", "for whom"),
        (FOR_KS2, "mrs.jones", "say what is to be opened"),
        (("video.example", "--for", "ks2", *WHY), "mrs.jones", "say how long"),
        (("video.example", "--for", "ks2", "--minutes", "500", *WHY), "mrs.jones", "120 minutes at most"),
        (("video.example", "--for", "staff", "--minutes", "5", *WHY), "mrs.jones", "nothing for 'staff'"),
        (
            ("video.example", "--for", "ks2", "--minutes", "5", "--subject", "x", "--reason", "  "),
            "mrs.jones",
            "the reason must be",
        ),
        (
            ("video.example", "--for", "ks2", "--until", "2020-01-01T10:00", *WHY),
            "mrs.jones",
            "has passed",
        ),
        (("video.example", *FOR_KS2), "amy", "no account of staff"),
        (("video.example", *FOR_KS2), "bob", "no account of staff"),
        (("video.example", *FOR_KS2), "mrs.jonas", "did you mean 'mrs.jones'?"),
        (("7",), "head", "there is no override 7"),
    ],
)
def test_what_cannot_be_granted_is_told_in_words(
    config: Path, capsys: Output, arguments: tuple[str, ...], by: str, said: str
) -> None:
    """Unknown people, groups and rooms, a time that is over and a reason of blanks open nothing."""
    assert run(config, "grant", *arguments, by=by) == 2
    told = capsys.readouterr().err
    assert said in told.replace("\n", " ")
    assert "Traceback" not in told
    assert listed(config, capsys, "--all") == []


@pytest.mark.slow
def test_a_database_that_is_locked_changes_nothing(config: Path, capsys: Output) -> None:
    """While another process writes for long, a grant is refused in words, and nothing of it is kept."""
    state = config.parent / "state"
    granting.prepare(state)
    with granting.store(state)._database.writing():
        assert run(config, "grant", "video.example", *FOR_KS2) == 2
    assert "nothing has changed" in capsys.readouterr().err
    assert listed(config, capsys, "--all") == []


@pytest.mark.slow
def test_staff_see_and_close_what_pages_bring(config: Path, capsys: Output) -> None:
    """The granter sees what came along and what stayed closed, and takes back what should not have come."""
    state = config.parent / "state"
    assert run(config, "grant", "youtube.com", *FOR_KS2) == 0
    assert run(config, "grant", "vimeo.com", *FOR_KS2, "--only-named") == 0
    learnt = granting.learnt(state)
    learnt.learn(1, [Need("cdn.example", "youtube.com", Severity.LOW, 1.0)])
    learnt.learn(1, [Need("bets.example", "youtube.com", Severity.LOW, 2.0, "it is more severe")])
    learnt.learn(2, [Need("cdn.example", "vimeo.com", Severity.LOW, 1.0)])
    learnt.close()
    assert run(config, "only-named", "1", "nobody.example") == 2
    assert "does not come with" in capsys.readouterr().err
    assert run(config, "only-named", "1", "CDN.example ") == 0
    assert "closed again: cdn.example" in capsys.readouterr().err
    assert run(config, "show", "1", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert [(need["site"], need["state"]) for need in shown["needs"]] == [
        ("cdn.example", "closed again"),
        ("bets.example", "closed"),
    ]
    assert shown["with it"] == "what its pages need"
    assert run(config, "only-named", "1") == 0
    assert "nothing came" in capsys.readouterr().err
    assert run(config, "show", "1") == 0
    assert "nothing else" in capsys.readouterr().out
    assert run(config, "show", "2", "--json") == 0
    assert json.loads(capsys.readouterr().out)["needs"] == []
    assert run(config, "request", "dailymotion.com", *FOR_KS2) == 0
    assert run(config, "grant", "3", "--only-named") == 0
    capsys.readouterr()
    assert run(config, "show", "3", "--json") == 0
    assert json.loads(capsys.readouterr().out)["with it"] == "nothing else"
    whats = [entry["what"] for entry in Trail(state).entries()]
    assert whats.count("override-only-named") == 2


@pytest.mark.slow
def test_what_was_visited_is_shown_for_a_purpose(config: Path, capsys: Output) -> None:
    """A look-up of people's visits is in the audit with its purpose; the granter's own counts as read."""
    state = config.parent / "state"
    assert run(config, "grant", "video.example", *FOR_KS2) == 0
    assert run(config, "revoke", "1") == 0
    granting.reports(state).keep(1, [Visit("amy", "ks2", "", "video.example", 3, 0.0, 9.0)], now=time.time())
    for wrong in (
        ["--report"],
        ["--purpose", "to see"],
        ["--by", "mrs.jones"],
        ["--report", "--purpose", " "],
    ):
        capsys.readouterr()
        assert run(config, "show", "1", *wrong) == 2
        assert "amy" not in capsys.readouterr().out
    assert run(config, "list") == 0
    assert "the report of override 1 (for mrs.jones) is ready" in capsys.readouterr().err
    look = ("show", "1", "--report", "--purpose", "to see how it was used")
    assert run(config, *look) == 0
    shown = capsys.readouterr().out
    assert "amy (ks2)" in shown
    assert "not read by mrs.jones yet" in shown
    assert run(config, *look, "--by", "mrs.jones", "--json") == 0
    assert json.loads(capsys.readouterr().out)["visited"][0]["times"] == 3
    assert run(config, "list") == 0
    assert "report" not in capsys.readouterr().err
    last = Trail(state).entries()[-1]
    assert (last["what"], last["by"], last["purpose"]) == (
        "override-report",
        "mrs.jones",
        "to see how it was used",
    )
    assert last["typed_by"]
