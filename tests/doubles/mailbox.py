"""A mail server that takes mails, and fails on purpose: 4xx, 5xx, hanging, cut, a stranger's certificate."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, Envelope, Session

from appliance.alerts.options import MailSettings


@dataclass
class Mailbox:
    """What arrived, in order. `answers` are given to RCPT or DATA by address, one after the other."""

    arrived: list[tuple[str, Message]] = field(default_factory=list)
    rcpt: dict[str, list[str]] = field(default_factory=dict)
    data: dict[str, list[str]] = field(default_factory=dict)
    drop_after_data: int = 0
    hang: float = 0.0
    asked: Counter[str] = field(default_factory=Counter)
    port: int = 0

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del session, options
        self.asked[address] += 1
        if self.hang:
            await asyncio.sleep(self.hang)
        if self.rcpt.get(address):
            return self.rcpt[address].pop(0)
        envelope.rcpt_tos.append(address)
        del server
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802 - the library's name
        del session
        address = envelope.rcpt_tos[0]
        if self.data.get(address):
            return self.data[address].pop(0)
        assert isinstance(envelope.content, bytes)
        self.arrived.append((address, message_from_bytes(envelope.content, policy=default)))
        if self.drop_after_data:
            # Taken, and the sender never hears of it.
            self.drop_after_data -= 1
            server.transport.abort()
        return "250 Taken"

    @property
    def subjects(self) -> list[str]:
        return [mail["Subject"] for _, mail in self.arrived]


@asynccontextmanager
async def serving(
    mailbox: Mailbox, ca: trustme.CA, *, name: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Mailbox]:
    """Serve `mailbox` with STARTTLS on a port of its own, with a certificate that `ca` gave to `name`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(name).configure_cert(context)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(
            mailbox, tls_context=context, require_starttls=True, hostname="mail.school.example", loop=loop
        ),
        "127.0.0.1",
        port,
    )
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()


def settings(mailbox: Mailbox, folder: Path, ca: trustme.CA, **changes: object) -> MailSettings:
    """Return the settings that lead to `mailbox`, and trust `ca`."""
    roots = folder / "roots.pem"
    ca.cert_pem.write_to_path(str(roots))
    values = {"server": "127.0.0.1", "port": mailbox.port, "sender": "gateway@school.example", "roots": roots}
    return MailSettings.model_validate({**values, "timeout_seconds": 5.0, **changes})
