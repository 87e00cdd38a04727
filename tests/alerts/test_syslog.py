"""Lines for a syslog server."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from appliance.alerts.options import SyslogSettings
from appliance.alerts.outbox import Letter
from appliance.alerts.redact import Alarm, Notice, Trouble, What
from appliance.alerts.syslog import Syslog, line
from appliance.alerts.ways import WayError
from appliance.model.category import Severity
from tests.doubles.alerts import MONDAY

NOTICE = Notice(What.ALERT, "A-00012", Severity.CRITICAL, 'Odd "title" [x]', MONDAY, "")
LETTER = Letter(1, "n", What.ALERT, "syslog", "syslog", 0, NOTICE)


def test_a_line_is_of_the_form_that_the_rfc_asks_for() -> None:
    """A log server takes it apart by RFC 5424, quotes and brackets included."""
    assert line(LETTER).decode() == (
        "<106>1 2026-11-23T10:15:00.000Z - school-gateway - alert "
        '[alert@32473 case="A-00012" severity="critical" theme="Odd \\"title\\" [x\\]"] '
        'Alert: A-00012 critical, Odd "title" [x]'
    )
    alarm = replace(LETTER, what=What.TROUBLE, message=Trouble(MONDAY, "mail", 1))
    closed = replace(LETTER, what=What.ALARM, message=Alarm(MONDAY, "floor", 1, over=False))
    over = replace(LETTER, what=What.ALARM, message=Alarm(MONDAY, "floor", 1, over=True))
    assert (line(closed)[:5], line(over)[:5]) == (b"<106>", b"<109>")
    assert (
        line(alarm).decode().startswith("<109>1 2026-11-23T10:15:00.000Z - school-gateway - trouble - Mails")
    )


async def test_a_line_arrives_by_tcp_with_its_length_and_by_udp_without() -> None:
    """Over a stream each line has its length before it (RFC 6587)."""
    got = asyncio.get_running_loop().create_future()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.set_result(await reader.read())
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await Syslog(SyslogSettings(server="127.0.0.1", port=port, transport="tcp")).send(LETTER)
    assert await got == f"{len(line(LETTER))} ".encode() + line(LETTER)
    server.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.bind(("127.0.0.1", 0))
        there.settimeout(5)
        await Syslog(SyslogSettings(server="127.0.0.1", port=there.getsockname()[1], transport="udp")).send(
            LETTER
        )
        assert there.recv(4_096) == line(LETTER)


@pytest.mark.slow
async def test_a_server_that_is_not_there_is_told() -> None:
    """It is tried again, and the mail says that syslog cannot be reached."""
    with pytest.raises(WayError, match="cannot be reached"):
        await Syslog(SyslogSettings(server="127.0.0.1", port=1, transport="tls")).send(LETTER)
