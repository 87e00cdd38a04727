"""A change that two people make, tried by one room first, through a gateway that really runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from tests.doubles.school import edit
from tests.journeys.lab import Lab, built
from tests.journeys.running import Gateway, running, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SITE = "news.example"
WORDS = {"tech": "Blue-kettle-42", "head": "Green-window-17"}
OPENED = ("news:\n    rating: unacceptable", "news:\n    rating: acceptable")
CLOSED = "rules:\n  news: {rating: unacceptable, because: We read books instead., source: W:472}\n"
WHY = ("--because", "We try whether films help in lessons.")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A primary school with two workers, where a technician and a head change the policy together."""
    with built(tmp_path_factory.mktemp("staged")) as made:
        for name, word in WORDS.items():
            add = ("people", "add", name, "--kind", "staff", "--group", "staff", "--stdin")
            done = made.gateway.ask(*add, said=word)
            assert done.returncode == 0, done.stderr
        yield made


def change(gateway: Gateway, who: str, *arguments: str) -> str:
    done = gateway.ask("changes", *arguments, "--as", who, "--stdin", said=f"{WORDS[who]}\n")
    assert done.returncode == 0, done.stderr
    return done.stdout


def status(lab: Lab, who: str) -> int:
    return lab.curl(f"https://{SITE}/", who=who).status


def both(lab: Lab, ks1: int, ks2: int) -> bool:
    """Tell whether several new connections, on whichever workers, are answered so in both rooms."""
    return all((status(lab, "ks1"), status(lab, "ks2")) == (ks1, ks2) for _ in range(4))


def decided_in(lab: Lab, group: str) -> str:
    """Return the version of the policy that the newest decision in a room names."""
    row = lab.gateway.logged(lambda each: each["group"] == group and each["host"] == SITE, group)
    return str(row["policy_version"])


def test_one_room_tries_a_change_that_two_people_made(lab: Lab) -> None:
    """S-25, S-26: the new version decides in the one room, the old one elsewhere, over a restart as well."""
    settings = yaml.safe_load(lab.gateway.config.read_text())
    settings["changes"] = {"approval": "two", "approvers": ["head", "tech"]}
    lab.gateway.config.write_text(yaml.safe_dump(settings))
    lab.gateway.stop()
    with running(lab.gateway):
        assert both(lab, 403, 200)
        edit(lab.gateway.profile("westways/ks1"), *OPENED)
        ks2 = lab.gateway.profile("westways/ks2")
        ks2.write_text(ks2.read_text() + CLOSED)
        assert "+  news" in change(lab.gateway, "tech", "propose", *WHY)
        change(lab.gateway, "head", "release", "1", "--first", "Room ks1")
        until(lambda: both(lab, 200, 200), "the change is in force in one room", 10)
        new, old = decided_in(lab, "ks1"), decided_in(lab, "ks2")
        assert new != old
        lab.gateway.stop()
    with running(lab.gateway):
        assert both(lab, 200, 200)
        settings["changes"] = {"approval": "single"}
        lab.gateway.config.write_text(yaml.safe_dump(settings))
        assert "changes.approval" in lab.gateway.ask("check").stderr
        change(lab.gateway, "head", "widen", "1")
        until(lambda: both(lab, 200, 403), "it is in force for everybody", 10)
        change(lab.gateway, "tech", "return", "1", "--because", "It was enough.")
        until(lambda: both(lab, 403, 200), "the policy from before is in force", 10)
        lab.gateway.stop()
