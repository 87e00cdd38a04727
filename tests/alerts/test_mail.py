"""A mail's way to the server, and what its answers mean."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from appliance.alerts.mail import Mailer, compose
from appliance.alerts.outbox import Letter
from appliance.alerts.redact import Notice, What
from appliance.alerts.ways import RefusedError, WayError
from appliance.model.category import Severity
from tests.doubles.alerts import DSL, MONDAY
from tests.doubles.mailbox import Mailbox, serving, settings

NOTICE = Notice(
    What.ALERT,
    "A-00012",
    Severity.HIGH,
    "Self-harm and suicide",
    MONDAY,
    "https://filter.internal/alerts/A-00012",
)
LETTER = Letter(1, "alert|12|3|mail|dsl@school.example", What.ALERT, "mail", DSL, 0, NOTICE)
CA = trustme.CA()


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with serving(Mailbox(), CA) as box:
        yield box


async def test_a_mail_arrives_over_verified_encryption(mailbox: Mailbox, tmp_path: Path) -> None:
    """The whole of it: subject, body, one recipient, an id, and nothing but what may leave."""
    await Mailer(settings(mailbox, tmp_path, CA)).send(LETTER)
    ((to, mail),) = mailbox.arrived
    assert (to, mail["To"]) == (DSL, DSL)
    assert mail["Subject"] == "Alert: A-00012 high, Self-harm and suicide"
    assert "https://filter.internal/alerts/A-00012" in mail.get_payload()
    assert mail["Auto-Submitted"] == "auto-generated"


def test_a_mail_that_is_sent_again_is_the_same_mail() -> None:
    """Mailboxes show one mail for one Message-ID; and each recipient's own mail has its own."""
    one, again = (
        compose(LETTER, "gateway@school.example"),
        compose(replace(LETTER, tries=5), "gateway@school.example"),
    )
    assert one["Message-ID"] == again["Message-ID"]
    other = compose(replace(LETTER, name="alert|12|3|mail|head@school.example"), "gateway@school.example")
    assert other["Message-ID"] != one["Message-ID"]
    assert DSL.partition("@")[0] not in one["Message-ID"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "answer", "final"),
    [
        ("rcpt", "550 5.1.1 No such mailbox", True),
        ("rcpt", "450 4.2.0 Greylisted, try again in five minutes", False),
        ("rcpt", "452 4.2.2 Mailbox full", False),
        ("data", "554 5.7.1 Not here", True),
        ("data", "451 4.3.0 Later", False),
    ],
)
async def test_what_the_server_says_decides_whether_it_is_tried_again(
    mailbox: Mailbox, tmp_path: Path, where: str, answer: str, final: bool
) -> None:
    """A mailbox that does not exist is told to somebody; greylisting is waited for."""
    getattr(mailbox, where)[DSL] = [answer]
    with pytest.raises(WayError) as caught:
        await Mailer(settings(mailbox, tmp_path, CA)).send(LETTER)
    assert isinstance(caught.value, RefusedError) is final
    assert answer[:3] in str(caught.value)
    await Mailer(settings(mailbox, tmp_path, CA)).send(LETTER)


@pytest.mark.slow
async def test_a_server_with_a_strangers_certificate_gets_nothing(tmp_path: Path) -> None:
    """Whoever stands between us and the mail server reads no case."""
    async with serving(Mailbox(), trustme.CA()) as box:
        with pytest.raises(WayError, match="certificate"):
            await Mailer(settings(box, tmp_path, CA)).send(LETTER)
    async with serving(Mailbox(), CA, name="other.example") as box:
        with pytest.raises(WayError, match="certificate"):
            await Mailer(settings(box, tmp_path, CA)).send(LETTER)
    assert not box.arrived
    assert not box.asked


@pytest.mark.slow
async def test_a_server_that_hangs_is_given_up_in_time(mailbox: Mailbox, tmp_path: Path) -> None:
    """One dead server must not be waited for all day."""
    mailbox.hang = 5
    with pytest.raises(WayError, match=r"[Tt]imed out"):
        await Mailer(settings(mailbox, tmp_path, CA, timeout_seconds=0.2)).send(LETTER)


async def test_a_server_that_is_not_there_is_told_in_words(tmp_path: Path) -> None:
    """A technician reads what is wrong in `alerts status`."""
    with pytest.raises(WayError, match=r"127\.0\.0\.1"):
        await Mailer(settings(Mailbox(port=1), tmp_path, CA)).send(LETTER)


@pytest.mark.slow
async def test_a_connection_that_breaks_after_the_mail_was_taken_is_no_acceptance(
    mailbox: Mailbox, tmp_path: Path
) -> None:
    """What was not heard to be taken is sent again, with the same id: rather twice than never."""
    mailbox.drop_after_data = 1
    with pytest.raises(WayError):
        await Mailer(settings(mailbox, tmp_path, CA)).send(LETTER)
    await Mailer(settings(mailbox, tmp_path, CA)).send(LETTER)
    first, second = mailbox.arrived
    assert first[1]["Message-ID"] == second[1]["Message-ID"]


@pytest.mark.slow
async def test_a_password_that_others_can_read_is_not_used(mailbox: Mailbox, tmp_path: Path) -> None:
    """A password lies in a file of the gateway's own, and is never shown."""
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    secret.chmod(0o644)
    to = settings(mailbox, tmp_path, CA, user="gateway", password_file=secret)
    with pytest.raises(WayError, match="chmod 600"):
        await Mailer(to).send(LETTER)
    secret.chmod(0o600)
    with pytest.raises(WayError) as caught:  # this server takes no sign-in at all
        await Mailer(to).send(LETTER)
    assert "hunter2" not in str(caught.value)
