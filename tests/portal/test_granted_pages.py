"""The pages of what was opened for lessons, as teachers use them, and as others try them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance import granting
from appliance.model.grant import What, Whom
from appliance.model.person import Kind
from appliance.overrides.report import Visit
from appliance.overrides.written import Wish
from tests.doubles.casework import Browser, Office, office
from tests.doubles.people import NOW

HOSTILE = "<script>alert(1)</script>"
TEACHER = "t.opens"
WHERE = "/overrides/1"


def opened(there: Office, *, by: str = TEACHER, ended: bool = True) -> int:
    """Let somebody open something for ten minutes, which Ada and a hostile name visited."""
    what, whom = What(frozenset({"bets.example"})), Whom(groups=frozenset({"ks2"}))
    wish = Wish(what, whom, f"We compare {HOSTILE} two sites.", "Year 5 maths", there.now, there.now + 600)
    store, reports = granting.store(there.state), granting.reports(there.state)
    number = store.request_and_grant(wish, "teacher", by=by, now=there.now).number
    if ended:
        there.now += 700
        store.advance(there.now)
        reports.keep(number, visits(there.now), now=there.now)
    return number


def visits(now: float) -> list[Visit]:
    """Return what was visited, by names and sites as an attacker would choose them."""
    return [
        Visit("Ada Example", "ks2", "", "bets.example", 3, now, now + 60),
        Visit(HOSTILE, "ks2", "", f"{HOSTILE}.example", 1, now, now),
        Visit("", "ks2", "Tablet 1", "", 4, now, now),
    ]


@pytest.fixture
def there(tmp_path: Path) -> Office:
    made = office(tmp_path)
    made.made.add(TEACHER, Kind.STAFF, "staff")
    granting.prepare(tmp_path)
    return made


@pytest.fixture
def browser(there: Office) -> Browser:
    return Browser(there.pages())


async def test_nothing_is_told_to_whoever_is_not_signed_in(there: Office, browser: Browser) -> None:
    """The pupil who finds the address finds a question for a password, whatever is there or not."""
    opened(there)
    pages = [await browser.get(path) for path in ("/overrides", WHERE, "/overrides/9", "/overrides/x")]
    pages.append(await browser.send(pages[0], f"{WHERE}/look", purpose="curious"))
    plain = [re.sub(r'value="[^"]*"', "", page) for page in pages]
    assert len(set(plain)) == 1
    assert "Ada" not in plain[0]
    assert "bets" not in plain[0]


@pytest.mark.slow
async def test_a_teacher_reads_the_report_after_saying_why(there: Office, browser: Browser) -> None:
    """S-23, S-52: with their own sign-in, from the address in the mail; noted, and shown as text alone."""
    opened(there)
    opened(there, ended=False)
    page = await browser.enter(TEACHER, wanted=WHERE)
    assert "Why do you look" in page
    assert "Ada" not in page
    for blank in ("", " \u200b "):
        again = await browser.send(page, f"{WHERE}/look", purpose=blank)
        assert browser.status == 400
        assert "say in a few words" in again
        assert "Ada" not in again
    report = await browser.send(page, f"{WHERE}/look", purpose="to see how it was used")
    assert browser.status == 200
    for word in ("Ada Example", "bets.example", "ks2 at Tablet 1", "(past its days)", "3 times"):
        assert word in report
    assert HOSTILE not in report
    assert "&lt;script&gt;" in report
    looked = [entry for entry in there.made.trail.entries() if entry["what"] == "override-report"]
    assert [(one["by"], one["whom"], one["purpose"]) for one in looked] == [
        (TEACHER, "override 1", "to see how it was used")
    ]
    page = await browser.get("/overrides")
    assert "10 minutes left" in page
    assert "Report read." in page
    assert HOSTILE not in page + await browser.get("/overrides/2")
    assert "when it has ended" in await browser.get("/overrides/2")


@pytest.mark.slow
async def test_a_teacher_sees_no_case_and_nobody_elses_grant(there: Office, browser: Browser) -> None:
    """Coming in for one's own lessons opens no child's case, and no colleague's report."""
    opened(there)
    opened(there, by="somebody.else")
    page = await browser.enter(TEACHER)
    assert "What you opened for lessons" in page
    assert "somebody.else" not in page
    assert "/cases" not in page
    assert "What you opened" in await browser.get("/cases")
    for path in ("/overrides/2", "/overrides/99", "/overrides/x", "/overrides/" + "9" * 5000):
        assert "no such override" in await browser.get(path)
        assert browser.status == 404
    assert "no such override" in await browser.send(page, "/overrides/2/look", purpose="curious")
    assert "no such case" in await browser.get("/cases/A-00001")
    for act in ("look", "close", "freeze", "log"):
        told = await browser.send(page, f"/cases/A-00001/{act}", purpose="x", outcome="x", reason="x")
        assert "no such case" in told
    assert there.made.stops.in_force(NOW) == []


@pytest.mark.slow
async def test_the_safeguarding_lead_sees_what_everybody_opened(there: Office, browser: Browser) -> None:
    """T:207: no single person oversees what they have opened; other roles of cases see their own alone."""
    opened(there)
    page = await browser.enter("m.lead", wanted="/overrides")
    assert TEACHER in page
    report = await browser.send(await browser.get(WHERE), f"{WHERE}/look", purpose="a parent asked")
    assert "Ada Example" in report
    assert "/cases" in report
    assert "Report not read yet by them" in await browser.get("/overrides")
    other = Browser(there.pages())
    await other.enter("o.online")
    assert TEACHER not in await other.get("/overrides")
    assert "no such override" in await other.get(WHERE)


@pytest.mark.slow
async def test_who_may_open_nothing_does_not_come_in(there: Office, browser: Browser) -> None:
    """A pupil's account, or staff without any such role, meets the words of a wrong password."""
    opened(there)
    for name in ("amy.smith", "t.teacher"):
        assert "do not fit" in await browser.enter(name, wanted="/overrides")
    await browser.enter(TEACHER)
    there.teachers = frozenset()
    assert "Password" in await browser.get("/overrides")


@pytest.mark.slow
async def test_the_second_factor_counts_here_as_well(there: Office) -> None:
    """CY-8: a teacher's password that leaked shows no child's visits."""
    opened(there)
    _, secret = there.with_second_factor(TEACHER)
    browser = Browser(there.pages())
    assert "do not fit" in await browser.enter(TEACHER, wanted=WHERE, code="000000")
    assert "Why do you look" in await browser.enter(TEACHER, wanted=WHERE, code=there.code(secret))


async def test_a_form_from_elsewhere_shows_and_notes_nothing(there: Office, browser: Browser) -> None:
    """Another site cannot have the teacher's browser write looks into the audit (CSRF)."""
    opened(there)
    page = await browser.enter(TEACHER, wanted=WHERE)
    fields = {"purpose": "x y z", "token": re.findall(r'name="token" value="([^"]*)"', page)[0]}
    for more, headers in (({"token": "0" * 64}, {}), ({}, {"sec-fetch-site": "cross-site"})):
        answer = await browser.http.post(f"{WHERE}/look", data=fields | more, headers=headers)
        assert answer.status_code == 400
        assert "Ada" not in answer.text
    assert all(entry["what"] != "override-report" for entry in there.made.trail.entries())


@pytest.mark.slow
async def test_where_it_cannot_be_noted_nothing_is_shown(there: Office, browser: Browser) -> None:
    """A full disk, or an audit that was damaged: no report, and words that name nobody."""
    opened(there)
    page = await browser.enter(TEACHER, wanted=WHERE)
    path = there.made.trail.path
    path.unlink()
    path.mkdir()
    told = await browser.send(page, f"{WHERE}/look", purpose="to see")
    assert browser.status >= 500
    assert "Ada" not in told


@pytest.mark.slow
async def test_a_long_report_is_cut_and_says_so(there: Office, browser: Browser) -> None:
    """A whole school's afternoon makes a page that a phone can show."""
    there.now += 1
    number = opened(there, ended=False)
    there.now += 700
    granting.store(there.state).advance(there.now)
    many = [Visit(f"p{n // 50}", "ks2", "", f"s{n}.example", 1, 0.0, 1.0) for n in range(2_100)]
    granting.reports(there.state).keep(number, many, now=there.now)
    page = await browser.enter(TEACHER, wanted=f"/overrides/{number}")
    report = await browser.send(page, f"/overrides/{number}/look", purpose="to see")
    assert "100 more lines" in report
    assert report.count("<li>") == 2_000
