"""TLS towards a site, between a bare connection and whoever uses it.

What lives only here: OpenSSL's session over two memory buffers, as asyncio's own has it, without the layers
that asyncio needs for everything else that TLS can be used for: they cost more than the encryption. It ends
a connection orderly, but waits for no answer to that; it never negotiates anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any, override

READ_SIZE = 16_384
"""Bytes that are read at once: as many as one record of TLS can hold (RFC 8446 5.1)."""

_LEFT = "the site closed the connection before it was encrypted"


class SiteTls(asyncio.Transport, asyncio.Protocol):
    """One connection to a site: a protocol for its socket, and the transport of `user`.

    `user` hears of the connection once it is encrypted and verified; `ready` is done then, or fails with
    what went wrong (ssl.SSLError, or another OSError).
    """

    def __init__(self, context: ssl.SSLContext, host: str, user: asyncio.Protocol) -> None:
        super().__init__()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._user = user
        self._wire: asyncio.Transport | None = None
        self._agreed = self._closing = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # --- the socket (asyncio.Protocol) ---

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP is
        self._wire = transport
        self._agree()

    @override
    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        if not self._agreed:
            self._agree()
            if not self._agreed:
                return
        found, ended = self._read()
        self._flush()  # what reading may have to say: an alert, a key's change
        if found:
            self._user.data_received(found[0] if len(found) == 1 else b"".join(found))
        if ended:
            self.close()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        if not self.ready.done():
            self.ready.set_exception(exc or ConnectionResetError(_LEFT))
        elif self._agreed:
            self._user.connection_lost(exc)

    @override
    def pause_writing(self) -> None:
        if self._agreed:
            self._user.pause_writing()

    @override
    def resume_writing(self) -> None:
        if self._agreed:
            self._user.resume_writing()

    # --- for the user (asyncio.Transport) ---

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing:
            return
        try:
            self._session.write(data)
        except ssl.SSLError:
            self.abort()
            return
        self._flush()

    @override
    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._agreed:
            with contextlib.suppress(ssl.SSLError):  # the answer to it is not waited for
                self._session.unwrap()
            self._flush()
        if self._wire is not None:
            self._wire.close()

    @override
    def abort(self) -> None:
        self._closing = True
        self.ready.cancel()  # nobody waits for it any more
        if self._wire is not None:
            self._wire.abort()

    @override
    def is_closing(self) -> bool:
        return self._closing or self._wire is None or self._wire.is_closing()

    @override
    def pause_reading(self) -> None:
        if self._wire is not None:
            self._wire.pause_reading()

    @override
    def resume_reading(self) -> None:
        if self._wire is not None:
            self._wire.resume_reading()

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "ssl_object":
            return self._session
        return default if self._wire is None else self._wire.get_extra_info(name, default)

    # --- parts ---

    def _agree(self) -> None:
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except (OSError, ValueError) as error:  # ssl.SSLError is one; ValueError: a name that is none
            self._flush()  # the site is told why
            if not self.ready.done():
                self.ready.set_exception(error if isinstance(error, OSError) else ConnectionError(str(error)))
            self.close()
            return
        self._flush()
        self._agreed = True
        self._user.connection_made(self)
        if not self.ready.done():
            self.ready.set_result(None)

    def _read(self) -> tuple[list[bytes], bool]:
        found: list[bytes] = []
        session, incoming = self._session, self._incoming
        try:
            while part := session.read(READ_SIZE):
                found.append(part)
                if not incoming.pending and not session.pending():
                    return found, False
        except ssl.SSLWantReadError:
            return found, False
        except ssl.SSLError:  # broken, or ended with a message of its own
            return found, True
        return found, True

    def _flush(self) -> None:
        if self._outgoing.pending and self._wire is not None:
            self._wire.write(self._outgoing.read())
