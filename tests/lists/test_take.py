"""The child process of an update: limits, and what is left when it is killed at any moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.lists.take import Job, TakeError, take, take_in_child

if TYPE_CHECKING:
    from tests.lists.conftest import School

REPOSITORY = Path(__file__).resolve().parents[2]
DOWNLOADS = """\
downloads:
  - {id: mine, title: Mine, categories: [gambling], url: "https://a.example/list", licence: MIT,
     must_list: [canary.test], must_not_list: [never.example], max_shrink_percent: 30}
  - {id: news, title: News, categories: [news], url: "https://a.example/news", licence: MIT}
  - {id: table, title: Table, categories: [gambling], url: "https://a.example/table", licence: CC0 1.0,
     format: csv, column: host}
keep_open: [www.gov.uk]
"""
DRIVER = """\
import os, signal, sys
log, stop = os.environ["KILL_LOG"], int(os.environ["KILL_AT"])
count, names = 0, {}
def step(what):
    global count
    with open(log, "a") as file:
        file.write(what + "\\n")
    count += 1
    if count == stop:
        os.kill(os.getpid(), signal.SIGKILL)
real_replace, real_fsync = os.replace, os.fsync
def replace(source, target, **more):
    step(f"replace {source} {target}")
    real_replace(source, target, **more)
def fsync(handle):
    handle = handle if isinstance(handle, int) else handle.fileno()
    step(f"fsync {os.readlink(f'/proc/self/fd/{handle}')}")
    real_fsync(handle)
os.replace, os.fsync = replace, fsync
os.rename = replace
from appliance.lists.take import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def updated(school: School) -> School:
    text = (school.blocklists / "catalogue.yaml").read_text()
    school.write("catalogue.yaml", text + DOWNLOADS)
    return school


def _names(count: int, start: int = 0) -> str:
    return "canary.test\n" + "".join(f"site{n}.example\n" for n in range(start, start + count - 1))


def _job(school: School, text: str, feed: str = "mine", *, any_size: bool = False, memory: int = 1024) -> Job:
    return Job(
        blocklists=school.blocklists,
        state=school.state,
        feed=feed,
        now=school.now,
        file=school.write("fetched", text),
        domains=("our-school.example",),
        any_size=any_size,
        memory_megabytes=memory,
    )


@pytest.mark.slow
def test_new_data_is_in_force(updated: School) -> None:
    """A first edition and a second one are taken, and what has changed is told."""
    taken = take(_job(updated, _names(200)))
    assert (taken.lists, taken.changed, taken.entries) == (("mine",), ("mine",), 200)
    assert updated.listed("site5.example") == {"mine"}
    assert take(_job(updated, _names(200))).changed == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (_names(20), "shrunk by 90 %"),
        (_names(700), "grown by 250 %"),
        ("", "no usable entry"),
        ("<!DOCTYPE html><html>moved</html>\n", "web page"),
        (_names(200).replace("canary", "other"), "does not name canary.test"),
        (_names(200) + "never.example\n", "names never.example"),
        (_names(200) + "gov.uk\nwww.gov.uk\n", "names www.gov.uk"),
        (_names(200) + "help.example\n", "names help.example"),
        (_names(200) + "our-school.example\n", "names our-school.example"),
    ],
)
def test_what_cannot_be_right_changes_nothing(updated: School, text: str, said: str) -> None:
    """Shrunk, grown, empty, a web page, without its canary or against what must stay open: refused."""
    take(_job(updated, _names(200)))
    table = updated.paths.table.read_bytes()
    with pytest.raises(TakeError, match=said):
        take(_job(updated, text))
    assert updated.paths.table.read_bytes() == table
    assert updated.listed("site5.example") == {"mine"}


@pytest.mark.slow
def test_a_person_may_take_another_size_but_no_other_fault(updated: School) -> None:
    """A list that is rightly smaller can be taken by hand; canaries and open sites hold even then."""
    take(_job(updated, _names(200)))
    assert take(_job(updated, _names(20), any_size=True)).entries == 20
    with pytest.raises(TakeError, match=r"canary\.test"):
        take(_job(updated, "a.example\n", any_size=True))


@pytest.mark.slow
def test_a_list_of_news_may_name_what_stays_open(updated: School) -> None:
    """Only a list of what schools block must keep its hands off."""
    assert take(_job(updated, "www.gov.uk\n", "news")).entries == 1


@pytest.mark.slow
def test_known_dirt_may_pass_by_name(updated: School) -> None:
    """A real list that names a help line can be used once a person has said so; help stays open anyway."""
    text = (updated.blocklists / "catalogue.yaml").read_text()
    updated.write(
        "catalogue.yaml", text.replace("must_not_list:", "may_list: [help.example], must_not_list:")
    )
    assert take(_job(updated, _names(200) + "help.example\n")).entries == 201
    assert "help:childline" in updated.listed("help.example")


@pytest.mark.slow
def test_what_is_no_feed_is_told(updated: School) -> None:
    """A feed that has gone from the catalogue meanwhile ends with a sentence."""
    with pytest.raises(TakeError, match="no feed"):
        take(_job(updated, "a.example\n", "gone"))


@pytest.mark.slow
def test_the_child_says_why_not(updated: School) -> None:
    """The reason comes through to the parent as the child said it."""
    with pytest.raises(TakeError, match="no usable entry"):
        take_in_child(_job(updated, ""))


@pytest.mark.slow
def test_in_a_process_of_its_own(updated: School) -> None:
    """The parent gets the same answer, or the same reason."""
    assert take_in_child(_job(updated, _names(200))).entries == 200
    with pytest.raises(TakeError, match="shrunk"):
        take_in_child(_job(updated, _names(20)))


@pytest.mark.slow
def test_too_much_memory_ends_the_child_alone(updated: School) -> None:
    """A list that would take the whole machine fails in words, and the old one stays."""
    take(_job(updated, _names(200)))
    big = "".join(f"a-rather-long-name-of-a-site-{n}.example\n" for n in range(400_000))
    with pytest.raises(TakeError, match="memory"):
        take_in_child(_job(updated, big + "canary.test\n", any_size=True, memory=64))
    assert updated.listed("site5.example") == {"mine"}


def _drive(school: School, job: Job, kill_at: int, log: Path) -> int:
    environment = os.environ | {"KILL_AT": str(kill_at), "KILL_LOG": str(log), "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", DRIVER, job.model_dump_json()]
    return subprocess.run(
        command, env=environment, input=b"", capture_output=True, check=False, cwd=school.blocklists
    ).returncode


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_killed_at_any_step_nothing_is_lost(updated: School, tmp_path: Path) -> None:
    """A real SIGKILL before every write that counts: a whole table is in force, old or new, always."""
    take(_job(updated, _names(200)))
    for at in range(1, 60):
        start = 1000 * at
        status = _drive(updated, _job(updated, _names(200, start), any_size=True), at, tmp_path / "log")
        lists = updated.open()
        assert not lists.fault
        assert updated.listed("canary.test") == {"mine"}
        if status == 0:
            assert updated.listed(f"site{start}.example") == {"mine"}
            break
        assert status == -signal.SIGKILL
        updated.compile()  # what the next start does
        assert updated.listed("canary.test") == {"mine"}
    else:
        pytest.fail("it never came to an end")
    assert at > 8


@pytest.mark.slow
def test_bytes_are_on_the_disk_before_their_name(updated: School, tmp_path: Path) -> None:
    """After a power cut no name leads to a file without its content: fsync, rename, fsync folder."""
    log = tmp_path / "log"
    assert _drive(updated, _job(updated, _names(200)), -1, log) == 0
    steps = [line.split() for line in log.read_text().splitlines()]
    replaced = [step for step in steps if step[0] == "replace"]
    assert {Path(step[2]).name for step in replaced} >= {"meta.json", "table.bin", "floor.bin"}
    for number, step in enumerate(steps):
        if step[0] == "replace":
            assert ["fsync", step[1]] in steps[:number], step
            assert ["fsync", str(Path(step[2]).parent)] in steps[number:], step


@pytest.mark.slow
def test_a_full_disk_changes_nothing(updated: School) -> None:
    """When no more can be written, the old list stays and the reason names the file."""
    take(_job(updated, _names(200)))
    job = _job(updated, _names(200_000), any_size=True).model_dump_json()
    limited = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (300000, 300000))\n"
    limited += "import sys; from appliance.lists.take import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", limited, job], cwd=REPOSITORY, input=b"", capture_output=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert b"large" in done.stderr
    assert updated.listed("site5.example") == {"mine"}
    assert updated.listed("site5000.example") == set()
    assert json.loads(job)["feed"] == "mine"


@pytest.mark.slow
def test_a_download_may_be_a_table_and_keeps_its_licence(updated: School) -> None:
    """The catalogue says in which column the addresses stand, and under which licence a list may be used."""
    taken = take(_job(updated, "rank,host\n1,a-bet.example\n2,b-bet.example\n", "table"))
    assert taken.entries == 2
    assert "table" in updated.listed("a-bet.example")
    status = next(item for item in updated.open().status().lists if item.id == "table")
    assert status.licence == "CC0 1.0"


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["null", ""])
def test_a_damaged_list_is_told_and_mended_by_its_own_update(updated: School, damage: str) -> None:
    """An update of another list says in words which one is damaged; its own puts it in order."""
    take(_job(updated, "rank,host\n1,a-bet.example\n", "table"))
    file = updated.paths.imported / "table" / "meta.json"
    file.write_text(damage)
    with pytest.raises(TakeError, match="appliance lists drop table"):
        take(_job(updated, _names(5)))
    take(_job(updated, "rank,host\n1,b-bet.example\n", "table"))
    assert "table" in updated.listed("b-bet.example")
    assert take(_job(updated, _names(5))).changed == ("mine",)
