"""The question to a recipient, and who may answer it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.alerts import outbox, recipients
from appliance.alerts.book import AlertsError, Book
from appliance.alerts.recipients import LASTS, ask, confirm, confirmed
from appliance.alerts.redact import Confirmation
from tests.doubles.alerts import DEPUTY, DIRECTORY, DSL, HEAD, MONDAY, book

NOW = MONDAY.timestamp()
PAGE = "https://filter.internal:8443/confirm/"
WORDS = ["a" * 26, "b" * 26, "c" * 26, "d" * 26]


def asked(made: Book, now: float = NOW) -> list[str]:
    """Ask everybody of the directory who is to be asked, and return the secrets that were sent."""
    secrets: Iterator[str] = iter(WORDS)
    with made.writing() as db:
        before = db.execute("SELECT coalesce(max(id), 0) FROM outbox").fetchone()[0]
        ask(db, DIRECTORY.addresses, PAGE, now, lambda: next(secrets))
        count = db.execute("SELECT count(*) FROM outbox WHERE id > ?", (before,)).fetchone()[0]
    return WORDS[:count]


def answer(made: Book, secret: str, now: float = NOW + 60) -> str:
    with made.writing() as db:
        return confirm(db, DIRECTORY.addresses, secret, now)


def test_the_secret_of_a_mail_confirms_its_address_once(tmp_path: Path) -> None:
    """GAI-4: whoever reads the mailbox is a recipient from then on, and the link is worth nothing more."""
    made = book(tmp_path)
    first, *_ = asked(made)
    assert answer(made, f" {first.upper()}\n") == DSL
    with made.reading() as db:
        assert confirmed(db) == {DSL}
    with pytest.raises(AlertsError, match="counts once"):
        answer(made, first)


@pytest.mark.slow
@pytest.mark.parametrize("given", ["", "a" * 25, "z" * 26, "\udc80", "' OR 1=1 --", "a" * 10_000])
def test_whatever_else_is_given_confirms_nobody(tmp_path: Path, given: str) -> None:
    """Nobody makes himself a recipient by guessing."""
    made = book(tmp_path)
    asked(made)
    with pytest.raises(AlertsError, match="no token that counts"):
        answer(made, given)


def test_a_question_ends_after_its_time_and_with_the_next_one(tmp_path: Path) -> None:
    """A link that lies about in a mailbox must not make somebody a recipient months later."""
    made = book(tmp_path)
    old = asked(made)[0]
    with pytest.raises(AlertsError):
        answer(made, old, NOW + LASTS + 1)
    with pytest.raises(AlertsError):  # the clock was put back by a month meanwhile
        answer(made, old, NOW - 30 * 86_400)
    WORDS.reverse()
    new = asked(made, NOW + LASTS + 2)[0]
    WORDS.reverse()
    with pytest.raises(AlertsError):
        answer(made, old, NOW + LASTS + 3)
    assert answer(made, new, NOW + LASTS + 3) == DSL


def test_an_address_that_the_settings_no_longer_name_is_made_no_recipient(tmp_path: Path) -> None:
    """Who was taken off the list between the question and the answer gets nothing."""
    made = book(tmp_path)
    first = asked(made)[0]
    with pytest.raises(AlertsError), made.writing() as db:
        confirm(db, [DEPUTY, HEAD], first, NOW)


def test_each_recipient_is_asked_once_and_again_after_days(tmp_path: Path) -> None:
    """Who overlooked the question is reminded, and nobody gets it every ten seconds."""
    made = book(tmp_path, DSL)
    assert [len(asked(made, moment)) for moment in (NOW, NOW + 10, NOW + LASTS + 1)] == [2, 0, 2]
    with made.reading() as db:
        letters = outbox.due(db, NOW + LASTS + 2, "")
    assert [letter.address for letter in letters] == [DEPUTY, HEAD] * 2
    assert letters[0].message == Confirmation(MONDAY, WORDS[0], PAGE + WORDS[0])


def test_only_the_hash_of_a_secret_is_kept_once_the_mail_is_sent(tmp_path: Path) -> None:
    """Whoever reads the database, or a backup of it, cannot confirm in somebody's place."""
    made = book(tmp_path, DEPUTY, HEAD)
    (secret,) = asked(made)
    with made.writing() as db:
        for letter in outbox.due(db, NOW, ""):
            outbox.sent(db, letter, NOW)
        rows = [row for table in ("invitation", "outbox") for row in db.execute(f"SELECT * FROM {table}")]  # noqa: S608 - two names
    assert secret not in str(rows)
    assert answer(made, secret) == DSL


def test_secrets_are_random_and_of_the_form_that_may_leave() -> None:
    """A secret that could be computed from an address would confirm anybody."""
    made = {recipients.new_token() for _ in range(50)}
    assert len(made) == 50
    for one in made:
        Confirmation(MONDAY, one, PAGE + one)
