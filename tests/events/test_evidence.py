"""What a freeze keeps; the bundle and the hold have tests of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.events.audit import Trail
from appliance.events.errors import EventsError
from appliance.events.evidence import keep_evidence
from appliance.events.holds import held
from appliance.events.store import EventStore


async def test_the_hold_the_copy_and_its_hash_in_the_audit(tmp_path: Path) -> None:
    """S-60, S-61: what is kept can be shown to be unchanged, by a hash that stands elsewhere as well."""
    await (await EventStore.open(tmp_path)).close()
    bundle = await keep_evidence(tmp_path, "Amy", by="m.lead", now=1_795_600_800.0)
    assert await held(tmp_path) == ["Amy"]
    (entry,) = Trail(tmp_path).entries()
    assert (entry["what"], entry["whom"], entry["hash"]) == ("bundle", "Amy", bundle.digest)


async def test_a_log_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """Whoever froze somebody must know that nothing is held yet."""
    (tmp_path / "events.sqlite3").write_bytes(b"no database at all, and long enough to be read as one" * 20)
    with pytest.raises(EventsError):
        await keep_evidence(tmp_path, "Amy", by="m.lead", now=1_795_600_800.0)
