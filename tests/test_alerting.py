"""The keeper of alerts as a process of its own, with a real log and real mail."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from appliance import alerting, releasing
from appliance.alerts import cases, outbox
from appliance.alerts.book import Book
from appliance.alerts.options import CasePages
from appliance.alerts.wording import words
from appliance.changes.notices import EMERGENCY
from appliance.events.record import from_access
from appliance.events.spill import Spill
from appliance.events.store import SPILL, EventStore
from appliance.model.event import ReviewRequest
from appliance.settings import load_settings
from tests.doubles.alerts import DEPUTY, DSL, MONDAY, happen, rules, sighting
from tests.doubles.keeping import Keeper, keeper, prepared, seen, until
from tests.doubles.mailbox import Mailbox, serving
from tests.doubles.school import configuration, load_once

CA = trustme.CA()


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with serving(Mailbox(), CA) as box:
        yield box


@pytest.fixture
async def kept(tmp_path: Path, mailbox: Mailbox) -> AsyncIterator[Keeper]:
    with prepared(tmp_path, mailbox, CA) as made:
        yield made


@pytest.mark.slow
def test_what_a_message_links_to_and_who_is_told_follow_from_the_settings(tmp_path: Path) -> None:
    """The keeper and the commands must mean the same people."""
    settings = load_once(configuration(tmp_path)).settings
    assert alerting.link(settings) == alerting.confirmation_page(settings) == ""
    pages = CasePages.model_validate({"listen": "10.21.0.1:8443", "people": {"dsl": ["m.lead"]}})
    served = settings.model_copy(update={"alerts": settings.alerts.model_copy(update={"pages": pages})})
    assert alerting.link(served) == "https://10.21.0.1:8443/cases/"
    assert alerting.confirmation_page(served) == "https://10.21.0.1:8443/confirm/"
    assert alerting.directory(settings).addresses == ()
    assert dict(alerting.ways(settings)) == {}


@pytest.mark.slow
async def test_a_flagged_access_is_a_mail_within_seconds(kept: Keeper, mailbox: Mailbox) -> None:
    """The safeguarding lead hears at once, once, and reads nothing personal in the mail."""
    kept.start()
    store = await EventStore.open(kept.settings.state)
    await until(kept.book.path.exists, "the keeper is there")
    await store.commit(seen(1, "Ada Example"))
    for number in range(2, 40):
        await store.commit(seen(number, "Ada Example"))
    await until(lambda: mailbox.arrived, "a mail")
    await asyncio.sleep(2)
    await store.close()
    ((to, mail),) = mailbox.arrived
    assert to == DSL
    assert re.fullmatch(r"Alert: A-00001 critical, Self-harm and suicide", mail["Subject"])
    assert "Ada" not in mail.as_string()
    assert "bets" not in mail.as_string()
    assert kept.stop() == 0


@pytest.mark.slow
async def test_a_keeper_that_is_killed_anywhere_loses_nothing_and_repeats_nothing(
    kept: Keeper, mailbox: Mailbox
) -> None:
    """Killed again and again while alerts come in: each case reaches the lead, under one Message-ID."""
    store = await EventStore.open(kept.settings.state)
    number = 0
    for pause in (0.9, 1.1, 1.3, 1.6, 2.0, 1.2):
        kept.start()
        for _ in range(10):
            await asyncio.sleep(pause / 10)
            number += 1
            await store.commit(seen(number))
        kept.kill()
    kept.start()
    await until(lambda: len({mail["Message-ID"] for _, mail in mailbox.arrived}) >= number, "a mail for each")
    await asyncio.sleep(1)
    await store.close()
    told = Counter(mail["Message-ID"] for _, mail in mailbox.arrived)
    assert len(told) == number
    # A mail that was taken in the very moment of the kill may come once more; nothing else may.
    assert sum(told.values()) <= number + 7


@pytest.mark.slow
async def test_a_mailbox_that_refuses_calls_the_next_at_once(kept: Keeper, mailbox: Mailbox) -> None:
    """A lead whose mailbox is gone must not cost half an hour."""
    mailbox.rcpt[DSL] = ["550 5.1.1 No such mailbox"]
    kept.start()
    store = await EventStore.open(kept.settings.state)
    await store.commit(seen(1))
    await until(lambda: mailbox.arrived, "the deputy's mail")
    await store.close()
    assert [to for to, _ in mailbox.arrived] == [DEPUTY]
    assert (1, DSL, "refused") in kept.sent()


def test_what_one_person_closed_is_told_to_the_others(tmp_path: Path) -> None:
    """S-26: the other approvers are told once, with nothing of what or who, and not whoever did it."""
    config = configuration(tmp_path)
    both = "{head: head@school.example, Tech: tech@school.example}"
    config.write_text(f"{config.read_text()}changes: {{approvers: [head, Tech], addresses: {both}}}\n")
    settings = load_settings(config).settings
    book = Book(settings.state)
    book.prepare()
    releasing.notices(settings).add(EMERGENCY, "blocked bad.example", by="tech", at=1.0)
    assert alerting.announce_changes(settings, book, 2.0) == 1
    assert alerting.announce_changes(settings, book, 3.0) == 0
    with book.reading() as db:
        (letter,) = outbox.due(db, 3.0, "")
    told = words(letter.message)
    assert (letter.address, told.subject) == (
        "head@school.example",
        "One person has closed a site for the whole school",
    )
    assert "bad.example" not in told.body
    assert "appliance changes list" in told.body
    # An approver whose password somebody else has set hears of it as well.
    releasing.doubts(settings).begin(["head"], by="Tech", proved=True, at=4.0)
    assert alerting.announce_changes(settings, book, 5.0) == 1
    with book.reading() as db:
        letter = outbox.due(db, 5.0, "")[-1]
    told = words(letter.message)
    assert (letter.address, "head" in told.body) == ("head@school.example", False)
    assert told.subject == "Somebody has set the password of a person who decides about the policy"


@pytest.mark.slow
async def test_greylisting_is_waited_for(kept: Keeper, mailbox: Mailbox) -> None:
    """The first try of a stranger is refused for a while by many servers: that is no failure."""
    mailbox.rcpt[DSL] = ["450 4.2.0 Greylisted"]
    kept.start()
    store = await EventStore.open(kept.settings.state)
    await store.commit(seen(1))
    await until(lambda: mailbox.arrived, "the mail, after a pause")
    await store.close()
    assert mailbox.asked[DSL] == 2


@pytest.mark.slow
async def test_what_waits_in_a_spill_file_is_told_before_the_log_has_it(
    kept: Keeper, mailbox: Mailbox
) -> None:
    """A log that a backup holds for an hour must not hold up the lead; the log's own copy is told once."""
    store = await EventStore.open(kept.settings.state)
    kept.start()
    spill = Spill(kept.settings.state / SPILL)
    one = seen(1)
    spill.append([from_access(one)])
    await until(lambda: mailbox.arrived, "a mail")
    spill.release()
    await store._take_in()
    await store.commit(seen(2, "Somebody Else"))
    await until(lambda: len(mailbox.arrived) > 1, "the next mail")
    await store.close()
    assert mailbox.subjects == [f"Alert: A-0000{n} critical, Self-harm and suicide" for n in (1, 2)]
    with kept.book.reading() as db:
        assert list(db.execute("SELECT count FROM episode")) == [(1,), (1,)]


@pytest.mark.slow
async def test_an_upset_child_is_heard_and_a_wrong_block_is_no_alert(kept: Keeper, mailbox: Mailbox) -> None:
    """What somebody tells of by a page's button is a case of its own, and nobody's fault (S-54, S-67)."""
    kept.prepare()
    kept.start()
    store = await EventStore.open(kept.settings.state)
    now = datetime.now(UTC)
    await store.review(ReviewRequest("REF-1", now, "10.4.0.14", "ks2", "It is for my homework"))
    await store.review(ReviewRequest("REF-2", now, "10.4.0.14", "ks2", "I saw something that upset me."))
    cases: list[tuple[str, str]] = []

    def there() -> bool:
        with kept.book.reading() as db:
            cases[:] = db.execute("SELECT subject, theme FROM episode")
        return bool(cases)

    await until(there, "a case")
    await store.close()
    assert cases == [("report REF-2", "self_report")]
    assert not mailbox.subjects or "upset" in mailbox.subjects[0]


@pytest.mark.slow
async def test_a_book_that_is_locked_for_a_while_costs_time_and_no_alert(
    kept: Keeper, mailbox: Mailbox
) -> None:
    """Somebody looks into the database with a tool that locks it."""
    store = await EventStore.open(kept.settings.state)
    kept.start()
    # Once there is the mail of a first one, it is certain that the keeper is at work when the book is locked.
    await store.commit(seen(0))
    await until(lambda: mailbox.arrived, "the first mail")
    before = len(mailbox.arrived)
    lock = sqlite3.connect(kept.book.path, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    await store.commit(seen(1))
    await asyncio.sleep(7)
    assert len(mailbox.arrived) == before
    lock.execute("ROLLBACK")
    lock.close()
    await until(lambda: len(mailbox.arrived) > before, "the mail")
    await store.close()
    assert len(mailbox.arrived) == before + 1


@pytest.mark.slow
async def test_a_recipient_is_asked_and_told_after_the_confirmation(tmp_path: Path, mailbox: Mailbox) -> None:
    """No alert goes to an address whose owner has not said that it arrives (GAI-4)."""
    kept = keeper(tmp_path, mailbox, CA)
    kept.prepare()
    kept.start()
    store = await EventStore.open(kept.settings.state)
    try:
        await store.commit(seen(1))
        await until(lambda: len(mailbox.arrived) == 3, "three questions")
        assert set(mailbox.subjects) == {"Please confirm that alerts reach you"}
        (text,) = [mail.get_payload() for to, mail in mailbox.arrived if to == DSL]
        token = re.search(r"alerts confirm (\S+)", str(text))
        assert token is not None
        done = await asyncio.create_subprocess_exec(
            *(kept_command(kept, "alerts", "confirm", token[1])), stderr=asyncio.subprocess.PIPE
        )
        assert await done.wait() == 0

        def alerts() -> list[str]:
            # A question that was taken too slowly is asked once more, under the same Message-ID.
            asked = "Please confirm that alerts reach you"
            return [to for to, mail in mailbox.arrived if mail["Subject"] != asked]

        await until(lambda: len(alerts()) > 0, "the alert")
        assert alerts() == [DSL]
    finally:
        kept.kill()
        await store.close()


def kept_command(kept: Keeper, *arguments: str) -> list[str]:
    """Return the command line of `appliance ...` for that keeper's settings."""
    import sys  # noqa: PLC0415 - for this alone

    return [sys.executable, "-m", "appliance", *arguments, "--config", str(kept.config)]


@pytest.mark.slow
async def test_a_clock_that_leapt_ahead_removes_no_case_for_a_day(kept: Keeper) -> None:
    """A box whose clock is wrong by years must not forget who was in need last week (S-60)."""
    happen(kept.book, rules(), sighting())
    left = []
    for days in (0, 900, 900.5, 901.1):
        await alerting.forget_cases(kept.settings, kept.book, MONDAY.timestamp() + days * 86_400)
        with kept.book.reading() as db:
            left.append(len(cases.cases(db, everything=True)))
    assert left == [1, 1, 1, 0]
