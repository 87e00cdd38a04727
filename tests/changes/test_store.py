from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliance.changes.store import Approval, ChangeError, Changes, Entry, Proposal, State

WHY = "Year 9 needs it for Geography."


class Trail:
    """An audit trail that can be full; `untrue` is what was told and not carried out."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []
        self.untrue: list[tuple[str, str, str]] = []
        self.full = False

    def add(self, what: str, whom: str, *, by: str, at: float, **_details: Any) -> None:
        if self.full:
            raise OSError(28, f"No space left on device at {at}")
        self.told.append((what, whom, by))

    def newest(self) -> int:
        return len(self.told)

    def not_carried(self, after: int) -> None:
        self.untrue += self.told[after:]
        del self.told[after:]


def changes(folder: Path, *approvers: str, two: bool = True) -> tuple[Changes, Trail]:
    trail = Trail()
    return Changes(folder, trail, Approval(two, approvers)), trail


def propose(at: Changes, base: str = "a", version: str = "b", by: str = "Tech") -> Proposal:
    entries = (Entry("allow", "maps.example"),)
    return at.propose(base, version, entries, reason=WHY, by=by, at=1.0, impact={"judged": 3})


def nothing(_: Proposal) -> None:
    """Put nothing in force."""


@pytest.mark.slow
def test_a_second_person_releases_what_one_has_proposed(tmp_path: Path) -> None:
    """S-26: who proposed, who released, and why stand in the trail, and what was released is put in force."""
    made, trail = changes(tmp_path, "head")
    done: list[Proposal] = []
    made.release(propose(made).number, by="HEAD", at=2.0, current=lambda: {"policy": "a"}, act=done.append)
    assert [each.entries for each in done] == [(Entry("allow", "maps.example"),)]
    found = made.get(1)
    assert (found.state, found.decided_by, found.impact) == (State.RELEASED, "HEAD", {"judged": 3})
    assert trail.told == [
        ("change-propose", "change 1", "Tech"),
        ("change-release", "change 1", "HEAD"),
    ]
    with pytest.raises(ChangeError, match="released by HEAD already"):
        made.release(1, by="head", at=3.0, current=lambda: {"policy": "a"}, act=nothing)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by", "current", "said"),
    [
        ("tech", "a", "is your own"),  # in whatever spelling
        ("teacher", "a", "may not release"),  # also who lost the role meanwhile
        ("head", "c", "Propose it again"),
    ],
)
def test_what_may_not_be_released_is_not(tmp_path: Path, by: str, current: str, said: str) -> None:
    """S-26: nobody releases their own, nobody without the role, and nothing made against the past."""
    made, trail = changes(tmp_path, "head", "Tech")
    propose(made)
    done: list[Proposal] = []
    with pytest.raises(ChangeError, match=said):
        made.release(1, by=by, at=2.0, current=lambda: {"policy": current}, act=done.append)
    assert (done, made.get(1).state, len(trail.told)) == ([], State.PROPOSED, 1)


def test_what_cannot_be_put_in_force_is_not_released(tmp_path: Path) -> None:
    """A failure in the last step leaves the proposal as it was, to be tried again."""
    made, trail = changes(tmp_path, "head")
    propose(made)

    def fail(_: Proposal) -> None:
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input"):
        made.release(1, by="head", at=2.0, current=lambda: {"policy": "a"}, act=fail)
    assert made.get(1).state is State.PROPOSED
    trail.full = True
    for wrong in (lambda: propose(made), lambda: made.refuse(1, by="head", at=2.0, reason="no")):
        with pytest.raises(OSError, match="No space"):
            wrong()
    assert [each.state for each in made.newest(9)] == [State.PROPOSED]


def test_a_proposal_can_be_refused_or_taken_back(tmp_path: Path) -> None:
    """Who proposed may think better of it; anybody else needs the role."""
    made, _ = changes(tmp_path, "head")
    for _number in range(3):
        propose(made)
    made.refuse(1, by="tech", at=2.0, reason="a slip")
    made.refuse(2, by="head", at=2.0, reason="not for Year 9")
    with pytest.raises(ChangeError, match="may not"):
        made.refuse(3, by="teacher", at=2.0, reason="x")
    assert [each.words for each in made.newest(2)] == ["not for Year 9", ""]
    assert [each.number for each in made.newest(9, waiting=True)] == [3]


def test_one_person_may_do_it_where_the_school_says_so(tmp_path: Path) -> None:
    """A school with one technician is not locked out of its own policy."""
    made, _ = changes(tmp_path, two=False)
    propose(made)
    made.release(1, by="Tech", at=2.0, current=lambda: {"policy": "a"}, act=nothing)
    assert made.get(1).state is State.RELEASED


def test_a_proposal_says_why_and_changes_something(tmp_path: Path) -> None:
    """A reason of blanks, or no change at all, is sent back."""
    made, _ = changes(tmp_path)
    for reason, base, said in (
        ("     .     ", "x", "say why"),
        ("\u200b" * 20, "x", "say why"),
        (WHY, "b", "nothing is changed"),
    ):
        with pytest.raises(ChangeError, match=said):
            made.propose(base, "b", (), reason=reason, by="tech", at=1.0, impact={})
    with pytest.raises(ChangeError, match="there is no change 7"):
        made.get(7)
    made.propose("a", "b", (), reason=WHY, by="tech", at=1.0, impact={})
    made.path.write_bytes(b"no database" * 99)
    with pytest.raises(ChangeError, match="cannot be used"):
        made.newest(1)


def test_a_refusal_and_a_return_say_why(tmp_path: Path) -> None:
    """Blanks, or marks that nobody can see, are no reason that a governor could read."""
    made, trail = changes(tmp_path, "head")
    number = propose(made).number
    with pytest.raises(ChangeError, match="say why"):
        made.refuse(number, by="head", at=2.0, reason=" \u200b ")
    made.release(number, by="head", at=2.0, current=lambda: {"policy": "a"}, act=nothing)
    with pytest.raises(ChangeError, match="say why"):
        made.take_back(number, by="head", at=3.0, reason="", act=nothing)
    assert [what for what, _, _ in trail.told] == ["change-propose", "change-release"]


def test_a_proposal_of_before_there_was_any_policy_is_told_in_words(tmp_path: Path) -> None:
    """The first of two proposals on a new gateway makes the other stale; it says so, and names no blank."""
    made, _ = changes(tmp_path, "head")
    number = propose(made, base="").number
    with pytest.raises(ChangeError, match="against policy none, and b is in force now"):
        made.release(number, by="head", at=2.0, current=lambda: {"policy": "b"}, act=nothing)
