"""A full disk under the keeper of alerts: what was flagged meanwhile is told once there is room (F4)."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trustme

from appliance.events.store import EventStore
from tests.doubles.keeping import Keeper, prepared, seen, until
from tests.doubles.mailbox import Mailbox, serving
from tests.journeys.network import run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

CA = trustme.CA()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 48 MB that everything is kept on."""
    place = tmp_path / "disk"
    place.mkdir()
    run(f"mount -t tmpfs -o size=48m tmpfs {place}")
    yield place
    run(f"umount -l {place}")


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with serving(Mailbox(), CA) as box:
        yield box


@pytest.fixture
async def kept(disk: Path, mailbox: Mailbox) -> AsyncIterator[Keeper]:
    with prepared(disk, mailbox, CA) as made:
        yield made


def fill(disk: Path) -> Path:
    """Use up every byte."""
    filler = disk / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=4096"], capture_output=True, check=False)
    return filler


async def test_what_is_flagged_while_the_disk_is_full_is_told_once_there_is_room(
    disk: Path, kept: Keeper, mailbox: Mailbox
) -> None:
    """A disk that nobody looked after costs time, and neither an alert nor the keeper (S-40, DFE-M1)."""
    store = await EventStore.open(kept.settings.state)
    kept.start()
    await store.commit(seen(0))
    await until(lambda: mailbox.arrived, "the first mail")
    before = len(mailbox.arrived)
    filler = fill(disk)
    for number in range(1, 6):
        await store.commit(seen(number))  # on record, or it would raise
    assert kept.process is not None
    assert kept.process.poll() is None
    filler.unlink()
    await until(lambda: len(mailbox.arrived) >= before + 5, "the mails of what was flagged meanwhile")
    await store.close()
    assert kept.process.poll() is None
    assert len(mailbox.arrived) == before + 5
