"""The whole look-up held against a loop over all entries that knows no keys, no table and no memory.

The lists are written as lists are (IDN or Punycode, `*.`, capital letters, ports, networks) and read by the
reader; addresses are asked in many spellings, several on one host, so that what is remembered is tried too.
"""

from __future__ import annotations

import io
import ipaddress
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.lists.finder import Finder
from appliance.lists.formats import Format
from appliance.lists.reading import Reader
from appliance.lists.suffixes import PublicSuffixes
from appliance.lists.table import Info, Table, write_table
from appliance.model.known import Match, Use
from appliance.model.url import parse_url

LABELS = st.sampled_from(["a", "b", "ab", "b-a", "www", "bücher", "ελ", "x"])
ENDS = st.sampled_from(["test", "example", "co.test"])
HOSTS = st.tuples(st.lists(LABELS, min_size=1, max_size=4), ENDS).map(
    lambda parts: ".".join([*parts[0], parts[1]])
)
NUMBERS = st.tuples(st.integers(0, 2), st.sampled_from([0, 7, 128, 255])).map(
    lambda two: f"192.0.{two[0]}.{two[1]}"
)
NETWORKS = st.tuples(NUMBERS, st.sampled_from([16, 23, 24, 25, 32])).map(
    lambda two: str(ipaddress.ip_network(f"{two[0]}/{two[1]}", strict=False))
)
PATHS = st.lists(st.sampled_from(["x", "y", "xy", "x.html"]), max_size=3).map(
    lambda parts: "".join(f"/{part}" for part in parts)
)
ENTRIES = st.one_of(st.tuples(HOSTS, PATHS), st.tuples(NUMBERS, PATHS), st.tuples(NETWORKS, st.just("")))
ASKED = st.tuples(st.one_of(HOSTS, NUMBERS), PATHS)

type Entry = tuple[str, str]


def _ascii(host: str) -> str:
    return host.encode("idna").decode("ascii")


def _is_number(host: str) -> bool:
    return host[0].isdigit()


def _covers(entry: Entry, host: str, path: str) -> bool:
    """The slow way: the entry is the host, a parent or a network of it, and its path is above the path."""
    base, above = entry
    if _is_number(base) != _is_number(host):
        return False
    if _is_number(base):
        fits = ipaddress.ip_address(host) in ipaddress.ip_network(base)
    else:
        fits = f".{_ascii(host)}".endswith(f".{_ascii(base)}")
    return fits and (not above or path == above or path.startswith(f"{above}/"))


def _shown(entry: Entry) -> str:
    base, path = entry
    return (base.removesuffix("/32") if _is_number(base) else _ascii(base)) + path


def _most_exact(entries: Sequence[Entry]) -> str:
    """Return the entry that is to be told: a page says more than a host, and of two the longer one does."""
    return _shown(max(entries, key=lambda entry: (bool(entry[1]), _width(entry[0]), len(entry[1]))))


def _width(base: str) -> int:
    return ipaddress.ip_network(base).prefixlen if _is_number(base) else len(_ascii(base))


def _written(draw: st.DrawFn, entry: Entry) -> str:
    """Write an entry as one of the many hands does that keep lists."""
    base, path = entry
    if _is_number(base):
        return base + path
    name = draw(st.sampled_from([base, _ascii(base), base.upper(), f"{base}."]))
    if path:
        scheme, port = (
            draw(st.sampled_from(["", "http://", "HTTPS://"])),
            draw(st.sampled_from(["", ":8080"])),
        )
        return f"{scheme}{name}{port}{path}"
    return draw(st.sampled_from([name, f"*.{name}", f".{name}", f"{name}  # why"]))


def _spelled(draw: st.DrawFn, host: str, path: str) -> str:
    """Write an address as browsers and evaders do."""
    if not _is_number(host):
        host = draw(st.sampled_from([host, _ascii(host), _ascii(host).upper(), f"{host}."]))
    port = draw(st.sampled_from(["", ":443", ":8443"]))
    path = draw(st.sampled_from([path, path.upper(), path.replace("x", "%78"), path.replace("/", "/./")]))
    tail = draw(st.sampled_from(["", "?q=1", "#f", "/"]))
    return f"{draw(st.sampled_from(['http', 'https', 'WSS']))}://{host}{port}{path}{tail}"


def _finder(folder: Path, lists: Sequence[Sequence[str]], *, low_memory: bool) -> Finder:
    read = []
    for at, lines in enumerate(lists):
        keys, problems = io.StringIO(), io.StringIO()
        Reader(keys, problems, suffixes=PublicSuffixes([])).read("list", iter(lines), Format.DOMAINS)
        assert not problems.getvalue()
        read.append((Info(str(at), str(at), "v1", (f"c{at}",), "category"), keys.getvalue().split("\n")[:-1]))
    write_table(folder / "table", read, 0.0, "", low_memory=low_memory)
    return Finder(Table(folder / "table"))


@pytest.mark.slow
@pytest.mark.timeout(300)
@settings(max_examples=15)
@given(st.lists(st.lists(ENTRIES, max_size=7), min_size=1, max_size=3), st.booleans(), st.data())
def test_the_answer_is_exactly_that_of_a_loop(
    lists: list[list[Entry]], low_memory: bool, data: st.DataObject
) -> None:
    """Every list that names an address is told with its most specific entry, and no other list is."""
    written, spelled = st.composite(_written), st.composite(_spelled)
    lines = [[data.draw(written(entry)) for entry in entries] for entries in lists]
    everything = [entry for entries in lists for entry in entries if "/" not in entry[0]] or [("a.test", "")]
    near = st.sampled_from(everything)
    with tempfile.TemporaryDirectory() as folder:
        finder = _finder(Path(folder), lines, low_memory=low_memory)
        for base, start in data.draw(st.lists(st.one_of(ASKED, near), min_size=1, max_size=8)):
            below = "" if _is_number(base) else data.draw(st.sampled_from(["", "www.", "bücher."]))
            host, path = below + base, start + data.draw(PATHS)
            address = data.draw(spelled(host, path))
            found = {match.list: match for match in finder.find(parse_url(address))}
            for at, entries in enumerate(lists):
                covering = [entry for entry in entries if _covers(entry, host, path)]
                match = found.pop(str(at), None)
                assert (match is not None) == bool(covering), (address, lines[at], match)
                if match is not None:
                    exact = Match(str(at), "v1", _most_exact(covering), (f"c{at}",), Use.CATEGORY)
                    assert match == exact, (address, lines[at])
            assert not found
