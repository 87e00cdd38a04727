from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from appliance.model.category import Severity
from appliance.model.grant import State
from appliance.model.need import Need
from appliance.overrides.database import Database
from appliance.overrides.names import OverrideError
from appliance.overrides.needs import MOST, Learnt, Seen
from tests.overrides.making import NOW, Made, make


def need(host: str = "parts.example", refused: str = "") -> Need:
    return Need(host, "bets.example", Severity.LOW, NOW, refused)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return make(tmp_path)


@pytest.fixture
def workers(made: Made) -> Iterator[tuple[Learnt, Learnt]]:
    """Two workers over one database."""
    one, other = Learnt(made.database), Learnt(made.database)
    yield one, other
    one.close()
    other.close()


def test_what_one_worker_learns_every_worker_knows_at_once(
    made: Made, workers: tuple[Learnt, Learnt]
) -> None:
    """A style sheet that is asked for a moment later, of another worker, is open."""
    one, other = workers
    number = made.granted()
    assert other.naming("parts.example") == []
    one.learn(number, [need(), need("worse.example", "it is more severe")])
    for worker in workers:
        assert worker.naming("parts.example") == [number]
        assert worker.naming("worse.example") == []
        assert worker.of(number)["worse.example"].refused == "it is more severe"
    assert other.of(number + 1) == {}
    assert [each.host for each in made.store.needs(number)] == ["parts.example", "worse.example"]


def test_it_ends_with_the_override(made: Made, workers: tuple[Learnt, Learnt]) -> None:
    """What came with a page is closed with it, and what it was stays on record for the granter."""
    number = made.granted()
    workers[0].learn(number, [need()])
    made.store.revoke(number, by="head", now=NOW, note="")
    assert workers[0].naming("parts.example") == workers[1].naming("parts.example") == []
    workers[0].learn(number, [need("late.example")])
    assert [each.host for each in made.store.needs(number)] == ["parts.example"]


def test_staff_take_out_one_host_or_all(made: Made, workers: tuple[Learnt, Learnt]) -> None:
    """What was taken out is not learnt again, whatever the page says; it is on record who did it."""
    one, other = workers
    number = made.granted()
    one.learn(number, [need(), need("two.example"), need("worse.example", "closed")])
    assert one.lost() == frozenset()
    assert made.store.only_named(number, ["parts.example"], by="mrs.jones", now=NOW) == ["parts.example"]
    assert one.lost() == other.lost() == {number}
    assert one.lost() == frozenset(), "connections are cut once"
    one.learn(number, [need()])
    assert one.naming("parts.example") == other.naming("parts.example") == []
    assert one.naming("two.example") == [number]
    for wrong in ("worse.example", "parts.example", "nobody.example"):
        with pytest.raises(OverrideError, match="does not come with"):
            made.store.only_named(number, [wrong], by="mrs.jones", now=NOW)
    assert made.store.only_named(number, [], by="mrs.jones", now=NOW) == ["two.example"]
    assert not made.store.get(number).wish.learns
    one.learn(number, [need("three.example")])
    assert one.naming("three.example") == []
    trail = [(entry["what"], entry.get("hosts")) for entry in made.trail.kept][-2:]
    assert [what for what, _ in trail] == ["override-only-named"] * 2
    assert made.store.steps(number)[-1].state is State.ACTIVE
    made.store.revoke(number, by="head", now=NOW, note="")
    with pytest.raises(OverrideError, match="is revoked"):
        made.store.only_named(number, [], by="mrs.jones", now=NOW)


def test_a_request_can_be_granted_without_what_its_pages_need(made: Made) -> None:
    """Whoever says yes decides that as well, and nobody gets more than they asked for."""
    number = made.store.request(made.store.get(made.granted()).wish, by="a", now=NOW)
    assert made.store.grant(number, "teacher", by="b", now=NOW, learns=False).grant("").learns is False
    number = made.granted()
    assert made.store.get(number).grant("").learns is True


@pytest.mark.slow
def test_a_page_cannot_fill_the_database(made: Made, workers: tuple[Learnt, Learnt]) -> None:
    """A wiki that names a thousand hosts opens so many of them, and the list stays readable."""
    number = made.granted()
    workers[0].learn(number, (need(f"a{one}.example") for one in range(200)))
    workers[1].learn(number, (need(f"b{one}.example") for one in range(200)))
    workers[1].learn(number, (need(f"c{one}.example", "closed") for one in range(200)))
    found = made.store.needs(number)
    assert (len([one for one in found if one.open]), len(found)) == (MOST, 2 * MOST)
    made.store.only_named(number, ["a0.example"], by="a", now=NOW)
    workers[0].learn(number, [need("new.example")])
    assert workers[0].naming("new.example") == [number], "what is taken out makes room"


def test_what_cannot_be_read_opens_nothing(made: Made, workers: tuple[Learnt, Learnt]) -> None:
    """A damaged row opens nothing and hides nothing else; without a database nothing comes along."""
    number = made.granted()
    workers[0].learn(number, [need(), need("two.example")])
    with made.database.writing() as db:
        db.execute("UPDATE need SET severity = 99 WHERE host = 'parts.example'")
    assert workers[0].naming("parts.example") == []
    assert workers[0].naming("two.example") == [number]
    assert [one.host for one in made.store.needs(number)] == ["two.example"]
    nobody = Learnt(Database(made.database.path.parent / "nowhere"))
    assert nobody.naming("parts.example") == []
    assert nobody.of(1) == {}


def test_a_page_does_not_wait_for_whoever_holds_the_database(tmp_path: Path) -> None:
    """A tool that holds the file costs a page its parts, and the worker a moment."""
    made = make(tmp_path)
    number, learnt = made.granted(), Learnt(Database(tmp_path, patience=0.01))
    with closing(sqlite3.connect(made.database.path, isolation_level=None)) as tool:
        tool.execute("BEGIN IMMEDIATE")
        with pytest.raises(OverrideError, match="cannot be used"):
            learnt.learn(number, [need()])
        learnt.learn(number, [need()])  # nobody waits a second time
        tool.execute("ROLLBACK")
    learnt.learn(number, [need()])
    assert learnt.naming("parts.example") == []
    learnt._again = 0.0
    learnt.learn(number, [need()])
    assert learnt.naming("parts.example") == [number]
    learnt.close()


def test_a_verb_that_asks_sees_the_same_and_changes_nothing() -> None:
    """`explain` answers as a worker would, from what stands in the database."""
    open_one = Need("cdn.example", "bets.example", Severity.LOW)
    closed = Need("worse.example", "bets.example", Severity.LOW, refused="it is more severe")
    seen = Seen({7: [open_one, closed]})
    assert seen.of(7) == {"cdn.example": open_one, "worse.example": closed}
    assert seen.of(8) == {}
    assert (seen.naming("cdn.example"), seen.naming("worse.example")) == ([7], [])
    seen.learn(7, [Need("new.example", "bets.example", Severity.LOW)])
    assert seen.naming("new.example") == []


@pytest.mark.slow
def test_what_another_worker_learns_is_known_with_the_next_question(tmp_path: Path) -> None:
    """The first style sheet of a page is open whichever worker is asked, and however often before."""
    made = make(tmp_path)
    number = made.granted()
    one, other = Learnt(made.database), Learnt(made.database)
    for turn in range(20):
        host = f"cdn{turn}.example"
        for _ in range(3):
            assert other.naming(host) == []
        one.learn(number, [Need(host, "bets.example", Severity.LOW, NOW)])
        assert other.naming(host) == [number]
    # SQLite's own word counts also where its log shows no moment, or one that stands still.
    other._log = "/nowhere"
    one.learn(number, [Need("last.example", "bets.example", Severity.LOW, NOW)])
    assert other.naming("last.example") == [number]
    made.store.only_named(number, ["last.example"], by="a", now=NOW)
    assert other.naming("last.example") == []
    one.close()
    other.close()


def test_a_moment_that_stands_still_hides_nothing_for_long(tmp_path: Path) -> None:
    """A clock of the file system that stands, or is set, delays what was learnt by a tenth of a second."""
    made = make(tmp_path)
    number = made.granted()
    learnt = Learnt(made.database)
    assert learnt.naming("cdn.example") == []
    log = Path(learnt._log)
    before = log.stat()
    learnt._settled = 0.0  # the log has not been written to for long
    learnt._asked = time.monotonic()
    with made.database.writing() as db:
        db.execute(
            "INSERT INTO need VALUES (?, 'cdn.example', 'bets.example', 1, 0, '', 0)",
            (number,),
        )
    os.utime(log, ns=(before.st_atime_ns, before.st_mtime_ns))
    learnt._written = log.stat().st_mtime_ns
    learnt._asked = time.monotonic() - 0.2
    assert learnt.naming("cdn.example") == [number]
    learnt.close()


def test_five_hundred_overrides_cost_a_host_no_more_than_one() -> None:
    """A blocked tracker on every page of the school must not pay for each lesson that is open."""
    seen = Seen({n: [Need(f"cdn{n % 9}.example", "a.example", Severity.LOW)] for n in range(500)})
    assert len(seen._naming) == 9
    assert seen.naming("cdn3.example") == list(range(3, 500, 9))
