"""Tests of what follows when an override has ended: reported once, told without what is in it."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
import yaml

from appliance import afterwards, alerting, granting
from appliance.alerts import outbox
from appliance.alerts.book import Book
from appliance.alerts.options import CasePages
from appliance.alerts.wording import words
from appliance.config.problems import InWordsError
from appliance.events.errors import EventsError
from appliance.events.holds import hold
from appliance.events.record import from_access
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from appliance.overrides.database import Database
from appliance.settings import Settings, load_settings
from tests.doubles.alerts import DEPUTY, DSL, HEAD
from tests.doubles.events import ALLOWED, PUPIL, access
from tests.doubles.keeping import Keeper, keeper, until
from tests.doubles.mailbox import Mailbox, serving
from tests.doubles.school import configuration
from tests.overrides.making import wish

pytestmark = pytest.mark.slow  # each makes databases

CA = trustme.CA()
TEACHER = "mrs.jones@school.example"
WHERE = "overrides: {addresses: {Mrs.Jones: mrs.jones@school.example}}\nalerts: {deliver: true, mail: null}\n"


def school(folder: Path, more: str = WHERE) -> Settings:
    """Return the settings of a school whose databases are there."""
    config = configuration(folder)
    config.write_text(config.read_text() + more)
    settings = load_settings(config).settings
    settings.state.mkdir(exist_ok=True)
    granting.prepare(settings.state)
    Book(settings.state).prepare()
    return settings


def grant(state: Path, *, by: str = "mrs.jones", host: str = "secret.example") -> int:
    """Open something from ten minutes ago on."""
    now = time.time()
    made = granting.store(state).request_and_grant(
        wish(now - 600, now + 3600, host), "teacher", by=by, now=now - 600
    )
    return made.number


async def visited(state: Path, number: int, *names: str) -> None:
    """Write into the log that they used it."""
    seen = replace(ALLOWED, rule=f"override {number}", reason=ALLOWED.reason)
    found = [access(each, seen, person=replace(PUPIL, name=name), at=datetime.now(UTC))
             for each, name in enumerate(names)]  # fmt: skip
    writer = Writer(state / DATABASE, durable=False, patience=1)
    await writer.write([from_access(one) for one in found])
    await writer.close()


async def test_the_granter_is_told_once_and_the_mail_says_nothing(tmp_path: Path) -> None:
    """S-23, W:422-424: a number and where it is read; no name, site or host; and never twice."""
    settings = school(tmp_path)
    number = grant(settings.state)
    await visited(settings.state, number, "Ada Example", "Ada Example", "Ben Example")
    granting.store(settings.state).revoke(number, by="head", now=time.time() - 60, note="")
    book, now = Book(settings.state), time.time()

    def both() -> int:
        afterwards.make_due(settings.state, now)
        return afterwards.tell(settings, book, now)

    assert await asyncio.to_thread(both) == 1
    assert await asyncio.to_thread(both) == 0
    # A power cut between the letter and the note that it is there: told again, and there once.
    with Database(settings.state).writing() as db:
        db.execute("UPDATE report SET told = ''")
    assert await asyncio.to_thread(both) == 1
    with book.reading() as db:
        (letter,) = outbox.due(db, now + 1, "")
    said = words(letter.message)
    assert letter.address == TEACHER
    assert said.subject == f"The report of override {number} is ready"
    assert f"appliance overrides show {number} --report" in said.body
    assert "https://" not in said.body
    assert not any(word in said.subject + said.body for word in ("Ada", "Ben", "Example", "jones", "secret"))
    visits = granting.reports(settings.state).visits(number)
    assert [(one.name, one.times) for one in visits] == [("Ada Example", 2), ("Ben Example", 1)]


def test_the_mail_leads_to_the_page_where_one_is_served(tmp_path: Path) -> None:
    """A teacher has no shell on the gateway; where no page is served the command is named."""
    settings = school(tmp_path)
    assert afterwards.link(settings, 12) == ""
    pages = CasePages(listen="10.21.0.1:8443", people={"dsl": ("m.lead",)})
    served = settings.model_copy(update={"alerts": settings.alerts.model_copy(update={"pages": pages})})
    asyncio.run(visited(settings.state, 99, "Ada"))
    number = grant(settings.state)
    granting.store(settings.state).revoke(number, by="head", now=time.time() - 60, note="")
    book, now = Book(settings.state), time.time()
    afterwards.make_due(settings.state, now)
    afterwards.tell(served, book, now)
    with book.reading() as db:
        (letter,) = outbox.due(db, now + 1, "")
    assert f"    https://10.21.0.1:8443/overrides/{number}\n" in words(letter.message).body


def test_a_granter_without_an_address_is_told_by_the_list(tmp_path: Path) -> None:
    """Nobody's report is lost for want of an address, or because nothing is delivered."""
    settings = school(tmp_path)
    asyncio.run(visited(settings.state, 99, "Ada"))
    for by in ("mr.smith", "mrs.jones"):
        number = grant(settings.state, by=by)
        granting.store(settings.state).revoke(number, by="head", now=time.time() - 60, note="")
    silent = settings.model_copy(update={"alerts": settings.alerts.model_copy(update={"deliver": False})})
    book = Book(settings.state)
    assert afterwards.make_due(settings.state, time.time()) == 2
    assert afterwards.tell(silent, book, time.time()) == 2
    with book.reading() as db:
        assert outbox.due(db, time.time(), "") == []
    reports = granting.reports(settings.state)
    assert [one.granted_by for one in reports.unread()] == ["mr.smith", "mrs.jones"]
    assert {kept.told for one in (1, 2) if (kept := reports.of(one)) is not None} == {"list"}


def test_no_report_is_made_of_a_log_that_cannot_be_read(tmp_path: Path) -> None:
    """It would say for ever that nobody visited anything; it is made when the log is there again."""
    settings = school(tmp_path)
    number = grant(settings.state)
    granting.store(settings.state).revoke(number, by="head", now=time.time() - 60, note="")
    with pytest.raises(EventsError):
        afterwards.make_due(settings.state, time.time())
    assert granting.reports(settings.state).of(number) is None
    asyncio.run(visited(settings.state, number, "Ada"))
    assert afterwards.make_due(settings.state, time.time()) == 1


def test_what_the_log_may_not_keep_the_report_does_not_keep(tmp_path: Path) -> None:
    """DP-2: without a term of its own, names and sites end with the log's; a hold keeps them."""
    settings = school(tmp_path)
    number = grant(settings.state)
    asyncio.run(visited(settings.state, number, "Ada", "Ben"))
    granting.store(settings.state).revoke(number, by="head", now=time.time() - 60, note="")
    afterwards.make_due(settings.state, time.time())
    asyncio.run(hold(settings.state, "Ben", time.time()))
    assert afterwards.forget(settings, time.time() + 80 * 86_400) == 0
    longer = settings.overrides.model_copy(update={"report_days": 300})
    assert (
        afterwards.forget(settings.model_copy(update={"overrides": longer}), time.time() + 91 * 86_400) == 0
    )
    assert afterwards.forget(settings, time.time() + 91 * 86_400) == 1
    assert [one.name for one in granting.reports(settings.state).visits(number)] == ["", "Ben"]


def test_before_there_was_any_override_nothing_is_made(tmp_path: Path) -> None:
    """A keeper that starts first must not fail, nor make files."""
    settings = load_settings(configuration(tmp_path)).settings
    assert afterwards.make_due(settings.state, time.time()) == 0
    assert afterwards.tell(settings, Book(settings.state), time.time()) == 0
    assert afterwards.forget(settings, time.time()) == 0


def test_an_address_of_its_own_wins_over_that_of_an_approver(tmp_path: Path) -> None:
    """Teachers are told of their reports without being told of every emergency."""
    more = "changes: {addresses: {Head: head@school.example, mrs.jones: other@school.example}}\n"
    assert afterwards.addresses(school(tmp_path, WHERE + more)) == {
        "head": "head@school.example",
        "mrs.jones": TEACHER,
    }


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with serving(Mailbox(), CA) as box:
        yield box


def teachers_keeper(tmp_path: Path, mailbox: Mailbox) -> Keeper:
    """Return a keeper of a school that knows a teacher's address."""
    kept = keeper(tmp_path, mailbox, CA)
    values = yaml.safe_load(kept.config.read_text(encoding="utf-8"))
    values["overrides"] = {"addresses": {"mrs.jones": TEACHER}}
    kept.config.write_text(yaml.safe_dump(values), encoding="utf-8")
    kept.prepare(DSL, DEPUTY, HEAD)
    granting.prepare(kept.settings.state)
    return kept


async def test_a_keeper_that_is_killed_tells_of_each_report_once(tmp_path: Path, mailbox: Mailbox) -> None:
    """Whatever dies when: each grant has one report and its granter one mail, by a real mail server."""
    kept = teachers_keeper(tmp_path, mailbox)
    state, numbers = kept.settings.state, list[int]()
    mailbox.data[TEACHER] = ["451 4.3.0 Not just now"]
    for pause in (1.0, 1.4, 1.8, 2.2):
        kept.start()
        for _ in range(3):
            numbers.append(grant(state))
            await visited(state, numbers[-1], "Ada Example")
            granting.store(state).revoke(numbers[-1], by="head", now=time.time() - 60, note="")
            await asyncio.sleep(pause / 3)
        kept.kill()
    kept.start()
    subjects = {f"The report of override {number} is ready" for number in numbers}
    await until(lambda: subjects <= set(mailbox.subjects), "a mail for each report")
    assert kept.stop() == 0
    # A mail that was taken in the very moment of a kill may come once more, under the same Message-ID.
    assert len({mail["Message-ID"] for _, mail in mailbox.arrived}) == len(numbers)
    assert len(mailbox.arrived) <= len(numbers) + 4
    assert not any("Ada" in str(mail) or "secret" in str(mail) for _, mail in mailbox.arrived)
    with closing(sqlite3.connect(Database(state).path)) as db:
        assert db.execute("SELECT count(*), min(times), max(times) FROM visit").fetchone() == (
            len(numbers),
            1,
            1,
        )


def test_a_keeper_says_in_words_what_it_could_not_do(tmp_path: Path) -> None:
    """A database of overrides of an older form is a line in the journal, and tried again."""
    settings = school(tmp_path)
    with Database(settings.state).writing() as db:
        db.execute("DROP TABLE report")
    with pytest.raises(InWordsError, match="no such table"):
        afterwards.make_due(settings.state, time.time())
    assert alerting.directory(settings).addresses == ()
