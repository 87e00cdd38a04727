"""Updates from end to end, from a real server over TLS."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING

import pyrage
import pytest

from appliance.lists.feeds import Proof
from appliance.lists.ledger import Ledger, Record
from appliance.lists.locked import Contents
from appliance.lists.take import Job, Taken, take
from appliance.lists.update import Came, Means, Outcome, UpdateError, Updater
from appliance.lists.upstream import Verdict
from appliance.model.known import FloorState
from tests.doubles.feeds import FeedServer

if TYPE_CHECKING:
    from tests.lists.conftest import School

pytestmark = pytest.mark.slow

HOUR = 3600.0
CATALOGUE = """\
downloads:
  - {{id: mine, title: Mine, categories: [gambling], url: "{server}/list.txt", ca_file: {ca}, licence: MIT,
     refresh_hours: 12, jitter_minutes: 0{more}}}
  - {{id: all, title: All, tree: ut1, url: "{server}/all.tar", ca_file: {ca}, licence: MIT}}
trees:
  - id: ut1
    title: UT1
    licence: CC BY-SA 4.0
    folders:
      adult: {{categories: [pornography]}}
floor:
{floor}
"""
DEVELOPMENT = "  - {id: iwf, title: I, category: csam, mode: development, source: floor.txt}"
SUPPLIED = """\
  - {{id: iwf, title: I, category: csam, mode: supplied, url: "{server}/iwf", ca_file: {ca},
     token: iwf-token, container: {{kind: age, secret: iwf-key}}, minimum_entries: 2}}"""
UPSTREAM = """\
  - {id: iwf, title: I, category: csam, mode: upstream,
     proof: {canaries: ["http://canary.example/"], control: "http://open.example/", text: blocked}}"""
PLAIN = "http://unspeakable.example/page\nhttp://other-unspeakable.example/\n"


def _names(count: int) -> str:
    return "".join(f"site{number}.example\n" for number in range(count))


class Bench:
    """A school, a server of lists, and a clock."""

    def __init__(self, school: School, server: FeedServer) -> None:
        self.school, self.server = school, server
        self.means = Means(
            school.blocklists,
            school.state,
            clock=lambda: self.school.now,
            take=take,
            prove=self.prove,
            unseen=lambda: None,
        )
        self.verdict = (Verdict.PROVED, "all canaries are blocked")
        self.catalogue()

    def prove(self, _proof: Proof) -> tuple[Verdict, str]:
        return self.verdict

    def catalogue(self, floor: str = DEVELOPMENT, more: str = "") -> None:
        values = {"server": self.server.url(""), "ca": self.server.ca_file}
        text = CATALOGUE.format(**values, floor=floor.format(**values) if "{{" in floor else floor, more=more)
        self.school.write("catalogue.yaml", text)

    def update(self, name: str = "mine", *, accept: bool = False) -> Outcome:
        return Updater(self.means).update(name, accept=accept)

    def record(self, name: str = "mine") -> Record:
        return Ledger(self.school.paths).read(name)

    def secret(self, name: str, text: str) -> None:
        folder = self.school.state / "secrets"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)

    def state(self) -> FloorState:
        return self.school.lookup("a.example").floor.state


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeedServer]:
    made = FeedServer(tmp_path_factory.mktemp("feeds"))
    yield made
    made.close()


@pytest.fixture
def bench(school: School, server: FeedServer) -> Bench:
    server.pages.clear()
    server.asked.clear()
    return Bench(school, server)


def test_a_list_is_fetched_once_and_then_only_asked_about(bench: Bench) -> None:
    """New, then not modified: the second time costs no download and no compile, and both are noted."""
    bench.server.serve("/list.txt", _names(200))
    assert bench.update().came is Came.NEW
    assert bench.school.listed("site7.example") == {"mine"}
    bench.school.now += 12 * HOUR
    assert bench.update().came is Came.SAME
    assert "if-none-match" in bench.server.asked[-1][1]
    record = bench.record()
    assert (record.problem, record.succeeded_at, record.changed_at) == (
        "",
        bench.school.now,
        bench.school.now - 12 * HOUR,
    )
    assert not list(bench.school.paths.downloads.glob("*/*"))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (_names(20), "shrunk by 90 %"),
        ("", "no usable entry"),
        ("<html><body>Moved</body></html>", "web page"),
    ],
)
def test_what_is_wrong_stays_out_and_is_told(bench: Bench, body: str, said: str) -> None:
    """The old list stays in force, the reason is in the record, and it is tried again sooner than usual."""
    bench.server.serve("/list.txt", _names(200))
    bench.update()
    bench.server.serve("/list.txt", body)
    outcome = bench.update()
    assert outcome.came is Came.FAILED
    assert said in outcome.words
    assert said in bench.record().problem
    assert bench.record().failures == 1
    assert bench.record().next_at < bench.school.now + HOUR
    assert bench.school.listed("site7.example") == {"mine"}
    bench.server.serve("/list.txt", _names(201))
    assert bench.update().came is Came.NEW
    assert bench.record().problem == ""


def test_a_server_that_fails_changes_nothing(bench: Bench) -> None:
    """Server error, half a download and nobody there: each is a reason, none is a list."""
    bench.server.serve("/list.txt", _names(200))
    bench.update()
    for more, said in (({"status": 500}, "500"), ({"cut": 100}, "")):
        bench.server.serve("/list.txt", _names(300), **more)
        outcome = bench.update()
        assert outcome.came is Came.FAILED
        assert said in outcome.words
    assert bench.record().failing == 2
    assert bench.school.listed("site7.example") == {"mine"}
    assert bench.school.listed("site250.example") == set()


def test_a_checksum_is_demanded(bench: Bench) -> None:
    """Where the publisher gives a checksum, other bytes are refused before anything reads them."""
    bench.catalogue(more=f', sha256_url: "{bench.server.url("/list.txt.sha256")}"')
    bench.server.serve("/list.txt", _names(200))
    bench.server.serve("/list.txt.sha256", f"{'0' * 64}  list.txt\n")
    assert "checksum differs" in bench.update().words
    bench.server.serve("/list.txt.sha256", b"", status=404)
    assert "404" in bench.update().words
    assert bench.school.listed("site7.example") == set()


def test_a_signature_is_demanded(bench: Bench) -> None:
    """Where the publisher signs, an unsigned list is refused."""
    bench.catalogue(more=", minisign_key: RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3")
    bench.server.serve("/list.txt", _names(200))
    assert "404" in bench.update().words
    bench.server.serve("/list.txt.minisig", "rubbish")
    assert "no minisign signature" in bench.update().words


def test_going_back_and_not_forth_again(bench: Bench) -> None:
    """What a person rolled back is not taken again by the next update, but a newer edition is."""
    bench.server.serve("/list.txt", _names(200))
    bench.update()
    bench.school.now += HOUR
    bench.server.serve("/list.txt", _names(210))
    bench.update()
    updater = Updater(bench.means)
    assert updater.roll_back("mine", bench.school.compile) == ("mine",)
    assert bench.school.listed("site205.example") == set()
    assert bench.update().came is Came.SAME
    bench.server.serve("/list.txt", _names(210), headers={"ETag": '"another"'})
    assert "rolled back" in bench.update().words
    assert bench.school.listed("site205.example") == set()
    bench.server.serve("/list.txt", _names(211))
    assert bench.update().came is Came.NEW
    assert bench.school.listed("site205.example") == {"mine"}


def test_a_person_may_change_their_mind(bench: Bench) -> None:
    """With `accept`, a rolled back edition, and one of another size, are taken."""
    for count in (200, 210):
        bench.server.serve("/list.txt", _names(count))
        bench.update()
    Updater(bench.means).roll_back("mine", bench.school.compile)
    assert bench.update(accept=True).came is Came.NEW
    assert bench.record().refused == ()
    bench.server.serve("/list.txt", _names(10))
    assert bench.update(accept=True).came is Came.NEW
    assert bench.school.listed("site100.example") == set()


def test_a_way_back_that_fails_changes_nothing(bench: Bench) -> None:
    """Disk full while the old edition is compiled again: the present one is still in force."""
    for count in (200, 210):
        bench.server.serve("/list.txt", _names(count))
        bench.update()

    def fail() -> object:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        Updater(bench.means).roll_back("mine", fail)
    bench.school.compile()
    assert bench.school.listed("site205.example") == {"mine"}
    assert bench.record().refused == ()
    for name in ("bets", "nothing"):
        with pytest.raises(UpdateError, match="no earlier edition"):
            Updater(bench.means).roll_back(name, bench.school.compile)
    with pytest.raises(UpdateError, match="statutory"):
        Updater(bench.means).roll_back("iwf", bench.school.compile)


def test_what_is_due(bench: Bench) -> None:
    """Only what the school chose is fetched by itself, and only when its time has come."""
    updater = Updater(bench.means)
    assert updater.due([]) == ()
    assert updater.due(["mine"]) == ("mine",)
    bench.server.serve("/list.txt", _names(200))
    bench.update()
    assert updater.due(["mine"]) == ()
    bench.school.now += 12 * HOUR
    assert updater.due(["mine"]) == ("mine",)
    with pytest.raises(UpdateError, match="there are: all, mine"):
        updater.update("bets")


def _supply(bench: Bench, plain: str = PLAIN, dated: float | None = None) -> None:
    identity = pyrage.x25519.Identity.generate()
    bench.secret("iwf-key", str(identity))
    bench.secret("iwf-token", "hush")
    raw = pyrage.encrypt(plain.encode(), [identity.to_public()])
    date = formatdate(bench.school.now if dated is None else dated, usegmt=True)
    bench.server.serve("/iwf", raw, headers={"Last-Modified": date})


def test_a_supplied_list_is_missing_until_it_comes(bench: Bench) -> None:
    """A school that is to hold the list and does not has a closed gate; with the list it opens (DFE-F2)."""
    bench.catalogue(SUPPLIED)
    bench.school.compile()
    assert bench.state() is FloorState.MISSING
    assert "iwf was never supplied" in bench.school.lookup("a.example").floor.detail
    assert "no secret 'iwf-token'" in bench.update("iwf").words
    _supply(bench)
    assert bench.update("iwf").came is Came.NEW
    assert bench.server.asked[-1][1]["authorization"] == "Bearer hush"
    assert bench.state() is FloorState.OK
    assert bench.school.lookup("unspeakable.example/page").floor.hit
    bench.school.compile()  # the hourly compile has no source to read, and keeps what is locked
    assert bench.school.lookup("unspeakable.example/page").floor.hit
    status = bench.school.open().status().floor
    assert (status.mode, status.detail, status.lists[0].added) == ("supplied", "", 2)


def test_no_plain_copy_is_ever_on_the_disk(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """State, downloads and temporary files hold no entry, and neither does what is told (IWF-8)."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    bench.catalogue(SUPPLIED)
    _supply(bench)
    outcome = bench.update("iwf")
    assert outcome.came is Came.NEW
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"unspeakable" not in path.read_bytes(), path
    assert "unspeakable" not in outcome.words + bench.record("iwf").model_dump_json()


def test_a_failed_update_never_unblocks(bench: Bench) -> None:
    """Empty, shrunk, undecryptable, a web page, a failing server: what was listed stays listed."""
    bench.catalogue(SUPPLIED)
    bench.school.compile()
    many = PLAIN + "".join(f"http://bad{n}.example/\n" for n in range(200))
    _supply(bench, many)
    bench.update("iwf")
    _supply(bench, PLAIN)
    assert "shrunk by 99 %" in bench.update("iwf").words
    for body in (b"", b"<html>", b"age-encryption.org/v1 broken"):
        bench.server.serve("/iwf", body)
        assert bench.update("iwf").came is Came.FAILED
    bench.server.serve("/iwf", b"", status=503)
    outcome = bench.update("iwf")
    assert outcome.came is Came.FAILED
    assert "unspeakable" not in outcome.words
    assert bench.school.lookup("unspeakable.example/page").floor.hit
    assert bench.state() is FloorState.OK


def test_the_suppliers_own_date_counts(bench: Bench) -> None:
    """A feed that is served for ever but no longer kept up becomes stale, and the gate closes."""
    bench.catalogue(SUPPLIED)
    bench.school.compile()
    _supply(bench, dated=bench.school.now - 47 * HOUR)
    bench.update("iwf")
    assert bench.state() is FloorState.OK
    bench.school.now += 2 * HOUR
    bench.update("iwf")
    bench.school.compile()
    assert bench.state() is FloorState.STALE


def test_an_operators_file(bench: Bench, tmp_path: Path) -> None:
    """A list that comes on a stick is taken from a file, with the file's date."""
    file = tmp_path / "iwf.txt"
    bench.catalogue(f"  - {{id: iwf, title: I, category: csam, mode: supplied, file: {file}}}")
    bench.school.compile()
    assert "iwf.txt" in bench.update("iwf").words
    file.write_text(PLAIN)
    os.utime(file, (bench.school.now, bench.school.now))
    assert bench.update("iwf").came is Came.NEW
    assert bench.update("iwf").came is Came.SAME
    assert bench.state() is FloorState.OK


def test_an_upstream_provider_must_be_proved(bench: Bench) -> None:
    """Until the first proof, and at once after a disproof, the gate is closed; a dead line only ages it."""
    bench.catalogue(UPSTREAM)
    bench.school.compile()
    assert bench.state() is FloorState.MISSING
    assert bench.update("iwf").came is Came.SAME
    assert bench.state() is FloorState.OK
    assert bench.school.open().status().floor.mode == "upstream"
    bench.verdict = (Verdict.UNKNOWN, "the control page cannot be reached")
    bench.school.now += 40 * HOUR
    assert bench.update("iwf").came is Came.FAILED
    assert bench.state() is FloorState.OK
    bench.school.now += 9 * HOUR
    assert bench.state() is FloorState.STALE
    bench.verdict = (Verdict.PROVED, "")
    bench.update("iwf")
    bench.verdict = (Verdict.DISPROVED, "canary 1 is not blocked upstream")
    assert "gate is closed" in bench.update("iwf").words
    assert bench.state() is FloorState.MISSING


def test_another_way_of_custody_proves_nothing_for_this_one(bench: Bench) -> None:
    """Who changes from the synthetic list to a real feed starts with nothing, not with made-up entries."""
    bench.school.compile()
    bench.catalogue(SUPPLIED)
    bench.school.compile()
    assert bench.state() is FloorState.MISSING
    assert Contents(bench.school.paths).manifest.entries == 0


def test_two_updates_at_once_take_turns(bench: Bench) -> None:
    """The timer and a person at the keyboard do not write into the same half of a download."""
    seen: list[str] = []

    def slow(job: Job, data: bytes) -> Taken:
        seen.append("begin")
        time.sleep(0.05)
        seen.append("end")
        return take(job, data)

    bench.server.serve("/list.txt", _names(200))
    means = replace(bench.means, take=slow)
    threads = [threading.Thread(target=Updater(means).update, args=("mine",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen in (["begin", "end"], ["begin", "end", "begin", "end"])
    assert bench.record().failures == 0
