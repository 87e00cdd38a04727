from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from appliance.events.bundle import MANIFEST, RECORDS, seal
from appliance.events.errors import EventsError
from appliance.events.record import from_access
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from tests.doubles.events import BLOCKED, FLOOR, access


@pytest.mark.slow
async def test_a_bundle_holds_what_the_log_knows_and_shows_any_change(tmp_path: Path) -> None:
    """S-60, S-61: metadata alone, no address of a statutory hit, and hashes from the records to the top."""
    writer = Writer(tmp_path / DATABASE, durable=False, patience=1)
    await writer.write([from_access(access(0, BLOCKED)), from_access(access(1, FLOOR))])
    await writer.close()
    bundle = await seal(tmp_path, "Ada Example", 1_795_600_800.25)
    lines = (bundle.folder / RECORDS).read_bytes()
    manifest = (bundle.folder / MANIFEST).read_bytes()
    told = json.loads(manifest)
    assert (bundle.records, told["records"], told["complete"]) == (2, 2, True)
    assert told["sha256"][RECORDS] == hashlib.sha256(lines).hexdigest()
    assert bundle.digest == hashlib.sha256(manifest).hexdigest()
    floor = [json.loads(line)["access"] for line in lines.splitlines()][1]
    assert (floor["host"], floor["url"]) == ("", None)
    assert (bundle.folder / RECORDS).stat().st_mode & 0o277 == 0


@pytest.mark.slow
async def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    """A hostile name of an account writes nowhere else."""
    writer = Writer(tmp_path / DATABASE, durable=False, patience=1)
    await writer.write([from_access(access())])
    await writer.close()
    bundle = await seal(tmp_path, "../../etc/x", 0.0)
    assert bundle.folder.parent == tmp_path / "held"
    with pytest.raises(EventsError):
        await seal(tmp_path / "none", "x", 0.0)
