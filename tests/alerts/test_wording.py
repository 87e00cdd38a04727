"""What the messages say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.alerts.redact import Alarm, Confirmation, Message, Notice, Pulse, Ready, Trouble, What
from appliance.alerts.wording import words
from appliance.model.category import Severity
from tests.doubles.alerts import MONDAY

NOTICE = Notice(What.ALERT, "A-00012", Severity.HIGH, "Self-harm", MONDAY, "https://school.example/A-00012")


FLOOR = "a statutory list is missing, broken or too old"
FAILS = "The filter fails, and refuses what it cannot judge"


@pytest.mark.parametrize(
    ("message", "subject", "inside"),
    [
        (NOTICE, "Alert: A-00012 high, Self-harm", "Details:   https://school.example/A-00012"),
        (replace(NOTICE, link=""), "Alert: A-00012 high, Self-harm", "appliance alerts ack A-00012"),
        (
            replace(NOTICE, what=What.ESCALATED),
            "Not acknowledged yet: A-00012 high, Self-harm",
            "Nobody has acknowledged",
        ),
        (replace(NOTICE, what=What.TEST), "Test of the school gateway's alerts", "Nothing has happened"),
        (
            Ready(MONDAY, "weekly-2026-11-20"),
            "The weekly report is ready",
            "appliance report weekly --to FILE",
        ),
        (
            Ready(MONDAY, "override-12"),
            "The report of override 12 is ready",
            "appliance overrides show 12 --report --by YOUR-NAME",
        ),
        (
            Ready(MONDAY, "override-12", "https://10.21.0.1:8443/overrides/12"),
            "The report of override 12 is ready",
            "    https://10.21.0.1:8443/overrides/12\n",
        ),
        (Pulse(MONDAY, 3, 2, 1), "Daily sign of life: 2 not acknowledged", "Cases in the last 24 hours:  3"),
        (Pulse(MONDAY, 0, 0, 0), "Daily sign of life", "the alerts have stopped"),
        (
            Confirmation(MONDAY, "a" * 26, ""),
            "Please confirm that alerts reach you",
            f"alerts confirm {'a' * 26}",
        ),
        (
            Confirmation(MONDAY, "a" * 26, "https://x.example/c/a"),
            "Please confirm that alerts reach you",
            "x.example/c/a",
        ),
        (Alarm(MONDAY, "floor", 4, over=False), f"The gate is closed: {FLOOR}", "appliance lists status"),
        (Alarm(MONDAY, "fault", 4, over=True), f"Over: {FAILS}", "Requests refused:  4"),
        (
            Notice(What.HANDED, "A-00012", Severity.HIGH, "Bullying", MONDAY, ""),
            "Handed over to you: A-00012 high, Bullying",
            "has handed this case over",
        ),
        (Trouble(MONDAY, "mail", 4), "Mails with alerts cannot be delivered", "Messages that wait: 4"),
    ],
)
def test_each_message_says_what_is_to_be_done(message: Message, subject: str, inside: str) -> None:
    """Somebody reads it on a telephone, between two lessons."""
    text = words(message)
    assert text.subject == subject
    assert inside in text.body
    assert all(len(line) <= 100 for line in text.body.splitlines())


def test_a_message_without_a_page_names_no_link() -> None:
    """A link that leads nowhere would teach people not to follow links."""
    assert "Details" not in words(replace(NOTICE, link="")).body
