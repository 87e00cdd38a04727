"""What counts as something said."""

from __future__ import annotations

import pytest

from appliance.model.words import said, visible


@pytest.mark.parametrize("text", ["", " \t\n", "\u200b" * 20, "\u2060\u202e\x00", "...", "-", "\udcff"])
def test_what_nobody_can_read_says_nothing(text: str) -> None:
    """A governor who reads the audit finds a reason, and no blank that passed as one."""
    assert said(text) == ""


def test_what_is_said_is_kept_on_one_line() -> None:
    """Words of every script, without what would steer a terminal or a page."""
    assert said(" A\u00a0parent\r\nasked\u200b (§ 4) ") == "A parent asked (§ 4)"
    assert said("因为家长问") == "因为家长问"
    assert visible("\u202e...") == "..."
