"""Real browsers, from the captive portal through the sign-in to the web, and out again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.doubles.people import WORD
from tests.journeys.lab import Lab, Via, built
from tests.journeys.running import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PEOPLE = f"""\
people:
  - {{name: Class 1B, group: ks1, kind: class, pictures: [fish, moon, apple]}}
  - {{name: amy.smith, group: ks2, password: {WORD.reveal()}}}
  - {{name: ms.jones, group: staff, kind: staff, password: Quiet-harbour-lamp-9, must_change: false}}
"""
SIGN_IN = "https://filter.internal/sign-in"
OPEN, CLOSED = "https://education.example/", "https://gambling.example/"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A school where pupils and staff sign in."""
    folder = tmp_path_factory.mktemp("sign-in")
    (folder / "people.yaml").write_text(PEOPLE, encoding="utf-8")
    identity = {
        "portal": True,
        "people": str(folder / "people.yaml"),
        "agreements": {"ks2": {"version": "2026-09", "text": ["I am kind online."]}},
    }
    with built(folder, identity=identity) as made:
        until(lambda: "ms.jones" in people(made, "list", "--json"), "people are added")
        until(lambda: made.curl(SIGN_IN, who="guest").status == 200, "the sign-in answers")
        yield made


def people(lab: Lab, *arguments: str) -> str:
    """Run a command about people, and return what it says."""
    done = lab.gateway.ask("people", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def opens(lab: Lab, who: str, status: int) -> None:
    """Wait until an address is answered so; a change is in force within a second."""
    until(lambda: lab.curl(OPEN, who=who, via=Via.WIRE).status == status, f"{who} gets {status}", 10)


@contextlib.contextmanager
def page_at(lab: Lab, folder: Path, who: str) -> Iterator[Page]:
    """Open a browser on somebody's device, which knows nothing of a proxy."""
    lab.sit_at(who)
    with lab.chromium(folder, Via.WIRE) as browser:
        yield browser.new_page()


def test_a_class_signs_in_with_pictures(lab: Lab, tmp_path: Path) -> None:
    """S-03: a page leads to the sign-in, three taps open the web, and the record says which class."""
    with page_at(lab, tmp_path, "ks1") as page:
        page.goto("http://education.example/")
        assert page.url == SIGN_IN
        page.click("text=Class 1B")
        for picture in ("fish", "moon", "apple"):
            page.click(f"[aria-label={picture}]")
        page.wait_for_selector("text=Hello!")
    reference = lab.curl(CLOSED, who="ks1", via=Via.WIRE).reference
    row = lab.gateway.record_of(reference)
    assert (row["name"], row["confidence"], row["source"]) == ("Class 1B", "group", "class login, portal")


def test_a_pupil_changes_the_password_agrees_and_signs_out(lab: Lab, tmp_path: Path) -> None:
    """S-04, S-09, S-10: a page says where to sign in; then a new password, the rules, the web, and out."""
    with page_at(lab, tmp_path, "ks2") as page:
        page.goto("https://education.example/")
        page.click("a.button")
        page.fill("#name", "Amy.Smith")
        page.fill("#password", WORD.reveal())
        page.click("button")
        page.wait_for_selector("#again")
        page.fill("#password", "Silver-otter-88")
        page.fill("#again", "Silver-otter-88")
        page.click("button")
        page.click("text=I will keep to them")
        page.wait_for_selector("text=You are signed in")
        opens(lab, "ks2", 200)
        page.goto(SIGN_IN)
        page.click("button")
        page.wait_for_selector("text=You are signed out.")
    opens(lab, "ks2", 511)


def test_a_freeze_cuts_what_is_open_within_a_second(lab: Lab, tmp_path: Path) -> None:
    """S-60: a tunnel in use ends within a second of the command, and only help lines open afterwards."""
    with page_at(lab, tmp_path, "staff") as page:
        page.goto(SIGN_IN)
        page.fill("#name", "ms.jones")
        page.fill("#password", "Quiet-harbour-lamp-9")
        page.click("button")
        page.wait_for_selector("text=You are signed in")
    opens(lab, "staff", 200)
    with lab.dial("staff") as wire:
        wire.sendall(b"CONNECT education.example:443 HTTP/1.1\r\nHost: education.example:443\r\n\r\n")
        assert b"200" in wire.recv(4096)
        people(lab, "freeze", "ms.jones", "--reason", "test")
        wire.settimeout(1.0)  # the command itself takes longer than the freeze
        assert wire.recv(1) == b""
    assert lab.curl(OPEN, who="staff").status == 403
    assert lab.curl("https://www.childline.org.uk/", who="staff").status in (200, 502)
    people(lab, "unfreeze", "ms.jones")
    opens(lab, "staff", 200)
