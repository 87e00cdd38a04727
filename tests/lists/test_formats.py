"""List formats, line by line, and telling them apart."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.lists.formats import READERS, Format, NotAListError, Skip, refuse_binary, sniff
from appliance.lists.reading import Reader
from appliance.lists.unpack import members

USED = [
    (Format.DOMAINS, "a.example", ("a.example",)),
    (Format.DOMAINS, "*.a.example", ("a.example",)),
    (Format.DOMAINS, ".a.example", ("a.example",)),
    (Format.DOMAINS, "192.0.2.1   # a.example, b.example", ("192.0.2.1",)),
    (Format.HOSTS, "0.0.0.0 a.example b.example # two", ("a.example", "b.example")),
    (Format.HOSTS, "127.0.0.1\ta.example", ("a.example",)),
    (Format.HOSTS, "::1 a.example", ("a.example",)),
    (Format.HOSTS, "a.example", ("a.example",)),
    (Format.DNSMASQ, "address=/a.example/#", ("a.example",)),
    (Format.DNSMASQ, "address=/a.example/b.example/0.0.0.0", ("a.example", "b.example")),
    (Format.DNSMASQ, "server=/a.example/", ("a.example",)),
    (Format.UNBOUND, 'local-zone: "a.example." always_null', ("a.example.",)),
    (Format.UNBOUND, 'local-data: "a.example A 0.0.0.0"', ("a.example",)),
    (Format.RPZ, "a.example IN CNAME .", ("a.example",)),
    (Format.RPZ, "*.a.example CNAME .", ("a.example",)),
    (Format.RPZ, "a.example 300 IN A 0.0.0.0", ("a.example",)),
    (Format.RPZ, "a.example CNAME rpz-passthru.", ("@@a.example",)),
    (Format.URLS, "a.example/x", ("http://a.example/x",)),
    (Format.URLS, "192.0.2.1/24", ("http://192.0.2.1/24",)),
    (Format.EXPRESSIONS, "a.*b", ("~a.*b",)),
]
SKIPPED = [
    (Format.DOMAINS, "two words"),
    (Format.HOSTS, "127.0.0.1 localhost"),
    (Format.HOSTS, "203.0.113.9 a.example"),
    (Format.HOSTS, "word a.example"),
    (Format.DNSMASQ, "address=/a.example/203.0.113.9"),
    (Format.DNSMASQ, "cache-size=100"),
    (Format.UNBOUND, 'local-zone: "a.example" transparent'),
    (Format.UNBOUND, 'local-data: "a.example A 203.0.113.9"'),
    (Format.UNBOUND, "verbosity: 1"),
    (Format.RPZ, "24.0.2.0.192.rpz-ip CNAME ."),
    (Format.RPZ, "a.example CNAME walled.example."),
    (Format.RPZ, "nonsense"),
    (Format.URLS, "ftp://a.example/x"),
]
FURNITURE = [
    (Format.DOMAINS, "# x"),
    (Format.HOSTS, "# x"),
    (Format.UNBOUND, "server:"),
    (Format.RPZ, "$TTL 60"),
    (Format.RPZ, "@ SOA a b 1 2 3 4 5"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "line", "expected"), USED)
def test_lines_that_list_something(kind: Format, line: str, expected: tuple[str, ...]) -> None:
    """Each format's ways of naming a site are understood."""
    assert READERS[kind](line) == expected


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "line"), SKIPPED)
def test_lines_of_no_use_say_why(kind: Format, line: str) -> None:
    """A redirect is not a block, and a setting is no entry: each is skipped with a reason."""
    assert isinstance(READERS[kind](line), Skip)


@pytest.mark.parametrize(("kind", "line"), FURNITURE)
def test_furniture_is_nothing(kind: Format, line: str) -> None:
    """Comments and headers are neither used nor problems."""
    assert READERS[kind](line) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# list\na.example\nb.example", Format.DOMAINS),
        ("*.a.example\n*.b.example", Format.DOMAINS),
        ("192.0.2.0/24\n198.51.100.0/24", Format.DOMAINS),
        ("# x\n0.0.0.0 a.example\n0.0.0.0 b.example", Format.HOSTS),
        ("127.0.0.1 a.example", Format.HOSTS),
        ("address=/a.example/#", Format.DNSMASQ),
        ('server:\nlocal-zone: "a.example." always_null', Format.UNBOUND),
        ("$TTL 3600\n@ SOA a b 1 2 3 4 5\na.example IN CNAME .", Format.RPZ),
        ("[Adblock Plus]\n-banner-\n/ads/\n&ad=", Format.ADBLOCK),
        ("! t\n||a.example^\n||b.example^", Format.ADBLOCK),
        ("a.example/x\nb.example/y", Format.URLS),
        ("http://a.example/\nhttp://b.example/", Format.URLS),
        ("", Format.DOMAINS),
    ],
)
def test_sniffing(text: str, expected: Format) -> None:
    """A list is read in the format it is written in, without anybody naming it."""
    assert sniff(line for line in text.splitlines() if line) is expected


def test_a_web_page_is_not_a_list() -> None:
    """A server's error page never becomes a list."""
    with pytest.raises(NotAListError):
        sniff(["<!DOCTYPE html>", "<html>"])


@pytest.mark.slow
@settings(max_examples=40)
@given(st.sampled_from(sorted(READERS)), st.text(min_size=1).map(str.strip).filter(bool))
def test_no_line_stops_a_reader(kind: Format, line: str) -> None:
    """Whatever stands in a line, in whatever format, it costs a line at most."""
    READERS[kind](line)


SAMPLES = {
    Format.DOMAINS: "a.example\nb.example\n",
    Format.HOSTS: "0.0.0.0 a.example\n0.0.0.0 b.example\n",
    Format.DNSMASQ: "address=/a.example/#\naddress=/b.example/#\n",
    Format.UNBOUND: 'local-zone: "a.example." always_nxdomain\nlocal-zone: "b.example." always_nxdomain\n',
    Format.RPZ: "a.example CNAME .\n*.a.example CNAME .\nb.example CNAME .\n",
    Format.ADBLOCK: "||a.example^\n||b.example^\n",
    Format.URLS: "http://a.example/\nhttp://b.example/\n",
    Format.CSV: "id,domain\n1,a.example\n2,b.example\n",
    Format.EXPRESSIONS: "a.example\nb.example\n",
}


def _tar(raw: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        info = tarfile.TarInfo("folder/list")
        info.size = len(raw)
        archive.addfile(info, io.BytesIO(raw))
    return packed.getvalue()


def _zip(raw: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("folder/list", raw)
    return packed.getvalue()


PACKERS: list[Callable[[bytes], bytes]] = [
    bytes,
    gzip.compress,
    lzma.compress,
    bz2.compress,
    zstandard.compress,
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in Format if kind in SAMPLES])
def test_each_format_in_each_container(kind: Format, tmp_path: Path) -> None:
    """Every format comes out the same of every packing, with CRLF and without a last line end as well."""
    text = SAMPLES[kind].encode()
    wanted = {"~a.example", "~b.example"} if kind is Format.EXPRESSIONS else {"elpmaxe.a.", "elpmaxe.b."}
    texts = [text, text.replace(b"\n", b"\r\n"), text.rstrip(), b"\xef\xbb\xbf" + text]
    path = tmp_path / "list"
    for raw in texts:
        for packed in [pack(each) for each in (raw, _tar(raw)) for pack in PACKERS] + [_zip(raw)]:
            path.write_bytes(packed)
            keys, problems = io.StringIO(), io.StringIO()
            reader = Reader(keys, problems)
            for member in members(path):
                reader.read(member.name, member.lines, kind)
            assert set(keys.getvalue().split()) == wanted, (problems.getvalue(), packed[:8])


def test_formats_that_are_told_are_told_rightly() -> None:
    """What needs no name is sniffed; a table and expressions cannot be, and must be named."""
    for kind, text in SAMPLES.items():
        if kind not in {Format.CSV, Format.EXPRESSIONS, Format.URLS}:
            assert sniff(text.splitlines()) is kind


def test_text_in_any_script_is_no_binary_file() -> None:
    """Comments in every language pass, and the bytes of a program do not."""
    refuse_binary(["# Spielverderber: größer", "# игры\t# 賭博", "a.example"])
    refuse_binary([])
    with pytest.raises(NotAListError, match="no text"):
        refuse_binary(["\x7fELF\x02\x01\x01\0\0\0", "\0\0a.example"])
