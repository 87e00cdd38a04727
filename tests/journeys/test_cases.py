"""A pupil is flagged, a mail arrives, and the safeguarding lead works on the case in a real browser."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from axe_playwright_python.base import AXE_SCRIPT
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, Page, sync_playwright

from tests.doubles.people import WORD
from tests.doubles.running import free_port
from tests.journeys.postfix import Postfix
from tests.journeys.postfix import running as postfix_running
from tests.journeys.running import ROOT, until
from tests.journeys.test_pages_browser import CHROMIUM, FLAGS, violations
from tests.test_afterwards import visited

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CA = trustme.CA()
DSL = "dsl@school.example"
LEAD, PUPIL, TEACHER = "m.lead", "amy.smith", "t.teacher"
TEACHERS_WORD = "Slow-meadow-kite-7"
HARM = "http://self-harm.example/how"
PEOPLE = f"""\
people:
  - {{name: {PUPIL}, group: ks2, password: {WORD.reveal()}, must_change: false}}
  - {{name: {TEACHER}, group: staff, kind: staff, password: {TEACHERS_WORD}, must_change: false}}
  - {{name: {LEAD}, group: staff, kind: staff, password: Quiet-harbour-lamp-9, must_change: false}}
"""
SCREENS = ((1280, 800, "light"), (360, 740, "dark"))


def own_state() -> dict[str, str]:
    """Return an environment that moves no state folder: it is the configuration's."""
    return {name: text for name, text in os.environ.items() if name != "APPLIANCE_STATE"}


@dataclass
class School:
    """A gateway on loopback with its keeper, its mail server and its pages of cases."""

    folder: Path
    mail: Postfix
    proxy: int
    pages: str
    process: subprocess.Popen[bytes]

    def appliance(self, *arguments: str, word: str = "") -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "appliance",
            *arguments,
            "--config",
            str(self.folder / "appliance.yaml"),
        ]
        return subprocess.run(
            command,
            cwd=ROOT,
            env=own_state(),
            input=f"{word}\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def ask(self, url: str) -> int:
        """Ask for an address as the pupil, who has shown her name and password; return the status."""
        command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", "30"]
        command += ["-x", f"http://127.0.0.1:{self.proxy}", "-U", f"{PUPIL}:{WORD.reveal()}", url]
        return int(subprocess.run(command, capture_output=True, text=True, check=False).stdout or 0)

    def told(self, subject: str) -> str:
        """Wait for a mail with such a subject, and return its text."""
        found = until(lambda: [m for m in self.mail.mails() if subject in str(m["Subject"])], subject, 60)
        return str(found[0].get_payload())


def settings(folder: Path, mail: Postfix, ports: tuple[int, int, int]) -> dict[str, Any]:
    server = {"server": "127.0.0.1", "port": mail.port, "sender": "gateway@school.example"}
    return {
        "school": {"name": "Hill School", "set": "westways"},
        "paths": {
            "state": "state",
            "profiles": str(ROOT / "profiles"),
            "blocklists": str(ROOT / "blocklists"),
        },
        "gateway": {"listen": f"127.0.0.1:{ports[0]}", "workers": 1},
        "identity": {
            "allow_plain": True,
            "people": str(folder / "people.yaml"),
            "networks": [
                {"network": "127.0.0.0/8", "group": "ks2", "name": "Room", "proxy_sign_in": "offered"}
            ],
        },
        "overrides": {"addresses": {TEACHER: DSL}},
        "metrics": {"listen": f"127.0.0.1:{ports[1]}"},
        "alerts": {
            "deliver": True,
            "heartbeat": None,
            "roles": {role: [DSL] for role in ("dsl", "deputy", "head", "online_safety")},
            "mail": {**server, "roots": str(folder / "roots.pem")},
            "pages": {"listen": f"127.0.0.1:{ports[2]}", "people": {"dsl": [LEAD]}},
        },
    }


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    folder = tmp_path_factory.mktemp("cases")
    CA.cert_pem.write_to_path(str(folder / "roots.pem"))
    (folder / "people.yaml").write_text(PEOPLE, encoding="utf-8")
    ports = (free_port(), free_port(), free_port())
    with postfix_running(CA) as mail, (folder / "out").open("wb") as out:
        text = yaml.safe_dump(settings(folder, mail, ports))
        (folder / "appliance.yaml").write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "appliance", "run", "--config", str(folder / "appliance.yaml")]
        process = subprocess.Popen(
            command, cwd=ROOT, env=own_state(), stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        try:
            made = School(folder, mail, ports[0], f"https://127.0.0.1:{ports[2]}", process)
            until(lambda: b"is running" in (folder / "out").read_bytes(), "the gateway runs", 60)
            until(lambda: listens(ports[2]), "the pages of cases are served", 60)
            yield made
        finally:
            process.terminate()
            process.wait(timeout=60)


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


@contextlib.contextmanager
def browser(school: School) -> Iterator[Browser]:
    """A browser that trusts the school's CA, and no script of anybody's."""
    ca = x509.load_pem_x509_certificate((school.folder / "state" / "ca" / "ca.pem").read_bytes())
    key = ca.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    trusted = (
        f"--ignore-certificate-errors-spki-list={base64.b64encode(hashlib.sha256(key).digest()).decode()}"
    )
    with sync_playwright() as play:
        made = play.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, trusted])
        yield made
        made.close()


def sign_in(page: Page, name: str, password: str) -> None:
    page.fill("#name", name)
    page.fill("#password", password)
    page.click("text=Sign in >> nth=-1")


def link(text: str, what: str) -> str:
    found = re.search(rf"https://\S+/{what}/\S+", text)
    assert found, text
    return found[0]


def test_from_the_flag_to_the_closed_case(school: School) -> None:
    """GAI-4, DFE-M3: the lead confirms by the link, is told without a name, and works on the case there."""
    with browser(school) as window:
        page = window.new_page(java_script_enabled=False)
        page.goto(link(school.told("Please confirm"), "confirm"))
        assert school.ask(HARM) == 403  # before anybody confirmed: it waits, and is not lost
        assert DSL in school.appliance("alerts", "status").stdout
        page.click("text=Yes, this mail reached me")
        page.wait_for_selector("text=Thank you")
        mail = school.told("Alert: A-00001")
        assert PUPIL not in mail
        assert "self-harm.example" not in mail
        address = link(mail, "cases")
        assert address == f"{school.pages}/cases/A-00001"

        page.goto(address)
        assert PUPIL not in page.content()
        sign_in(page, PUPIL, WORD.reveal())
        page.wait_for_selector("text=do not fit")  # a pupil's account, with the right password
        sign_in(page, LEAD, "Quiet-harbour-lamp-9")
        page.fill("#purpose", "told by mail")
        assert PUPIL not in page.content()
        page.click("text=Show the case")
        page.wait_for_selector("text=What was seen")
        assert PUPIL in page.content(), page.inner_text("main")
        assert "self-harm.example/how" in page.content()
        assert "signed in with their own password" in page.content()
        page.click("button:text-is('Useful')")
        page.wait_for_selector("text=You said: useful")
        page.select_option("#incident", "pupil_disrepute")
        page.click("text=Take in hand")
        page.wait_for_selector("text=Held:")
        page.fill("#text", "Spoke to her. <b>She is safe.</b>")
        page.click("text=Write it down")
        page.wait_for_selector("text=Spoke to her. <b>")
        for number in (1, 2):
            page.click("summary >> nth=0")
            page.fill(f"#reason-{number}", "She came to us herself")
            page.press(f"#reason-{number}", "Enter")
            page.wait_for_selector(f"#reason-{number}", state="detached")
        page.fill("#outcome", "With the nurse")
        page.click("button:text-is('Close the case')")
        page.wait_for_selector("text=With the nurse")
        assert page.locator("#outcome").count() == 0
    audit = school.appliance("people", "audit", "--json").stdout
    for what in (
        "case-sign-in",
        "alert-show",
        "alert-take",
        "alert-close",
        "alert-confirm",
        "case-sign-in-refused",
    ):
        assert what in audit
    assert school.appliance("audit", "verify").returncode == 0


def test_the_teacher_reads_what_came_of_a_lesson(school: School, tmp_path: Path) -> None:
    """S-23: opened, visited, ended; a mail leads to the page, and the teacher reads it there, alone."""
    why = ("--subject", "Year 5 maths", "--reason", "We compare <b>two</b> sites for a lesson.")
    as_teacher = ("--by", TEACHER, "--stdin")
    asked = ("overrides", "grant", "new-site.example", "--for", "ks2", "--minutes", "30", *why, *as_teacher)
    granted = school.appliance(*asked, word=TEACHERS_WORD)
    assert granted.returncode == 0, granted.stderr
    asyncio.run(
        visited(school.folder / "state", 1, PUPIL, "<b>hostile</b>")
    )  # no site of the world answers here
    findings: list[str] = []
    with browser(school) as window:
        page = window.new_context(reduced_motion="reduce", bypass_csp=True).new_page()
        page.goto(f"{school.pages}/overrides")
        sign_in(page, TEACHER, TEACHERS_WORD)
        page.wait_for_selector("text=minutes left")
        look(page, "opened", tmp_path, findings)
        assert school.appliance("overrides", "revoke", "1", *as_teacher, word=TEACHERS_WORD).returncode == 0
        mail = school.told("The report of override 1 is ready")
        assert "new-site" not in mail
        address = link(mail, "overrides")
        assert address == f"{school.pages}/overrides/1"
        page.goto(address)
        look(page, "why", tmp_path, findings)
        assert PUPIL not in page.content()
        page.fill("#purpose", "to see how it was used")
        page.click("text=Show the report")
        page.wait_for_selector("text=What was visited under")
        assert PUPIL in page.content()
        assert page.locator("b").count() == 0
        look(page, "report", tmp_path, findings)
        page.goto(f"{school.pages}/cases/A-00001")
        assert "no such case" in page.content()
    assert findings == []
    audit = school.appliance("audit", "list", "--what", "override-report", "--json").stdout
    assert "to see how it was used" in audit


def look(page: Page, name: str, folder: Path, findings: list[str]) -> None:
    """Look at a page on every screen: what axe finds, whether it fits, and a picture in the folder."""
    page.evaluate(AXE_SCRIPT)
    for width, height, scheme in SCREENS:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        findings.extend(f"{name} {width} {scheme}: {each}" for each in violations(page))
        page.screenshot(path=folder / f"{name}-{scheme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name


def test_every_page_is_accessible_and_fits_its_screen(school: School, tmp_path: Path) -> None:
    """S-82: WCAG 2.2 AA by axe on a desk and on a phone, light and dark, from sign-in to case."""
    findings: list[str] = []

    with browser(school) as window:
        page = window.new_context(reduced_motion="reduce", bypass_csp=True).new_page()
        page.goto(f"{school.pages}/confirm/nothing")
        look(page, "confirm", tmp_path, findings)
        assert school.ask(HARM) == 403
        until(lambda: "open" in school.appliance("alerts", "list").stdout, "a case")
        page.goto(f"{school.pages}/cases")
        look(page, "sign-in", tmp_path, findings)
        sign_in(page, LEAD, "Quiet-harbour-lamp-9")
        page.wait_for_selector("text=Open cases")
        look(page, "list", tmp_path, findings)
        page.click("h2 a")
        look(page, "purpose", tmp_path, findings)
        page.fill("#purpose", "to see that it can be read")
        page.click("text=Show the case")
        page.select_option("#incident", "pupil_disrepute")
        page.click("text=Take in hand")
        page.wait_for_selector("text=Held:")
        look(page, "case", tmp_path, findings)
        page.fill("#purpose", "to see how it began")
        page.click("text=Show the log")
        page.wait_for_selector("text=Back to the case")
        look(page, "log", tmp_path, findings)
        page.goto(f"{school.pages}/cases/A-99999")
        look(page, "none", tmp_path, findings)
    assert findings == []
