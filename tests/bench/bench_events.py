"""The event log's figures: rows a second through the real writer, bytes a row, one person's day, forgetting.

    python tests/bench/bench_events.py                  # 2 million rows, some two minutes
    python tests/bench/bench_events.py --rows 30000000  # the whole: 13 months, 5 GB, half an hour
    python tests/bench/bench_events.py --rows 30000000 --keep DIR  # made once, asked often

What lives only here: the school that the rows are of. Half of the rows are older than the 90 days of raw
fields, so that forgetting one day of each kind is measured on a log that has both. With `--keep` the log is
made while the machine is busy and asked when it is quiet: nothing is written to it or forgotten then.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from appliance.events import rows
from appliance.events.fields import Retention
from appliance.events.queries import open_reader
from appliance.events.record import Record, milliseconds
from appliance.events.retention import retire
from appliance.events.schema import DAY, prepare
from appliance.events.store import DATABASE, EventStore, Limits
from appliance.model.decision import Action, Decision, Reason
from appliance.model.event import Access
from appliance.model.person import Confidence, Person

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.measure import KEPT, Report, give_up, report

PEOPLE, SITES, DAYS = 600, 3_000, 390
END = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
_WEEK = 5
_REPEATS = 5
_PER_ROW = 260  # bytes to be free on the disk: the row, its indexes, the write-ahead log


def record(number: int, at: int, dice: random.Random) -> Record:
    """Return an ordinary access of the size that they have: an address of some 80 characters."""
    who, site = dice.randrange(PEOPLE), int(SITES * dice.random() ** 2)
    host = f"www.site-{site:04}.example.org"
    url = (
        f"https://{host}/assets/2026/{dice.randrange(10**9):09}/part-{dice.randrange(999)}.js?v={number % 97}"
    )
    profile = ("ks2", "ks3", "ks4", "staff")[who % 4]
    return Record(
        f"{number:08X}", at, f"pupil.{who:03}", profile, "signed in", "certain", "",
        f"10.20.{who >> 8}.{who & 255}",
        host, url, "GET", "", "allow", "acceptable", f"category_{site % 24}", profile,
        "Pupils may use educational sites (W:472).", f"profiles/west/{profile}.yaml:{30 + site % 24}",
        f"ut1-{site % 24}", "2026-11-01", "sha256:0123456789abcdef", 0, 0, 0, 200, 480, 12_345,
    )  # fmt: skip


def made(count: int, first: int = 0) -> Iterator[Record]:
    """Yield so many accesses over 13 months of school hours from number `first` on, oldest first."""
    dice, start = random.Random(7), END - timedelta(days=DAYS)
    per_day = max(1, count // DAYS)
    for number in range(first, count):
        day, within = divmod(number, per_day)
        at = start + timedelta(days=min(day, DAYS - 1), seconds=7 * 3600 * (within / per_day % 1))
        yield record(number, milliseconds(at), dice)


def fill(path: Path, count: int) -> float:
    """Fill a new log in large transactions; seconds that it took.

    A school week is written with the statements of the real writer; the others are copies of it, which the
    database makes at ten times the speed, each row with a time, a person and a verdict of its own day.
    """
    prepare(path)
    began, week = time.monotonic(), _WEEK * max(1, count // DAYS)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        _insert(db, itertools.islice(made(count), week))
        highest = db.execute("SELECT (SELECT max(id) FROM who), (SELECT max(id) FROM verdict)").fetchone()
        for number in range(1, DAYS // _WEEK if week < count else 1):
            _copy(db, number, week, *highest)
        done = db.execute("SELECT max(id) FROM access").fetchone()[0]
        _insert(db, made(count, first=done))
    return time.monotonic() - began


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN")
    yield
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _insert(db: sqlite3.Connection, records: Iterable[Record]) -> None:
    known = dict[rows.Key, int]()

    def number_of(key: rows.Key, add: str) -> int:
        if key not in known:
            known[key] = int(db.execute(add, key).lastrowid or 0)
        return known[key]

    with _transaction(db):
        for each in records:
            who = number_of(rows.who_key(each), rows.ADD_WHO)
            verdict = number_of(rows.verdict_key(each), rows.ADD_VERDICT)
            db.execute(rows.ADD_ACCESS, rows.access_row(each, who, verdict))


def _copy(db: sqlite3.Connection, number: int, week: int, whos: int, verdicts: int) -> None:
    days, new = number * _WEEK, {"rows": number * week, "who": number * whos, "verdict": number * verdicts}
    tables = {"who": ("who", whos), "verdict": ("verdict", verdicts), "access": ("rows", week)}
    moved = {
        "day": str(days),
        "time": str(days * DAY),
        "who": str(new["who"]),
        "verdict": str(new["verdict"]),
    }
    with _transaction(db):
        for table, (of, highest) in tables.items():
            names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            plus = moved | {"id": str(new[of])}
            columns = ", ".join(f'"{name}" + {plus[name]}' if name in plus else f'"{name}"' for name in names)
            db.execute(f"INSERT INTO {table} SELECT {columns} FROM {table} WHERE id <= {highest} ORDER BY id")  # noqa: S608 - names of our own


def access(each: Record) -> Access:
    """Return the same as the gateway hands it to the log."""
    decision = Decision(
        Action(each.action), Reason(each.reason), each.because, each.profile, each.category, each.rule,
        each.list, each.list_version, policy_version=each.policy_version,
    )  # fmt: skip
    person = Person(each.group, each.source, Confidence(each.confidence), each.name, each.device)
    return Access(
        each.reference, each.at, person, each.client, each.host, each.url, each.method, decision,
        each.search_term, each.status, each.bytes_sent, each.bytes_received,
    )  # fmt: skip


async def write(state: Path, count: int) -> tuple[float, float, int]:
    """Put accesses through the store as a worker does; rows a second on the clock and of CPU, and bytes."""
    dice, start = random.Random(8), milliseconds(END)
    accesses = [access(record(number, start + number, dice)) for number in range(count)]
    before = (state / DATABASE).stat().st_size
    store = await EventStore.open(state, limits=Limits(queue=count + 1))
    clock, cpu = time.perf_counter(), time.process_time()
    for number, each in enumerate(accesses):
        store.queue(each)
        if number % 1_000 == 0:
            await asyncio.sleep(0)  # the writer's turn, as between two requests
    await store.flush()
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    await store.close()
    return count / clock, count / cpu, (state / DATABASE).stat().st_size - before


async def one_day(state: Path, days_ago: int) -> tuple[float, int]:
    """Ask for one person's day; milliseconds, and how many accesses there were."""
    since = (END - timedelta(days=days_ago)).replace(hour=0)
    clock = time.perf_counter()
    async with open_reader(state) as reader:
        found = await reader.accesses(
            person="pupil.123", since=since, until=since + timedelta(days=1), limit=10_000
        )
    return (time.perf_counter() - clock) * 1_000, len(found)


def forget(path: Path) -> None:
    """Let the system forget the file, so that the next question reads it from the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


def written() -> int:
    """Return the bytes that this process has caused to be written to the disk so far."""
    return _moved("write_bytes")


def read() -> int:
    """Return the bytes that the disk had to read for this process so far."""
    return _moved("read_bytes")


def _moved(what: str) -> int:
    text = Path("/proc/self/io").read_text(encoding="ascii")
    return int(dict(line.split(": ") for line in text.splitlines())[what])


def measure(out: Report, state: Path, count: int) -> None:
    """Fill, write, ask and forget."""
    path = state / DATABASE
    seconds = fill(path, count)
    size = _size(out, path, count, seconds)
    per_second, per_cpu, grown = asyncio.run(write(state, 100_000))
    out.table(
        "Written by one worker's store",
        [{"rows/s": per_second, "rows/s of CPU": per_cpu, "bytes a row": grown / 100_000}],
    )
    out.reach("rows a second, sustained", per_second, 5_000, "rows/s", least=True)
    _ask(out, state)
    _forgetting(out, state, count, size)


def measure_kept(out: Report, state: Path, count: int) -> None:
    """Fill the log of the folder `state` unless that was done before, bring it up to date, and ask."""
    path, seconds = state / DATABASE, None
    if not path.exists():
        new = state / "making" / DATABASE
        shutil.rmtree(new.parent, ignore_errors=True)
        new.parent.mkdir()
        seconds = fill(new, count)
        new.rename(path)  # whole, or not there
        new.parent.rmdir()
    prepare(path)
    with closing(sqlite3.connect(path)) as db:
        (made_rows,) = db.execute("SELECT max(id) FROM access").fetchone()
    if made_rows != count:
        give_up(f"{path} has {made_rows} rows and not {count}: remove it, or say --rows {made_rows}")
    _size(out, path, count, seconds)
    _ask(out, state)


def _size(out: Report, path: Path, count: int, seconds: float | None) -> int:
    size = path.stat().st_size
    out.table(
        "The log", [{"rows": count, "MB": size / 1e6, "bytes a row": size / count, "made in (s)": seconds}]
    )
    out.reach("plain access row, with its indexes", size / count, 200, "bytes")
    return size


def _ask(out: Report, state: Path) -> None:
    path, asked = state / DATABASE, []
    for days_ago in (3, 60, 200, 380):
        # The best of several, as with every figure where others work too; each begins without the file.
        cold, cpu, moved = min(_cold(path, days_ago) for _ in range(_REPEATS))
        warm, found = min(asyncio.run(one_day(state, days_ago)) for _ in range(_REPEATS))
        asked.append(
            {
                "days ago": days_ago,
                "from the disk (ms)": cold,
                "of CPU (ms)": cpu,
                "MB read": moved,
                "again (ms)": warm,
                "rows": found,
            }
        )
    out.table("One person's day", asked)
    out.reach("one person's day, from the disk", max(row["from the disk (ms)"] for row in asked), 200, "ms")
    out.reach("one person's day, in memory", max(row["again (ms)"] for row in asked), 200, "ms")


def _cold(path: Path, days_ago: int) -> tuple[float, float, float]:
    """Ask with nothing of the log in memory: milliseconds on the clock and of CPU, and MB read."""
    forget(path)
    before, cpu = read(), time.process_time()
    clock, _ = asyncio.run(one_day(path.parent, days_ago))
    return clock, (time.process_time() - cpu) * 1_000, (read() - before) / 1e6


def _forgetting(out: Report, state: Path, count: int, size: int) -> None:
    """Bring the log to its terms, then let one more day pass, and say what that wrote to the disk."""
    terms, found = Retention.of({}), []
    asyncio.run(retire(state, terms, END))
    for days in (1, 10):  # the tenth is the first that deletes: the log is 390 days long, and kept for 395
        before, clock, cpu = written(), time.perf_counter(), time.process_time()
        done = asyncio.run(retire(state, terms, END + timedelta(days=days)))
        blanked, deleted = max(done.blanked.values(), default=0), done.deleted.get("access", 0)
        found.append(
            {
                "days": 1 if days == 1 else 9,
                "rows blanked": blanked,
                "rows deleted": deleted,
                "s": time.perf_counter() - clock,
                "s of CPU": time.process_time() - cpu,
                "MB written": (written() - before) / 1e6,
                "bytes written a row": (written() - before) / max(1, blanked + deleted),
            }
        )
    out.table("Forgetting", found)
    out.note(f"a day of this log is {size / DAYS / 1e6:.1f} MB, {count // DAYS} rows")


def main() -> None:
    """Measure in a folder of its own under var/, which is removed at the end."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    asked.add_argument("--rows", type=int, default=2_000_000, help="rows of the log; 30000000 is the whole")
    asked.add_argument("--keep", type=Path, metavar="DIR", help="make the log there once, and only ask it")
    chosen = asked.parse_args()
    count, state = chosen.rows, chosen.keep or KEPT / "events"
    if chosen.keep is None:
        shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True, exist_ok=True)
    free, needed = shutil.disk_usage(state).free, 2 * count * _PER_ROW
    if free < needed and not (state / DATABASE).exists():
        give_up(f"{count} rows need {needed / 1e9:.1f} GB; {free / 1e9:.1f} GB are free")
    try:
        with report("events") as out:
            (measure_kept if chosen.keep else measure)(out, state, count)
    finally:
        if chosen.keep is None:
            shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    main()
