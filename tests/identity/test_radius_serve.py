from __future__ import annotations

import os
import socket
import threading
from collections import Counter
from ipaddress import ip_network
from pathlib import Path

import pytest

from appliance.identity.announced import announced
from appliance.identity.outside import Found
from appliance.identity.radius import Client, Outcome, Reader
from appliance.identity.radius_people import Logins
from appliance.identity.radius_serve import Accounting, listen, serve
from appliance.model.secret import Secret
from tests.doubles.directory import InMemory
from tests.doubles.people import NOW, School, school
from tests.doubles.radius import SECRET, START, STOP, packet

HERE = "127.0.0.1"


def accounting(made: School, counts: Counter[Outcome], there: InMemory | None = None) -> Accounting:
    logins = Logins(
        made.database, silence=1500, window=300, classes={}, agreements={}, realms=[], directory=there
    )
    reader = Reader([Client(ip_network(HERE), Secret(SECRET), "switch")], 300)
    return Accounting(reader, logins, lambda outcome: counts.update([outcome]))


def believed(made: School) -> list[str]:
    with made.database.reading() as db:
        return [each.key for each in announced(db, NOW)]


@pytest.mark.slow
def test_what_becomes_of_each_packet_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Forged, replayed, sent twice: each is counted, and a flood of them does not fill the journal."""
    made, counts = school(tmp_path), Counter[Outcome]()
    made.add("amy")
    taking = accounting(made, counts)
    start, stop = packet(START, NOW), packet(STOP, NOW + 5)
    answer = taking.take(start, HERE, NOW)
    assert answer[0] == 5
    assert believed(made) == ["amy"]
    assert taking.take(start, HERE, NOW) == answer
    assert taking.take(stop, HERE, NOW + 5)
    assert taking.take(start, HERE, NOW + 6) == answer
    late = packet(START, NOW + 1, number=8)
    assert taking.take(late, HERE, NOW + 6) == b""
    for _ in range(5):
        assert taking.take(packet(START, NOW, secret="guessed-by-somebody"), HERE, NOW) == b""
    assert believed(made) == []
    assert counts == {
        Outcome.ACCEPTED: 2, Outcome.DUPLICATE: 2, Outcome.REPLAYED: 1, Outcome.FORGED: 5,
    }  # fmt: skip
    assert caplog.text.count("(forged)") == 1
    assert SECRET not in caplog.text


def test_what_could_not_be_kept_is_not_answered(tmp_path: Path) -> None:
    """Lose nothing: a switch sends again what got no answer, so a full disk costs no log-in."""
    made, counts = school(tmp_path), Counter[Outcome]()
    made.database.path.unlink()
    assert accounting(made, counts).take(packet(START, NOW), HERE, NOW) == b""
    assert counts == {Outcome.FAILED: 1}


@pytest.mark.slow
def test_the_directory_is_asked_beside_the_packets(tmp_path: Path) -> None:
    """A directory that does not answer holds up no packet."""
    made, counts = school(tmp_path), Counter[Outcome]()
    taking = accounting(made, counts, InMemory({"amy": Found("amy", "ks2")}))
    assert taking.take(packet(START, NOW), HERE, NOW)
    assert believed(made) == []
    taking.ask_next()
    assert [each.name for each in made.accounts.all()] == ["amy"]


@pytest.mark.slow
def test_packets_of_both_families_are_taken_until_it_is_told_to_end(tmp_path: Path) -> None:
    """The process ends with whoever started it, and answers to where a packet came from."""
    made, counts = school(tmp_path), Counter[Outcome]()
    made.add("amy")
    listening = listen(("::", 0))
    told, tell = os.pipe()
    running = threading.Thread(target=serve, args=(accounting(made, counts), listening, told))
    port = listening.getsockname()[1]
    running.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as switch:
        switch.settimeout(5)
        switch.sendto(b"rubbish", (HERE, port))
        switch.sendto(packet(START, 1), (HERE, port))
        with pytest.raises(OSError, match="UDP port"):
            listen(("::", port))
    os.close(tell)
    running.join(5)
    os.close(told)
    assert not running.is_alive()
