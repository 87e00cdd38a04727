"""A freeze where names are offered and not required: leaving the name out lifts nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from appliance.identity.database import Database
from appliance.identity.uses import Uses
from tests.doubles.people import WORD
from tests.doubles.slapd import GATEWAY as BINDS
from tests.doubles.slapd import PEOPLE as OU
from tests.doubles.slapd import PUPILS, Slapd
from tests.doubles.slapd import WORD as THERE
from tests.journeys.lab import ENCRYPTED, Got, Lab, address, built
from tests.journeys.network import GATEWAY
from tests.journeys.running import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PEOPLE = "people:\n" + "".join(
    f"  - {{name: {name}, group: ks2, password: {WORD.reveal()}, must_change: false}}\n"
    for name in ("bob", "cat")
)
OPEN, HELP = "https://education.example/", "https://www.childline.org.uk/"


@pytest.fixture(scope="module")
def lab(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A school with a directory and no portal, whose networks take a name where one is given."""
    folder = tmp_path_factory.mktemp("held")
    (folder / "people.yaml").write_text(PEOPLE, encoding="utf-8")
    directory = {
        "servers": [slapd.ldaps],
        "ca_file": str(slapd.ca),
        "people": OU,
        "name_attribute": "uid",
        "account": BINDS,
        "password_file": str(slapd.folder / "word"),
        "groups": [{"dn": PUPILS, "group": "ks2"}],
    }
    identity = {"people": str(folder / "people.yaml"), "directory": directory, "sharing": {"minutes": 1}}
    rule, listen = {"proxy_sign_in": "offered", "sign_in": False}, f"{GATEWAY}:{ENCRYPTED}"
    with built(folder, identity=identity, rule=rule, listen_tls=listen) as made:
        slapd.start(made.network.gateway)
        slapd.fill()
        until(lambda: "cat" in made.gateway.ask("people", "list", "--json").stdout, "people are added")
        until(lambda: ask(made, OPEN, "bob").status == 200, "the first comes in")
        yield made


def ask(lab: Lab, url: str, name: str = "", *more: str, word: str = "") -> Got:
    """Fetch through the proxy's port with encryption, as a device that was given a name, or none."""
    account = ["--proxy-user", f"{name}:{word or WORD.reveal()}"] if name else []
    encrypted = ["-x", f"https://{GATEWAY}:{ENCRYPTED}", "--proxy-cacert", str(lab.gateway.ca)]
    return lab.curl(url, *encrypted, *account, *more)


def test_a_freeze_outlasts_a_name_that_is_left_out(lab: Lab) -> None:
    """S-60: the very device says nothing, and is stopped; classmates show theirs on it; help is open."""
    assert ask(lab, OPEN).status == 200, "whoever says nothing is the network's"
    done = lab.gateway.ask("people", "freeze", "bob", "--reason", "test")
    assert done.returncode == 0, done.stderr
    until(lambda: ask(lab, OPEN).status == 403, "the device is held", 10)
    assert ask(lab, OPEN, "bob").status == 403
    assert ask(lab, OPEN, "cat").status == 200, "somebody else on the same device is themselves"
    assert ask(lab, HELP).status in (200, 502)
    assert ask(lab, OPEN, "", "--interface", address("staff")).status == 200, "another device is not held"
    row = lab.gateway.record_of(ask(lab, "https://education.example/held").reference)
    assert (row["name"], row["reason"]) == ("", "frozen"), "nobody is guessed"
    assert lab.gateway.ask("people", "unfreeze", "bob").returncode == 0
    until(lambda: ask(lab, OPEN).status == 200, "the device is everybody's again", 10)


def test_the_directorys_people_show_their_own(lab: Lab, slapd: Slapd) -> None:
    """A real directory's pupils come in by the proxy; while it is down, whoever was in stays in."""
    until(lambda: ask(lab, OPEN, "amy.smith", word=THERE).status == 200, "amy comes in", 20)
    row = lab.gateway.record_of(ask(lab, "https://gambling.example/", "amy.smith", word=THERE).reference)
    assert (row["name"], row["group"]) == ("amy.smith", "ks2")
    assert row["source"] == "own sign-in, proxy credentials, directory"
    assert ask(lab, OPEN, "amy.smith", word="guess").tunnel == 407
    slapd.stop()
    assert ask(lab, OPEN, "amy.smith", word=THERE).status == 200
    assert ask(lab, OPEN, "cat").status == 200
    assert THERE not in lab.gateway.said()


def test_one_account_on_two_devices_is_an_event_of_its_own(lab: Lab) -> None:
    """S-11: seen by proxy credentials alone, once, and in the log that alerts read."""
    ends = time.monotonic() + 150
    while time.monotonic() < ends:
        for who in ("ks2", "staff"):
            ask(lab, OPEN, "cat", "--interface", address(who))
        if [row for row in lab.gateway.log() if row["reason"] == "account_sharing"]:
            break
        time.sleep(5)
    rows = [row for row in lab.gateway.log() if row["reason"] == "account_sharing"]
    assert [(row["name"], row["action"], row["url"]) for row in rows] == [("cat", "allow", None)]
    assert len(Uses(Database(lab.gateway.state)).since(0)) >= 2
