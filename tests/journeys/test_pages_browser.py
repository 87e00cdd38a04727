"""The pages in a real browser: accessible, readable on every screen, complete without JavaScript."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from appliance.gateway.pages import Answer, Pages
from appliance.model.decision import Reason
from appliance.model.profile import Audience
from appliance.model.request import Wants
from tests.doubles.pages import HOST, SELF_HARM, context, floor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PAGES = Pages()
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",  # as root in a container Chromium's own sandbox does not start
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {"target-size": {"enabled": True}},  # WCAG 2.2 AA, and off by default in axe
    "resultTypes": ["violations"],
}
Scheme = Literal["light", "dark"]
SCREENS: list[tuple[int, int, Scheme]] = [
    (1280, 720, "light"),
    (1280, 720, "dark"),
    (320, 720, "dark"),
    (320, 256, "light"),  # a laptop at 400 % zoom
]


class Site(ThreadingHTTPServer):
    """A site on loopback: each path gets one of the gateway's answers, and what is posted is kept."""

    daemon_threads = True

    def __init__(self, answers: dict[str, Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = answers
        self.asked: list[str] = []
        self.posted: list[dict[str, list[str]]] = []

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self._send(self.server.answers[self.path])

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.server.posted.append(parse_qs(body, keep_blank_values=True))
        self._send(PAGES.review_received(Audience.KS2, "Westways School", "7KQ4-M2XD"))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        """Stay quiet: pytest shows what matters."""


def pages_for(audience: Audience) -> dict[str, Answer]:
    """The pages that differ in shape, for one audience."""
    cases = {f"/{reason}": context(reason, audience) for reason in MAIN}
    harm = context(audience=audience, category=SELF_HARM)
    cases["/support"] = replace(harm, decision=replace(harm.decision, category="self_harm"))
    cases["/floor"] = floor(audience)
    cases["/long"] = context(audience=audience, host=f"{'a' * 63}.{'b' * 63}.xn--80ak6aa92e.example")
    answers = {path: PAGES.blocked(case) for path, case in cases.items()}
    answers["/received"] = PAGES.review_received(audience, "Westways School", "7KQ4-M2XD")
    answers["/notice"] = PAGES.notice(
        school="Westways School",
        audience=audience,
        profile_title="Key Stage 2",
        group="ks2",
        source="network Classrooms (10.2.0.0/16)",
        ca_path="/ca.crt",
    )
    return answers


MAIN = [
    Reason.UNACCEPTABLE,
    Reason.OUT_OF_TIME,
    Reason.MALFORMED,
    Reason.FAULT,
    Reason.UPSTREAM_CERTIFICATE,
]


@contextmanager
def serving(answers: dict[str, Answer]) -> Iterator[Site]:
    site = Site(answers)
    thread = threading.Thread(target=site.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.shutdown()
        thread.join()
        site.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def tab(browser: Browser, **options: Any) -> Iterator[Page]:
    """A fresh tab whose console errors (a refused style, a failed load) fail the test."""
    window: BrowserContext = browser.new_context(**options)
    page = window.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield page
    window.close()
    # Chromium itself notes the status of a refused page as an error; that one is wanted.
    assert [error for error in errors if "Failed to load resource: the server responded" not in error] == []


def violations(page: Page) -> list[str]:
    """Run axe, which the page must hold already, and return each rule that is broken and where."""
    found = page.evaluate("options => axe.run(options)", AXE)["violations"]
    return [f"{one['id']} {one['nodes'][0]['html']}" for one in found]


@pytest.mark.parametrize("audience", Audience)
def test_every_page_passes_the_accessibility_check(browser: Browser, audience: Audience) -> None:
    """S-82: WCAG 2.2 AA by axe, and no sideways scrolling, on wide and narrow screens, light and dark."""
    answers, findings = pages_for(audience), []
    with serving(answers) as site, tab(browser, reduced_motion="reduce") as page:
        for path in answers:
            page.goto(site.url(path))
            page.evaluate(AXE_SCRIPT)
            for width, height, scheme in SCREENS:
                page.set_viewport_size({"width": width, "height": height})
                page.emulate_media(color_scheme=scheme)
                findings += [f"{path} {width} {scheme}: {finding}" for finding in violations(page)]
                assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert findings == []


def test_the_accessibility_check_would_find_a_fault(browser: Browser) -> None:
    """An empty list of findings means something only if a bad page has some."""
    html = (
        b"<html><body style='color:#bbb;background:#fff'>pale words<img src='data:image/gif,x'></body></html>"
    )
    bad = Answer(200, (("content-type", "text/html"),), html)
    with serving({"/": bad, "/favicon.ico": bad}) as site, tab(browser) as page:
        page.goto(site.url("/"))
        page.evaluate(AXE_SCRIPT)
        found = {finding.split()[0] for finding in violations(page)}
    assert {"color-contrast", "document-title", "html-has-lang", "image-alt"} <= found


@pytest.mark.parametrize("audience", Audience)
def test_a_page_needs_one_request_and_no_script(browser: Browser, audience: Audience) -> None:
    """The page is whole by itself: styled, with its picture, with JavaScript off, and fetching nothing."""
    with serving({"/": PAGES.blocked(context(audience=audience))}) as site:
        with tab(browser, java_script_enabled=False) as page:
            answer = page.goto(site.url("/"))
            assert answer is not None
            assert answer.status == 403
            assert page.locator(".picture svg").is_visible()
            box = page.locator("main").bounding_box()
            assert box is not None
            assert box["width"] < 800  # the style is in force: CSP let it through
            page.wait_for_timeout(300)
        assert site.asked == ["/"]


def test_a_review_is_asked_for_with_the_keyboard_alone(browser: Browser) -> None:
    """UKF-S13: with no mouse and no JavaScript the form reaches the gateway with all its fields."""
    with serving({"/": PAGES.blocked(context(audience=Audience.KS2))}) as site:
        with tab(browser, java_script_enabled=False) as page:
            page.goto(site.url("/"))
            page.locator("textarea").focus()
            page.keyboard.type("It is for my project & <b>maths</b>")
            page.keyboard.press("Tab")
            page.keyboard.press("Enter")
            page.wait_for_selector("text=Thank you for telling us")
        assert site.posted == [
            {"reference": ["7KQ4-M2XD"], "token": ["tok"], "message": ["It is for my project & <b>maths</b>"]}
        ]


def test_one_tap_by_the_youngest_reaches_staff(browser: Browser) -> None:
    """B9, S-54: a child who cannot write presses one big button, and the message is there."""
    with serving({"/": PAGES.blocked(context(audience=Audience.EARLY))}) as site:
        with tab(browser, java_script_enabled=False, viewport={"width": 320, "height": 640}) as page:
            page.goto(site.url("/"))
            page.get_by_role("button", name="I feel upset").click()
            page.wait_for_load_state()
        assert site.posted[0]["message"] == ["I saw something that upset me."]


def test_a_blocked_frame_and_picture_leave_the_page_around_them_whole(browser: Browser) -> None:
    """An allowed page with a blocked advert in it shows why, and goes on working."""
    around = Answer(
        200,
        (("content-type", "text/html; charset=utf-8"),),
        b"<!doctype html><title>x</title><img id=i src=/image><script src=/script></script>"
        b"<link rel=stylesheet href=/style><iframe id=f src=/frame width=300 height=250></iframe>"
        b"<script>fetch('/data').then(r => r.json()).then(d => { document.title = d.reason })</script>",
    )
    answers = {f"/{wants}": PAGES.blocked(context(wants=wants)) for wants in Wants}
    answers |= {"/": around, "/favicon.ico": around, "/frame": PAGES.blocked(context(audience=Audience.TEEN))}
    with serving(answers) as site, tab(browser) as page:
        page.goto(site.url("/", host="localhost"))
        page.wait_for_function("document.title === 'unacceptable'")
        assert page.evaluate("document.getElementById('i').naturalWidth") == 24
        assert page.frame_locator("#f").get_by_role("heading", level=1).is_visible()
        assert HOST in page.frame_locator("#f").locator(".site").inner_text()


def test_pictures_keep_still_for_those_who_ask(browser: Browser) -> None:
    """WCAG 2.3.3: the owl waves only where the reader has not asked for calm."""
    with serving({"/": PAGES.blocked(context(audience=Audience.EARLY))}) as site:
        running = []
        for motion in ("no-preference", "reduce"):
            with tab(browser, reduced_motion=motion) as page:
                page.goto(site.url("/"))
                running.append(page.evaluate("document.getAnimations().length"))
    assert running == [2, 0]


def test_high_contrast_keeps_every_edge(browser: Browser) -> None:
    """S-82: in forced colours a button is still recognisable as one."""
    answer = PAGES.blocked(context(audience=Audience.TEEN))
    with serving({"/": answer}) as site, tab(browser, forced_colors="active") as page:
        page.goto(site.url("/"))
        width = "getComputedStyle(document.querySelector('button.main')).borderTopWidth"
        assert page.evaluate(width) == "2px"
