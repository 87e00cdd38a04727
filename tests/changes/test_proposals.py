"""A proposal as it is kept, and as it is read again."""

from __future__ import annotations

from pathlib import Path

from appliance.changes.database import ChangesDatabase
from appliance.changes.proposals import Entry, State, one
from tests.changes.test_store import WHY, changes


def test_what_is_kept_is_what_is_read(tmp_path: Path) -> None:
    """S-25: whoever releases reads each word that was proposed, with every version and entry."""
    made, _ = changes(tmp_path, "head")
    entries = (Entry("allow", "maps.example"), Entry("accept", "ut1 sha256:0a"))
    parts = {"settings": ("sha256:1", "sha256:2"), "blocklists": ("", "sha256:3")}
    kept = made.propose(
        "a", "b", entries, reason=WHY, by="Zoë", at=1.5, impact={"judged": 3, "new": ["x"]}, parts=parts
    )
    assert (kept.number, kept.state, kept.base, kept.version) == (1, State.PROPOSED, "a", "b")
    assert (kept.entries, kept.parts, kept.impact) == (entries, parts, {"judged": 3, "new": ["x"]})
    assert (kept.reason, kept.by, kept.at) == (WHY, "Zoë", 1.5)
    assert (kept.decided_by, kept.decided_at, kept.words, kept.stage) == ("", None, "", {})


def test_a_number_that_nobody_has_is_none(tmp_path: Path) -> None:
    """A slip in a number finds no other proposal."""
    with ChangesDatabase(tmp_path).writing() as db:
        assert one(db, 1) is None
