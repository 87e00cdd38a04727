from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance import assembly
from appliance.cli.main import run_cli
from tests.doubles.people import school
from tests.doubles.school import ROOT, configuration, edit, load_once

_load = assembly.load

type Output = pytest.CaptureFixture[str]
KEYS = {"action", "reason", "category", "rule", "list", "profile", "floor", "because"}
FLOOR_URL = "https://iwf-test-host.invalid/secret?word=1"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a state folder in which the shipped lists are compiled."""
    folder = tmp_path_factory.mktemp("explain")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPLIANCE_STATE", str(folder / "state"))
        assembly.compile_lists(assembly.load(configuration(folder)).settings, child=False)
    return folder


@pytest.fixture(autouse=True)
def config(state: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("APPLIANCE_STATE", str(state / "state"))
    monkeypatch.setattr(assembly, "load", load_once)
    return state / "appliance.yaml"


def floor_url() -> str:
    """Return an address of the made-up statutory list."""
    lines = (ROOT / "blocklists/floor-development/iwf.txt").read_text(encoding="utf-8").splitlines()
    entry = next(line for line in lines if line and not line.startswith("#"))
    return entry if "://" in entry else f"https://{entry}"


def explain(config: Path, capsys: Output, *arguments: str) -> list[dict[str, Any]]:
    """Run the command with --json and return its answers."""
    assert run_cli(["explain", "--config", str(config), "--json", *arguments]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def stream(config: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch, raw: bytes) -> list[dict[str, Any]]:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    return explain(config, capsys, "--as", "ks2", "-")


@pytest.mark.slow
def test_a_decision_comes_with_its_whole_reason(config: Path, capsys: Output) -> None:
    """A governor who asks why gets the rule, the list and the sentence."""
    (answer,) = explain(config, capsys, "--as", "ks2", "https://gambling.example/")
    assert set(answer) >= KEYS
    assert (answer["action"], answer["reason"], answer["category"]) == ("block", "unacceptable", "gambling")
    assert answer["rule"].startswith("profiles/westways/")
    assert (answer["profile"], answer["set"], answer["floor"]) == ("ks2", "westways", False)
    assert answer["list"]
    assert answer["because"]


@pytest.mark.slow
def test_the_same_in_words(config: Path, capsys: Output) -> None:
    """A person reads one block a site, with what there is and nothing else."""
    sites = ["gambling.example", "https://nobody.example/\x1b[31m"]
    assert run_cli(["explain", "--config", str(config), "--as", "ks2", *sites]) == 0
    told = capsys.readouterr().out
    assert "BLOCK  gambling.example" in told
    assert "ALLOW  https://nobody.example/\\x1b[31m" in told
    assert "\x1b" not in told
    assert "  flagged   yes" in told


@pytest.mark.slow
def test_an_address_of_the_floor_is_not_repeated(
    config: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What suspicion of a crime attaches to is printed nowhere, not even to the one who typed it (ILL-1)."""
    url = f"{floor_url()}#secret"
    host = url.split("/")[2]
    (answer,) = explain(config, capsys, "--as", "staff", url)
    assert (answer["floor"], answer["url"], answer["entry"]) == (True, None, "")
    assert host not in json.dumps(answer)
    assert run_cli(["explain", "--config", str(config), "--as", "staff", url]) == 0
    told = capsys.readouterr().out
    assert "(an address that is not repeated)" in told
    assert host not in told
    (streamed,) = stream(config, capsys, monkeypatch, url.encode())
    assert host not in json.dumps(streamed)


@pytest.mark.slow
def test_the_policy_alone_can_be_asked(config: Path, capsys: Output) -> None:
    """What a category means for a group needs no site."""
    (answer,) = explain(config, capsys, "--as", "ks2", "--category", "gambling")
    assert (answer["action"], answer["category"], answer["list"], answer["url"]) == (
        "block",
        "gambling",
        "",
        None,
    )


@pytest.mark.slow
def test_set_person_and_time_change_the_answer(config: Path, capsys: Output) -> None:
    """Every part of a rule can be tried: another set, a nominated person, another hour."""
    (west,) = explain(config, capsys, "--as", "ks5", "--set", "west", "https://gambling.example/")
    assert (west["set"], west["profile"]) == ("west", "ks5")
    for moment, reason in (
        ("2026-11-23T12:30", "in_time"),
        ("2026-11-23T10:15", "out_of_time"),
        ("2026-11-23T12:30:00+00:00", "in_time"),
        ("2026-10-13T12:30:00+00:00", "out_of_time"),  # summer time still: half past one
    ):
        games = ("--as", "ks2", "--category", "games_educational", "--at", moment)
        assert explain(config, capsys, *games)[0]["reason"] == reason
    shopping = ("--as", "staff", "--category", "shopping", "--person", "a.teacher")
    assert explain(config, capsys, *shopping)[0]["reason"] == "not_nominated"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--as", "k2", "x.example"],
            "unknown profile 'k2'; did you mean 'ks2'? Also possible: eyfs, guest, ks1",
        ),
        (["--as", "ks3", "x.example"], "unknown profile 'ks3'; did you mean"),
        (["--as", "ks2", "--set", "wset", "x.example"], "unknown set 'wset'; did you mean 'west'?"),
        (["--as", "ks2", "--category", "gamblng"], "unknown category 'gamblng'; did you mean 'gambling'?"),
        (
            ["--as", "ks2", "--at", "lunch", "x.example"],
            "'lunch' is not a time; write it as 2026-11-23T10:15",
        ),
        (["--as", "ks2", "--at", "2026-13-45T99:99", "x.example"], "is not a time"),
        (["--as", "ks2"], "give URLs (or - for standard input), or --category ID, and not both"),
        (["--as", "ks2", "--category", "games", "x.example"], "and not both"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(
    config: Path, capsys: Output, arguments: list[str], said: str
) -> None:
    """A slip is status 2 and names what was probably meant."""
    assert run_cli(["explain", "--config", str(config), *arguments]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""


@pytest.mark.slow
def test_every_line_gets_its_answer_in_order(
    config: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that sends a list gets as many answers, whatever stands in its lines."""
    lines = [
        b"https://gambling.example/",
        b"",
        b"   ",
        b"\xff\xfe\x00",
        b"https://nobody.example/\xe9",
        "https://nobody.example/\u2028é".encode(),
        b"http://127.0.0.1/",
        b"x" * 70_000,
        b"javascript:alert(1)",
        b"-",
    ]
    answers = stream(config, capsys, monkeypatch, b"\r\n".join(lines[:5]) + b"\r\n" + b"\n".join(lines[5:]))
    assert [answer["reason"] for answer in answers] == [
        "unacceptable",
        "malformed",
        "malformed",
        "malformed",
        "unlisted",
        "unlisted",
        answers[6]["reason"],
        "malformed",
        "malformed",
        "malformed",
    ]
    assert answers[6]["action"] == "block"
    assert answers[0]["url"] == "https://gambling.example/"
    assert all(set(answer) >= KEYS for answer in answers)
    json.dumps(answers, ensure_ascii=False).encode()  # no half characters for a strict reader to trip over


@pytest.mark.slow
def test_nothing_to_explain_is_no_error(
    config: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty list of addresses has an empty answer."""
    assert stream(config, capsys, monkeypatch, b"") == []


@pytest.mark.slow
def test_an_answer_comes_before_the_next_question(config: Path) -> None:
    """A program may ask one address at a time and wait for each answer."""
    command = [sys.executable, "-m", "appliance", "explain", "--config", str(config), "--as", "ks2", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for host, action in (("gambling.example", "block"), ("nobody.example", "allow")) * 2:
            process.stdin.write(f"https://{host}/\n".encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["action"] == action
        process.stdin.close()
        assert process.wait(10) == 0


@pytest.mark.slow
def test_a_long_list_is_explained_in_reasonable_time(config: Path, tmp_path: Path) -> None:
    """Ten thousand addresses are no coffee break; the figure itself is `make bench`'s to measure."""
    source = tmp_path / "urls"
    source.write_text(
        "".join(f"https://site-{number}.example/a?b=c\n" for number in range(10_000)), encoding="utf-8"
    )
    command = [sys.executable, "-m", "appliance", "explain", "--config", str(config), "--as", "ks2", "-"]
    began = time.monotonic()
    with source.open() as stdin:
        done = subprocess.run(command, stdin=stdin, stdout=subprocess.PIPE, check=True)
    assert done.stdout.count(b"\n") == 10_000
    assert time.monotonic() - began < 30


def everything(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Return every file below `folder` with the time of its last change and what is in it."""
    return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
def test_asking_changes_nothing(config: Path, capsys: Output) -> None:
    """A look with sudo leaves no file that the gateway could not read, and locks no list anew."""
    school(config.parent / "state").add("pip")
    before = everything(config.parent)
    explain(config, capsys, "--as", "ks2", "https://gambling.example/")
    explain(config, capsys, "--person", "pip", "https://gambling.example/")
    explain(config, capsys, "--person", "nobody", "--as", "ks2", "https://gambling.example/")
    assert everything(config.parent) == before


@pytest.mark.slow
def test_before_the_first_start_the_answer_is_what_it_would_be(
    config: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fresh clone can be asked: the lists are compiled for the answer alone, and that is said."""
    monkeypatch.setattr(assembly, "load", _load)
    monkeypatch.setenv("APPLIANCE_STATE", str(tmp_path / "none"))
    assert run_cli(["explain", "--config", str(config), "--as", "ks2", "https://gambling.example/"]) == 0
    told = capsys.readouterr()
    assert "unacceptable" in told.out
    assert "compiled for this answer alone" in told.err
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://filter.internal/", "own_page"),
        ("filter.internal/ca.pem", "own_page"),
        ("https://gambling.example/.well-known/school-gateway/review", "own_page"),
        ("http://intranet/", "own_network"),
    ],
)
def test_what_the_gateway_answers_itself_is_explained_so(
    config: Path, capsys: Output, url: str, reason: str
) -> None:
    """`explain` and the gateway never disagree, also not about the gateway's own addresses."""
    (answer,) = explain(config, capsys, "--as", "ks2", url)
    assert answer["reason"] == reason


@pytest.mark.slow
def test_named_users_are_told_when_they_are_known(
    config: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who names people in a profile learns that the sign-in is needed, and that it is off."""
    ask = ["explain", "--config", str(config), "--as", "staff", "--category", "shopping"]
    assert run_cli(ask) == 0
    assert "open for nobody, since the gateway learns no names while identity.portal is false" in (
        capsys.readouterr().err
    )
    loaded = assembly.load(config)
    identity = loaded.settings.identity.model_copy(update={"portal": True})
    settings = loaded.settings.model_copy(update={"identity": identity})
    served = replace(loaded, configuration=replace(loaded.configuration, settings=settings))
    monkeypatch.setattr(assembly, "load", lambda _config: served)
    assert run_cli(ask) == 0
    assert "open for those whom they name, while they are signed in" in capsys.readouterr().err


@pytest.mark.slow
def test_lists_that_changed_since_are_said(tmp_path: Path, capsys: Output) -> None:
    """The answer is the running gateway's; that the files say something newer by now is a note."""
    own = configuration(tmp_path, own_files=True)  # the state is the one of all tests here
    command = ["explain", "--config", str(own), "--as", "ks2", "https://gambling.example/"]
    assert run_cli(command) == 0
    assert "note" not in capsys.readouterr().err
    edit(tmp_path / "blocklists/demo/gambling.txt", "gambling.example", "other.example")
    assert run_cli(command) == 0
    told = capsys.readouterr()
    assert "unacceptable" in told.out
    assert "have changed since they were compiled" in told.err


@pytest.mark.slow
def test_it_says_whether_a_site_would_be_decrypted_and_why(config: Path, capsys: Output) -> None:
    """A parent who asks whether the school reads along at the bank gets an answer that is true."""
    urls = [
        "https://push.apple.com/",
        "https://unlisted.example/",
        "http://unlisted.example/",
        "https://1.1.1.1/",
    ]
    push, plain, open_, number = explain(config, capsys, "--as", "staff", *urls)
    assert push["inspect"] == "never"
    assert "Apple push" in push["inspect_because"]
    assert plain["inspect"] == "addresses"
    assert plain["inspect_rule"].startswith("profiles/westways/_everyone.yaml:")
    assert open_["inspect"] is None
    assert "does not say" in number["inspect_because"]
    assert run_cli(["explain", "--config", str(config), "--as", "staff", urls[0]]) == 0
    assert "  decrypted no: " in capsys.readouterr().out


@pytest.mark.slow
def test_explain_answers_for_an_account_as_it_stands(state: Path, capsys: Output) -> None:
    """A technician asks what a pupil sees now: by their own group, and stopped where they are."""
    made = school(state / "state")
    made.add("amy.smith", group="ks2")
    config = str(state / "appliance.yaml")
    ask = ["explain", "https://gambling.example/", "--json", "--config", config, "--person"]
    assert run_cli([*ask, "Amy.Smith"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["profile"], told["reason"]) == ("ks2", "unacceptable")
    made.stops.freeze("amy.smith", "x", by="head", now=time.time())
    assert run_cli([*ask, "Amy.Smith"]) == 0
    assert json.loads(capsys.readouterr().out)["reason"] == "frozen"
    assert run_cli([*ask, "nobody"]) == 2
    assert "there is no account 'nobody'" in capsys.readouterr().err
