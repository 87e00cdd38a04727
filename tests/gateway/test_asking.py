from __future__ import annotations

import pytest

from appliance.gateway.asking import MOST, WITHIN, Asking


def test_a_device_that_asks_without_end_is_stopped_for_a_while() -> None:
    """A pupil who keeps a button pressed fills no disk, and holds up nobody else."""
    asking = Asking()
    assert [asking.again("10.0.0.5", float(number)) for number in range(MOST + 1)] == [True] * MOST + [False]
    assert asking.again("10.0.0.6", 10.0)
    assert not asking.again("10.0.0.5", WITHIN - 1)
    assert asking.again("10.0.0.5", WITHIN)


@pytest.mark.slow
def test_it_remembers_only_so_many() -> None:
    """Made-up addresses fill no memory."""
    asking = Asking()
    for number in range(10_050):
        asking.again(str(number), 1.0)
    assert len(asking._asked) == 10_000
