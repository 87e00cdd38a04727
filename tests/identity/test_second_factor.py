"""Tests of the second factor: a code counts in its time, once, and cannot be guessed."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from appliance.identity.sealing import Seal
from appliance.identity.second_factor import KEY, SecondFactors
from appliance.identity.signing_in import WaitError
from appliance.identity.subject import erase, kept
from appliance.identity.tries import Limits
from appliance.model.person import Kind
from tests.doubles.people import NOW, School, school

WHO, FROM = "m.lead", "10.1.0.7"
KNOWN = b"12345678901234567890"  # RFC 6238, appendix B


def made(state: Path, tries: int = 3) -> tuple[School, SecondFactors]:
    there = school(state)
    there.add(WHO, Kind.STAFF, "staff")
    return there, SecondFactors(there.database, state, Limits(tries=tries), there.trail)


def code(at: float, secret: bytes = KNOWN) -> str:
    totp = TOTP(secret, 6, SHA1(), 30)  # noqa: S303 - the hash of the standard
    return totp.generate(int(at)).decode()


def known(there: School, state: Path) -> None:
    """Give the account the secret of the standard's own examples."""
    with there.database.writing() as db:
        row = (WHO, Seal(state / KEY).close(KNOWN, WHO), 0.0, 0)
        db.execute("INSERT OR REPLACE INTO second_factor VALUES (?, ?, ?, ?)", row)


@pytest.mark.slow
def test_the_codes_are_those_of_the_standard(tmp_path: Path) -> None:
    """RFC 6238, appendix B: every authenticator app shows the same six digits."""
    there, factors = made(tmp_path)
    known(there, tmp_path)
    for at, shown in ((59, "287082"), (1_111_111_109, "081804"), (1_111_111_111, "050471"), (2e9, "279037")):
        assert factors.accepts(WHO, f"{shown[:3]} {shown[3:]}", FROM, at)


@pytest.mark.slow
@pytest.mark.parametrize("late", [-60, -31, 61, 90, 3_600])
def test_a_code_of_another_time_does_not_count(tmp_path: Path, late: float) -> None:
    """What was read over a shoulder an hour ago opens nothing; half a minute is for whoever types slowly."""
    there, factors = made(tmp_path)
    known(there, tmp_path)
    start = NOW // 30 * 30
    assert not factors.accepts(WHO, code(start), FROM, start + late)
    assert factors.accepts(WHO, code(start), FROM, start + 59)


@pytest.mark.slow
def test_a_code_counts_once_also_at_the_same_moment(tmp_path: Path) -> None:
    """A code that somebody watched being typed is no code any more, nor is the one before it."""
    there, factors = made(tmp_path, tries=100)
    known(there, tmp_path)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: factors.accepts(WHO, code(NOW), FROM, NOW), range(8)))
    assert found.count(True) == 1
    assert not factors.accepts(WHO, code(NOW - 30), FROM, NOW)
    assert factors.accepts(WHO, code(NOW + 30), FROM, NOW + 30)


def test_guessing_locks_and_stands_in_the_audit(tmp_path: Path) -> None:
    """CY-2: after so many wrong codes the right one does not count either, from wherever it comes."""
    there, factors = made(tmp_path)
    known(there, tmp_path)
    for wrong in ("", "12345", "１２３４５６"):
        assert not factors.accepts(WHO, wrong, FROM, NOW)
    with pytest.raises(WaitError):
        factors.accepts(WHO, code(NOW), "10.1.0.9", NOW)
    assert there.trail.entries()[-1]["what"] == "locked"
    assert factors.accepts(WHO, code(NOW + 400), "10.1.0.9", NOW + 400)


@pytest.mark.slow
def test_a_new_one_takes_the_place_of_the_old(tmp_path: Path) -> None:
    """A lost phone opens nothing from then on, and the secret is one that apps take."""
    there, factors = made(tmp_path)
    known(there, tmp_path)
    fresh = factors.enrol(WHO, WHO, "Hill: School", NOW)
    assert re.fullmatch("[A-Z2-7]{32}", fresh.secret.reveal())
    assert fresh.uri.reveal().startswith("otpauth://totp/Hill%20%20School:m.lead?")
    assert fresh.secret.reveal() not in f"{fresh}"
    assert not factors.accepts(WHO, code(NOW), FROM, NOW)
    assert factors.since(WHO) == NOW
    assert factors.remove(WHO)
    assert not factors.remove(WHO)
    assert factors.since(WHO) is None


def test_a_database_from_elsewhere_opens_nothing(tmp_path: Path) -> None:
    """A secret that its key does not open is as if there were none: closed, and no fault."""
    there, factors = made(tmp_path)
    known(there, tmp_path)
    (tmp_path / KEY).unlink()
    assert not factors.accepts(WHO, code(NOW), FROM, NOW)


def test_it_goes_with_its_account(tmp_path: Path) -> None:
    """Who comes later with the same name does not inherit a phone; and a person's own data names it."""
    there, factors = made(tmp_path)
    known(there, tmp_path)
    assert kept(there.database, WHO)["second_factor"] == [{"since": 0.0}]
    there.accounts.remove(WHO)
    assert factors.since(WHO) is None
    known(there, tmp_path)
    gone, _ = erase(there.database, WHO)
    assert gone["second_factor"] == 1
