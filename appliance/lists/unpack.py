"""A file, folder or archive as a row of text streams.

What lives only here: gzip, xz, bzip2, zstd, zip and tar (told by their first bytes, never by their
names), and the limits that keep an archive from filling the machine. Nothing is ever extracted
to the disk, so that a member called `../../etc/passwd` is a name and no more.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import itertools
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import zstandard

from appliance.config.problems import InWordsError

MOST_BYTES = 2 * 1024**3
"""Unpacked size at which an archive is refused: the largest list there is has 120 MB."""
MOST_MEMBERS = 5_000
LONGEST_LINE = 16_384
"""Characters; a longer line is no entry, and a file without line ends must not fill the memory."""

type Progress = Callable[[int], None]
"""Is told how many more bytes of the source have been read."""

_BLOCK = 1 << 16
_ZSTD_STEP = 512  # bytes: they may unpack to thirty thousand times as many
_TAR_MAGIC = slice(257, 262)
_PACKERS: tuple[tuple[bytes, Callable[[IO[bytes]], IO[bytes] | io.BufferedIOBase]], ...] = (
    (b"\x1f\x8b", lambda raw: gzip.GzipFile(fileobj=raw)),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
    (b"BZh", bz2.BZ2File),
    (b"\x28\xb5\x2f\xfd", lambda raw: _buffered(_Zstd(raw))),
)
_BROKEN = (
    EOFError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zstandard.ZstdError,
)


class SourceError(InWordsError):
    """The source cannot be read whole; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a source, or (with `link`) another name for a folder of it.

    `lines` yields decoded lines without their ends; it is to be read before the next member.
    """

    name: str
    lines: Iterator[str]
    link: str = ""


def members(path: Path, progress: Progress | None = None) -> Iterator[Member]:
    """Yield the members of a plain or packed file, an archive or a folder, in a stable order.

    Raises `SourceError` where the source is missing, broken, too large or no regular file.
    """
    tell = progress or (lambda _: None)
    try:
        if path.is_dir():
            yield from _folder(path, tell)
        else:
            yield from _file(path, path.name, tell)
    except _BROKEN as error:
        raise SourceError(f"{path}: the archive is broken or cut short ({error})") from error
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error


def decoded(raw: IO[bytes], name: str = "list") -> Iterator[str]:
    """Yield the lines of a byte stream, without their ends.

    Text is UTF-8 with or without its mark, UTF-16, else Latin-1. CRLF, CR and a missing last
    line end are all the same. A line over `LONGEST_LINE` comes as a NUL character alone,
    which no entry may hold.
    """
    return itertools.chain.from_iterable(_blocks(raw, name))


def _blocks(raw: IO[bytes], name: str) -> Iterator[Iterator[str]]:
    buffered = _buffered(_Limited(raw, name))
    head = buffered.peek(3)
    if head[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        yield _by_line(io.TextIOWrapper(buffered, "utf-16", "replace"))
        return
    if head.startswith(codecs.BOM_UTF8):
        buffered.read(len(codecs.BOM_UTF8))
    # Whole blocks at a time: of millions of lines, each would else cost more here than where it is read.
    while block := buffered.read(_BLOCK):
        if block[-1:] != b"\n":
            block += buffered.readline(LONGEST_LINE)
        if block[-1:] == b"\n" or len(block) < _BLOCK:
            yield _lines(block)
        else:  # a line without end, or the line ends of old: line by line, with bounded memory
            left = _Joined(block, buffered)
            yield _by_line(io.TextIOWrapper(_buffered(left), "utf-8", "surrogateescape"))


def _lines(block: bytes) -> Iterator[str]:
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    text = block.decode("utf-8", "surrogateescape")
    lines = text.removesuffix("\n").split("\n")
    if len(max(lines, key=len)) > LONGEST_LINE:
        lines = [line if len(line) <= LONGEST_LINE else "\0" for line in lines]
    return iter(lines) if text.isascii() else map(_as_latin1, lines)


def _by_line(text: io.TextIOWrapper) -> Iterator[str]:
    readline = text.readline
    while line := readline(LONGEST_LINE):
        if line[-1] != "\n" and len(line) == LONGEST_LINE:
            while (more := readline(LONGEST_LINE)) and more[-1] != "\n":
                pass
            yield "\0"
        else:
            yield _as_latin1(line.removesuffix("\n"))


def _as_latin1(line: str) -> str:
    """Return `line` as it was meant: what is no UTF-8 is Latin-1."""
    if line.isascii():
        return line
    try:
        line.encode()
    except UnicodeEncodeError:
        return line.encode("utf-8", "surrogateescape").decode("latin-1")
    return line


def _file(path: Path, name: str, progress: Progress) -> Iterator[Member]:
    if not stat.S_ISREG(path.stat().st_mode):
        raise SourceError(f"{path}: not a regular file")
    with path.open("rb") as opened:
        raw = _buffered(_Told(opened, progress))
        if zipfile.is_zipfile(opened):
            yield from _zip(opened, name)
            progress(path.stat().st_size)
            return
        opened.seek(0)
        head = raw.peek(8)
        packer = next((packer for magic, packer in _PACKERS if head.startswith(magic)), None)
        plain = _buffered(_Limited(packer(raw), name)) if packer else raw
        if plain.peek(512)[_TAR_MAGIC] == b"ustar":
            yield from _tar(plain, name)
        else:
            yield Member(name, decoded(plain, name))


def _zip(opened: IO[bytes], name: str) -> Iterator[Member]:
    with zipfile.ZipFile(opened) as archive:
        for info in archive.infolist()[:MOST_MEMBERS]:
            if info.flag_bits & 1:
                raise SourceError(f"{name}: protected by a password")
            if not info.is_dir():
                with archive.open(info) as packed:
                    yield Member(f"{name}!{info.filename}", decoded(packed, info.filename))


def _tar(plain: IO[bytes], name: str) -> Iterator[Member]:
    with tarfile.open(fileobj=plain, mode="r|") as archive:
        for count, info in enumerate(archive):
            if count >= MOST_MEMBERS:
                raise SourceError(f"{name}: more than {MOST_MEMBERS} members")
            if info.issym():
                yield Member(f"{name}!{info.name}", iter(()), info.linkname)
            elif info.isreg() and (packed := archive.extractfile(info)):
                yield Member(f"{name}!{info.name}", decoded(packed, info.name))


def _folder(path: Path, progress: Progress) -> Iterator[Member]:
    for folder, folders, files in os.walk(path):
        folders.sort()
        here = Path(folder)
        for linked in (here / sub for sub in folders if (here / sub).is_symlink()):
            yield Member(str(linked.relative_to(path)), iter(()), linked.readlink().name)
        for file in (here / name for name in sorted(files)):
            if file.is_symlink():
                continue  # another name for a file that is read under its own, or a way out of the folder
            yield from _file(file, str(file.relative_to(path)), progress)


def _buffered(raw: io.RawIOBase) -> io.BufferedReader:
    return io.BufferedReader(raw, 1 << 18)


class _Limited(io.RawIOBase):
    """A stream that refuses to go on for ever, and says in one way that its packing is broken."""

    def __init__(self, raw: IO[bytes] | io.BufferedIOBase, name: str) -> None:
        self._raw = raw
        self._name = name
        self._left = MOST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # the base class speaks of any buffer; a reader passes this one
        try:
            data = self._raw.read(len(buffer))
        except _BROKEN as error:
            raise SourceError(f"{self._name}: the archive is broken or cut short ({error})") from error
        self._left -= len(data)
        if self._left < 0:
            raise SourceError(f"{self._name}: larger than {MOST_BYTES >> 20} MB when unpacked")
        buffer[: len(data)] = data
        return len(data)


class _Zstd(io.RawIOBase):
    """The text of a zstd file, which may have several frames; one that ends in a frame is cut short.

    The library's own stream ends without a word there.
    """

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._begun = False
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # the base class speaks of any buffer; a reader passes this one
        while not self._ready and (packed := self._frame.unused_data or self._raw.read(_ZSTD_STEP)):
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._ready = self._frame.decompress(packed)
            self._begun = True
        if not self._ready and self._begun and not self._frame.eof:
            raise EOFError("ended within a frame")
        data, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


class _Joined(io.RawIOBase):
    """A stream that begins with bytes which were read from it already."""

    def __init__(self, head: bytes, rest: io.BufferedReader) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # the base class speaks of any buffer; a reader passes this one
        data = self._head[: len(buffer)] or self._rest.read(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


class _Told(io.RawIOBase):
    """A stream that tells how far it has been read."""

    def __init__(self, raw: IO[bytes], progress: Progress) -> None:
        self._raw = raw
        self._progress = progress

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # the base class speaks of any buffer; a reader passes this one
        data = self._raw.read(len(buffer))
        self._progress(len(data))
        buffer[: len(data)] = data
        return len(data)
