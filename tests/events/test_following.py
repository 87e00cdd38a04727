"""Following the log: everything flagged once, whatever happens to the file."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from appliance.events.errors import EventsError
from appliance.events.following import Following, Place, key_of
from appliance.events.record import Entry, Record, Review, from_access, from_review, milliseconds
from appliance.events.spill import Spill
from appliance.events.store import DATABASE, SPILL
from appliance.events.writer import Writer
from tests.doubles.events import BLOCKED, START, access, review


async def write(state: Path, *entries: Entry) -> None:
    writer = Writer(state / DATABASE, durable=False, patience=1)
    await writer.write(entries)
    await writer.close()


def flagged(*numbers: int) -> list[Record]:
    return [from_access(access(number, BLOCKED)) for number in numbers]


def plain(*numbers: int) -> list[Record]:
    return [from_access(access(number)) for number in numbers]


def aside(state: Path) -> None:
    for file in state.glob(f"{DATABASE}*"):
        file.rename(file.with_name(f"old-{file.name}"))


async def everything(following: Following, place: Place) -> tuple[list[str], Place]:
    found: list[str] = []
    more = True
    while more:
        news = await following.news(place)
        found += [entry.reference for entry in news.entries]
        place, more = news.place, news.more
    return found, place


async def test_what_is_flagged_comes_once_and_in_order(tmp_path: Path) -> None:
    """The lead hears of each, in the order in which it happened."""
    await write(tmp_path, *plain(1), *flagged(2), *plain(3), *flagged(4), from_review(review(5)))
    following = Following(tmp_path)
    found, place = await everything(following, Place())
    assert found == ["REF-00002", "REF-00004", "REF-00005"]
    assert (await everything(following, Place.read(str(place))))[0] == []
    await write(tmp_path, *flagged(6))
    assert (await everything(following, place))[0] == ["REF-00006"]
    await following.close()


async def test_a_change_is_seen_and_no_change_is_not(tmp_path: Path) -> None:
    """The keeper asks four times a second, and must cost nothing while nothing happens."""
    following = Following(tmp_path)
    assert not await following.changed()
    await write(tmp_path, *flagged(1))
    assert await following.changed()
    assert not await following.changed()
    await write(tmp_path, *flagged(2))
    assert await following.changed()
    await following.close()


async def test_a_log_that_was_moved_aside_is_read_from_its_new_beginning(tmp_path: Path) -> None:
    """The numbers of a new file begin at one: a place in the old one must not hide them."""
    await write(tmp_path, *flagged(*range(10)))
    following = Following(tmp_path)
    _, place = await everything(following, Place())
    aside(tmp_path)
    await write(tmp_path, *flagged(20, 21))
    assert (await everything(following, place))[0] == ["REF-00020", "REF-00021"]
    await following.close()


async def test_after_a_power_cut_rows_with_old_numbers_are_read(tmp_path: Path) -> None:
    """Ordinary rows may be lost in a power cut, and their numbers are given again."""
    await write(tmp_path, *flagged(1), *plain(2, 3, 4))
    following = Following(tmp_path)
    _, place = await everything(following, Place())
    await following.close()
    with closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as db:
        db.execute("DELETE FROM access WHERE id > 1")
    await write(tmp_path, *flagged(5), *plain(6, 7, 8))
    assert "REF-00005" in (await everything(following, place))[0]
    await following.close()


async def test_a_restored_backup_is_read_again_near_the_old_place(tmp_path: Path) -> None:
    """What was written after the backup is gone, and what comes after the restore must not be missed."""
    await write(tmp_path, *flagged(1, 2))
    (tmp_path / "backup").mkdir()
    with closing(sqlite3.connect(tmp_path / DATABASE)) as db:
        db.execute("VACUUM INTO ?", (str(tmp_path / "backup" / DATABASE),))
    await write(tmp_path, *flagged(3, 4))
    following = Following(tmp_path)
    _, place = await everything(following, Place())
    await following.close()
    aside(tmp_path)
    shutil.copyfile(tmp_path / "backup" / DATABASE, tmp_path / DATABASE)
    await write(tmp_path, *flagged(5))
    assert "REF-00005" in (await everything(following, place))[0]
    await following.close()


async def test_a_first_look_begins_at_a_moment(tmp_path: Path) -> None:
    """A school that switches alerts on does not get a year's worth at once."""
    old = [from_access(access(n, BLOCKED, at=START - timedelta(days=9))) for n in (1, 2)]
    await write(tmp_path, *old, *flagged(3))
    following = Following(tmp_path)
    place = await following.beginning(milliseconds(START - timedelta(hours=1)))
    assert (await everything(following, place))[0] == ["REF-00003"]
    await following.close()


async def test_spilled_events_are_read_beside_their_writer(tmp_path: Path) -> None:
    """A log that is locked for minutes must not delay the lead; half a line was promised to nobody."""
    spill, following = Spill(tmp_path / SPILL), Following(tmp_path)
    assert not following.spills()
    spill.append([*flagged(1), *plain(2)])
    assert following.spills()
    assert [entry.reference for entry in following.spilled()] == ["REF-00001"]
    assert not following.spills()
    spill.append([from_review(review(3))])
    (path,) = spill.waiting()
    with path.open("ab") as file:
        file.write(b'{"access": {"ref')
    assert [entry.reference for entry in following.spilled()] == ["REF-00003"]
    following.again()
    assert len(following.spilled()) == 2
    spill.release()


def test_one_event_has_one_key_wherever_it_is_met() -> None:
    """From the spill file first and from the log later, it is the same."""
    one = flagged(1)[0]
    assert key_of(one) == key_of(one._replace(url=None, host="x"))
    them: list[Entry] = [*flagged(1), *flagged(2), from_review(review(1))]
    assert len({key_of(entry) for entry in them}) == 3
    assert isinstance(from_review(review(1)), Review)


async def test_a_damaged_log_is_told_in_words(tmp_path: Path) -> None:
    """The keeper goes on asking, and a technician reads which file it is."""
    (tmp_path / DATABASE).write_bytes(b"no database at all" * 100)
    following = Following(tmp_path)
    with pytest.raises(EventsError, match=DATABASE):
        await following.changed()
    with pytest.raises(EventsError, match=DATABASE):
        await following.news(Place())
    await following.close()


@pytest.mark.parametrize("text", ["", "x", "1 2 3", "a b c d"])
def test_a_place_that_cannot_be_read_is_the_beginning(text: str) -> None:
    """Rather too much is read again than too little."""
    assert Place.read(text) == Place()
