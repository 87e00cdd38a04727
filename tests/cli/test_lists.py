"""`appliance lists`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from appliance.cli.lists import lists
from appliance.cli.setup import Setup


def _run(where: Setup, *arguments: str) -> Result:
    return CliRunner().invoke(lists, arguments, obj=where)


@pytest.mark.slow
def test_status_of_nothing_says_so(where: Setup) -> None:
    """Before the first compile, status finds something (1) and says what."""
    done = _run(where, "status")
    assert done.exit_code == 1
    assert not where.state.exists()
    assert "table.bin" in done.stderr
    assert "the floor has not been compiled" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("address", ["http://[", "http://"])
def test_what_is_no_address_is_2(compiled: Setup, address: str) -> None:
    """A mistake is told on stderr and is no answer."""
    done = _run(compiled, "lookup", address)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "not an address" in done.stderr


@pytest.mark.slow
def test_before_the_first_compile_there_is_no_answer(where: Setup) -> None:
    """That no list names it would be believed; that nothing is compiled yet is what must be read."""
    done = _run(where, "lookup", "gambling.example")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "appliance lists compile" in done.stderr
    assert not where.state.exists()


@pytest.mark.slow
def test_status_shows_the_use_of_each_list(compiled: Setup) -> None:
    """Whether a list is rated by the profiles, or blocks or allows by itself, is seen at once."""
    shown = _run(compiled, "status").stdout.splitlines()
    assert "use" in shown[0].split()
    assert "category" in next(line for line in shown if line.startswith("demo-gambling")).split()


@pytest.mark.slow
def test_a_list_from_import_to_look_up(where: Setup, tmp_path: Path) -> None:
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
def test_a_floor_hit_shows_nothing(compiled: Setup) -> None:
    """Look-up says that a statutory list names an address, without entry or address."""
    for arguments in (
        ("lookup", "images.floor-test.example"),
        ("lookup", "images.floor-test.example", "--json"),
    ):
        done = _run(compiled, *arguments)
        assert done.exit_code == 0
        assert "floor-test" not in done.output
    assert "statutory list" in _run(compiled, "lookup", "images.floor-test.example").stdout


@pytest.mark.slow
def test_a_broken_catalogue_is_2(where: Setup) -> None:
    """The place of the mistake is told, and no traceback."""
    (where.blocklists / "catalogue.yaml").write_text("lists: [\n")
    done = _run(where, "compile")
    assert done.exit_code == 2
    assert "catalogue.yaml:" in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.slow
def test_status_shows_what_a_list_does_not_use(where: Setup, tmp_path: Path) -> None:
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
