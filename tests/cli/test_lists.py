"""`appliance lists`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from appliance.cli.lists import lists
from appliance.cli.setup import Setup

BLOCKLISTS = Path(__file__).resolve().parents[2] / "blocklists"


class _Where(Setup):
    """A setup that needs no settings file."""

    state = Path()
    blocklists = Path()
    floor_max_age_hours = 48.0


@pytest.fixture
def where(tmp_path: Path) -> _Where:
    made = _Where()
    made.state = tmp_path / "state"
    made.blocklists = tmp_path / "blocklists"
    shutil.copytree(BLOCKLISTS, made.blocklists)
    return made


def _run(where: _Where, *arguments: str) -> Result:
    return CliRunner().invoke(lists, arguments, obj=where)


def test_status_of_nothing_says_so(where: _Where) -> None:
    """Before the first compile, status finds something (1) and says what."""
    done = _run(where, "status")
    assert done.exit_code == 1
    assert "table.bin" in done.stderr
    assert "the floor has not been compiled" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("import", "LIST"), "--category"),
        (("import", "LIST", "-c", "gamblng"), "did you mean 'gambling'"),
        (("import", "LIST", "-c", "gambling", "--id", "A B"), "a-b"),
        (("import", "nowhere.txt", "-c", "gambling"), "nowhere.txt"),
        (("lookup", "http://["), "not an address"),
        (("add", "block", "com", "--because", "x"), "public suffix"),
        (("add", "block", "childline.org.uk", "--because", "x"), "help lines stay open"),
        (("remove", "a.example"), "no local decision"),
    ],
)
def test_what_cannot_be_done_is_2_with_a_reason(
    where: _Where, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    """Mistakes are told on stderr, change nothing, and exit with 2."""
    path = tmp_path / "list.txt"
    path.write_text("a.example\n")
    done = _run(where, *(str(path) if word == "LIST" else word for word in arguments))
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_add_and_remove_are_told(where: _Where) -> None:
    """A local decision is taken and taken back by the same address."""
    done = _run(where, "add", "block", "HTTP://A.example/x/", "--because", "a game", "--who", "it")
    assert (done.exit_code, done.stderr) == (0, "a.example/x: block from now on\n")
    found = json.loads(_run(where, "lookup", "a.example/x/y", "--json").stdout)
    assert [(match["list"], match["because"]) for match in found["matches"]] == [("local", "a game")]
    assert _run(where, "remove", "a.example/x").exit_code == 0
    assert json.loads(_run(where, "lookup", "a.example/x", "--json").stdout)["listed"] is False


@pytest.mark.slow
def test_a_list_from_import_to_look_up(where: _Where, tmp_path: Path) -> None:
    """Import compiles; look-up names list, entry and version; status counts; compile has nothing to do."""
    path = tmp_path / "My Bets.txt"
    path.write_text("0.0.0.0 a-bet.example\n0.0.0.0 com\n")
    done = _run(where, "import", str(path), "-c", "gambling", "--json")
    assert done.exit_code == 0, done.stderr
    imported = json.loads(done.stdout)["lists"][0]
    assert (imported["id"], imported["entries"], imported["quarantined"]) == ("my-bets", 1, 1)
    found = _run(where, "lookup", "www.a-bet.example")
    assert found.exit_code == 0
    assert "my-bets" in found.stdout
    assert imported["version"] in found.stdout
    assert "not compliance" in found.stderr
    status = json.loads(_run(where, "status", "--json").stdout)
    assert [item["entries"] for item in status["lists"] if item["id"] == "my-bets"] == [1]
    assert _run(where, "status").exit_code == 0
    assert "already current" in _run(where, "compile").stdout


@pytest.mark.slow
def test_a_floor_hit_shows_nothing(where: _Where) -> None:
    """Look-up says that a statutory list names an address, without entry or address."""
    assert _run(where, "compile", "--json").exit_code == 0
    for arguments in (
        ("lookup", "images.floor-test.example"),
        ("lookup", "images.floor-test.example", "--json"),
    ):
        done = _run(where, *arguments)
        assert done.exit_code == 0
        assert "floor-test" not in done.output
    assert "statutory list" in _run(where, "lookup", "images.floor-test.example").stdout


@pytest.mark.slow
def test_a_broken_catalogue_is_2(where: _Where) -> None:
    """The place of the mistake is told, and no traceback."""
    (where.blocklists / "catalogue.yaml").write_text("lists: [\n")
    done = _run(where, "compile")
    assert done.exit_code == 2
    assert "catalogue.yaml:" in done.stderr
    assert "Traceback" not in done.output


def test_status_shows_what_a_list_does_not_use(where: _Where, tmp_path: Path) -> None:
    """Each unused line with file, line and why; an unknown list is an error that names the known ones."""
    source = tmp_path / "table.csv"
    source.write_text("id,url\n1,a.example\n2,com\n", "utf-8")
    command = ("import", str(source), "-c", "gambling", "--format", "csv", "--column", "2", "--low-memory")
    assert _run(where, *command).exit_code == 0
    done = _run(where, "status", "--problems", "table")
    assert done.exit_code == 0
    assert "table.csv:3: quarantined: a public suffix" in done.stdout
    wrong = _run(where, "status", "--problems", "tabel")
    assert wrong.exit_code == 2
    assert "'table'" in wrong.stderr
