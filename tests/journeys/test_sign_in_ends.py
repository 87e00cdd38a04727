"""What ends in the middle: a guest's voucher during a download, and a frozen account during a live lesson."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import segno
from playwright.sync_api import Page
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from appliance.identity.accounts import Accounts
from appliance.identity.database import Database
from appliance.model.secret import Secret
from appliance.portal.vouchers import link
from tests.journeys.lab import Lab, Via, address, built
from tests.journeys.network import ORIGIN
from tests.journeys.running import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WORD = "Quiet-harbour-lamp-9"
PEOPLE = f"""\
people:
  - {{name: ms.jones, group: staff, kind: staff, password: {WORD}, must_change: false}}
"""
SIGN_IN, OPEN = "https://filter.internal/sign-in", "https://education.example/"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A school where one must sign in."""
    folder = tmp_path_factory.mktemp("ends")
    (folder / "people.yaml").write_text(PEOPLE, encoding="utf-8")
    with built(folder, identity={"portal": True, "people": str(folder / "people.yaml")}) as made:
        until(lambda: "ms.jones" in made.gateway.ask("people", "list", "--json").stdout, "people are added")
        until(lambda: made.curl(SIGN_IN, who="guest").status == 200, "the sign-in answers")
        yield made


@contextlib.contextmanager
def page_at(lab: Lab, folder: Path, who: str) -> Iterator[Page]:
    """Open a browser on somebody's device, which knows nothing of a proxy."""
    lab.sit_at(who)
    with lab.chromium(folder, Via.WIRE) as browser:
        yield browser.new_page()


def test_a_guest_comes_in_by_the_code_on_the_paper(lab: Lab, tmp_path: Path) -> None:
    """S-08: the code leads to the sign-in, filled in; one press opens the web until it ends."""
    sheet = tmp_path / "voucher.html"
    day = time.strftime("%Y-%m-%d", time.localtime(time.time() + 5 * 86_400))
    wanted = ["voucher", "Sam Visitor", "--sponsor", "ms.jones", "--purpose", "a talk", "--until", day]
    given = lab.gateway.ask("people", *wanted, "--sheet", str(sheet))
    assert given.returncode == 0, given.stderr
    name, _, word = given.stdout.strip().rpartition(": ")
    code = link("filter.internal", name, Secret(word))
    drawn = segno.make(code, error="m").svg_inline(scale=4)
    assert drawn in sheet.read_text(encoding="utf-8"), "this very address is what a camera reads"

    ends = time.time() + 25
    Accounts(Database(lab.gateway.state)).change(name, expires=ends)
    with page_at(lab, tmp_path, "ks2") as page:
        page.goto(code)
        assert page.input_value("#name") == name
        assert lab.curl(OPEN, via=Via.WIRE).status == 511  # the code alone signs nobody in
        page.click("button")
        page.wait_for_selector("text=You are signed in")
    until(lambda: lab.curl(OPEN, via=Via.WIRE).status == 200, "the guest is in", 10)
    row = lab.gateway.logged(lambda row: row["name"] == name, "the guest")
    assert (row["source"], row["confidence"]) == ("guest voucher, portal", "certain")

    command = ["ip", "netns", "exec", lab.network.client, "curl", "-s", "-o", "/dev/null", "-m", "60"]
    command += [
        "--interface",
        address("ks2"),
        "--connect-to",
        f"::{ORIGIN}:",
        "--cacert",
        str(lab.gateway.ca),
    ]
    report = ["-w", "%{json}", "https://education.example/slow"]
    with subprocess.Popen([*command, *report], stdout=subprocess.PIPE) as download:
        assert time.time() < ends - 1, "the sign-in took too long for this test"
        said, _ = download.communicate(timeout=60)
    ended = time.time()
    assert download.returncode != 0
    assert json.loads(said)["size_download"] > 0
    assert -0.1 < ended - ends < 1.5
    # The other worker cuts once as well, a moment later: what begins just then can be cut with it (0), and no
    # more than that one. Never is it open.
    found = [lab.curl(OPEN, via=Via.WIRE).status for _ in range(5)]
    assert found[0] in {0, 511}
    assert set(found[1:]) == {511}


def test_a_freeze_ends_a_live_socket(lab: Lab, tmp_path: Path) -> None:
    """S-60: a chat that is going on stops within a second of the command, and cannot be opened again."""
    with page_at(lab, tmp_path, "staff") as page:
        page.goto(SIGN_IN)
        page.fill("#name", "ms.jones")
        page.fill("#password", WORD)
        page.click("button")
        page.wait_for_selector("text=You are signed in")
    until(lambda: lab.curl(OPEN, who="staff", via=Via.WIRE).status == 200, "staff are in", 10)
    wire = lab.dial("staff", Via.WIRE, port=443)
    uri = "wss://education.example/socket"
    with connect(uri, sock=wire, ssl=lab.trusting(), compression=None, proxy=None) as live:
        live.send("good morning")
        assert live.recv(timeout=20) == "good morning"
        done = lab.gateway.ask("people", "freeze", "ms.jones", "--reason", "test")
        assert done.returncode == 0, done.stderr
        with pytest.raises(ConnectionClosed):
            live.recv(timeout=1.0)  # the command itself takes longer than the freeze
    assert lab.curl(OPEN, who="staff", via=Via.WIRE).status == 403
    assert lab.gateway.ask("people", "unfreeze", "ms.jones").returncode == 0
