"""Tests of one person in the log: all of theirs, nothing of others, an erasure that can be answered for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.events import subject
from appliance.events.audit import Trail
from appliance.events.errors import EventsError
from appliance.events.holds import hold
from appliance.events.queries import open_reader
from appliance.events.record import from_access, from_review
from appliance.events.seals import Sealer, check_seals, renew
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from tests.doubles.events import ALLOWED, BLOCKED, FLOOR, PUPIL, START, access, review

pytestmark = pytest.mark.slow  # each makes a database

ADA, BEN = PUPIL.name, "Ben Example"
NOW = START.timestamp() + 5 * 86_400
SINCE = NOW - 90 * 86_400


@pytest.fixture
async def state(tmp_path: Path) -> Path:
    """Return a log with two pupils, flagged and ordinary accesses of both, and a sealed batch."""
    ben = replace(PUPIL, name=BEN, device="ipad-015")
    writer = Writer(tmp_path / DATABASE, durable=False, patience=1)
    mine = [access(number, decision) for number, decision in enumerate((ALLOWED, BLOCKED, FLOOR, ALLOWED))]
    others = [access(10 + number, decision, person=ben) for number, decision in enumerate((ALLOWED, BLOCKED))]
    await writer.write([from_access(each) for each in (*mine, *others)])
    await writer.write([from_review(review(1)), from_review(review(11))])
    await writer.close()
    Sealer(tmp_path).seal(NOW)
    return tmp_path


def names(state: Path) -> list[str]:
    """Return the references of everything that is left of both."""
    return [record.reference for name in (ADA, BEN) for record in subject.accesses(state, name)]


async def test_everything_of_one_person_and_nothing_of_another(state: Path) -> None:
    """DP-6: whoever asks for their data gets all of it, and no other child's."""
    found = list(subject.accesses(state, ADA))
    assert [record.reference for record in found] == [f"REF-0000{number}" for number in range(4)]
    assert {record.name for record in found} == {ADA}
    assert [each.reference for each in subject.kept(state, ADA).reviews] == ["REF-00001"]


async def test_an_erasure_takes_all_and_leaves_the_others(state: Path) -> None:
    """After it nothing of the person is in the file, and another's records are as they were."""
    done = subject.erase(state, ADA, SINCE, flagged=True, by="office", at=NOW)
    assert (done.accesses, done.reviews, done.left) == (4, 1, 0)
    assert names(state) == ["REF-00010", "REF-00011"]
    async with open_reader(state) as reader:
        assert [each.reference for each in await reader.reviews()] == ["REF-00011"]


async def test_a_seal_fits_after_an_erasure_and_says_that_it_was_renewed(state: Path) -> None:
    """`audit verify` tells an erasure, which stands in the chain, from tampering."""
    subject.erase(state, ADA, SINCE, flagged=True, by="office", at=NOW)
    entries = Trail(state).entries()
    assert check_seals(state, entries, SINCE) == (1, [])
    renewed = [entry for entry in entries if entry["what"] == "seal-again"]
    assert [(entry["by"], entry["count"]) for entry in renewed] == [("office", 1)]
    subject.erase(state, BEN, SINCE, flagged=True, by="office", at=NOW)
    assert check_seals(state, Trail(state).entries(), SINCE) == (1, [])


async def test_what_was_tampered_with_is_not_sealed_over(state: Path) -> None:
    """Nobody hides a change of one record behind the erasure of another."""
    with subject._opened(state, "rw") as db:
        db.execute("UPDATE access SET host = 'other.example' WHERE reference = 'REF-00011'")
    with pytest.raises(EventsError, match="audit verify"):
        subject.erase(state, ADA, SINCE, flagged=True, by="office", at=NOW)
    assert len(names(state)) == 6


async def test_an_erasure_that_was_cut_off_is_done_again(state: Path) -> None:
    """A power cut in the middle leaves a log that verifies once the erasure was repeated."""
    numbers = frozenset({2, 3})
    renew(state, Trail(state), numbers, SINCE, by="office", at=NOW)
    with subject._opened(state, "rw") as db:
        db.execute("DELETE FROM access WHERE id = 2")
    subject.erase(state, ADA, SINCE, flagged=True, by="office", at=NOW)
    assert check_seals(state, Trail(state).entries(), SINCE) == (1, [])


async def test_a_hold_keeps_everything(state: Path) -> None:
    """S-60: what is on legal hold is erased by nobody, by no command."""
    await hold(state, ADA, NOW)
    assert subject.kept(state, ADA).held_since == pytest.approx(NOW)
    with pytest.raises(EventsError, match="legal hold"):
        subject.erase(state, ADA, SINCE, flagged=True, by="office", at=NOW)
    assert len(names(state)) == 6


async def test_flagged_accesses_stay_while_a_case_is_open(state: Path) -> None:
    """Evidence of an open case outlives a wish to erase; ordinary accesses go."""
    done = subject.erase(state, ADA, SINCE, flagged=False, by="office", at=NOW)
    assert done.accesses == 2
    assert names(state) == ["REF-00001", "REF-00002", "REF-00010", "REF-00011"]
    assert check_seals(state, Trail(state).entries(), SINCE) == (1, [])


async def test_the_bytes_are_gone(state: Path) -> None:
    """Erased means overwritten: no name waits in free pages of the file."""
    subject.erase(state, ADA, SINCE, flagged=True, by="office", at=NOW)
    with subject._opened(state, "rw") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert ADA.encode() not in (state / DATABASE).read_bytes()


async def test_a_name_that_writers_still_use_is_not_taken_from_them(state: Path) -> None:
    """A flagged access written a moment later keeps its name: today's entry of it stays for two days."""
    done = subject.erase(state, ADA, SINCE, flagged=True, by="office", at=START.timestamp() + 60)
    assert done.left > 0
    again = subject.erase(state, ADA, SINCE, flagged=True, by="office", at=NOW)
    assert again.left == 0


def test_no_log_is_said_in_words(tmp_path: Path) -> None:
    """A technician with the wrong folder reads so, and no file appears."""
    with pytest.raises(EventsError, match="no event log there"):
        list(subject.accesses(tmp_path, ADA))
    assert not (tmp_path / DATABASE).exists()
