"""Finding the table's matches for an address."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.lists.entries import key_of
from appliance.lists.finder import MOST_HOSTS, Finder
from appliance.lists.table import Info, Table, write_table
from appliance.model.url import parse_typed, parse_url


def _finder(path: Path, lists: dict[str, Iterable[str]]) -> Finder:
    infos = [(Info(name, name, "v1", (name,), "category"), list(keys)) for name, keys in lists.items()]
    write_table(path, infos, 0.0, "")
    return Finder(Table(path))


def _found(finder: Finder, address: str) -> dict[str, str]:
    return {match.list: match.entry for match in finder.find(parse_typed(address))}


def test_each_list_answers_with_its_longest_entry(tmp_path: Path) -> None:
    """One match a list, by the entry that says most."""
    finder = _finder(
        tmp_path / "t", {"a": map(key_of, ["b.test", "a.b.test", "b.test/x"]), "b": [key_of("b.test")]}
    )
    assert _found(finder, "www.a.b.test") == {"a": "a.b.test", "b": "b.test"}
    assert _found(finder, "b.test/x/y") == {"a": "b.test/x", "b": "b.test"}
    assert _found(finder, "c.test") == {}


def test_a_page_says_more_than_its_host_or_network(tmp_path: Path) -> None:
    """What is told is the most exact entry, however long the ways are in which entries are kept."""
    finder = _finder(
        tmp_path / "t",
        {
            "a": [
                *map(key_of, ["192.0.2.0/24", "192.0.2.1", "192.0.2.1/x", "a.b.test", "b.test/x"]),
                "~te?st/",
            ]
        },
    )
    assert _found(finder, "192.0.2.1/x/y") == {"a": "192.0.2.1/x"}
    assert _found(finder, "192.0.2.1/z") == {"a": "192.0.2.1"}
    assert _found(finder, "www.a.b.test/x") == {"a": "b.test/x"}
    assert _found(finder, "www.a.b.test/z") == {"a": "a.b.test"}
    assert _found(finder, "c.test/z") == {"a": "te?st/"}


def test_a_list_can_take_an_address_back(tmp_path: Path) -> None:
    """`@@` of an AdBlock list opens for that list alone."""
    finder = _finder(tmp_path / "t", {"a": ["tset.b.", "@@tset.b.nepo.", "@@tset.b./fine"], "b": ["tset.b."]})
    assert _found(finder, "b.test") == {"a": "b.test", "b": "b.test"}
    assert _found(finder, "www.open.b.test") == {"b": "b.test"}
    assert _found(finder, "b.test/fine/x") == {"b": "b.test"}


def test_expressions_see_host_and_path_in_any_case(tmp_path: Path) -> None:
    """The expressions of squidGuard look at the whole address without its scheme."""
    finder = _finder(tmp_path / "t", {"a": [r"~^[0-9.]+/search\?q=[0-9]+$", "~/Banner/"]})
    assert _found(finder, "http://192.0.2.1/search?q=12") == {"a": r"^[0-9.]+/search\?q=[0-9]+$"}
    assert _found(finder, "b.test/%62ANNER/x") == {"a": "/Banner/"}
    assert _found(finder, "b.test/x") == {}


@pytest.mark.parametrize(
    "spelling", ["192.0.2.7", "3221225991", "0xC0000207", "0300.0.2.7", "[::ffff:192.0.2.7]"]
)
def test_addresses_in_every_spelling(tmp_path: Path, spelling: str) -> None:
    """Octal, hex, short and mapped forms of a listed network's address are found."""
    finder = _finder(tmp_path / "t", {"a": [key_of("192.0.2.0/24")]})
    assert [m.entry for m in finder.find(parse_url(f"http://{spelling}/"))] == ["192.0.2.0/24"]


@pytest.mark.slow
def test_memory_of_hosts_is_bounded(tmp_path: Path) -> None:
    """A client that asks for a million names does not fill the worker's memory."""
    finder = _finder(tmp_path / "t", {"a": [key_of("b.test")]})
    for number in range(MOST_HOSTS + 10):
        finder.find(parse_typed(f"n{number}.test"))
    assert len(finder._hosts) <= MOST_HOSTS


def test_without_a_table_nothing_is_found() -> None:
    """The caller closes the gate; the finder does not fail."""
    assert Finder(None).find(parse_typed("b.test")) == ()


LABEL = st.sampled_from(["a", "b", "ab", "b-a", "xa"])
NAME = st.lists(LABEL, min_size=1, max_size=4).map(lambda labels: ".".join([*labels, "test"]))
PATH = st.lists(st.sampled_from(["x", "y", "xy"]), max_size=3).map(
    lambda parts: "".join(f"/{part}" for part in parts)
)
ENTRY = st.tuples(NAME, PATH)


def _naive(entry: tuple[str, str], name: str, path: str) -> bool:
    """The slow way: the entry's host covers the name, and its path the path."""
    host_fits = name == entry[0] or name.endswith("." + entry[0])
    return host_fits and (not entry[1] or path == entry[1] or path.startswith(entry[1] + "/"))


@pytest.mark.slow
@settings(max_examples=15)
@given(st.lists(st.sets(ENTRY, max_size=6), min_size=1, max_size=3), st.lists(ENTRY, min_size=1, max_size=8))
def test_look_up_equals_a_naive_matcher(
    lists: list[set[tuple[str, str]]], asked: list[tuple[str, str]]
) -> None:
    """On random lists the table finds exactly the lists that a plain loop over all entries finds."""
    with tempfile.TemporaryDirectory() as folder:
        named: dict[str, Iterable[str]] = {
            str(at): sorted(key_of(host + path) for host, path in entries) for at, entries in enumerate(lists)
        }
        finder = _finder(Path(folder) / "t", named)
        for name, path in asked:
            expected = {
                str(at) for at, entries in enumerate(lists) if any(_naive(e, name, path) for e in entries)
            }
            assert set(_found(finder, name + path)) == expected


def _spellings(draw: st.DrawFn, host: str, path: str) -> str:
    host = "".join(draw(st.sampled_from([c, c.upper(), f"%{ord(c):02x}"])) for c in host)
    parts = []
    for part in path.split("/")[1:]:
        text = "".join(
            draw(st.sampled_from([c, c.upper(), f"%{ord(c):02X}", f"%25{ord(c):02x}"])) for c in part
        )
        parts.append(draw(st.sampled_from(["", "./", "%2e/", "/", "x/../", "x/%2e%2E/"])) + text)
    scheme = draw(st.sampled_from(["http", "HTTPS", "ws"]))
    user = draw(st.sampled_from(["", "user@", "good.example:x@"]))
    dot, port = draw(st.sampled_from(["", "."])), draw(st.sampled_from(["", ":8080"]))
    tail = draw(st.sampled_from(["", "?", "#x", "/", "?a=b", "/more"]))
    return f"{scheme}://{user}{host}{dot}{port}/{'/'.join(parts)}{tail}"


LISTED = ("bad.example", "/listed/page")


@pytest.fixture(scope="module")
def one_url(tmp_path_factory: pytest.TempPathFactory) -> Finder:
    return _finder(tmp_path_factory.mktemp("finder") / "t", {"a": [key_of("".join(LISTED))]})


@pytest.mark.slow
@settings(max_examples=40)
@given(st.data())
def test_no_spelling_of_a_listed_url_escapes(one_url: Finder, data: st.DataObject) -> None:
    """However a browser could be made to write a listed address, it is found (evasion: spellings)."""
    address = data.draw(st.composite(lambda draw: _spellings(draw, *LISTED))())
    assert one_url.find(parse_url(address)), address
