"""The room's door."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.lists.local import LocalFile
from appliance.model.known import FloorState, Use
from appliance.model.url import UrlRefusedError, parse_host, parse_typed, parse_url

if TYPE_CHECKING:
    from tests.lists.conftest import School

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.fixture
def ready(school: School) -> School:
    school.compile()
    return school


@pytest.mark.slow
def test_everything_known_comes_in_one_answer(ready: School) -> None:
    """Categories, local decisions, help and floor are all told, each with list, entry and version."""
    LocalFile(ready.paths.local).add(Use.ALLOW, "bets.example", because="maths", who="it", at=NOW)
    known = ready.lookup("www.bets.example")
    found = {match.list: match for match in known.matches}
    assert found["bets"].categories == ("gambling",)
    assert found["bets"].entry == "bets.example"
    assert found["bets"].version.startswith("sha256:")
    assert (found["local"].use, found["local"].because) == (Use.ALLOW, "maths")
    assert known.floor.state is FloorState.OK
    assert "not compliance" in known.floor.detail
    assert ready.listed("closed.example") == {"ours-closed"}
    assert ready.listed("help.example/x") == {"help:childline"}
    assert ready.listed("unknown.example") == set()


@pytest.mark.slow
def test_local_decisions_are_in_force_at_the_next_refresh(ready: School) -> None:
    """Open or closed within a second, without a compile."""
    lists = ready.open()
    local = LocalFile(ready.paths.local)
    local.add(Use.BLOCK, "a.example", because="x", who="it", at=NOW)
    assert lists.lookup(parse_typed("a.example")).matches == ()
    assert lists.refresh()
    assert lists.lookup(parse_typed("a.example")).matches[0].use is Use.BLOCK
    local.remove("a.example", because="y", who="it", at=NOW)
    assert lists.refresh()
    assert lists.lookup(parse_typed("a.example")).matches == ()
    assert not lists.refresh()


def test_what_else_is_known_of_a_site_is_kept_until_the_next_refresh(ready: School) -> None:
    """A page that the school closes is looked for from the next refresh on, and no longer."""
    lists, site = ready.open(), parse_typed("paged.example")
    local = LocalFile(ready.paths.local)
    assert not lists.traits(site).pages
    assert lists.traits(site) is lists.traits(parse_typed("paged.example/other"))
    local.add(Use.BLOCK, "paged.example/one", because="x", who="it", at=NOW)
    assert lists.refresh()
    assert lists.traits(site).pages
    local.remove("paged.example/one", because="y", who="it", at=NOW)
    assert lists.refresh()
    assert not lists.traits(site).pages


def test_decisions_that_cannot_be_read_stay_in_force(ready: School) -> None:
    """A file that another user alone may read stops no worker, and no refresh of anything else (A10)."""
    local = LocalFile(ready.paths.local)
    local.add(Use.BLOCK, "a.example", because="x", who="it", at=NOW)
    lists = ready.open()
    ready.paths.local.unlink()
    ready.paths.local.mkdir()  # what even root cannot read as a file
    assert lists.refresh()
    assert lists.lookup(parse_typed("a.example")).matches[0].use is Use.BLOCK
    assert str(ready.paths.local) in lists.status().warning
    assert "own decisions cannot be read" in ready.open().status().warning
    ready.paths.local.rmdir()
    assert lists.refresh()
    assert not lists.status().warning


@pytest.mark.slow
def test_a_new_table_is_taken_up(ready: School) -> None:
    """An updated list is in force after a refresh; hosts that were looked up before are forgotten."""
    lists = ready.open()
    assert lists.lookup(parse_typed("new.example")).matches == ()
    ready.write("bets.txt", "new.example\n")
    ready.compile()
    assert lists.refresh()
    assert lists.lookup(parse_typed("new.example")).matches[0].list == "bets"
    assert lists.lookup(parse_typed("bets.example")).matches == ()


def test_without_a_table_the_gate_closes_and_help_stays(school: School) -> None:
    """Nothing compiled: every address is answered with a floor that is not to be relied upon (UKF-I3)."""
    lists = school.open()
    known = lists.lookup(parse_typed("a.example"))
    assert known.floor.state is not FloorState.OK
    assert lists.fault
    assert [match.use for match in lists.lookup(parse_typed("help.example")).matches] == [Use.HELP]


@pytest.mark.slow
def test_a_missing_table_alone_closes_the_gate(ready: School) -> None:
    """A sound floor is not enough: without categories nobody can be judged."""
    ready.paths.table.unlink()
    known = ready.lookup("a.example")
    assert known.floor.state is FloorState.UNREADABLE
    assert "table.bin" in known.floor.detail
    assert ready.lookup("whole.example").floor.hit


@pytest.mark.slow
def test_a_bad_new_table_leaves_the_good_one(ready: School) -> None:
    """The mapped table stays in force; status says that the new one was refused."""
    lists = ready.open()
    ready.paths.table.rename(ready.paths.table.with_suffix(".old"))
    ready.paths.table.write_bytes(b"rubbish")
    lists.refresh()
    assert lists.lookup(parse_typed("bets.example")).matches[0].list == "bets"
    assert lists.lookup(parse_typed("bets.example")).floor.state is FloorState.OK
    assert lists.fault == ""
    assert "table.bin" in lists.status().warning


@pytest.mark.slow
def test_a_floor_that_goes_away_closes_the_gate(ready: School) -> None:
    """No grace for the floor: deleted while the worker runs, it is missing at the next refresh."""
    lists = ready.open()
    ready.paths.floor.unlink()
    lists.refresh()
    assert lists.lookup(parse_typed("a.example")).floor.state is FloorState.MISSING


@pytest.mark.slow
def test_broken_help_file_changes_nothing(ready: School) -> None:
    """A bad edit of the help lines does not close them."""
    lists = ready.open()
    ready.write("help.yaml", "lines: [")
    lists.refresh()
    assert lists.lookup(parse_typed("help.example")).matches
    assert "help lines" in lists.status().warning


@pytest.mark.slow
def test_a_fault_inside_closes_and_help_stays(ready: School) -> None:
    """Whatever fails in a look-up, it answers, closed, without the address in its words."""
    lists = ready.open()
    lists._finder._hosts = None  # type: ignore[assignment]  # a fault from within
    known = lists.lookup(parse_typed("secret-name.example"))
    assert known.floor.state is FloorState.UNREADABLE
    assert "secret-name" not in known.floor.detail
    assert lists.lookup(parse_typed("help.example")).matches[0].use is Use.HELP
    assert lists.status().faults == 2


@pytest.mark.slow
def test_status_says_what_is_in_force(ready: School) -> None:
    """Sizes, ages and versions for the metrics and for people."""
    ready.now += 3600
    status = ready.open().status()
    assert [(item.id, item.entries, item.age) for item in status.lists] == [
        ("bets", 3, 3600.0),
        ("ours-closed", 1, 3600.0),
    ]
    assert (status.floor.mode, status.floor.age) == ("development", 3600.0)
    assert status.help_addresses == 2
    assert status.fault == status.warning == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "spelling",
    [
        "http://BETS.example",
        "http://bets.example.",
        "http://bets%2Eexample/",
        "http://user@bets.example:81/",
        "http:\\\\bets.example\\",
        "ht\ntp://bets。example",
        "//x",
    ],
)
def test_spellings_of_a_listed_host(ready: School, spelling: str) -> None:
    """Every spelling that a browser resolves to a listed host is found; what it refuses is refused."""
    try:
        url = parse_url(spelling)
    except UrlRefusedError:
        assert spelling == "//x"
        return
    assert ready.open().lookup(url).matches[0].list == "bets"


@pytest.mark.slow
def test_odd_hosts_do_not_raise(ready: School) -> None:
    """Hosts of one label, of many labels and addresses are all answered."""
    lists = ready.open()
    for host in ("localhost", "a." * 120 + "test", "::1", "255.255.255.255"):
        assert lists.lookup(parse_host(host)).floor.state is FloorState.OK


@pytest.mark.slow
def test_open_files_do_not_pile_up(ready: School) -> None:
    """A worker that re-maps twice a day for a year does not run out of handles."""
    lists = ready.open()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(5):
        ready.write("bets.txt", f"n{number}.example\n")
        ready.compile()
        assert lists.refresh()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


@pytest.mark.slow
def test_help_stays_open_for_a_worker_that_starts_amid_a_broken_edit(school: School) -> None:
    """A worker that starts while help.yaml is broken takes the help lines of the last compile (A10)."""
    school.compile()
    school.write("help.yaml", "lines: [")
    known = school.lookup("http://help.example/")
    assert [match.use for match in known.matches] == [Use.HELP]
    assert "help lines cannot be read" in school.open().status().warning
