"""Files, folders and archives as text."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import zstandard

from appliance.lists import unpack
from appliance.lists.unpack import LONGEST_LINE, SourceError, decoded, members

TEXT = b"a.example\nb.example\n"


def _lines(path: Path) -> dict[str, list[str]]:
    return {member.name: [line.strip() for line in member.lines] for member in members(path)}


@pytest.mark.slow
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress, zstandard.compress])
def test_packed_files_are_told_by_their_bytes(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """A list named .txt that is really gzip, xz or bzip2 is read all the same."""
    path = tmp_path / "list.txt"
    path.write_bytes(pack(TEXT))
    assert _lines(path) == {"list.txt": ["a.example", "b.example"]}


def test_tar_and_zip(tmp_path: Path) -> None:
    """Every file of an archive is a member; symbolic links are told, not followed."""
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("lists/adult/domains")
        info.size = len(TEXT)
        archive.addfile(info, io.BytesIO(TEXT))
        link = tarfile.TarInfo("lists/porn")
        link.type, link.linkname = tarfile.SYMTYPE, "adult"
        archive.addfile(link)
    found = list(members(tmp_path / "x.tar.gz"))
    assert [(member.name, member.link) for member in found] == [
        ("x.tar.gz!lists/adult/domains", ""),
        ("x.tar.gz!lists/porn", "adult"),
    ]
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        packed.writestr("../../etc/hosts", TEXT)
    assert _lines(tmp_path / "x.zip") == {"x.zip!../../etc/hosts": ["a.example", "b.example"]}
    assert not (tmp_path.parent.parent / "etc").exists()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a.example\r\nb.example\r\n", ["a.example", "b.example"]),
        (b"a.example\rb.example", ["a.example", "b.example"]),
        (b"\xef\xbb\xbfa.example\n", ["a.example"]),
        ("a.example\n".encode("utf-16"), ["a.example"]),
        ("münchen.example\n".encode("latin-1"), ["münchen.example"]),
        ("münchen.example\n".encode(), ["münchen.example"]),
        (b"a.example", ["a.example"]),
        (b"a\0b\n", ["a\0b"]),
        (b"", []),
        (b"x" * (3 * LONGEST_LINE) + b"\nb.example\n", ["\0", "b.example"]),
    ],
)
def test_dirt_in_text(raw: bytes, expected: list[str]) -> None:
    """CRLF, CR, byte order marks, Latin-1, NUL, no last line end and endless lines are all read."""
    assert [line.strip() for line in decoded(io.BytesIO(raw))] == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "pack", [gzip.compress, partial(lzma.compress, preset=0), bz2.compress, zstandard.compress]
)
def test_half_a_download_is_broken(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """An archive that is cut short is refused, not half taken."""
    path = tmp_path / "half"
    whole = pack(os.urandom(400_000).hex().encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="half"):
        _lines(path)


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that unpacks to more than any list could hold is refused."""
    monkeypatch.setattr(unpack, "MOST_BYTES", 10_000)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b"a.example\n" * 10_000))
    with pytest.raises(SourceError, match="larger than"):
        _lines(tmp_path / "bomb.gz")


def test_folder_is_walked_without_leaving_it(tmp_path: Path) -> None:
    """A link out of the folder is not followed, and a device or pipe is refused."""
    (tmp_path / "secret").write_text("secret.example\n")
    folder = tmp_path / "lists"
    (folder / "adult").mkdir(parents=True)
    (folder / "adult" / "domains").write_bytes(TEXT)
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "porn").symlink_to("adult")
    assert _lines(folder) == {"porn": [], "adult/domains": ["a.example", "b.example"]}
    os.mkfifo(folder / "pipe")
    with pytest.raises(SourceError, match="regular"):
        _lines(folder)


def test_missing_and_broken_sources_say_so(tmp_path: Path) -> None:
    """What cannot be read is named with the reason."""
    with pytest.raises(SourceError, match="No such file"):
        _lines(tmp_path / "nothing")
    (tmp_path / "z.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    with pytest.raises(SourceError, match=r"z\.zst: the archive is broken"):
        _lines(tmp_path / "z.zst")


def test_several_frames_are_one_text(tmp_path: Path) -> None:
    """A list that was packed piece by piece is read to its end."""
    path = tmp_path / "list.zst"
    path.write_bytes(zstandard.compress(TEXT) + zstandard.compress(TEXT) + zstandard.compress(b""))
    assert _lines(path) == {"list.zst": ["a.example", "b.example"] * 2}


@pytest.mark.slow
@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
def test_long_texts_come_whole(ends: bytes) -> None:
    """Lines that lie across the blocks in which a file is read are neither cut nor lost."""
    names = [f"n{number}.example" for number in range(20_000)]
    raw = io.BytesIO(ends.join(name.encode() for name in names))
    assert [line.strip() for line in decoded(raw)] == names


@pytest.mark.slow
def test_a_long_line_in_the_middle_costs_itself() -> None:
    """A line without end in the middle of a large file does not take its neighbours along."""
    names = [b"n%d.example" % number for number in range(10_000)]
    raw = b"\n".join([*names, b"x" * 200_000, *names])
    lines = [line.strip() for line in decoded(io.BytesIO(raw))]
    assert lines.count("\0") == 1
    assert len(lines) == 2 * len(names) + 1


def test_progress_adds_up(tmp_path: Path) -> None:
    """The bytes told to the progress bar are those of the file."""
    path = tmp_path / "list"
    path.write_bytes(TEXT * 1000)
    told: list[int] = []
    for member in members(path, told.append):
        list(member.lines)
    assert sum(told) == path.stat().st_size
