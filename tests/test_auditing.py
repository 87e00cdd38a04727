from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
import yaml

from appliance import auditing
from appliance.alerts import outbox
from appliance.alerts.book import Book
from appliance.alerts.redact import Checkpoint
from appliance.auditing import forget, note_approval, seal
from appliance.events import verify_audit
from appliance.events.audit import Trail
from appliance.events.checkpoints import Checkpoints
from appliance.events.errors import EventsError
from appliance.events.record import from_access
from appliance.events.store import DATABASE
from appliance.events.writer import Writer
from appliance.settings import Settings, load_settings
from tests.doubles.alerts import DEPUTY, DSL, HEAD
from tests.doubles.events import START, access
from tests.doubles.keeping import keeper, until
from tests.doubles.mailbox import Mailbox, serving
from tests.doubles.school import configuration

pytestmark = pytest.mark.slow  # each reads a whole configuration


def test_how_the_policy_is_changed_stands_in_the_audit_once(tmp_path: Path) -> None:
    """S-26: that one person may do it alone is a choice, and so is each change of it."""
    settings = load_settings(configuration(tmp_path)).settings
    settings.state.mkdir()
    two = settings.model_copy(update={"changes": settings.changes.model_copy(update={"approval": "two"})})
    for each in (settings, settings, two, settings):
        note_approval(each)
    assert [entry["whom"] for entry in Trail(settings.state).entries()] == ["single", "two", "single"]


async def test_a_checkpoint_is_written_at_the_start(tmp_path: Path) -> None:
    """What was done before is covered by a signature without anybody's doing."""
    settings = load_settings(configuration(tmp_path)).settings
    settings.state.mkdir()
    note_approval(settings)
    points = settings.state / "audit" / "checkpoints"
    task = asyncio.create_task(seal(settings))
    try:
        async with asyncio.timeout(30):
            while not any(points.glob("*.txt")):  # noqa: ASYNC110 - a file tells nobody when it is there
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_what_was_forgotten_stands_in_the_audit_class_by_class(tmp_path: Path) -> None:
    """DP-2: a deletion can be proved: which class, how many rows, up to when, and their digest."""
    settings = load_settings(configuration(tmp_path)).settings
    settings.state.mkdir()
    writer = Writer(settings.state / DATABASE, durable=False, patience=1)
    await writer.write([from_access(access(1)), from_access(access(2))])
    await writer.close()
    gone = await forget(settings, START + timedelta(days=92))
    noted = [entry for entry in Trail(settings.state).entries() if entry["what"] == "retention"]
    assert [entry["whom"] for entry in noted] == [one.what for one in gone]
    first = noted[0]
    assert (first["whom"], first["rows"]) == ("ordinary access: host, url, search_term", 2)
    assert first["until"].startswith("2026-11-25")
    assert len(first["digest"]) == 64
    assert await forget(settings, START + timedelta(days=92)) == []


async def test_a_clock_that_leapt_ahead_removes_nothing_for_a_day(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A year of records must not go because a battery is empty; and they go where the clock was right."""
    settings = load_settings(configuration(tmp_path)).settings
    settings.state.mkdir()
    writer = Writer(settings.state / DATABASE, durable=False, patience=1)
    await writer.write([from_access(access(1)), from_access(access(2))])
    await writer.close()
    assert await forget(settings, START) == []
    assert await forget(settings, START + timedelta(days=400)) == []
    assert "they stay for a day" in caplog.text
    assert await forget(settings, START + timedelta(days=1)) == []
    assert await forget(settings, START + timedelta(days=400)) == []
    assert await forget(settings, START + timedelta(days=401, hours=1)) != []


@pytest.mark.parametrize("error", [OSError("disk"), EventsError("damaged")])
async def test_records_that_cannot_be_retired_cost_one_round(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A locked log does not end the removal of what is past its days (DP-2)."""
    tried: list[object] = []
    enough = asyncio.Event()

    async def fail(state: object, _retention: object, _now: object) -> None:
        tried.append(state)
        if len(tried) == 3:
            enough.set()
        raise error

    monkeypatch.setattr(auditing, "_RETIRE_SECONDS", 0.002)
    monkeypatch.setattr(auditing, "retire", fail)
    settings: Any = SimpleNamespace(state=tmp_path, retention=None)
    task = asyncio.create_task(auditing.keep_terms(settings))
    await asyncio.wait_for(enough.wait(), 10)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert "could not be removed this time" in caplog.text


GOVERNOR, CLERK = "governor@trust.example", "clerk@trust.example"


def governed(tmp_path: Path, *addresses: str) -> tuple[Settings, Book, Checkpoints]:
    """Return a school whose governors have these addresses."""
    settings = load_settings(configuration(tmp_path)).settings
    settings.state.mkdir(exist_ok=True)
    audit = settings.audit.model_copy(update={"mail_to": addresses})
    Book(settings.state).prepare()
    points = Checkpoints(settings.state, "Ysgol Gŵyr")
    return settings.model_copy(update={"audit": audit}), Book(settings.state), points


def test_each_checkpoint_is_put_in_once_for_each_governor(tmp_path: Path) -> None:
    """The newest at first, then each; none twice, whatever dies in between and wherever the clock is put."""
    settings, book, points = governed(tmp_path, GOVERNOR, CLERK)
    assert auditing.mail_checkpoints(settings, book, 1.0) == 0  # none yet
    points.make(10_000.0)
    points.make(20_000.0)
    assert auditing.mail_checkpoints(settings, book, 1.0) == 2
    assert auditing.mail_checkpoints(settings, book, 2.0) == 0
    last = points.make(15_000.0)  # the clock was put back
    assert auditing.mail_checkpoints(settings, book, 3.0) == 2
    with book.reading() as db:
        letters = outbox.due(db, 4.0, "")
    assert [letter.address for letter in letters] == [GOVERNOR, CLERK] * 2
    assert letters[-1].message == Checkpoint(letters[-1].message.at, last.text)
    nobody = settings.model_copy(update={"audit": settings.audit.model_copy(update={"mail_to": ()})})
    points.make(30_000.0)
    assert auditing.mail_checkpoints(nobody, book, 5.0) == 0


def test_what_is_no_checkpoint_is_not_mailed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """W:422-424: whatever somebody puts into that folder, it is not what leaves the school; others do."""
    settings, book, points = governed(tmp_path, GOVERNOR)
    points.make(1.0)
    auditing.mail_checkpoints(settings, book, 1.0)
    (points.folder / "000000009-20270101T000000000000.txt").write_text("Ada Example was at bets.example\n")
    points.make(2.0)
    assert auditing.mail_checkpoints(settings, book, 2.0) == 1
    assert "is not mailed" in caplog.text
    assert auditing.mail_checkpoints(settings, book, 3.0) == 0


@pytest.mark.parametrize("form", ["as a file", "as a whole mail"])
async def test_a_governors_computer_checks_with_the_mail_as_it_arrived(tmp_path: Path, form: str) -> None:
    """Issue 6: from the real keeper by a real mail server to the stand-alone verifier, which finds a cut."""
    authority = trustme.CA()
    async with serving(Mailbox(), authority) as mailbox:
        kept = keeper(tmp_path, mailbox, authority)
        values = yaml.safe_load(kept.config.read_text(encoding="utf-8"))
        values["audit"] = {"mail_to": [GOVERNOR]}
        values["school"]["name"] = (
            "Ysgol Gŵyr — a school whose name is so long that every mail program wraps it"
        )
        kept.config.write_text(yaml.safe_dump(values), encoding="utf-8")
        kept.prepare(DSL, DEPUTY, HEAD)
        mailbox.data[GOVERNOR] = ["451 4.3.0 Not just now"]
        trail = Trail(kept.settings.state)
        for number in range(5):
            trail.add("freeze", f"pupil {number}", by="head", at=time.time())
        made = Checkpoints(kept.settings.state, kept.settings.school.name).make(time.time())
        kept.start()
        await until(lambda: mailbox.arrived, "the governor's mail")
        assert kept.stop() == 0
    ((to, mail),) = mailbox.arrived
    assert to == GOVERNOR
    assert mail["Subject"] == f"Audit of the school gateway: {made.records} records"
    assert "pupil" not in mail.as_string()
    (file,) = [part for part in mail.walk() if part.get_filename()]
    assert file.get_filename() == f"checkpoint-{made.records:09}.txt"
    saved = tmp_path / "saved"
    content = file.get_payload(decode=True)
    assert isinstance(content, bytes)
    saved.write_bytes(content if form == "as a file" else mail.as_bytes())
    program, exported = tmp_path / "verifier.py", tmp_path / "audit.jsonl"
    shutil.copyfile(verify_audit.__file__, program)
    whole = trail.path.read_bytes()

    def verified(data: bytes) -> subprocess.CompletedProcess[str]:
        exported.write_bytes(data)
        command = [sys.executable, "-I", str(program), str(exported), "--checkpoint", str(saved)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    good = verified(whole)
    assert good.returncode == 0, good.stdout + good.stderr
    assert "no checkpoint was at hand" not in good.stdout
    cut = verified(b"".join(whole.splitlines(keepends=True)[:-1]))
    assert cut.returncode == 1
    assert f"record {made.records} is missing" in cut.stdout
