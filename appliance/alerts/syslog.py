"""Alerts to a syslog server (RFC 5424; over TCP and TLS with counted octets, RFC 6587 and 5425).

What lives only here: the form of a line, and how it is sent. UDP tells nobody whether it arrived.
"""

from __future__ import annotations

import asyncio
import socket
import ssl

from appliance.alerts.options import SyslogSettings
from appliance.alerts.outbox import Letter
from appliance.alerts.redact import Alarm, Notice
from appliance.alerts.ways import WayError
from appliance.alerts.wording import words
from appliance.model.category import Severity

_FACILITY = 13  # log audit
_LEVELS = {
    Severity.INFO: 6,
    Severity.LOW: 5,
    Severity.MEDIUM: 4,
    Severity.HIGH: 3,
    Severity.CRITICAL: 2,
}
_NOTICE = 5
_ID = "alert@32473"  # the number that RFC 5612 keeps for examples: we have none of our own
_SECONDS = 15.0


def line(letter: Letter) -> bytes:
    """Return one message as a line, without its frame."""
    message = letter.message
    level, data = _NOTICE, "-"
    if isinstance(message, Notice):
        level = _LEVELS[message.severity]
        pairs = (
            ("case", message.case),
            ("severity", message.severity.name.lower()),
            ("theme", message.theme),
        )
        data = f"[{_ID} {' '.join(f'{name}="{_escaped(value)}"' for name, value in pairs)}]"
    if isinstance(message, Alarm) and not message.over:
        level = _LEVELS[Severity.CRITICAL]
    moment = message.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = f"<{_FACILITY * 8 + level}>1 {moment} - school-gateway - {letter.what.value}"
    return f"{head} {data} {words(message).subject}".encode()


class Syslog:
    """The way to one syslog server."""

    def __init__(self, settings: SyslogSettings) -> None:
        self._settings = settings

    async def send(self, letter: Letter) -> None:
        """Return when the line is on its way; WayError when it is not."""
        text = line(letter)
        try:
            if self._settings.transport == "udp":
                await asyncio.to_thread(self._datagram, text)
            else:
                await asyncio.wait_for(self._stream(f"{len(text)} ".encode() + text), _SECONDS)
        except (OSError, TimeoutError) as error:
            raise WayError(
                f"the syslog server cannot be reached ({str(error) or type(error).__name__})"
            ) from error

    def _datagram(self, text: bytes) -> None:
        address = (self._settings.server, self._settings.port)
        family, kind, protocol, _, where = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as one:
            one.sendto(text, where)

    async def _stream(self, frame: bytes) -> None:
        settings = self._settings
        context = None
        if settings.transport == "tls":
            context = ssl.create_default_context(cafile=str(settings.roots) if settings.roots else None)
        _, writer = await asyncio.open_connection(settings.server, settings.port, ssl=context)
        try:
            writer.write(frame)
            await writer.drain()
        finally:
            writer.close()
            await writer.wait_closed()


def _escaped(text: str) -> str:
    for mark in ("\\", '"', "]"):
        text = text.replace(mark, f"\\{mark}")
    return text
