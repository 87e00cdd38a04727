"""Compiling what has changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from appliance.config.problems import InWordsError, ProblemsError
from appliance.lists.compiler import CompileError, ensure_compiled, main
from appliance.lists.table import Table

if TYPE_CHECKING:
    from tests.lists.conftest import School


@pytest.mark.slow
def test_first_compile_makes_table_and_floor(school: School) -> None:
    """A fresh school has everything after one call."""
    done = school.compile()
    assert done.fresh
    assert [info.id for info in done.contents.lists] == ["bets", "ours-closed"]
    assert done.names == 4
    assert done.floor.synthetic
    assert [item.entries for item in done.floor.lists] == [3, 1]


@pytest.mark.slow
def test_second_compile_does_nothing(school: School) -> None:
    """A start with nothing changed leaves the table as it is."""
    school.compile()
    before = school.paths.table.stat()
    assert not school.compile().fresh
    after = school.paths.table.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bets.txt", "catalogue.yaml"])
def test_a_changed_source_is_compiled(school: School, name: str) -> None:
    """An edited list or catalogue makes a new table."""
    school.compile()
    text = (school.blocklists / name).read_text()
    school.write(
        name, text.replace("title: Bets", "title: Betting") + ("new.example\n" if ".txt" in name else "")
    )
    assert school.compile().fresh


@pytest.mark.slow
def test_a_damaged_table_is_made_anew(school: School) -> None:
    """A table that cannot be read is no reason not to start."""
    school.compile()
    school.paths.table.write_bytes(b"rubbish")
    assert school.compile().fresh
    assert len(Table(school.paths.table))


@pytest.mark.slow
def test_development_floor_does_not_age_between_starts(school: School) -> None:
    """The demonstration can be started a month later; a supplied list would be stale by then."""
    school.compile()
    school.now += 30 * 86400
    assert school.compile().floor.compiled_at == school.now


@pytest.mark.slow
def test_a_broken_catalogue_leaves_the_old_table(school: School) -> None:
    """What was compiled before a bad edit stays in force."""
    school.compile()
    before = school.paths.table.read_bytes()
    school.write("catalogue.yaml", "lists: [")
    with pytest.raises(ProblemsError):
        school.compile()
    assert school.paths.table.read_bytes() == before


@pytest.mark.slow
def test_a_web_page_among_the_lists_stops_the_compile(school: School) -> None:
    """An error page saved under a list's name does not empty the list."""
    school.compile()
    before = school.paths.table.read_bytes()
    text = (school.blocklists / "catalogue.yaml").read_text()
    school.write("bets.txt", "<!DOCTYPE html>\n<p>gone</p>\n")
    assert "format" not in text
    with pytest.raises(CompileError, match="web page"):
        school.compile()
    assert school.paths.table.read_bytes() == before


@pytest.mark.slow
def test_problem_lines_of_a_list_are_kept(school: School) -> None:
    """`com` in a list that ships is quarantined and can be read about."""
    school.write("bets.txt", "a.example\ncom\n")
    assert school.compile().contents.lists[0].quarantined == 1
    assert "bets.txt:2: quarantined" in (school.paths.problems / "bets.txt").read_text()


@pytest.mark.slow
def test_main_answers_json_or_a_reason(school: School, capsys: pytest.CaptureFixture[str]) -> None:
    """The child process says what it did, or why not, in a form that its parent can read."""
    arguments = [str(school.blocklists), str(school.state), "5.0"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["fresh"] is True
    school.write("bets.txt", "<html>\n")
    assert main(arguments) == 2
    assert "web page" in capsys.readouterr().err


@pytest.mark.slow
def test_child_process_compiles(school: School) -> None:
    """The same result comes out of a process of its own, and its refusals come back as errors."""
    done = ensure_compiled(school.blocklists, school.state, now=lambda: 7.0)
    assert done.fresh
    assert done.names == 4
    assert done.floor.compiled_at == 7.0
    school.write("bets.txt", "<html>\n")
    with pytest.raises(CompileError, match="web page"):
        ensure_compiled(school.blocklists, school.state)
    assert school.listed("bets.example") == {"bets"}


@pytest.mark.slow
@pytest.mark.parametrize("content", ["# none\n", "<!doctype html>\n<p>Sorry</p>\n", ""])
def test_an_emptied_floor_changes_nothing(school: School, content: str) -> None:
    """A statutory list is never empty: the old one stays in force, and ages until it closes the gate."""
    school.compile()
    before = school.paths.floor.read_bytes()
    school.write("floor.txt", content)
    with pytest.raises(InWordsError, match="statutory list is never empty"):
        school.compile()
    assert school.paths.floor.read_bytes() == before
