from __future__ import annotations

from appliance.changes.difference import difference


def test_what_differs_is_shown_line_by_line() -> None:
    """Whoever releases a change reads what is changed, with the file's name."""
    before = {"a.yaml": "x: 1\ny: 2\n", "b.yaml": "same\n", "old.yaml": "gone\n"}
    after = {"a.yaml": "x: 1\ny: 3\n", "b.yaml": "same\n", "new.yaml": "here\n"}
    lines = difference(before, after)
    assert {"-y: 2", "+y: 3", "+here", "-gone", "--- a.yaml", "+++ (no such file)"} <= set(lines)
    assert difference(before, before) == []
