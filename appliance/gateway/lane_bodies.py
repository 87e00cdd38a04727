"""The lean lane: where a body ends.

What lives only here: the three ways in which HTTP/1.1 ends a body (RFC 9112 6.3), each a reader that is fed
with bytes as they come. It holds no body: what it reads it gives back at once.
"""

from __future__ import annotations

import re

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?[ \t]*")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")
_LINE_LIMIT = 4096
_TRAILERS_LIMIT = 16_384
LAST_CHUNK = b"0\r\n\r\n"


class BadBodyError(ValueError):
    """The body breaks its own rules; nothing after this place can be relied on."""

    before = b""
    """The content that had come up to that place."""


class Sized:
    """A body of so many bytes."""

    __slots__ = ("done", "left")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take bytes; return those that belong to the body, and those that come after it."""
        size = len(data)
        if size <= self.left:
            self.left -= size
            self.done = not self.left
            return data, b""
        part, rest = data[: self.left], data[self.left :]
        self.left, self.done = 0, True
        return part, rest


class UntilClose:
    """A body that ends with its connection."""

    __slots__ = ()
    done = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take bytes; all belong to the body."""
        return data, b""


class Chunked:
    """A body in chunks. What it gives back is the content; extensions and trailers are dropped."""

    __slots__ = ("_buffer", "_left", "_trailers", "done")

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0
        """Bytes of this chunk that are missing, with the line end after it; 0 before a size."""
        self._trailers = -1
        """Bytes of trailers so far; below 0 before the last chunk."""
        self.done = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take bytes; return content, and what comes after the body. BadBodyError if it is not chunked."""
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        found: list[bytes] = []
        place = 0
        while not self.done and place < len(data):
            try:
                after = self._chunk(data, place, found) if self._left else self._line(data, place)
            except BadBodyError as error:
                error.before = b"".join(found)
                raise
            if after == place:
                self._buffer = data[place:]
                break
            place = after
        return b"".join(found), data[place:] if self.done else b""

    def _chunk(self, data: bytes, place: int, found: list[bytes]) -> int:
        size = self._left - 2
        if size > 0:
            part = data[place : place + size]
            found.append(part)
            self._left -= len(part)
            return place + len(part)
        end = data[place : place + 2]
        if not b"\r\n".startswith(end):
            raise BadBodyError("a chunk is longer than it says")
        if len(end) == 2:  # noqa: PLR2004 - both bytes of the line end
            self._left = 0
            return place + 2
        return place

    def _line(self, data: bytes, place: int) -> int:
        end = data.find(b"\n", place, place + _LINE_LIMIT)
        if end < 0:
            if len(data) - place >= _LINE_LIMIT:
                raise BadBodyError("a line between chunks is too long")
            return place
        if data[end - 1 : end] != b"\r" or end == place:
            raise BadBodyError("a line between chunks ends without a carriage return")
        line = data[place : end - 1]
        if self._trailers >= 0:
            self._trailer(line)
        else:
            self._begin(line)
        return end + 1

    def _begin(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if match is None:
            raise BadBodyError("the size of a chunk is no number")
        size = int(match[1], 16)
        if size:
            self._left = size + 2
        else:
            self._trailers = 0

    def _trailer(self, line: bytes) -> None:
        if not line:
            self.done = True
            return
        self._trailers += len(line) + 2
        if self._trailers > _TRAILERS_LIMIT or not _TRAILER.fullmatch(line):
            raise BadBodyError("what follows the last chunk are no fields")


type Body = Sized | Chunked | UntilClose


def chunk(data: bytes) -> bytes:
    """Return content as one chunk; nothing for no content, which would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
