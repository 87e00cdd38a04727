from __future__ import annotations

import pytest
from pydantic import ValidationError

from appliance.gateway.options import FloorHits, Recycle


def test_what_nobody_can_mean_is_refused() -> None:
    """A window of no time, or a worker that is given none to end in, is a slip and not a setting."""
    assert (FloorHits().hits, Recycle().hours) == (10, 24.0)
    for wrong in (lambda: FloorHits(window_seconds=0.0), lambda: Recycle(drain_seconds=0)):
        with pytest.raises(ValidationError):
            wrong()
