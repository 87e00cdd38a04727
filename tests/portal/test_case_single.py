"""The way in to the pages of cases by a single sign-on that really runs, over HTTPS, with signed tokens."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from appliance.identity.oidc import Oidc
from appliance.identity.oidc_link import Link
from appliance.identity.options_oidc import OidcSettings
from appliance.model.person import Kind
from appliance.portal.case_single import CLOCKS
from appliance.portal.elsewhere import SECONDS
from tests.doubles.casework import ROLES, Browser, Office, office
from tests.doubles.people import TABLET
from tests.doubles.provider import CLIENT, Provider, provider

pytestmark = pytest.mark.slow
BACK = "https://cases.internal:8443/sign-in/back"
WITH = "/sign-in/with?wanted=/cases/A-00001"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with provider(tmp_path_factory.mktemp("provider")) as made:
        yield made


@pytest.fixture
def there(running: Provider) -> Provider:
    """Return the provider with nothing wrong, and the lead, who signs in there just now, at its page."""
    running.claims = {"preferred_username": "s.lead", "groups": ["staff-id"], "auth_time": int(time.time())}
    running.down = False
    return running


@pytest.fixture
def school(tmp_path: Path, there: Provider, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Return a school whose lead has no password here; the clocks are those of the provider."""
    monkeypatch.setitem(ROLES, "dsl", ("m.lead", "s.lead"))
    made = office(tmp_path)
    made.now = time.time()
    values: dict[str, Any] = {
        "name": "Micro<soft>", "issuer": there.issuer, "client_id": CLIENT, "ca_file": there.ca,
        "client_secret_file": there.secret_file,
        "groups": [{"value": "staff-id", "group": "staff", "kind": "staff"}, {"value": "y4", "group": "ks2"}],
    }  # fmt: skip
    made.single = Oidc(OidcSettings.model_validate(values), BACK, [], Link(there.ca))
    return made


async def away(browser: Browser, path: str = WITH) -> str:
    """Go to the provider; return its address with what is asked there."""
    answer = await browser.http.get(path, follow_redirects=False)
    assert answer.status_code == 302
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "secure" in cookie
    return str(answer.headers["location"])


async def back(browser: Browser, there: Provider, sent: str) -> str:
    """Sign in there, and come back."""
    found = urlsplit(there.sign_in(sent))
    return await browser.get(f"{found.path}?{found.query}")


def noted(school: Office) -> list[tuple[str, str, str | None]]:
    return [(one["what"], one["whom"], one.get("way")) for one in school.made.trail.entries()]


async def test_the_lead_comes_in_without_a_password_of_ours(school: Office, there: Provider) -> None:
    """S-40: a link in a mail leads by the provider to its case, the audit says how they came, and no more."""
    browser = Browser(school.pages())
    page = await browser.get("/cases/A-00001")
    assert 'href="/sign-in/with?wanted=/cases/A-00001"' in page
    assert "Micro&lt;soft&gt;" in page
    sent = await away(browser)
    asked = parse_qs(urlsplit(sent).query)
    assert (asked["prompt"], asked["max_age"], asked["redirect_uri"]) == (["login"], ["0"], [BACK])
    assert "offline_access" not in asked["scope"][0]
    assert "A-00001" in await back(browser, there, sent)
    assert noted(school) == [("case-sign-in", "s.lead", "single sign-on")]


@pytest.mark.parametrize("said", [None, 0, "now", True, "before", "later"])
async def test_an_unlocked_laptop_is_not_enough(
    school: Office, there: Provider, said: object, caplog: pytest.LogCaptureFixture
) -> None:
    """Who is signed in at the provider from before, or of whom it does not say, reads no case."""
    browser = Browser(school.pages())
    sent = await away(browser)
    odd = {"before": int(time.time() - CLOCKS) - 2, "later": int(time.time()) + 3_600}
    there.claims["auth_time"] = odd.get(str(said), said)
    with caplog.at_level(logging.ERROR):
        page = await back(browser, there, sent)
    assert "Password" in page
    assert "All cases" not in page
    assert "auth_time" in caplog.text or "does not count" in caplog.text
    assert "Password" in await browser.get("/cases")


async def test_a_code_is_asked_for_after_the_way_back(school: Office, there: Provider) -> None:
    """S-40: where the school wants a code, the provider's word opens nothing without it, also Google's."""
    there.claims["auth_time"] = None
    school.made.add("s.lead", Kind.STAFF, "staff", source="single sign-on")
    _, secret = school.with_second_factor("s.lead")
    browser = Browser(school.pages())
    page = await back(browser, there, await away(browser))
    assert "One more step" in page
    assert "Password" in await browser.get("/cases")
    ticket = page.split('name="ticket" value="')[1].split('"')[0]
    fields = {"ticket": ticket, "wanted": "/cases/A-00001"}
    page = await browser.send(page, "/sign-in/code", code="000000", **fields)
    assert "does not fit" in page
    other = Browser(school.pages())
    strange = await other.get("/cases")
    assert "Password" in await other.send(strange, "/sign-in/code", code=school.code(secret), **fields)
    fields["ticket"] = page.split('name="ticket" value="')[1].split('"')[0]
    assert "A-00001" in await browser.send(page, "/sign-in/code", code=school.code(secret), **fields)
    assert "Password" in await browser.send(page, "/sign-in/code", code=school.code(secret, 30), **fields)


async def test_codes_that_are_guessed_lock_as_elsewhere(school: Office, there: Provider) -> None:
    """Whoever has the provider's word and no phone has three tries, and not three for each way back."""
    school.made.add("s.lead", Kind.STAFF, "staff", source="single sign-on")
    _, secret = school.with_second_factor("s.lead")
    browser = Browser(school.pages())
    for _ in range(3):
        page = await back(browser, there, await away(browser))
        ticket = page.split('name="ticket" value="')[1].split('"')[0]
        page = await browser.send(page, "/sign-in/code", code="000000", ticket=ticket, wanted="/")
    page = await back(browser, there, await away(browser))
    ticket = page.split('name="ticket" value="')[1].split('"')[0]
    page = await browser.send(page, "/sign-in/code", code=school.code(secret), ticket=ticket, wanted="/")
    assert "All cases" not in page
    assert browser.status == 403


@pytest.mark.parametrize("claims", [{"groups": ["y4"]}, {"preferred_username": "t.other"}])
async def test_whoever_is_not_named_does_not_come_in(
    school: Office, there: Provider, claims: dict[str, object]
) -> None:
    """A pupil of the name that the settings give, and a teacher without a role: both stand in the audit."""
    there.claims |= claims
    browser = Browser(school.pages())
    page = await back(browser, there, await away(browser))
    assert "does not come in here" in page
    assert [what for what, _, _ in noted(school)] == ["case-sign-in-refused"]
    assert "Password" in await browser.get("/cases")


async def test_an_account_that_is_kept_here_is_not_the_providers_to_open(
    school: Office, there: Provider
) -> None:
    """Whoever may name accounts at the provider takes over none that has a password here."""
    there.claims["preferred_username"] = "m.lead"
    browser = Browser(school.pages())
    assert "that one counts" in await back(browser, there, await away(browser))
    assert "Password" in await browser.get("/cases")


async def test_a_frozen_lead_stays_out(school: Office, there: Provider) -> None:
    """S-60: the provider's word lifts no stop, and who is frozen while they read is out."""
    browser = Browser(school.pages())
    await back(browser, there, await away(browser))
    school.made.stops.freeze("s.lead", "left", by="head", now=school.now)
    assert "Password" in await browser.get("/cases")
    assert "stopped for now" in await back(browser, there, await away(browser))


async def test_only_who_was_sent_comes_back_once_and_soon(school: Office, there: Provider) -> None:
    """Login CSRF and replay: another browser, another device, a second time, or too late is nobody."""
    pages = school.pages()
    browser, other, tablet = Browser(pages), Browser(pages), Browser(pages, TABLET.address)
    sent = await away(browser)
    found = urlsplit(there.sign_in(sent))
    tablet.http.cookies = browser.http.cookies
    for who in (other, tablet):
        assert "begin once more" in await who.get(f"{found.path}?{found.query}")
    assert "A-00001" in await browser.get(f"{found.path}?{found.query}")
    await browser.send(await browser.get("/cases"), "/sign-out")
    assert "begin once more" in await browser.get(f"{found.path}?{found.query}")
    sent = await away(browser)
    school.now += SECONDS
    assert "begin once more" in await back(browser, there, sent)
    assert "begin once more" in await browser.get("/sign-in/back?error=access_denied")


async def test_it_leads_to_no_other_page_than_ours(school: Office, there: Provider) -> None:
    """Open redirect: whatever is wanted, the way back leads to a case, or to the list."""
    for wanted in ("https://evil.example/", "//evil.example", "/cases/../x", "/cases/A-00001?x=<script>"):
        browser = Browser(school.pages())
        sent = await away(browser, f"/sign-in/with?wanted={wanted}")
        found = urlsplit(there.sign_in(sent))
        answer = await browser.http.get(f"{found.path}?{found.query}", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_a_provider_that_is_down_is_told_in_words(
    school: Office, there: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    """Who has a password comes in all the same; the technician reads what is wrong, not the page."""
    there.down = True
    browser = Browser(school.pages())
    with caplog.at_level(logging.ERROR):
        page = await browser.get(WITH)
    assert "does not work just now" in page
    assert there.issuer not in page
    assert there.issuer in caplog.text
    assert "A-00001" in await browser.enter()


async def test_without_one_nobody_is_sent_anywhere(tmp_path: Path) -> None:
    """A school that wants none has no such button, and its addresses show the sign-in."""
    browser = Browser(office(tmp_path).pages())
    assert "/sign-in/with" not in await browser.get("/cases")
    for path in (WITH, "/sign-in/back?code=c&state=x"):
        answer = await browser.http.get(path, follow_redirects=False)
        assert "location" not in answer.headers
        assert "Password" in answer.text
