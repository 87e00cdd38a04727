"""A full disk under the keeper of alerts: what was flagged meanwhile is told once there is room (F4)."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from appliance.events.store import EventStore
from appliance.model.category import Severity
from tests.doubles.alerts import DEPUTY, DSL, HEAD
from tests.doubles.events import BLOCKED, PUPIL, access
from tests.doubles.keeping import Keeper, keeper, until
from tests.doubles.mailbox import Mailbox, serving
from tests.journeys.network import run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

CA = trustme.CA()
HARM = replace(BLOCKED, category="self_harm", severity=Severity.CRITICAL)


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
    made = keeper(disk, mailbox, CA)
    made.prepare(DSL, DEPUTY, HEAD)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


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

    async def flagged(number: int) -> None:
        who = replace(PUPIL, name=f"Pupil {number}")
        await store.commit(access(number, HARM, person=who, at=datetime.now(UTC)))

    await flagged(0)
    await until(lambda: mailbox.arrived, "the first mail")
    before = len(mailbox.arrived)
    filler = fill(disk)
    for number in range(1, 6):
        await flagged(number)  # on record, or it would raise
    assert kept.process is not None
    assert kept.process.poll() is None
    filler.unlink()
    await until(lambda: len(mailbox.arrived) >= before + 5, "the mails of what was flagged meanwhile")
    await store.close()
    assert kept.process.poll() is None
    assert len(mailbox.arrived) == before + 5
