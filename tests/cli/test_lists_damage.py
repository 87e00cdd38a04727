"""Every verb of `appliance lists` against every file of its state, damaged in every way to be expected.

A power cut, a full disk, a hand that edited, a restore of half a backup: each verb answers, or says in words
what is wrong with which file. Nobody reads a traceback, and no other list suffers.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from appliance.cli.lists import lists
from appliance.config.problems import InWordsError
from appliance.lists.compiler import compile_lists
from appliance.lists.importer import Wanted, import_list
from appliance.lists.ledger import Ledger, Rhythm
from appliance.lists.local import LocalFile
from appliance.lists.paths import Paths
from appliance.lists.store import Store
from appliance.model.known import Use
from tests.lists.conftest import FILES, REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NOW = datetime(2026, 11, 22, tzinfo=UTC)

LOOKING = (
    ("status",),
    ("status", "--json"),
    ("status", "--problems", "mine"),
    ("lookup", "a.test"),
    ("lookup", "shut.example"),
    ("diff", "mine"),
    ("diff", "iwf"),
    ("overlap",),
    ("remove", "shut.example"),
    ("rollback", "iwf"),
    ("drop", "bets"),
    ("update", "nothing"),
)
"""Verbs that start no process, so that all of them can be tried on each damage."""


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _nowhere(file: Path) -> None:
    file.unlink()
    file.symlink_to("/nowhere/at/all")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "junk": lambda file: file.write_bytes(b"\xff\xfe\x00{[" * 99),
    "half": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "null": lambda file: file.write_bytes(b"null\n"),
    "missing": Path.unlink,
    "folder": _folder,
    "nowhere": _nowhere,
}


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a school with a state of every kind of file."""
    root = tmp_path_factory.mktemp("whole")
    blocklists, state = root / "blocklists", root / "state"
    blocklists.mkdir()
    for name, text in FILES.items():
        (blocklists / name).write_text(text)
    shutil.copy(REPOSITORY / "blocklists" / "categories.yaml", blocklists)
    for name in ("mine", "other", "dropped"):
        for entries in ("a.test\nb.test\ncom\n", "a.test\nc.test/page\ncom\n"):
            _import(root, name, entries)
    Store(Paths(state)).drop("dropped")
    compile_lists(blocklists, state, NOW.timestamp())
    Ledger(Paths(state)).failed("feed", "the server answered 500", NOW.timestamp(), Rhythm(12.0, 30.0))
    LocalFile(Paths(state).local).add(Use.BLOCK, "shut.example", because="x", who="it", at=NOW)
    return root


def _import(root: Path, name: str, entries: str) -> None:
    source = root / "source.txt"
    source.write_text(entries)

    def compile_all() -> object:
        return compile_lists(root / "blocklists", root / "state", NOW.timestamp())

    wanted = Wanted(name, name, ("gambling",))
    import_list(source, wanted, Paths(root / "state"), now=NOW, compile_all=compile_all)


def _files(root: Path) -> list[Path]:
    found = (path for path in (root / "state").rglob("*") if path.is_file())
    return [path.relative_to(root / "state") for path in found]


def _where(root: Path) -> SimpleNamespace:
    return SimpleNamespace(
        state=root / "state",
        blocklists=root / "blocklists",
        floor_max_age_hours=48.0,
        list_updates=(),
        own_domains=(),
        update_memory_megabytes=256,
    )


def _answers(root: Path, verb: tuple[str, ...]) -> None:
    done = CliRunner().invoke(lists, verb, obj=_where(root))
    # What `appliance` itself tells in words: an InWordsError, or a file that cannot be used.
    in_words = (SystemExit, InWordsError, OSError)
    assert done.exception is None or isinstance(done.exception, in_words), (verb, done.exc_info)
    said = done.output + (str(done.exception) if isinstance(done.exception, in_words[1:]) else "")
    assert said.strip(), verb
    assert "Traceback" not in said, verb


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_verb_answers_whatever_is_damaged(whole: Path, tmp_path: Path, damage: str) -> None:
    """Each verb answers or tells in words; a compile goes well or says what to do (CompileError)."""
    tried = 0
    for file in _files(whole):
        root = tmp_path / "school"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(whole, root)
        DAMAGES[damage](root / "state" / file)
        for verb in LOOKING:
            _answers(root, verb)
        with contextlib.suppress(InWordsError):
            compile_lists(root / "blocklists", root / "state", NOW.timestamp())
        tried += 1
    assert tried >= 15


@pytest.mark.parametrize("file", ["meta.json", "*.names"])
@pytest.mark.parametrize("damage", ["empty", "junk", "half", "null"])
def test_a_damaged_list_is_mended_as_it_is_told(whole: Path, tmp_path: Path, file: str, damage: str) -> None:
    """What the message says helps: import the list again, or drop it; the others compile again then."""
    for way in ("import", "drop"):
        root = tmp_path / way
        shutil.copytree(whole, root)
        folder = root / "state" / "lists" / "imported" / "mine"
        for path in folder.glob(file):
            DAMAGES[damage](path)
        (root / "state" / "lists" / "table.bin").unlink()
        with pytest.raises(InWordsError, match="appliance lists drop mine"):
            compile_lists(root / "blocklists", root / "state", NOW.timestamp())
        if way == "import":
            _import(root, "mine", "a.test\nc.test/page\ncom\n")
        else:
            Store(Paths(root / "state")).drop("mine")
            compile_lists(root / "blocklists", root / "state", NOW.timestamp())
        _answers(root, ("lookup", "a.test"))
