"""Staff of a real directory sign in with a real browser; what happens there counts here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.slapd import GATEWAY, PEOPLE, PUPILS, STAFF, WORD, Slapd
from tests.journeys.lab import Lab, Via, built
from tests.journeys.running import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SIGN_IN = "https://filter.internal/sign-in"
OPEN, CLOSED = "https://education.example/", "https://gambling.example/"


@pytest.fixture(scope="module")
def lab(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A school with a directory, which does not answer yet."""
    directory = {
        "servers": [slapd.ldaps],
        "ca_file": str(slapd.ca),
        "people": PEOPLE,
        "name_attribute": "uid",
        "account": GATEWAY,
        "password_file": str(slapd.folder / "word"),
        "groups": [{"dn": STAFF, "group": "staff", "kind": "staff"}, {"dn": PUPILS, "group": "ks2"}],
    }
    identity = {"portal": True, "realms": ["westways.example"], "directory": directory}
    with built(tmp_path_factory.mktemp("directory"), identity=identity) as made:
        until(lambda: made.curl(SIGN_IN, who="guest").status == 200, "the sign-in answers")
        yield made


def test_staff_sign_in_by_the_directory(lab: Lab, slapd: Slapd, tmp_path: Path) -> None:
    """S-05: words while the directory is down, the web once it answers, and the name in the record."""
    lab.sit_at("staff")
    with lab.chromium(tmp_path, Via.WIRE) as browser:
        page = browser.new_page()
        for said in ("cannot be asked just now", "You are signed in"):
            page.goto(SIGN_IN)
            page.fill("#name", "MS.Jones@westways.example")
            page.fill("#password", WORD)
            page.click("button")
            page.wait_for_selector(f"text={said}")
            if slapd.process is None:
                slapd.start(lab.network.gateway)
                slapd.fill()
                page.wait_for_timeout(5_500)
    until(lambda: lab.curl(OPEN, who="staff", via=Via.WIRE).status == 200, "the web is open", 10)
    row = lab.gateway.record_of(lab.curl(CLOSED, who="staff", via=Via.WIRE).reference)
    assert (row["name"], row["group"], row["source"]) == (
        "ms.jones",
        "staff",
        "staff sign-in, portal, directory",
    )
    told = lab.gateway.ask("people", "directory", "amy.smith", "gone")
    assert "amy.smith: individual, group ks2" in told.stdout
    assert "gone: The school's directory does not let" in told.stderr
    assert WORD not in lab.gateway.said()
