"""A small DNS server on loopback that answers, hangs, lies or changes its mind, as a test needs it."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, override

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

type Records = dict[tuple[str, str], tuple[int, tuple[str, ...]]]
"""Name and kind: seconds to keep it, and the records."""


@dataclass
class NameServer:
    """Knows `records`; is silent about names in `silent`; `twist` may change an answer before it goes out."""

    records: Records = field(default_factory=dict)
    silent: Callable[[str], bool] = lambda _name: False
    rcode: dns.rcode.Rcode | None = None
    negative_ttl: int = 60
    cut_off: bool = False
    twist: Callable[[bytes], list[bytes]] = lambda answer: [answer]
    asked: list[tuple[str, str]] = field(default_factory=list)
    over_tcp: int = 0
    port: int = 0

    def answer(self, wire: bytes, *, tcp: bool = False) -> bytes | None:
        """Return the answer to one question, None for silence."""
        query = dns.message.from_wire(wire)
        (question,) = query.question
        name, kind = question.name.to_text().rstrip(".").lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if self.silent(name):
            return None
        answer = dns.message.make_response(query)
        if self.rcode is not None:
            answer.set_rcode(self.rcode)
        elif self.cut_off and not tcp:
            answer.flags |= dns.flags.TC
        else:
            self._fill(answer, name, kind)
        return answer.to_wire(max_size=65535)

    def _fill(self, answer: dns.message.Message, name: str, kind: str) -> None:
        alias = self.records.get((name, "CNAME"))
        if alias is not None:
            answer.answer.append(dns.rrset.from_text(name + ".", alias[0], "IN", "CNAME", alias[1][0] + "."))
            name = alias[1][0]
        found = self.records.get((name, kind))
        if found is not None:
            answer.answer.append(dns.rrset.from_text(name + ".", found[0], "IN", kind, *found[1]))
            return
        if not any(known == name for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        soa = f"ns. root. 1 3600 600 86400 {self.negative_ttl}"
        answer.authority.append(dns.rrset.from_text(".", self.negative_ttl, "IN", "SOA", soa))


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    @override
    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    @override
    def datagram_received(self, data: bytes, addr: Any) -> None:
        answer = self._server.answer(data)
        for each in self._server.twist(answer) if answer is not None else ():
            self._transport.sendto(each, addr)


@contextlib.asynccontextmanager
async def serving(server: NameServer) -> AsyncIterator[NameServer]:
    """Let it answer on a port of 127.0.0.1, over UDP and TCP."""

    async def tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.over_tcp += 1
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        answer = server.answer(await reader.readexactly(length), tcp=True)
        if answer is not None:
            writer.write(struct.pack("!H", len(answer)) + answer)
        writer.close()

    loop = asyncio.get_running_loop()
    async with await asyncio.start_server(tcp, "127.0.0.1", 0) as listener:
        server.port = listener.sockets[0].getsockname()[1]
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Udp(server), local_addr=("127.0.0.1", server.port)
        )
        try:
            yield server
        finally:
            transport.close()
