"""A freeze, over two hundred connections that somebody has open and in use.

Measures on one gateway with two workers: from the moment at which the freeze is in the database (its command
has returned) to the last byte of a site that reached the device, and to the end of the last connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass

from appliance.events.audit import Trail
from appliance.events.carried import Carried
from appliance.identity.database import Database
from appliance.identity.stops import STEPS, Stops
from appliance.model.person import Standing
from tests.bench.bench_signin import School, school, signed_in
from tests.bench.measure import KEPT, percentile, report
from tests.bench.origin import HOST

OPEN, ROUNDS, REACH = 200, 5, 1.0
"""Connections, freezes, and seconds from a freeze to the last byte."""

_ADDRESS, _NAME = "127.30.0.1", "pupil 0"
_ENOUGH = 30.0


@dataclass
class Flow:
    """One connection in use: when its last byte of a page came, and when it ended; `time.time`."""

    last: float = 0.0
    ended: float = 0.0


def main() -> None:
    """Measure, print, keep."""
    folder = KEPT / "freeze"
    with report("freeze") as done, school(folder) as at:
        stops = Stops(Database(folder / "state"), Carried(Trail(folder / "state"), STEPS))
        signed_in(at, 0)
        bytes_, ends = list[float](), list[float]()
        for _ in range(ROUNDS):
            flows, frozen = asyncio.run(_frozen(at, stops))
            bytes_.append(max(flow.last for flow in flows) - frozen)
            ends.append(max(flow.ended for flow in flows) - frozen)
            stops.lift(_NAME, Standing.FROZEN, by="bench", now=time.time())
            time.sleep(1)
        rows = [
            {"until": what, "median": percentile(sorted(found), 0.5), "worst": max(found)}
            for what, found in (("the last byte of a page", bytes_), ("the last connection ended", ends))
        ]
        done.table(f"From a freeze, over {OPEN} connections in use (seconds)", rows)
        done.reach("freeze to last byte, worst", max(bytes_), REACH, "s")


async def _frozen(at: School, stops: Stops) -> tuple[list[Flow], float]:
    flows = [Flow() for _ in range(OPEN)]
    turn, ready = asyncio.Semaphore(16), asyncio.Barrier(OPEN + 1)
    reading = [asyncio.create_task(_read(at, flow, turn, ready)) for flow in flows]
    await asyncio.wait_for(ready.wait(), 120)
    await asyncio.sleep(1)
    await asyncio.to_thread(stops.freeze, _NAME, "bench", by="bench", now=time.time())
    frozen = time.time()
    await asyncio.wait_for(asyncio.gather(*reading), _ENOUGH)
    return flows, frozen


async def _read(at: School, flow: Flow, turn: asyncio.Semaphore, ready: asyncio.Barrier) -> None:
    async with turn:
        reader, writer = await asyncio.open_connection(*at.proxy, local_addr=(_ADDRESS, 0))
        writer.write(f"CONNECT {HOST}:{at.site.port} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        await writer.start_tls(at.trusted, server_hostname=HOST)
        await _page(at, reader, writer, flow)
    await ready.wait()
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while await _page(at, reader, writer, flow):  # noqa: ASYNC110 - it is read, not waited for
            await asyncio.sleep(1)  # as somebody who clicks
    flow.ended = time.time()
    writer.close()


async def _page(at: School, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flow: Flow) -> bool:
    writer.write(f"GET /32k HTTP/1.1\r\nHost: {HOST}:{at.site.port}\r\n\r\n".encode())
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        return False  # our own page: nothing of the site
    await reader.readexactly(32_768)
    flow.last = time.time()
    return True


if __name__ == "__main__":
    main()
