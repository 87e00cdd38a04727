"""A client that asks for pages one after the other and adds as little time of its own as it can.

What lives only here: HTTP/1.1 and HTTP/2 over TLS, straight to the origin or through an explicit proxy.
"""

from __future__ import annotations

import functools
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)

_WINDOW = 1 << 20
_HTTPS = 443
_PATIENCE = 20.0
"""Longest wait for one answer, in seconds."""


@functools.cache
def _context(trusted: Path, protocol: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(trusted))
    context.set_alpn_protocols([protocol])
    return context


class NotAnsweredError(RuntimeError):
    """What came back is not the page that was asked for."""


@dataclass(frozen=True, slots=True)
class Way:
    """How to get to the site: at which address, whether that is a proxy, and whom to trust."""

    name: str
    address: tuple[str, int]
    trusted: Path
    proxy: bool
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The site as a request names it."""
        return self.host if self.port == _HTTPS else f"{self.host}:{self.port}"

    def opened(self, protocol: str) -> ssl.SSLSocket:
        """Return a fresh encrypted connection that speaks `protocol` (http/1.1 or h2)."""
        raw = socket.create_connection(self.address, _PATIENCE)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.proxy:
                self._tunnel(raw)
            wrapped = _context(self.trusted, protocol).wrap_socket(raw, server_hostname=self.host)
        except BaseException:
            raw.close()
            raise
        if wrapped.selected_alpn_protocol() != protocol:
            wrapped.close()
            raise NotAnsweredError(f"{self.name}: does not speak {protocol}")
        return wrapped

    def _tunnel(self, raw: socket.socket) -> None:
        target = f"{self.host}:{self.port}"
        raw.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            more = raw.recv(4096)
            if not more:
                raise NotAnsweredError(f"{self.name}: no tunnel: {head[:80]!r}")
            head += more
        if b" 200 " not in head.partition(b"\r\n")[0]:
            raise NotAnsweredError(f"{self.name}: no tunnel: {head[:80]!r}")


class Client(Protocol):
    """One open connection that pages can be asked for on."""

    def get(self, path: str, size: int) -> None:
        """Ask for a page and read it; NotAnsweredError if it is not a page of `size` bytes."""

    def close(self) -> None:
        """Close the connection."""


class _Closing:
    _socket: ssl.SSLSocket

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()


class Http1(_Closing):
    """One connection that speaks HTTP/1.1."""

    def __init__(self, way: Way, wire: ssl.SSLSocket | None = None) -> None:
        self._way = way
        self._socket = wire or way.opened("http/1.1")

    def get(self, path: str, size: int) -> None:
        """Ask for a page and read it; NotAnsweredError if it is not a page of `size` bytes."""
        host = f"Host: {self._way.authority}\r\nConnection: keep-alive"  # e2guardian wants to be told
        self._socket.sendall(f"GET {path} HTTP/1.1\r\n{host}\r\nAccept: */*\r\n\r\n".encode())
        got = b""
        while (end := got.find(b"\r\n\r\n")) < 0 or len(got) < end + 4 + size:
            more = self._socket.recv(1 << 16)
            if not more:
                break
            got += more
        if not got.startswith(b"HTTP/1.1 200 ") or len(got) != end + 4 + size:
            raise NotAnsweredError(f"{self._way.name}: {got[:80]!r}")


class Http2(_Closing):
    """One connection that speaks HTTP/2, one request at a time."""

    def __init__(self, way: Way, wire: ssl.SSLSocket | None = None) -> None:
        self._way = way
        self._socket = wire or way.opened("h2")
        self._h2 = H2Connection(H2Configuration(header_encoding=None))
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_WINDOW)
        self._send()

    def get(self, path: str, size: int) -> None:
        """Ask for a page and read it; NotAnsweredError if it is not a page of `size` bytes."""
        stream = self._h2.get_next_available_stream_id()
        authority = self._way.authority
        names = (":method", ":scheme", ":authority", ":path", "accept")
        self._h2.send_headers(
            stream, list(zip(names, ("GET", "https", authority, path, "*/*"), strict=True)), end_stream=True
        )
        self._send()
        status, received, ended = b"", 0, False
        while not ended:
            for event in self._events():
                if isinstance(event, ResponseReceived):
                    status = dict(event.headers or ()).get(b":status", b"")
                elif isinstance(event, DataReceived):
                    received += len(event.data or b"")
                    self._h2.acknowledge_received_data(event.flow_controlled_length or 0, stream)
                ended = ended or isinstance(event, StreamEnded)
            self._send()
        if status != b"200" or received != size:
            raise NotAnsweredError(f"{self._way.name}: status {status!r}, {received} bytes")

    def _send(self) -> None:
        if data := self._h2.data_to_send():
            self._socket.sendall(data)

    def _events(self) -> list[Event]:
        got = self._socket.recv(1 << 16)
        events = self._h2.receive_data(got) if got else []
        if not got or any(isinstance(event, ConnectionTerminated | StreamReset) for event in events):
            raise NotAnsweredError(f"{self._way.name}: the connection was ended")
        return events


def over(wire: ssl.SSLSocket, host: str) -> Http1 | Http2:
    """Return a client on a connection to `host` that is open already, in the protocol that it agreed on."""
    way = Way(host, (host, _HTTPS), Path(), proxy=False, host=host, port=_HTTPS)
    return Http2(way, wire) if wire.selected_alpn_protocol() == "h2" else Http1(way, wire)
