"""The safeguarding lead comes in by the school's single sign-on, from a link, in a real browser."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import ssl
import subprocess
import sys
import time
from base64 import b32decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from playwright.sync_api import Browser, sync_playwright

from tests.doubles.provider import CLIENT, Provider, provider
from tests.doubles.running import free_port
from tests.journeys.running import ROOT, until
from tests.journeys.test_cases import listens, look, own_state
from tests.journeys.test_pages_browser import CHROMIUM, FLAGS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LEAD = "s.lead"


@dataclass
class School:
    """A gateway on loopback whose staff are known to a provider alone."""

    folder: Path
    pages: str
    there: Provider

    def appliance(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "appliance", *arguments]
        command += ["--config", str(self.folder / "appliance.yaml")]
        return subprocess.run(
            command, cwd=ROOT, env=own_state(), capture_output=True, text=True, timeout=60, check=False
        )


def settings(there: Provider, ports: tuple[int, int, int]) -> dict[str, Any]:
    oidc = {
        "name": "Microsoft", "issuer": there.issuer, "client_id": CLIENT,
        "client_secret_file": str(there.secret_file), "ca_file": str(there.ca),
        "groups": [{"value": "staff-id", "group": "staff", "kind": "staff"}],
    }  # fmt: skip
    pages = {"listen": f"127.0.0.1:{ports[2]}", "people": {"dsl": [LEAD]}, "single_sign_on": True}
    return {
        "school": {"name": "Hill School", "set": "westways"},
        "paths": {
            "state": "state",
            "profiles": str(ROOT / "profiles"),
            "blocklists": str(ROOT / "blocklists"),
        },
        "gateway": {"listen": f"127.0.0.1:{ports[0]}", "workers": 1},
        "identity": {
            "oidc": oidc,
            "networks": [{"network": "127.0.0.0/8", "group": "staff", "name": "Office"}],
        },
        "metrics": {"listen": f"127.0.0.1:{ports[1]}"},
        "alerts": {"pages": pages},
    }


@contextlib.contextmanager
def served(folder: Path, **pages: str) -> Iterator[School]:
    """Run the gateway with its pages; `pages` are more of their settings."""
    ports = (free_port(), free_port(), free_port())
    with provider(folder) as there, (folder / "out").open("wb") as out:
        values = settings(there, ports)
        values["alerts"]["pages"] |= pages
        (folder / "appliance.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        command = [sys.executable, "-m", "appliance", "run", "--config", str(folder / "appliance.yaml")]
        process = subprocess.Popen(
            command, cwd=ROOT, env=own_state(), stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        try:
            until(lambda: b"is running" in (folder / "out").read_bytes(), "the gateway runs", 60)
            until(lambda: listens(ports[2]), "the pages of cases are served", 60)
            yield School(folder, f"https://127.0.0.1:{ports[2]}", there)
        finally:
            process.terminate()
            process.wait(timeout=60)


@contextlib.contextmanager
def browser(school: School) -> Iterator[Browser]:
    """A browser that trusts the school's CA and the provider."""
    keys = []
    ours = (school.folder / "state" / "ca" / "ca.pem").read_bytes()
    theirs = ssl.get_server_certificate(("localhost", school.there.port)).encode()
    for text in (ours, theirs):
        key = x509.load_pem_x509_certificate(text).public_key()
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        keys.append(base64.b64encode(hashlib.sha256(der).digest()).decode())
    trusted = f"--ignore-certificate-errors-spki-list={','.join(keys)}"
    with sync_playwright() as play:
        made = play.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, trusted])
        yield made
        made.close()


def test_a_link_leads_by_the_provider_to_the_case(tmp_path: Path) -> None:
    """S-40: a form at the provider, back by a redirect from another site: the cookies come along, once."""
    with served(tmp_path) as school, browser(school) as window:
        school.there.claims = {
            "preferred_username": LEAD,
            "groups": ["staff-id"],
            "auth_time": int(time.time()),
        }
        page = window.new_page(java_script_enabled=False)
        page.goto(f"{school.pages}/cases")
        page.click("text=Sign in with Microsoft")
        page.click("text=It is me")
        page.wait_for_selector("text=Open cases")
        assert page.url == f"{school.pages}/cases"
        page.click(f"text=Sign out {LEAD}")
        page.wait_for_selector("#password")
        school.there.claims["auth_time"] = int(time.time()) - 3_600
        page.click("text=Sign in with Microsoft")
        page.click("text=It is me")
        page.wait_for_selector("text=did not say that you have just signed in")
        page.goto(f"{school.pages}/cases")
        assert page.locator("#password").count() == 1
        said = school.appliance("audit", "list", "--what", "case-sign-in", "--json").stdout
        assert said.count("single sign-on") == 1
        assert "auth_time" in (tmp_path / "out").read_text()


def test_a_code_is_asked_for_on_the_way_back(tmp_path: Path) -> None:
    """S-40, S-82: the page for the code fits every screen, and its form counts after a redirect from afar."""
    with served(tmp_path, second_factor="totp") as school, browser(school) as window:
        school.there.claims = {"preferred_username": LEAD, "groups": ["staff-id"]}
        page = window.new_context(reduced_motion="reduce", bypass_csp=True).new_page()
        page.goto(f"{school.pages}/cases")
        page.click("text=Sign in with Microsoft")
        page.click("text=It is me")
        page.wait_for_selector("text=One more step")
        findings: list[str] = []
        look(page, "code", tmp_path, findings)
        assert findings == []
        made = school.appliance("people", "second-factor", LEAD)
        assert made.returncode == 0, made.stderr
        secret = made.stdout.split("secret=")[1].split("&")[0].strip()
        totp = TOTP(b32decode(secret), 6, SHA1(), 30)  # noqa: S303 - the hash of the standard
        page.fill("#code", totp.generate(int(time.time())).decode())
        page.click("button:text-is('Sign in')")
        page.wait_for_selector("text=Open cases")
