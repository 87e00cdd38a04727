"""The real lists, with their real dirt."""

from __future__ import annotations

import io
import lzma
import tarfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.lists.entries import shown
from appliance.lists.finder import Finder
from appliance.lists.formats import Format
from appliance.lists.importer import Imported, ImportRefusedError, Wanted, import_list
from appliance.lists.lists import Lists
from appliance.lists.paths import Paths
from appliance.lists.reading import Account, Reader
from appliance.lists.table import Info, Table, write_table
from appliance.lists.tree import KINDS
from appliance.lists.unpack import members
from appliance.model.url import parse_host, parse_typed

if TYPE_CHECKING:
    from tests.lists.conftest import School

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
SHIPPED = Path(__file__).resolve().parents[2] / "blocklists"
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)

FORMATS = {
    "adaway-6formats/adaway.adblock.txt.xz": Format.ADBLOCK,
    "adaway-6formats/adaway.dnsmasq.txt.xz": Format.DNSMASQ,
    "adaway-6formats/adaway.domains.txt.xz": Format.DOMAINS,
    "adaway-6formats/adaway.hosts.txt.xz": Format.HOSTS,
    "adaway-6formats/adaway.unbound.conf.xz": Format.UNBOUND,
    "adaway-6formats/adaway.wildcard.txt.xz": Format.DOMAINS,
    "oisd-small/adblock.txt.xz": Format.ADBLOCK,
    "oisd-small/domains.txt.xz": Format.DOMAINS,
    "oisd-small/routedns.txt.xz": Format.DOMAINS,
    "oisd-small/rpz.zone.xz": Format.RPZ,
}


class _Read:
    """One file, read as it comes, with its format, account, keys and report."""

    def __init__(self, path: Path) -> None:
        keys, problems = io.StringIO(), io.StringIO()
        reader = Reader(keys, problems)
        for member in members(path):
            self.format = reader.read(member.name, member.lines)
        self.account: Account = reader.account
        self.keys = keys.getvalue().split()
        self.problems = problems.getvalue()


def _finder(tmp_path: Path, name: str) -> tuple[Finder, _Read]:
    read = _Read(DATA / "blocklists" / name)
    table = tmp_path / name.replace("/", "-")
    write_table(table, [(Info("x", "x", "v", ("advertising",), "category"), read.keys)], 0.0, "")
    return Finder(Table(table)), read


def _same_verdicts(tmp_path: Path, names: list[str]) -> int:
    """Assert that every name of every file is listed by all of the files; return how many names."""
    found = [_finder(tmp_path, name) for name in names]
    keys = {key for _, read in found for key in read.keys}
    hosts = [shown(key) for key in sorted(keys)]
    for host in hosts:
        verdicts = [bool(finder.find(parse_host(host))) for finder, _ in found]
        assert all(verdicts), (host, verdicts)
    for host in hosts[::50]:
        assert not any(finder.find(parse_host(f"x{host}.example")) for finder, _ in found)
    return len(hosts)


def test_formats_are_told_apart() -> None:
    """Each of the real files is sniffed as what it is."""
    for name, expected in FORMATS.items():
        assert _Read(DATA / "blocklists" / name).format is expected, name


def test_four_oisd_files_agree(tmp_path: Path) -> None:
    """One list in four formats gives one verdict on every listed name."""
    assert _same_verdicts(tmp_path, [name for name in FORMATS if name.startswith("oisd")]) > 57_000


def test_six_adaway_files_agree(tmp_path: Path) -> None:
    """So do six formats, of which four leave out what a parent covers."""
    assert _same_verdicts(tmp_path, [name for name in FORMATS if name.startswith("adaway")]) > 7_600


def _all_lists() -> Iterator[Path]:
    for folder in ("blocklists", "circumvention", "rules"):
        for path in sorted((DATA / folder).rglob("*")):
            if (
                path.is_file()
                and "json" not in path.name
                and ".tar" not in path.name
                and "big-adult" not in path.parts
            ):
                yield path


def test_every_line_of_every_list_is_accounted_for() -> None:
    """Used, comments, skipped and quarantined add up to the lines, and each unused line has a reason."""
    seen = 0
    for path in _all_lists():
        account = _Read(path).account
        raw = path.read_bytes()
        text = lzma.decompress(raw) if path.suffix == ".xz" else raw
        assert account.lines == len(text.decode("utf-8", "replace").splitlines()), path.name
        assert account.balanced, path.name
        partly = sum(count for why, count in account.reasons.items() if why.startswith("in part"))
        assert account.reasons.total() - partly == account.skipped + account.quarantined, path.name
        seen += 1
    assert seen > 40


def test_crlf_and_cosmetic_rules() -> None:
    """A list with CRLF in every line matches; a third of EasyList is cosmetic and counted as such."""
    adguard = _Read(DATA / "rules" / "adguard_sdn_filter.txt.xz")
    assert adguard.account.used > 27_000
    assert not [key for key in adguard.keys if "\r" in key]
    easylist = _Read(DATA / "rules" / "easylist.txt.xz")
    cosmetic = easylist.account.reasons["skipped: hides a part of a page; a gateway cannot"]
    assert abs(cosmetic - 24_326) < 50
    assert easylist.account.used > 45_000


def _open(state: Path) -> Lists:
    return Lists.open(SHIPPED, state, clock=NOW.timestamp)


def test_ut1_comes_whole(everything: tuple[Path, Imported, Imported]) -> None:
    """Every folder that is mapped is there, with its aliases; what is left out says why."""
    _, tree, _ = everything
    assert len(tree.lists) == 66
    assert set(tree.left_out) == {"reaffected", "special", "strong_redirector"}
    by_id = {meta.id: meta for meta in tree.lists}
    assert by_id["ut1-adult"].aliases == ("porn",)
    assert by_id["ut1-liste_bu"].usage == ("white",)
    assert set(by_id["ut1-ai"].usage) == {"black", "white"}
    assert (by_id["ut1-malware"].entries, by_id["ut1-drogue"].categories) == (
        by_id["ut1-malware"].used,
        ("drugs",),
    )
    for meta in tree.lists:
        assert meta.lines == meta.used + meta.comments + meta.skipped + meta.quarantined, meta.id


def test_no_line_of_the_largest_lists_is_lost(everything: tuple[Path, Imported, Imported]) -> None:
    """What is accounted for adds up to the lines of the big list, and of each folder of UT1."""
    _, tree, one = everything
    big = lzma.decompress((DATA / "blocklists" / "big-adult" / "blocked.txt.xz").read_bytes())
    assert one.lists[0].lines == len(big.splitlines())
    assert one.lists[0].lines == one.lists[0].used + one.lists[0].skipped + one.lists[0].quarantined
    lines: Counter[str] = Counter()
    with tarfile.open(DATA / "blocklists" / "ut1" / "blacklists.tar.gz") as archive:
        for info in archive:
            folder, _, file = info.name.rpartition("/")
            if info.isreg() and file in KINDS and (packed := archive.extractfile(info)):
                lines[f"ut1-{folder.rpartition('/')[2]}"] += len(packed.read().split(b"\n")) - 1
    for meta in tree.lists:
        assert abs(meta.lines - lines[meta.id]) <= len(KINDS), meta.id  # a file may lack its last line end


def test_poison_of_the_big_list_is_out(everything: tuple[Path, Imported, Imported]) -> None:
    """com, net, xxx, gob.mx, blogspot.com and the like are quarantined; google.com is not pornography."""
    state, _, one = everything
    report = (Paths(state).imported / "big-adult" / "problems.txt").read_text("utf-8")
    for poison in (
        "com",
        "net",
        "xxx",
        "tax",
        "monster",
        "cyou",
        "gob.mx",
        "blogspot.com",
        "xn",
        "desixxxsex",
    ):
        assert f": '{poison}'\n" in report, poison
    assert one.lists[0].quarantined < 30
    found = _open(state).lookup(parse_typed("google.com"))
    assert {category for match in found.matches for category in match.categories} <= {
        "search_engines",
        "education",
    }


def test_schools_stay_open(everything: tuple[Path, Imported, Imported]) -> None:
    """Of 13,484 school domains hardly one is on a list that a primary school blocks for its content."""
    lists = _open(everything[0])
    bad = {"pornography", "gambling", "malware", "phishing", "drugs", "hate_speech", "weapons", "dating"}
    text = lzma.decompress((DATA / "education" / "swot-school-domains.tsv.xz").read_bytes()).decode()
    hosts = [line.split("\t")[0] for line in text.splitlines() if line]
    hit = [
        host
        for host in hosts
        if any(bad & set(match.categories) for match in lists.lookup(parse_host(host)).matches)
    ]
    assert len(hosts) > 13_000
    assert len(hit) <= 20, hit


def test_the_table_is_small_and_opens_quickly(everything: tuple[Path, Imported, Imported]) -> None:
    """At most 12 bytes a name, categories included."""
    status = _open(everything[0]).status()
    assert status.table_keys > 2_700_000
    assert status.table_bytes / status.table_keys <= 12


def test_a_stopped_import_changes_nothing(school: School) -> None:
    """Half of the real archive is refused; the school's lists are as before."""
    school.compile()
    whole = (DATA / "blocklists" / "ut1" / "blacklists.tar.gz").read_bytes()
    half = school.write("half.tar.gz", "")
    half.write_bytes(whole[: len(whole) // 2])
    before = school.paths.table.read_bytes()
    with pytest.raises(ImportRefusedError, match="broken or cut short"):
        import_list(half, Wanted("x", "x", ("drugs",)), school.paths, now=NOW, compile_all=school.compile)
    assert school.paths.table.read_bytes() == before
    assert not list(school.paths.imported.glob("*"))
