from __future__ import annotations

from dataclasses import replace

from appliance.model.category import Severity
from appliance.model.need import Need


def test_what_is_refused_or_taken_out_is_closed() -> None:
    """Staff who take a host out have closed it, and so has whatever kept it closed at first."""
    need = Need("parts.example", "lesson.example", Severity.LOW)
    assert need.open
    assert not replace(need, dropped=True).open
    assert not replace(need, refused="it is more severe").open
