"""A small school: a catalogue with a list of each use, help lines and a floor, all on reserved names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.lists.catalogue import load_catalogue
from appliance.lists.compiler import Compiled, compile_lists
from appliance.lists.importer import Imported, Wanted, import_list, import_tree, survey_of
from appliance.lists.lists import Lists
from appliance.lists.paths import Paths
from appliance.model.known import Known
from appliance.model.url import parse_typed

REPOSITORY = Path(__file__).resolve().parents[2]

DATA = REPOSITORY / ".." / "shared" / "data"
SHIPPED = REPOSITORY / "blocklists"
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)

CATALOGUE = """\
lists:
  - {id: bets, title: Bets, categories: [gambling], source: bets.txt, licence: MIT}
  - {id: ours-closed, title: Closed, use: block, source: closed.txt, licence: MIT}
trees:
  - id: ut1
    title: UT1
    licence: CC BY-SA 4.0
    folders:
      adult: {categories: [pornography]}
      blog: {categories: [blogs], means_suffixes: true}
      old: {use: skip, because: it is old}
floor:
  - {id: iwf, title: Stand-in, category: csam, mode: development, source: floor.txt}
  - {id: ctiru, title: Stand-in, category: terrorism, mode: development, source: floor2.txt}
"""
HELP = """\
lines:
  - {id: childline, name: Childline, addresses: [help.example, nhs.example/mind]}
"""
FILES = {
    "catalogue.yaml": CATALOGUE,
    "help.yaml": HELP,
    "bets.txt": "bets.example\ncasino.test\nnews.example/odds\n",
    "closed.txt": "closed.example\n",
    "floor.txt": "http://floor.example/a/page.html\nhttp://floor.example/folder/\nwhole.example\n",
    "floor2.txt": "http://floor.example/unlawful\n",
}


@dataclass
class School:
    """A school's folders, with the few things that tests do to them."""

    blocklists: Path
    state: Path
    now: float = 1_800_000_000.0

    @property
    def paths(self) -> Paths:
        return Paths(self.state)

    def write(self, name: str, text: str) -> Path:
        path = self.blocklists / name
        path.write_text(text, "utf-8")
        return path

    def compile(self) -> Compiled:
        return compile_lists(self.blocklists, self.state, self.now)

    def open(self, max_age_hours: float = 48.0) -> Lists:
        return Lists.open(self.blocklists, self.state, max_age_hours, clock=lambda: self.now)

    def lookup(self, address: str) -> Known:
        return self.open().lookup(parse_typed(address))

    def listed(self, address: str) -> set[str]:
        return {match.list for match in self.lookup(address).matches}


@pytest.fixture
def school(tmp_path: Path) -> School:
    blocklists = tmp_path / "blocklists"
    blocklists.mkdir()
    categories = (REPOSITORY / "blocklists" / "categories.yaml").read_text("utf-8")
    made = School(blocklists, tmp_path / "state")
    for name, text in {**FILES, "categories.yaml": categories}.items():
        made.write(name, text)
    return made


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Make a folder of files from a mapping of names to texts."""

    def make(files: dict[str, str]) -> Path:
        root = tmp_path / "collection"
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return root

    return make


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Imported, Imported]:
    """UT1 whole and the big adult list, imported into one state folder."""
    state = tmp_path_factory.mktemp("everything")
    paths = Paths(state)
    ut1, big = (
        DATA / "blocklists" / "ut1" / "blacklists.tar.gz",
        DATA / "blocklists" / "big-adult" / "blocked.txt.xz",
    )
    tree = import_tree(ut1, survey_of(ut1), load_catalogue(SHIPPED), paths, now=NOW, compile_all=lambda: None)
    one = import_list(
        big,
        Wanted("big-adult", "Big", ("pornography",)),
        paths,
        now=NOW,
        compile_all=lambda: compile_lists(SHIPPED, state, NOW.timestamp()),
    )
    return state, tree, one
