from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.identity.tries import Limits, Tries, locked_until
from tests.doubles.people import NOW, school


def test_the_tenth_wrong_password_locks_and_each_lock_is_longer() -> None:
    """CY-2: ten tries in five minutes, then a wait that doubles."""
    limits = Limits()
    nine = [float(at) for at in range(9)]
    assert locked_until(nine, limits) == 0.0
    assert locked_until([*nine, 9.0], limits) == 9.0 + 300
    again = [1000.0 + at for at in range(10)]
    assert locked_until([*nine, 9.0, *again], limits) == 1009.0 + 600
    assert locked_until([at * 40.0 for at in range(50)], limits) == 0.0


@pytest.mark.slow
@given(st.lists(st.floats(0, 86_400), max_size=60).map(sorted))
def test_no_guesser_gets_more_than_ten_tries_in_any_five_minutes(wanted: list[float]) -> None:
    """CY-2: whatever the rhythm, tries that count stay at ten within any window."""
    limits, counted = Limits(), list[float]()
    for at in wanted:
        if locked_until(counted, limits) <= at:
            counted.append(at)
    assert all(sum(at <= other < at + limits.window for other in counted) <= limits.tries for at in counted)


@pytest.mark.slow
def test_account_and_address_are_counted_apart(tmp_path: Path) -> None:
    """Many accounts from one device, or one account from many devices, are both found."""
    made = school(tmp_path)
    tries = Tries(made.database, Limits(tries=3))
    for at in range(3):
        tries.failed((f"account:{at}", "address:10.0.0.1"), NOW + at)
    assert tries.wait(("account:0",), NOW + 3) == 0
    assert 299 <= tries.wait(("account:7", "address:10.0.0.1"), NOW + 3) <= 300
    tries.forget("address:10.0.0.1")
    assert tries.wait(("address:10.0.0.1",), NOW + 3) == 0
