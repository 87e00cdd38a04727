"""TLS in fewer pieces.

What lives only here: when encrypted bytes leave. mitmproxy's layers hand on each piece that is written the
moment it is written, up through every layer; here the pieces of one event are encrypted and leave
together at its end, or before anything else is done to a connection.
"""

from __future__ import annotations

import contextlib
from typing import Any, override

from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import tls
from OpenSSL import SSL


class _Together(tls.TLSLayer):
    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._unsent: list[bytes] = []

    @override
    def send_data(self, data: bytes) -> CommandGenerator[None]:
        self._unsent.append(data)
        yield from ()

    @override
    def _handle_command(self, command: commands.Command) -> CommandGenerator[None]:
        if self._unsent and isinstance(command, commands.ConnectionCommand) and not self._ours(command):
            yield from self._leave()
        yield from super()._handle_command(command)

    @override
    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        yield from super()._handle_event(event)
        if self._unsent:
            yield from self._leave()

    def _ours(self, command: commands.ConnectionCommand) -> bool:
        return isinstance(command, commands.SendData) and command.connection is self.conn

    def _leave(self) -> CommandGenerator[None]:
        data = self._unsent[0] if len(self._unsent) == 1 else b"".join(self._unsent)
        self._unsent.clear()
        # As in the parent, a peer that has closed is one whose bytes go nowhere.
        with contextlib.suppress(SSL.ZeroReturnError, SSL.SysCallError):
            self.tls.sendall(data)
        yield from self.tls_interact()


class GatewayClientTls(_Together, tls.ClientTLSLayer):
    """Encryption towards the client."""


class GatewayServerTls(_Together, tls.ServerTLSLayer):
    """Encryption towards the site."""
