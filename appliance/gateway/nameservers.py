"""Asking name servers: one question, and what their answer amounts to.

What lives only here: the DNS (RFC 1035), through dnspython, and the reading of /etc/resolv.conf and
/etc/hosts. Each question goes out from a port of its own under a random number, so that an answer cannot
be guessed; one that is cut off is asked for again over TCP. Nothing here holds up the event loop.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

RESOLV_CONF = Path("/etc/resolv.conf")
HOSTS = Path("/etc/hosts")
TRY_SECONDS = 1.5
"""How long one name server may take before the next is asked."""

_LOOK_SECONDS = 1.0  # how often the two files are looked at
_PAYLOAD = 1232  # bytes of a UDP answer that pass every network whole (DNS flag day 2020)
_FALLBACK: tuple[str, ...] = ("127.0.0.1",)  # as the system's resolver does when the file names none


@dataclass(frozen=True, slots=True)
class Answer:
    """The addresses of a name, none if it has none, and for how many seconds that holds."""

    addresses: tuple[str, ...]
    ttl: float


class NoAnswerError(OSError):
    """No name server could say anything about the name."""


class Watched[T]:
    """What a file says, read again when the file has changed; `empty` while it cannot be read."""

    def __init__(self, path: Path, read: Callable[[str], T], empty: T) -> None:
        self._path = path
        self._read = read
        self._empty = self._value = empty
        self._looked = float("-inf")
        self._stamp: tuple[int, int] | None = None

    def value(self) -> T:
        """Return what the file says, as of the last second."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            self._look()
        return self._value

    def _look(self) -> None:
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if stamp != self._stamp:
                self._value = self._read(self._path.read_text(encoding="utf-8", errors="replace"))
                self._stamp = stamp
        except OSError:
            self._value, self._stamp = self._empty, None


def name_servers(text: str) -> tuple[str, ...]:
    """Return the addresses of the `nameserver` lines of a resolv.conf, at most three as the system does."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver" and _is_address(words[1]):
            found.append(words[1])
    return tuple(found[:3]) or _FALLBACK


def hosts(text: str) -> Mapping[str, tuple[str, ...]]:
    """Return what the text of a hosts file says: names in small letters, each with its addresses."""
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if _is_address(address):
            for name in names:
                key = name.lower().rstrip(".")
                found[key] = (*found.get(key, ()), address)
    return found


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class NameServers:
    """The name servers of a technician's choice, or those of the system."""

    def __init__(self, chosen: Iterable[str] = (), port: int = 53, file: Path = RESOLV_CONF) -> None:
        self._chosen = tuple(chosen)
        self._port = port
        self._file = Watched(file, name_servers, _FALLBACK)

    async def ask(self, name: str, kind: str, seconds: float) -> Answer:
        """Ask for the addresses of `name`; `kind` is A or AAAA. NoAnswerError after `seconds`, or sooner.

        Each server is asked in turn, and all of them once more, as long as the time lasts.
        """
        try:
            query = dns.message.make_query(name, kind, use_edns=0, payload=_PAYLOAD)
        except (dns.exception.DNSException, UnicodeError) as error:
            raise NoAnswerError("this is no name that a name server could know") from error
        end = time.monotonic() + seconds
        for server in (self._chosen or self._file.value()) * 2:
            left = min(TRY_SECONDS, end - time.monotonic())
            if left <= 0:
                break
            answer = await self._ask_one(query, server, left)
            if answer is not None:
                return answer
        raise NoAnswerError("no name server answered")

    async def _ask_one(self, query: dns.message.QueryMessage, server: str, seconds: float) -> Answer | None:
        try:
            async with asyncio.timeout(seconds):
                response, _ = await dns.asyncquery.udp_with_fallback(
                    query,
                    server,
                    timeout=seconds,
                    port=self._port,
                    ignore_unexpected=True,
                    ignore_errors=True,
                )
            return read(response)
        except (dns.exception.DNSException, OSError, EOFError, ValueError):
            return None


def read(response: dns.message.Message) -> Answer | None:
    """Return what a response amounts to, or None where it says nothing (the server failed, or refused)."""
    if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return None
    if not isinstance(response, dns.message.QueryMessage):
        return None
    chain = response.resolve_chaining()
    found = tuple(record.address for record in chain.answer) if chain.answer is not None else ()
    return Answer(found, float(chain.minimum_ttl))
