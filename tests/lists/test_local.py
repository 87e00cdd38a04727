"""The school's own decisions."""

from __future__ import annotations

import fcntl
import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.lists.local import LocalFile, LocalRefusedError
from appliance.model.known import Use

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.fixture
def local(tmp_path: Path) -> LocalFile:
    return LocalFile(tmp_path / "deep" / "local.jsonl")


def _add(local: LocalFile, use: Use, entry: str, because: str = "maths week") -> str:
    return local.add(use, entry, because=because, who="it", at=NOW)


def test_a_decision_keeps_who_when_and_why(local: LocalFile, tmp_path: Path) -> None:
    """What a governor asks about later stands in the file."""
    assert _add(local, Use.ALLOW, "HTTP://Games.Example./Maths/") == "games.example/maths"
    line = json.loads((tmp_path / "deep" / "local.jsonl").read_text())
    assert line["who"] == "it"
    assert line["because"] == "maths week"
    assert line["at"].startswith("2026-11-23T09:00:00")
    match = next(iter(local.read().matches.values()))
    assert (match.use, match.entry, match.because) == (Use.ALLOW, "games.example/maths", "maths week")


def test_a_removal_is_a_line_too(local: LocalFile, tmp_path: Path) -> None:
    """Nothing is ever rewritten: the history of decisions stays whole."""
    _add(local, Use.BLOCK, "a.example")
    _add(local, Use.ALLOW, "a.example")
    assert local.remove("A.example", because="done", who="it", at=NOW) == (Use.BLOCK, Use.ALLOW)
    assert local.read().matches == {}
    assert len((tmp_path / "deep" / "local.jsonl").read_text().splitlines()) == 4
    assert local.remove("a.example", because="", who="it", at=NOW) == ()


@pytest.mark.parametrize("entry", ["com", "ac.uk", "blogspot.com", "", "a b", "http://", "0.0.0.0/0"])
def test_what_would_cover_too_much_is_refused(local: LocalFile, entry: str) -> None:
    """Nobody opens or closes half of the web with one word."""
    with pytest.raises(LocalRefusedError):
        _add(local, Use.ALLOW, entry)
    assert local.read().matches == {}


def test_a_reason_is_needed_and_only_two_uses_exist(local: LocalFile) -> None:
    """A decision without a reason, or of another kind, is not taken."""
    with pytest.raises(LocalRefusedError, match="say why"):
        _add(local, Use.BLOCK, "a.example", "  ")
    with pytest.raises(LocalRefusedError):
        _add(local, Use.HELP, "a.example")


def test_a_torn_line_costs_itself_alone(local: LocalFile, tmp_path: Path) -> None:
    """Power failed in the middle of a line: neither the others nor the next decision are lost."""
    _add(local, Use.BLOCK, "a.example")
    path = tmp_path / "deep" / "local.jsonl"
    with path.open("ab") as file:
        file.write(b'{"at": "2026-')
    _add(local, Use.BLOCK, "b.example")
    decisions = local.read()
    assert {match.entry for match in decisions.matches.values()} == {"a.example", "b.example"}
    assert decisions.broken == 1


def test_odd_files_are_read_as_far_as_they_go(local: LocalFile, tmp_path: Path) -> None:
    """Rubbish, other JSON and unknown keys are counted, not believed."""
    path = tmp_path / "deep" / "local.jsonl"
    path.parent.mkdir()
    path.write_bytes(b'\xff\n[]\n{"use": "allow", "entry": "com"}\n\n')
    assert local.read().broken == 3
    assert local.read().matches == {}


_ENTRIES = st.sampled_from(["a.example", "b.example"])
_STEPS = st.lists(
    # Whoever else removes what a change has removed is told that there is nothing, and nothing is written.
    st.tuples(st.just(True), st.sampled_from(["allow", "block", "remove"]), _ENTRIES)
    | st.tuples(st.just(False), st.sampled_from(["allow", "block"]), _ENTRIES),
    max_size=8,
)

type _Step = tuple[bool, str, str]
"""Whether the change does it, the act, and to what."""


def _do(local: LocalFile, steps: list[_Step], *, ours: bool) -> None:
    for number, (mine, act, entry) in enumerate(steps):
        # Others may say the number of the change that they mean: theirs is no part of it for that.
        why = "change 7: maths" if mine else f"change 7: maths, step {number}"
        if mine and not ours:
            continue
        if act == "remove":
            local.remove(entry, because=why, who="it", at=NOW)
        else:
            local.add(Use(act), entry, because=why, who="it", at=NOW)


@given(before=_STEPS, since=_STEPS)
def test_what_a_change_added_is_undone_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[_Step],
    since: list[_Step],
) -> None:
    """S-25: a release that a power cut ended leaves no site open, and what others closed meanwhile closed."""
    folder = tmp_path_factory.mktemp("local")
    local, alone = LocalFile(folder / "one"), LocalFile(folder / "other")
    _do(local, before, ours=True)
    _do(alone, before, ours=True)
    size = local.size()
    _do(local, since, ours=True)
    _do(alone, since, ours=False)
    for _twice in range(2):
        local.undo(size, "change 7: maths", because="change 7: undone", who="the gateway", at=NOW)
        assert local.read().matches == alone.read().matches


def test_a_site_that_is_closed_amid_an_undoing_stays_closed(local: LocalFile, tmp_path: Path) -> None:
    """An emergency does not wait for anybody for long, and its line comes after those that are taken back."""
    path, size = tmp_path / "deep" / "local.jsonl", local.size()
    _add(local, Use.BLOCK, "a.example", "change 7: maths")
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        emergency = threading.Thread(target=_add, args=(local, Use.BLOCK, "a.example", "now"))
        emergency.start()
        emergency.join(0.1)
        assert [match.because for match in local.read().matches.values()] == ["change 7: maths"]
    emergency.join()
    local.undo(size, "change 7: maths", because="change 7: undone", who="the gateway", at=NOW)
    assert [match.because for match in local.read().matches.values()] == ["now"]
