"""Accounting packets as a switch makes them, good and bad."""

from __future__ import annotations

import hashlib
import hmac
import socket
import struct

SECRET = "0123456789abcdef-secret"
START, STOP, INTERIM, ON = 1, 2, 3, 7


def attribute(code: int, value: bytes | int | str) -> bytes:
    """Return one attribute."""
    raw = value.to_bytes(4) if isinstance(value, int) else value.encode() if isinstance(value, str) else value
    return bytes([code, len(raw) + 2]) + raw


def packet(
    status: int,
    at: float,
    *more: tuple[int, bytes | int | str],
    user: str | bytes = "amy",
    session: str = "S1",
    mac: str = "3C-52-82-0A-1B-2C",
    secret: str = SECRET,
    signed: bool = True,
    number: int = 7,
    nas: str = "switch-1",
) -> bytes:
    """Return an accounting request with both signatures, unless `signed` is false."""
    values: list[tuple[int, bytes | int | str]] = [(40, status), (44, session), (1, user), (31, mac)]
    values += [(32, nas), (55, int(at)), *more]
    found = b"".join(attribute(code, value) for code, value in values if value not in ("", b""))
    if signed:
        found = attribute(80, bytes(16)) + found
        head = struct.pack("!BBH", 4, number, 20 + len(found))
        mark = hmac.new(secret.encode(), head + bytes(16) + found, "md5").digest()
        found = attribute(80, mark) + found[18:]
    head = struct.pack("!BBH", 4, number, 20 + len(found))
    authenticator = hashlib.md5(head + bytes(16) + found + secret.encode()).digest()  # noqa: S324 - what RFC 2866 asks for
    return head + authenticator + found


def ipv4(text: str) -> tuple[int, bytes]:
    """Return a Framed-IP-Address."""
    return 8, socket.inet_aton(text)


def ipv6(text: str) -> tuple[int, bytes]:
    """Return a Framed-IPv6-Address."""
    return 168, socket.inet_pton(socket.AF_INET6, text)
