"""Workers are killed while pupils work: what cannot be judged is refused, and nothing blocked ever shows."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from appliance.events.record import from_line
from appliance.events.store import SPILL
from tests.journeys.device import Answer, NoAnswerError, ask
from tests.journeys.lab import BOTH, Lab
from tests.journeys.origin import HELLO
from tests.journeys.running import Gateway, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PUPILS = 4
ALLOWED, BLOCKED = "education.example", "gambling.example"


@dataclass
class Load:
    """Pupils who ask for an allowed and a blocked site in turn, on new connections, until told to stop."""

    lab: Lab
    allowed: list[Answer] = field(default_factory=list)
    blocked: list[Answer] = field(default_factory=list)
    refused: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def work(self, number: int) -> None:
        """Be one pupil."""
        dice = random.Random(number)
        while not self.stopping.is_set():
            host, answers = dice.choice([(ALLOWED, self.allowed), (BLOCKED, self.blocked)])
            try:
                answers.append(
                    ask(self.lab, dice.choice(["http", "https"]), host, f"/{number}", via=dice.choice(BOTH))
                )
            except NoAnswerError:
                self.refused += 1
                time.sleep(0.01)


def kill(gateway: Gateway, count: int) -> float:
    """Kill some workers, and return the seconds until as many serve again as before."""
    before = gateway.workers()
    for pid in before[:count]:
        os.kill(pid, signal.SIGKILL)
    begun = time.monotonic()
    until(lambda: len(set(gateway.workers()) - set(before)) == count, "new workers are started")
    return time.monotonic() - begun


def test_killed_workers_come_back_and_nothing_blocked_passes_meanwhile(rough_lab: Lab) -> None:
    """A worker that crashes, alone or with all others, costs pupils a moment and opens nothing."""
    restarts = rough_lab.total("gateway_worker_restarts_total")
    load = Load(rough_lab)
    pupils = [threading.Thread(target=load.work, args=(number,)) for number in range(PUPILS)]
    for pupil in pupils:
        pupil.start()
    try:
        for count in (1, 2, 1):
            time.sleep(1.0)  # let the load run on healthy workers first
            again = kill(rough_lab.gateway, count)
            serving = _seconds_until_all_serve(rough_lab)
            print(f"{count} killed: started after {again:.2f} s, serving after {again + serving:.2f} s")
        time.sleep(1.0)
    finally:
        load.stopping.set()
        for pupil in pupils:
            pupil.join()
    print(f"{len(load.allowed)} allowed, {len(load.blocked)} blocked, {load.refused} refused")
    assert len(load.allowed) > 20
    assert len(load.blocked) > 20
    assert {answer.status for answer in load.blocked} == {403}
    assert not [answer for answer in load.blocked if HELLO.encode() in answer.body]
    assert rough_lab.origin.packets_to_blocked() == 0
    assert rough_lab.total("gateway_worker_restarts_total") == restarts + 4
    assert "starting it again" in rough_lab.gateway.said()


def test_what_was_flagged_before_a_crash_is_on_record(rough_lab: Lab) -> None:
    """A flagged event is on the disk before the pupil sees the page, so a crash loses none (S-40)."""
    answers = [ask(rough_lab, "https", "casino.example", f"/{number}") for number in range(20)]
    kill(rough_lab.gateway, 2)
    # On a disk that was busy they wait in a file beside the log. That first: from there they go to the log.
    recorded = spilled(rough_lab.gateway)
    recorded |= {row["reference"] for row in rough_lab.gateway.log(flagged=True)}
    assert {answer.reference for answer in answers} <= recorded
    _seconds_until_all_serve(rough_lab)


def spilled(gateway: Gateway) -> set[str]:
    """Return the references of what is on the disk and not in the log yet."""
    lines = list[bytes]()
    for file in (gateway.state / SPILL).glob("*.jsonl"):
        with suppress(FileNotFoundError):  # its events are in the log by now
            lines += file.read_bytes().split(b"\n")[:-1]
    return {from_line(line.decode("ascii")).reference for line in lines}


def _seconds_until_all_serve(lab: Lab) -> float:
    begun = time.monotonic()
    until(lambda: lab.total("gateway_workers_running") == 2, "all workers serve again")
    return time.monotonic() - begun
