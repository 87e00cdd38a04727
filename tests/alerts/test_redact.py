"""What may leave, and what cannot be put into it."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.alerts.redact import (
    Alarm,
    Checkpoint,
    Confirmation,
    Notice,
    Pulse,
    Ready,
    Trouble,
    What,
    plain,
)
from appliance.model.category import Severity
from tests.doubles.alerts import MONDAY

GOOD: dict[str, Any] = {
    "what": What.ALERT,
    "case": "A-00012",
    "severity": Severity.HIGH,
    "theme": "Self-harm",
    "at": MONDAY,
    "link": "https://school.example/cases/A-00012",
}


def test_a_notice_has_room_for_five_things_and_why() -> None:
    """Redacted by construction: what has no field cannot be sent by any template (W:422-424)."""
    assert {one.name for one in fields(Notice)} == {"what", "case", "severity", "theme", "at", "link"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("case", "Ada Example"),
        ("case", "A-00012\r\nBcc: x@y.example"),
        ("theme", "Self-harm\r\nBcc: x@y.example"),
        ("theme", "x" * 61),
        ("link", "https://school.example/cases/?q=how+to+die"),
        ("link", "https://school.example/a b"),
        ("link", "javascript:alert(1)"),
        ("at", datetime(2026, 11, 23)),  # noqa: DTZ001 - that is what is wrong with it
    ],
)
def test_no_field_takes_what_it_is_not_for(field: str, value: object) -> None:
    """A later change that puts a name where a reference belongs fails at once, and in a test."""
    with pytest.raises(ValueError, match=r"\w"):
        Notice(**{**GOOD, field: value})


def test_the_others_hold_numbers_and_words_of_ours() -> None:
    """The sign of life, the question and the alarm have no room for a text from outside either."""
    with pytest.raises(ValueError, match="number"):
        Pulse(MONDAY, "Ada", 0, 0)  # type: ignore[arg-type] # that is what is wrong with it
    with pytest.raises(ValueError, match="token"):
        Confirmation(MONDAY, "Ada Example", "")
    with pytest.raises(ValueError, match="link"):
        Confirmation(MONDAY, "a" * 26, "https://x.example/?q=Ada")
    with pytest.raises(ValueError, match="channel"):
        Trouble(MONDAY, "dsl@school.example", 1)
    with pytest.raises(ValueError, match="number"):
        Trouble(MONDAY, "mail", True)
    with pytest.raises(ValueError, match="kind"):
        Alarm(MONDAY, "Ada", 1, over=False)
    with pytest.raises(ValueError, match="number"):
        Alarm(MONDAY, "fault", "Ada", over=False)  # type: ignore[arg-type] # that is what is wrong with it


@pytest.mark.slow
@given(st.text())
def test_a_title_is_one_short_printable_line(text: str) -> None:
    """What a technician writes into alerts.yaml cannot break a header."""
    assert plain(text).isprintable()
    assert len(plain(text)) <= 60
    assert plain(plain(text)) == plain(text)


@pytest.mark.parametrize(
    "text",
    [
        *("weekly-2026-11-20 Ada", "daily-2026-11-20", "weekly", "weekly-2026-11-20\nBcc: x", ""),
        *("override-", "override-1a", "override-mrs.jones", "override-1\n", "override-12-2026-11-20"),
    ],
)
def test_word_of_a_report_holds_its_kind_and_day_alone(text: str) -> None:
    """S-68: the mail that a report is there has no room for what stands in it."""
    assert Ready(MONDAY, "termly-2026-12-18").report == "termly-2026-12-18"
    assert Ready(MONDAY, "override-12").report == "override-12"
    with pytest.raises(ValueError, match="weekly or termly"):
        Ready(MONDAY, text)
    with pytest.raises(ValueError, match="a link leads to a page"):
        Ready(MONDAY, "override-12", "https://10.21.0.1/overrides/12?who=Ada")


POINT = (
    "School gateway: audit checkpoint, version 1\nschool: A School\nrecords: 12\n"
    f"head: {'a' * 64}\nmade: 2026-11-22T03:01:00.000+00:00\nkey: {'A' * 43}=\nsignature: {'A' * 86}==\n"
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("12", "twelve"),
        ("version 1\n", "version 1\npupil: Ada\n"),
        ("==\n", "==\nAda Example\n"),
        ("==\n", "=="),
        ("a" * 64, "Ada"),
        ("School gateway", "Ada"),
    ],
)
def test_a_checkpoint_has_room_for_nothing_else(before: str, after: str) -> None:
    """What is mailed to governors is numbers and hashes, whoever writes into that folder."""
    assert Checkpoint(MONDAY, POINT).records == 12
    with pytest.raises(ValueError, match="a checkpoint of the audit"):
        Checkpoint(MONDAY, POINT.replace(before, after))
