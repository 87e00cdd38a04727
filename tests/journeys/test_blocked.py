"""Blocked pages in a real browser, for each group of both kinds of school, worded for whoever reads them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.journeys.lab import SETS, Lab, Via
from tests.journeys.origin import HELLO

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PICTURES = Path(os.environ.get("JOURNEY_PICTURES", ""))
"""Where screenshots go, so that somebody can look at them; the test's own folder if nobody says."""

AUDIENCES = {"eyfs": "early", "ks1": "early", "ks2": "ks2", "ks3": "teen", "ks4": "teen", "ks5": "teen"}
URL = "https://gambling.example/some/page?who=secret"


def look(lab: Lab, browser: Browser, who: str, url: str, picture: Path) -> Page:
    """Sit down at somebody's device, open a page and take its picture."""
    lab.sit_at(who)
    page = browser.new_context(viewport={"width": 1000, "height": 900}).new_page()
    page.goto(url)
    page.screenshot(path=picture, full_page=True)
    return page


def check_fits(page: Page, who: str) -> None:
    """Check that a page speaks to its reader, and shows no more than the reader needs."""
    audience = AUDIENCES.get(who, "adult")
    assert page.locator("html").get_attribute("class") == audience
    text = page.locator("body").inner_text()
    assert HELLO not in text
    assert "secret" not in page.content()
    assert "some/page" not in page.content()
    if audience == "adult":
        assert "gambling" in text.lower()
        assert "profiles/" in text
    else:
        assert "Childline" in text
        assert "0800 1111" in text
        assert "profiles/" not in text
    if audience == "early":
        assert "grown-up" in text.lower()
        assert len(text.split()) < 80, text
    assert page.locator("svg").count() >= (1 if audience == "early" else 0)
    assert page.get_by_role("heading", level=1).count() == 1


@pytest.mark.parametrize("via", [Via.PROXY, Via.WIRE])
@pytest.mark.parametrize("set_id", SETS)
def test_each_group_reads_why_in_words_of_its_own(
    request: pytest.FixtureRequest, tmp_path: Path, set_id: str, via: Via
) -> None:
    """A child of four, a sixth-former and a teacher each understand the page that they get."""
    lab: Lab = request.getfixturevalue("lab" if set_id == "westways" else "trust_lab")
    folder = PICTURES if PICTURES.name else tmp_path
    with lab.chromium(tmp_path, via) as browser:
        for who in SETS[set_id]:
            page = look(lab, browser, who, URL, folder / f"{set_id}-{who}-{via.name}.png")
            check_fits(page, who)
            page.context.close()
    assert lab.origin.packets_to_blocked() == 0


def test_a_pupil_can_say_that_a_block_is_a_mistake(lab: Lab, tmp_path: Path) -> None:
    """The button on the page works without JavaScript, and the request is kept (UKF-S13)."""
    with lab.chromium(tmp_path) as browser:
        lab.sit_at("ks2")
        before = lab.total("gateway_reviews_total")
        page = browser.new_context(java_script_enabled=False).new_page()
        page.goto("https://games.example/")
        page.locator("form button").first.click()
        assert page.locator("html").get_attribute("class") == "ks2"
        assert lab.total("gateway_reviews_total") == before + 1
    assert lab.origin.packets_to_blocked() == 0


def test_a_blocked_picture_does_not_spoil_the_page_around_it(lab: Lab, tmp_path: Path) -> None:
    """A lesson's page with a blocked advert in it can still be read."""
    with lab.chromium(tmp_path) as browser:
        lab.sit_at("ks2")
        page = browser.new_page()
        page.goto("https://education.example/page")
        page.evaluate(
            "document.body.append(Object.assign(new Image(), {src: 'https://gambling.example/a.png'}))"
        )
        page.wait_for_function("[...document.images].every(image => image.complete)")
        answer = page.evaluate(
            "fetch('https://gambling.example/data', {mode: 'no-cors'}).then(() => 'answered')"
        )
        assert answer == "answered"
        assert HELLO in page.locator("body").inner_text()
    assert lab.origin.packets_to_blocked() == 0
