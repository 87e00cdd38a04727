"""What speaks against new data."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.lists.checks import Edition, Watched, named_by, objections, size_objections
from appliance.lists.entries import key_of
from appliance.lists.feeds import Demands
from appliance.lists.finder import Finder
from appliance.lists.table import Info, Table, write_table
from appliance.model.url import parse_typed

DEMANDS = Demands(minimum_entries=2, max_shrink_percent=30, max_growth_percent=100)


def _edition(tmp_path: Path, *keys: str, blocks: bool = True) -> Edition:
    path = tmp_path / "keys"
    path.write_text("".join(f"{key}\n" for key in keys))
    return Edition("mine", len(keys), None, blocks, path)


@pytest.mark.parametrize(
    ("entries", "before", "said"),
    [
        (100, 1000, "shrunk by 90 %"),
        (699, 1000, "shrunk by 30 %"),
        (700, 1000, ""),
        (2000, 1000, ""),
        (2001, 1000, "grown by 100 %"),
        (0, 1000, "shrunk by 100 %"),
        (3, 40, ""),
        (5, None, ""),
    ],
)
def test_how_much_a_list_may_change(entries: int, before: int | None, said: str) -> None:
    """A list that lost nine in ten is broken or tampered with; a small one may change freely."""
    found = "; ".join(size_objections("mine", entries, before, DEMANDS))
    assert (said in found) if said else not found


def test_too_few_entries(tmp_path: Path) -> None:
    """An all but empty download does not open what the list had closed."""
    assert "only 1 usable entries" in objections([_edition(tmp_path, "elpmaxe.a.")], DEMANDS, Watched())[0]


def test_canaries_and_sites_that_must_stay_open(tmp_path: Path) -> None:
    """Each wrong name, and each canary that is not there, is told."""
    edition = _edition(tmp_path, key_of("gov.uk"), key_of("bad.example"), key_of("help.example"))
    watched = Watched(
        must=("bad.example", "worse.example"),
        must_not=("help.example",),
        keep_open=("www.gov.uk", "x.example"),
    )
    said = objections([edition], DEMANDS, watched)
    assert len(said) == 2
    assert "help.example, www.gov.uk, which must stay open" in said[0]
    assert "does not name worse.example" in said[1]


def test_a_list_of_what_schools_allow_may_name_them(tmp_path: Path) -> None:
    """A list of news sites names the BBC, and is right."""
    edition = _edition(tmp_path, key_of("www.bbc.co.uk"), key_of("a.example"), blocks=False)
    assert objections([edition], DEMANDS, Watched(keep_open=("www.bbc.co.uk",))) == []


def test_expressions_and_exceptions_count() -> None:
    """A pattern that covers the web is found, and what a list takes back it does not name."""
    addresses = {name: parse_typed(name) for name in ("www.gov.uk", "a.example")}
    assert named_by(["~.*", "~(", "~(x)\\1"], addresses) == set(addresses)
    assert named_by(["ku.", "@@ku.vog."], addresses) == set()


NAMES = st.sampled_from(
    ["a.example", "b.a.example", "a.example/x", "b.a.example/x/y", "192.0.2.1", "192.0.2.0/24", "192.0.2.1/a"]
)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.sets(NAMES, max_size=4), NAMES.filter(lambda name: "0/24" not in name))
def test_it_agrees_with_the_table(listed: set[str], asked: str) -> None:
    """The check before the build and the look-up after it cannot differ, or a canary would mean nothing."""
    keys = sorted(key_of(name) for name in listed)
    url = parse_typed(asked)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.bin"
        write_table(path, [(Info("mine", "m", "v", ("gambling",), "category"), keys)], 0.0, "x")
        assert bool(Finder(Table(path)).find(url)) is bool(named_by(keys, {asked: url}))
