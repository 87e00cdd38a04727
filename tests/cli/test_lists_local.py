"""`appliance lists add` and `lists remove`: what is said is what is in force."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from appliance.cli.lists import lists
from appliance.cli.setup import Setup
from appliance.lists.paths import Paths
from tests.doubles.school import edit


def _run(where: Setup, *arguments: str) -> Result:
    return CliRunner().invoke(lists, arguments, obj=where)


def _add(where: Setup, use: str, address: str) -> Result:
    return _run(where, "add", use, address, "--because", "a lesson", "--who", "it")


@pytest.mark.slow
def test_add_and_remove_are_told(compiled: Setup) -> None:
    """A local decision is taken and taken back by the same address."""
    done = _add(compiled, "block", "HTTP://A.example/x/")
    assert (done.exit_code, done.stderr) == (0, "a.example/x: block from now on\n")
    found = json.loads(_run(compiled, "lookup", "a.example/x/y", "--json").stdout)
    assert [(match["list"], match["because"]) for match in found["matches"]] == [("local", "a lesson")]
    assert _run(compiled, "remove", "a.example/x").exit_code == 0
    assert json.loads(_run(compiled, "lookup", "a.example/x", "--json").stdout)["listed"] is False


@pytest.mark.slow
@pytest.mark.parametrize(
    ("use", "address", "said"),
    [
        ("block", "com", "public suffix"),
        ("block", "*.com", "public suffix"),
        ("block", "a..b.example", "two dots in a row"),
        ("block", "a*b.example", "a * within the name"),
        ("block", "childline.org.uk", "help lines stay open"),
        ("allow", "images.floor-test.example", "no local entry opens it"),
        ("block", "images.floor-test.example", "statutory list"),
    ],
)
def test_what_cannot_be_decided_is_2_with_a_reason(
    compiled: Setup, use: str, address: str, said: str
) -> None:
    """Mistakes are told on stderr and nothing is written, least of all an address of a statutory list."""
    done = _add(compiled, use, address)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert not Paths(compiled.state).local.exists()


@pytest.mark.slow
@pytest.mark.parametrize("address", ["*.a.example", ".a.example", "http://*.a.example/"])
def test_a_star_means_the_name_and_all_below(compiled: Setup, address: str) -> None:
    """`*.a.example` is how people write it, and is never taken for a name with a star in it."""
    assert _add(compiled, "block", address).stderr == "a.example: block from now on\n"


@pytest.mark.slow
def test_an_older_entry_that_wins_is_said(compiled: Setup) -> None:
    """Of two entries for one address the block wins: who allows it learns so, with what to do."""
    _add(compiled, "block", "a.example")
    told = _add(compiled, "allow", "a.example").stderr
    assert "NOT allowed" in told
    assert "everybody: block (local_block): a lesson" in told
    assert "appliance lists remove a.example" in told


@pytest.mark.slow
def test_what_illegal_material_is_about_is_not_opened(
    compiled: Setup, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A local allow does not open what every profile rates illegal, and says that it does not."""
    path = tmp_path_factory.mktemp("list") / "bad.txt"
    path.write_text("bad.example\n")
    assert _run(compiled, "import", str(path), "-c", "extreme_porn").exit_code == 0
    told = _add(compiled, "allow", "bad.example").stderr
    assert "NOT allowed" in told
    assert "block (illegal)" in told


@pytest.mark.slow
def test_exceptions_below_are_said(compiled: Setup) -> None:
    """A more exact entry of the other kind stays in force below the new one."""
    _add(compiled, "allow", "a.example/maths")
    assert "but not a.example/maths: allow" in _add(compiled, "block", "a.example").stderr
    assert "but not a.example:" not in _add(compiled, "block", "a.example").stderr


@pytest.mark.slow
def test_it_can_be_decided_while_a_profile_is_broken(compiled: Setup) -> None:
    """A site is closed in an emergency whatever else is being edited."""
    edit(compiled.config.parent / "profiles/westways/ks2.yaml", "audience: ks2", "audience: ks22")
    told = _add(compiled, "block", "a.example")
    assert told.exit_code == 0
    assert "block from now on" in told.stderr
    assert "appliance check" in told.stderr


@pytest.mark.slow
def test_before_the_first_start_it_is_said_so(where: Setup) -> None:
    """Nothing can be promised before there are lists; the decision is kept."""
    assert "first start" in _add(where, "block", "a.example").stderr


@pytest.mark.slow
def test_what_was_never_decided_cannot_be_taken_back(compiled: Setup) -> None:
    """Removing what is not there is a mistake, and is told."""
    done = _run(compiled, "remove", "a.example")
    assert done.exit_code == 2
    assert "no local decision" in done.stderr
