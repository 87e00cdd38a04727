"""The way in to the pages of cases; what the pages do with it is in test_case_app.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.model.person import Kind
from tests.doubles.casework import ROLES, Browser, office
from tests.doubles.people import NOW


@pytest.mark.slow
async def test_an_attempt_is_in_the_audit_once_an_hour(tmp_path: Path) -> None:
    """A pupil who tries for a whole lesson leaves a trace, and fills no disk."""
    there = office(tmp_path)
    browser = Browser(there.pages())
    for _ in range(4):
        await browser.enter("amy.smith")
    there.now += 3_601
    await browser.enter("amy.smith")
    tried = [e for e in there.made.trail.entries() if e["what"] == "case-sign-in-refused"]
    assert len(tried) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"disabled": True}, "not in use"),
        ({"must_change": True}, "new password"),
        ({"kind": Kind.GUEST}, "do not fit"),
    ],
)
async def test_an_account_that_is_not_whole_does_not_come_in(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    """A first password that is on a slip of paper, or an account that ended, opens no child's case."""
    there = office(tmp_path)
    there.made.accounts.change("m.lead", **change)
    browser = Browser(there.pages())
    assert said in await browser.enter()
    assert "A-00001" not in await browser.get("/cases")


@pytest.mark.slow
async def test_a_frozen_member_of_staff_is_out_at_once(tmp_path: Path) -> None:
    """Who is frozen while they read is out with the next click."""
    there = office(tmp_path)
    browser = Browser(there.pages())
    await browser.enter()
    there.made.stops.freeze("m.lead", "a reason", by="head", now=NOW)
    assert "Password" in await browser.get("/cases")
    assert "stopped" in await browser.enter()


@pytest.mark.slow
async def test_who_is_taken_out_of_the_settings_is_out_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deputy who leaves the school reads nothing more."""
    there = office(tmp_path)
    browser = Browser(there.pages())
    await browser.enter("d.deputy")
    assert "A-00001" in await browser.get("/cases")
    monkeypatch.setitem(ROLES, "deputy", ())
    assert "Password" in await browser.get("/cases")


@pytest.mark.slow
async def test_a_code_is_asked_for_and_every_wrong_part_sounds_alike(tmp_path: Path) -> None:
    """CY-8: a password that leaked opens no child's case, and nobody learns that it was right."""
    there = office(tmp_path)
    factors, secret = there.with_second_factor("m.lead")
    browser = Browser(there.pages())
    heard = {
        (await browser.enter("m.lead", code=there.code(secret, 300))).partition('role="alert">')[2][:60],
        (await browser.enter("m.lead", password="wrong-password-9")).partition('role="alert">')[2][:60],
    }
    assert len(heard) == 1
    there.now += 400
    assert "A-00001" in await browser.enter("m.lead", code=there.code(secret))
    other = Browser(there.pages())
    assert "A-00001" not in await other.enter("m.lead", code=there.code(secret))  # it counted once
    # A lost phone: whoever holds it is out with the next click.
    factors.enrol("m.lead", "m.lead", "Hill", there.now + 1)
    assert "Password" in await browser.get("/cases")


@pytest.mark.slow
async def test_whoever_has_no_second_factor_does_not_come_in(tmp_path: Path) -> None:
    """A school that switches it on is not open to those for whom nobody has made one yet."""
    there = office(tmp_path)
    there.with_second_factor("m.lead")
    browser = Browser(there.pages())
    assert "A-00001" not in await browser.enter("d.deputy", code="123456")
    assert "A-00001" not in await browser.enter("d.deputy")
    tried = [entry["what"] for entry in there.made.trail.entries() if "case-sign-in" in entry["what"]]
    assert tried == ["case-sign-in-no-factor"]


@pytest.mark.slow
async def test_guessing_codes_locks_as_guessing_passwords_does(tmp_path: Path) -> None:
    """With the right password a code of six digits is still not to be found by trying."""
    there = office(tmp_path)
    _, secret = there.with_second_factor("m.lead")
    browser = Browser(there.pages())
    for _ in range(3):
        await browser.enter("m.lead", code="000000")
    assert "Too many tries" in await browser.enter("m.lead", code=there.code(secret))
