"""The first message of an encrypted connection: whom it is for.

What lives only here: the reading of a TLS ClientHello (RFC 8446 4.1.2, over as many records as it likes)
for the one name in it and for Encrypted Client Hello, and nothing else. Whatever does not fit exactly is
refused: two parties must not read two names.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

HELLO_LIMIT = 65_536
"""Longest ClientHello in bytes, record headers included; a large one of today has 2,000."""

ALERT_CLOSE = b"\x15\x03\x01\x00\x02\x02\x31"
"""A fatal alert, `access_denied`: the client is told at once, instead of waiting."""

_HANDSHAKE, _CLIENT_HELLO = 0x16, 0x01
_RECORD_HEADER, _MESSAGE_HEADER, _RECORD_LIMIT = 5, 4, 16_384 + 256
_SERVER_NAME, _ECH = 0, 0xFE0D
_RANDOM = 34  # version and random
_EXTENSION = struct.Struct(">HH").unpack_from
_TOO_SOON = "the ClientHello ends too soon"


class NoHelloError(ValueError):
    """The bytes are no ClientHello that every reader would read alike."""


@dataclass(frozen=True, slots=True)
class Hello:
    """What a ClientHello says: the name, None if it has none, and whether another may be hidden in it."""

    name: str | None
    ech: bool = False


def starts_like_tls(data: bytes | bytearray) -> bool:
    """Tell whether `data` (one byte is enough) can only be TLS."""
    return data[0] == _HANDSHAKE


def read_hello(data: bytes | bytearray) -> Hello | None:
    """Return what the ClientHello at the start of `data` says, None while it is not whole; NoHelloError."""
    return HelloReader().read(data)


class HelloReader:
    """Reads a ClientHello that comes in pieces, each record once, however many there are."""

    def __init__(self) -> None:
        self._at = 0
        self._message = bytearray()

    def read(self, data: bytes | bytearray) -> Hello | None:
        """Return what the hello says, None while it is not whole; `data` is all that came so far.

        Raises NoHelloError for what is no ClientHello.
        """
        while (size := _record(data, self._at)) is not None:
            start = self._at + _RECORD_HEADER
            self._message += data[start : start + size]
            self._at = start + size
            if self._whole():
                return _read(bytes(self._message[_MESSAGE_HEADER:]))
        if len(data) > HELLO_LIMIT:
            raise NoHelloError("the ClientHello is too long")
        return None

    def _whole(self) -> bool:
        message = self._message
        if message[0] != _CLIENT_HELLO:
            raise NoHelloError("the first TLS message is no ClientHello")
        if len(message) < _MESSAGE_HEADER:
            return False
        wanted = _MESSAGE_HEADER + int.from_bytes(message[1:4])
        if wanted > HELLO_LIMIT:
            raise NoHelloError("the ClientHello is too long")
        if len(message) > wanted:
            raise NoHelloError("something follows the ClientHello")
        return len(message) == wanted


def _record(data: bytes | bytearray, at: int) -> int | None:
    """Return the length of the record that begins at `at`, or None while it is not whole."""
    header = data[at : at + _RECORD_HEADER]
    if header and header[0] != _HANDSHAKE:
        raise NoHelloError("this is no TLS handshake")
    if len(header) > 1 and header[1] != 3:  # noqa: PLR2004 - the major version, since 1996
        raise NoHelloError("this is no version of TLS")
    if len(header) < _RECORD_HEADER:
        return None
    size = int.from_bytes(header[3:5])
    if not 0 < size <= _RECORD_LIMIT:
        raise NoHelloError("a TLS record of this length does not exist")
    return size if len(data) >= at + _RECORD_HEADER + size else None


def _read(message: bytes) -> Hello:
    """Read a ClientHello without its header, from front to back, with nothing left over anywhere."""
    size, at = len(message), _RANDOM
    try:
        at += 1 + message[at]  # session id
        at += 2 + (message[at] << 8 | message[at + 1])  # cipher suites
        at += 1 + message[at]  # compression
    except IndexError:
        raise NoHelloError(_TOO_SOON) from None
    if at == size:
        return Hello(None)
    if at + 2 > size or (end := at + 2 + (message[at] << 8 | message[at + 1])) > size:
        raise NoHelloError(_TOO_SOON)
    if end < size:
        raise NoHelloError("something follows the extensions")
    seen: dict[int, int] = {}
    at += 2
    while at < size:
        if at + 4 > size:
            raise NoHelloError(_TOO_SOON)
        kind, length = _EXTENSION(message, at)
        if kind in seen:
            raise NoHelloError("an extension is there twice")
        seen[kind] = at + 4
        at += 4 + length
    if at > size:
        raise NoHelloError(_TOO_SOON)
    name = _name(message, seen[_SERVER_NAME]) if _SERVER_NAME in seen else None
    return Hello(name, _ECH in seen)


def _name(message: bytes, at: int) -> str | None:
    """Return the one name in the extension whose contents begin at `at`; its length lies before them."""
    inside = message[at : at + (message[at - 2] << 8 | message[at - 1])]
    size = len(inside)
    if size < 2 or (listed := inside[0] << 8 | inside[1]) > size - 2:  # noqa: PLR2004 - bytes of a length
        raise NoHelloError(_TOO_SOON)
    if listed < size - 2:
        raise NoHelloError("something follows the names")
    # A list of names (RFC 6066 3): of one, of the only kind there is, a host's.
    if listed < 3 or (length := inside[3] << 8 | inside[4]) > listed - 3:  # noqa: PLR2004 - kind and length
        raise NoHelloError(_TOO_SOON)
    if inside[2] or length < listed - 3 or not length:
        raise NoHelloError("there must be one host name")
    try:
        return inside[5:].decode("ascii")
    except UnicodeDecodeError:
        raise NoHelloError("the name in the encryption is no host name") from None
