"""Tests of sign-ins by proxy credentials: one record each, whatever is repeated, and no endless trail."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.identity import subject
from appliance.identity.proxy_sign_ins import LAST, MOST, ProxySignIns
from appliance.model.person import Kind
from tests.doubles.people import NOW, TABLET, School, school

DAY = 86_400.0
AT = TABLET.address


@pytest.fixture
def there(tmp_path: Path) -> School:
    """Return a school with one teacher."""
    made = school(tmp_path)
    made.add("ms.jones", Kind.STAFF, "staff")
    return made


def note(there: School, now: float, address: str = AT) -> bool:
    """Show the teacher's name and password from an address, for a sign-in of eight hours."""
    noted = ProxySignIns(there.database, there.trail)
    return noted.note(there.accounts.get("ms.jones"), address, now, now + DAY / 3)


def noted(there: School) -> list[tuple[str, str]]:
    return [(entry["whom"], entry["address"]) for entry in there.trail.entries()]


def test_what_a_device_repeats_is_one_sign_in_until_it_ends(there: School) -> None:
    """S-05: each connection repeats it, to each worker; the next day is the next sign-in."""
    assert [note(there, NOW), note(there, NOW + 600), note(there, NOW + DAY / 3 - 1)] == [True, False, False]
    assert note(there, NOW, "10.20.0.99")
    assert note(there, NOW + DAY / 3)
    assert noted(there) == [("ms.jones", AT), ("ms.jones", "10.20.0.99"), ("ms.jones", AT)]
    assert {(entry["what"], entry["way"]) for entry in there.trail.entries()} == {
        ("sign-in", "proxy credentials")
    }


def test_workers_that_compare_at_the_same_moment_write_one_record(there: School) -> None:
    """A browser opens six connections at once, to as many workers."""
    with ThreadPoolExecutor(6) as workers:
        assert sum(workers.map(lambda _: note(there, NOW), range(6))) == 1
    assert noted(there) == [("ms.jones", AT)]


@pytest.mark.slow
def test_what_cannot_be_recorded_is_not_remembered(there: School) -> None:
    """With a full disk there is no sign-in, and none that a later try takes for recorded."""
    there.trail.path.mkdir(parents=True)  # nothing can be written there
    with pytest.raises(OSError, match="audit"):
        note(there, NOW)
    there.trail.path.rmdir()
    assert note(there, NOW)


def test_a_clock_that_was_wrong_hides_nothing(there: School) -> None:
    """A sign-in of the year 2090 that a wrong clock noted does not stand for today's."""
    assert note(there, NOW + 20_000 * DAY)
    assert note(there, NOW)


@pytest.mark.slow
def test_one_password_on_endless_addresses_fills_no_disk(there: School) -> None:
    """CY-2: after so many addresses of one account the last record says so, and the next day counts anew."""
    done = [note(there, NOW, f"2001:db8::{number:x}") for number in range(MOST + 20)]
    assert sum(done) == MOST + 1
    assert [entry.get("what_was_seen") for entry in there.trail.entries()] == [*[None] * MOST, LAST]
    assert note(there, NOW + DAY)


def test_what_is_remembered_is_theirs(there: School) -> None:
    """DP-6: an address of somebody's is handed over to them, and goes when they are erased or removed."""
    note(there, NOW)
    (row,) = subject.kept(there.database, "ms.jones")["proxy_sign_ins"]
    assert row["address"] == AT
    assert subject.erase(there.database, "ms.jones")[0] == {"account": 1, "proxy_sign_ins": 1}
    there.add("ms.jones", Kind.STAFF, "staff")
    assert note(there, NOW)
    there.accounts.remove("ms.jones")
    assert not any(subject.kept(there.database, "ms.jones").values())
