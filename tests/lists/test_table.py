"""The table file."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.lists.merging import HAS_URLS
from appliance.lists.table import Info, Table, TableError, write_table


def _info(name: str) -> Info:
    return Info(name, name, "v1", ("games",), "category")


LISTS = [
    (_info("a"), ["example.a.", "example.b./x", "4/1100"]),
    (_info("b"), ["example.a.", "@@example.a.open.", "~ad[0-9]", "=192.0.2.1./x"]),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_table(tmp_path / "table.bin", LISTS, 5.0, "inputs")
    return tmp_path / "table.bin"


def test_what_is_written_is_found(path: Path) -> None:
    """Each key gives the lists that hold it; keys on the way to it come first."""
    table = Table(path)
    assert table.prefixes("example.a.www.") == [("example.a.", (0, 1))]
    assert table.prefixes("example.b.") == [("example.b.", (HAS_URLS,))]
    assert table.prefixes("example.b./x/y") == [("example.b.", (HAS_URLS,)), ("example.b./x", (0,))]
    assert table.prefixes("example.a.open.") == [("example.a.", (0, 1)), ("example.a.open.", (2,))]
    assert table.prefixes("4/11001") == [("4/1100", (0,))]
    assert table.prefixes("example.ab.") == []


def test_contents_are_kept(path: Path) -> None:
    """Lists, expressions and fingerprint come back as they went in."""
    contents = Table(path).contents
    assert [info.id for info in contents.lists] == ["a", "b", "b"]
    assert contents.lists[2].excepts == 1
    assert contents.expressions == ((1, "ad[0-9]"),)
    assert (contents.compiled_at, contents.inputs) == (5.0, "inputs")


def test_same_lists_same_bytes(path: Path, tmp_path: Path) -> None:
    """A compile is deterministic, so that two machines can compare their tables."""
    write_table(tmp_path / "again.bin", LISTS, 5.0, "inputs")
    assert (tmp_path / "again.bin").read_bytes() == path.read_bytes()


@pytest.mark.slow
@given(
    st.lists(st.lists(st.sampled_from("abc"), min_size=2, max_size=4).map(".".join).map("{}.".format)),
    st.sampled_from(["a.b.", "a.b.c.", "c.", "a.b./x", "=::1./x", "4/11"]),
)
def test_little_memory_same_answers(keys: list[str], one: str) -> None:
    """A table that was made in parts answers as one that was made at once."""
    lists = [(_info("a"), [*keys, one]), (_info("b"), [*keys[1::2], f"@@{one}"])]
    with tempfile.TemporaryDirectory() as folder:
        whole, parts = Path(folder) / "whole", Path(folder) / "parts"
        write_table(whole, lists, 0.0, "")
        write_table(parts, lists, 0.0, "", low_memory=True)
        assert sorted(path.name for path in Path(folder).iterdir()) == ["parts", "whole"]
        tables = Table(whole), Table(parts)
    for key in (*keys, one, "a.b.c.a.", "c.a.a.", "c.", "c./x", "a.b./x/y", "=::1./x/y.z", "4/110"):
        assert tables[0].prefixes(key) == tables[1].prefixes(key)


def test_an_empty_table_works(tmp_path: Path) -> None:
    """No lists at all is a table that names nothing."""
    write_table(tmp_path / "t", [], 0.0, "")
    assert Table(tmp_path / "t").prefixes("example.a.") == []


@pytest.mark.parametrize("cut", [0, 1, 10, 60])
def test_a_short_file_is_refused(path: Path, cut: int) -> None:
    """A table that was cut short is found on opening."""
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(TableError):
        Table(path)


@pytest.mark.slow
def test_a_damaged_byte_is_found(path: Path) -> None:
    """Damage anywhere is found on opening, not by a crash in a worker."""
    whole = path.read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        with pytest.raises(TableError):
            Table(path)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    """The reason is in words."""
    with pytest.raises(TableError, match="No such file"):
        Table(tmp_path / "nothing")


def test_an_open_table_outlives_its_replacement(path: Path) -> None:
    """A worker goes on with the table it has mapped while a new one takes its name."""
    old = Table(path)
    write_table(path, [], 6.0, "new")
    assert old.prefixes("example.a.") == [("example.a.", (0, 1))]
    assert Table(path).prefixes("example.a.") == []


@pytest.mark.slow
def test_many_ways_to_overlap(tmp_path: Path) -> None:
    """More than 65,535 combinations of lists are told apart as well."""
    count = 17
    sets = [subset for size in range(count + 1) for subset in itertools.combinations(range(count), size)][
        1:70_001
    ]
    lists = [
        (_info(str(at)), [f"example.n{number}." for number, subset in enumerate(sets) if at in subset])
        for at in range(count)
    ]
    write_table(tmp_path / "t", lists, 0.0, "")
    table = Table(tmp_path / "t")
    for number in (0, 100, 65_535, 65_536, 69_999):
        assert table.prefixes(f"example.n{number}.") == [(f"example.n{number}.", sets[number])]


WRITER = """\
import sys, time, resource
from pathlib import Path
from appliance.lists.table import Info, write_table
keys = [f"example.n{number}." for number in range(50_000)]
def slowly():
    print("begun", flush=True)
    time.sleep(60)
    yield from keys
class Slow:
    def __iter__(self):
        return slowly()
how = sys.argv[2]
if how == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
lists = [(Info("a", "a", "v", ("games",), "category"), Slow() if how == "slow" else keys)]
try:
    write_table(Path(sys.argv[1]), lists, 0.0, "")
except OSError as error:
    sys.exit(f"{error.strerror}")
"""


def _writer(path: Path, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )


@pytest.mark.slow
def test_killed_half_way_the_old_table_stays(path: Path) -> None:
    """A compile that is killed leaves the table in force as it was, and the next one works."""
    before = path.read_bytes()
    with _writer(path, "slow") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.kill()
    assert path.read_bytes() == before
    write_table(path, [], 6.0, "new")
    assert len(Table(path)) == 0


@pytest.mark.slow
def test_a_full_disk_leaves_the_old_table(path: Path) -> None:
    """No room for the new table: an error in words, the old table, and no leavings."""
    before = path.read_bytes()
    with _writer(path, "full") as process:
        _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "disk full" in said
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == [path.name]
