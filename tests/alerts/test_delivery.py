"""How what waits is sent: one at a time to one address, all addresses at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appliance.alerts.book import Book
from appliance.alerts.delivery import Delivery
from appliance.alerts.ladder import Directory
from appliance.alerts.outbox import Letter
from appliance.alerts.status import standing
from appliance.alerts.ways import RefusedError, WayError
from tests.doubles.alerts import DEPUTY, DIRECTORY, DSL, MONDAY, book, happen, rule, rules, sighting

NOW = MONDAY.timestamp()


@dataclass
class Line:
    """A way that takes everything, unless told otherwise."""

    got: list[tuple[str, str]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    holds: asyncio.Event | None = None
    two: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: Counter[str] = field(default_factory=Counter)

    async def send(self, letter: Letter) -> None:
        self.at_once[letter.address] += 1
        assert self.at_once[letter.address] == 1
        if self.holds is not None and letter.address == DSL:
            await self.holds.wait()
        self.at_once[letter.address] -= 1
        if self.errors:
            raise self.errors.pop(0)
        self.got.append((letter.address, letter.what.value))
        if len(self.got) > 1:
            self.two.set()


@dataclass
class Counts:
    """Counts what it is told."""

    sent: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    def alert_sent(self, channel: str, seconds: float) -> None:
        assert seconds >= 0
        self.sent[channel] += 1

    def alert_failed(self, channel: str) -> None:
        self.failed[channel] += 1


def delivery(
    made: Book, way: Line, counts: Counts | None = None, directory: Directory = DIRECTORY
) -> Delivery:
    return Delivery(made, {("mail", ""): way}, directory, "", counts or Counts(), lambda: NOW + 1)


async def once(one: Delivery) -> None:
    await one.begin()
    await one.settle()


async def test_what_waits_is_sent_once(tmp_path: Path) -> None:
    """Told, marked, counted, and never again."""
    made, way, counts = book(tmp_path, DSL), Line(), Counts()
    happen(made, rules(), sighting())
    one = delivery(made, way, counts)
    await once(one)
    await once(one)
    assert way.got == [(DSL, "alert")]
    assert counts.sent == {"mail": 1}


@pytest.mark.slow
async def test_one_address_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    """The deputy is told while the lead's server sleeps; and the lead gets one message at a time."""
    made, way = book(tmp_path, DSL, DEPUTY), Line(holds=asyncio.Event())
    happen(made, rules(rule(), rule("two", tell=("deputy",))), sighting(), sighting(1, "gambling"))
    one = delivery(made, way)
    await one.begin()
    await one.begin()
    await way.two.wait()
    assert {to for to, _ in way.got} == {DEPUTY}
    assert way.holds is not None
    way.holds.set()
    await one.settle()
    assert Counter(to for to, _ in way.got) == {DSL: 2, DEPUTY: 2}


async def test_a_failure_is_noted_counted_and_tried_again(tmp_path: Path) -> None:
    """What did not arrive is shown with what the other side said."""
    made, counts = book(tmp_path, DSL), Counts()
    happen(made, rules(), sighting(), sighting(1, "gambling"))
    await once(delivery(made, Line(errors=[WayError("450 later")]), counts))
    with made.reading() as db:
        rows = db.execute("SELECT state, tries, error, retry > ? FROM outbox", (NOW + 1,)).fetchall()
    assert rows == [("waiting", 1, "450 later", 1), ("waiting", 0, "", 1)]
    assert counts.failed == {"mail": 1}


async def test_a_refusal_is_told_to_the_technician(tmp_path: Path) -> None:
    """Who runs the box hears that somebody can no longer be reached."""
    made, way = book(tmp_path, DSL), Line(errors=[RefusedError("550 gone")])
    there = Directory(DIRECTORY.roles, (), (("syslog", "syslog"),))
    happen(made, rules(), sighting())
    await once(delivery(made, way, directory=there))
    with made.reading() as db:
        rows = db.execute("SELECT what, channel, state FROM outbox").fetchall()
    assert rows == [("alert", "mail", "refused"), ("trouble", "syslog", "waiting")]


async def test_a_fault_of_our_own_ends_nothing(tmp_path: Path) -> None:
    """One message that cannot be rendered must not silence all others."""
    made, way = book(tmp_path, DSL), Line(errors=[ZeroDivisionError()])
    happen(made, rules(), sighting())
    await once(delivery(made, way))
    with made.reading() as db:
        assert db.execute("SELECT state, error FROM outbox").fetchall() == [
            ("waiting", "a fault of our own: ZeroDivisionError")
        ]


async def test_a_message_that_is_damaged_on_the_disk_holds_up_no_other(tmp_path: Path) -> None:
    """One bad row must not silence every alert of the school; and it is shown, not dropped."""
    made, way = book(tmp_path, DSL), Line()
    happen(made, rules(), sighting(), sighting(1, "gambling"), sighting(2, "filter_bypass"))
    with made.writing() as db:
        db.execute("UPDATE outbox SET body = '{' WHERE id = 1")
        db.execute("UPDATE outbox SET what = 'x' WHERE id = 2")
    await once(delivery(made, way))
    assert way.got == [(DSL, "alert")]
    with made.reading() as db:
        stuck = standing(db, DIRECTORY, NOW).stuck
    assert [(one.state, one.count) for one in stuck] == [("given up", 2)]
    assert "damaged" in stuck[0].error


async def test_a_way_that_left_the_settings_is_told(tmp_path: Path) -> None:
    """What waits for a webhook that is no more does not wait in silence."""
    made = book(tmp_path, DSL)
    happen(made, rules(), sighting())
    await once(Delivery(made, {}, DIRECTORY, "", Counts(), lambda: NOW))
    with made.reading() as db:
        assert "no such way" in db.execute("SELECT error FROM outbox").fetchone()[0]
