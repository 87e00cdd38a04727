"""A release that is killed half way, on a gateway that really runs: nothing of it stays, and all are told."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import yaml

from tests.doubles.school import edit
from tests.journeys.lab import Lab, built
from tests.journeys.running import ROOT, Gateway, running, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]

SITE, GAMES = "news.example", "gambling.example"
HELP = "https://www.childline.org.uk/"
WORDS = {"tech": "Blue-kettle-42", "head": "Green-window-17"}
OPENED = ("news:\n    rating: unacceptable", "news:\n    rating: acceptable")
WHY = ("--because", "We try whether films help in lessons.")
SECONDS = 20.0
"""In which what was in force must be in force again: looked for every ten, and the lists are compiled."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A primary school of two people, in which a change of profiles, lists and entries waits."""
    with built(tmp_path_factory.mktemp("release")) as made:
        for name, word in WORDS.items():
            add = ("people", "add", name, "--kind", "staff", "--group", "staff", "--stdin")
            done = made.gateway.ask(*add, said=word)
            assert done.returncode == 0, done.stderr
        settings = yaml.safe_load(made.gateway.config.read_text())
        settings["changes"] = {"approval": "two", "approvers": ["head", "tech"]}
        made.gateway.config.write_text(yaml.safe_dump(settings))
        made.gateway.stop()
        with running(made.gateway):
            edit(made.gateway.profile("westways/ks1"), *OPENED)
            lines = made.gateway.folder / "blocklists" / "help.yaml"
            lines.write_text(lines.read_text() + "# looked at\n")
            said = change(made.gateway, "tech", "propose", "--allow", GAMES, *WHY)
            assert said.returncode == 0, said.stderr
            yield made


def change(gateway: Gateway, who: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return gateway.ask("changes", *arguments, "--as", who, "--stdin", said=f"{WORDS[who]}\n")


def killed(gateway: Gateway, when: Callable[[], bool]) -> None:
    """Release the change, and kill the command as soon as it has come so far."""
    command = gateway.command("changes", "release", "1", "--as", "head", "--stdin")
    kept = {name: text for name, text in os.environ.items() if name != "APPLIANCE_STATE"}
    environment, pipe = kept | {"PYTHONPATH": str(ROOT)}, subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe) as process:
        assert process.stdin is not None
        process.stdin.write(f"{WORDS['head']}\n".encode())
        process.stdin.close()
        end = time.monotonic() + 60
        while not when():
            assert process.poll() is None, "it ended before it came so far"
            assert time.monotonic() < end
        process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def status(lab: Lab, host: str, who: str = "ks1") -> int:
    return lab.curl(f"https://{host}/", who=who).status


class Pupil(threading.Thread):
    """Somebody who asks for a help page all the while; `answers` are what they got."""

    def __init__(self, lab: Lab) -> None:
        super().__init__()
        self._lab = lab
        self.answers: list[int] = []
        self.ending = threading.Event()

    def run(self) -> None:
        """Ask until told to end."""
        while not self.ending.is_set():
            self.answers.append(self._lab.curl(HELP, who="ks1").status)


@pytest.mark.parametrize("moment", ["begun", "policy"])
def test_a_release_that_is_killed_is_undone_while_pupils_work(lab: Lab, moment: str) -> None:
    """S-25, S-26: what nobody released to its end is closed again within seconds; help stays open."""
    gateway, emergency = lab.gateway, f"{moment}.example"
    current, journal = gateway.state / "policy" / "current", gateway.state / "changes" / "undo.json"
    before, heard = current.read_text(), len(gateway.said())
    assert (status(lab, SITE), status(lab, GAMES)) == (403, 403)
    pupil = Pupil(lab)
    pupil.start()
    try:
        killed(gateway, journal.exists if moment == "begun" else lambda: current.read_text() != before)
        assert journal.exists()
        closed = gateway.ask("lists", "add", "block", emergency, "--because", "change 1: now!")
        assert closed.returncode == 0, closed.stderr
        until(lambda: not journal.exists(), "it is undone", SECONDS)
        until(lambda: (status(lab, SITE), status(lab, GAMES)) == (403, 403), "all is closed again", 5)
    finally:
        pupil.ending.set()
        pupil.join()
    assert set(pupil.answers) == {200}
    assert (current.read_text(), status(lab, emergency)) == (before, 403)
    assert "change 1 was not carried out: what was in force before" in gateway.said()[heard:]
    assert "ended half way" not in gateway.ask("check").stderr
    assert "change-release, change 1) was not carried out" in gateway.ask("audit", "verify").stderr


def test_it_can_be_released_all_the_same(lab: Lab) -> None:
    """S-25: a power cut ends the gateway amid a release as well; the next start is as before it."""
    gateway = lab.gateway
    current, journal = gateway.state / "policy" / "current", gateway.state / "changes" / "undo.json"
    before = current.read_text()
    killed(gateway, lambda: journal.exists() and gateway.stop(signal.SIGKILL) < 0)
    assert journal.exists()
    assert "change 1 is just being decided, or that was ended half way" in gateway.ask("check").stderr
    assert "ended half way" in gateway.ask("changes", "list").stderr
    with running(gateway):
        assert not journal.exists()
        assert (current.read_text(), status(lab, GAMES)) == (before, 403)
        done = change(gateway, "head", "release", "1")
        assert done.returncode == 0, done.stderr
        until(lambda: (status(lab, SITE), status(lab, GAMES)) == (200, 200), "all of it is in force")
        assert (status(lab, "begun.example"), status(lab, "policy.example")) == (403, 403)
        assert "the chain is whole" in gateway.ask("audit", "verify").stderr
        gateway.stop()
