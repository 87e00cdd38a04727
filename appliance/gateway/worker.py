"""One worker: an embedded mitmproxy with only the parts that are needed.

What lives only here: which addons and options the worker runs with. Scripts are never loaded (H3), and a
worker whose chain lacks our addon does not start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import override

import hpack.hpack
import hpack.table
from mitmproxy import master, options

from appliance.gateway.addon import GatewayAddon
from appliance.gateway.door import Doors
from appliance.gateway.lane_judge import Lane
from appliance.gateway.layers import GatewayNextLayer
from appliance.gateway.leaving import leave
from appliance.gateway.listen import Listen, WorkerError
from appliance.gateway.tls import SchoolTls

logger = logging.getLogger(__name__)

LAG_SECONDS = 0.5
"""How often the worker measures whether its event loop keeps up."""


class Worker:
    """Runs the gateway's side of mitmproxy until it is told to stop."""

    def __init__(
        self,
        *,
        listen: Listen,
        tls: SchoolTls,
        doors: Doors,
        addon: GatewayAddon,
        roots: Path,
        idle: int,
        http2: bool = True,
        lane: Lane | None = None,
    ) -> None:
        """Put the parts together.

        `idle` is the longest silence of a connection, in seconds; `http2` says whether it is offered.
        Without a `lane` everything is carried in the full one.
        """
        # options.Options() reads no file, and confdir is never used: our TLS part makes no CA there.
        self._master = master.Master(options.Options())
        addons = self._master.addons
        # Our addon comes last: what it sets is what holds (H15).
        addons.add(doors, GatewayNextLayer(lane), tls, *([lane] if lane is not None else []), addon)
        self._master.options.update(
            mode=_modes(listen),
            connection_strategy="lazy",
            ssl_verify_upstream_trusted_ca=str(roots),
            ssl_insecure=False,
            validate_inbound_headers=True,
            upstream_cert=False,
            rawtcp=False,
            http2=http2,
            http3=False,
            websocket=True,
            tcp_timeout=idle,
        )
        if addons.get("gateway") is not addon:
            raise WorkerError("the filter is not in mitmproxy's chain")

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until `stop`; `ready` is called once the ports are open. WorkerError if they are not."""
        doors = self._master.addons.get("proxyserver")
        task = asyncio.get_running_loop().create_task(self._master.run())
        while not task.done():
            servers = list(doors.servers)
            failed = next((server.last_exception for server in servers if server.last_exception), None)
            if failed is not None:
                self.stop()
                await task
                raise WorkerError(str(failed).partition("\n")[0])
            if servers and all(server.is_running for server in servers):
                ready()
                break
            await asyncio.sleep(0.01)
        await task

    def stop(self) -> None:
        """Ask the worker to end; open connections are closed."""
        self._master.shutdown()

    async def leave(self, seconds: float) -> None:
        """End as soon as nobody is left, and after `seconds` in any case; nobody is let in any more."""
        doors = self._master.addons.get("proxyserver")
        left = await leave(doors, seconds)
        if left:
            logger.warning("%d connections did not end by themselves and were cut", left)
        self.stop()


async def watch_lag(tell: Callable[[float], None]) -> None:
    """Measure for ever how late the event loop is, in seconds, and tell it."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_SECONDS
        await asyncio.sleep(LAG_SECONDS)
        tell(max(0.0, loop.time() - due))


class _Silent(logging.Logger):
    @override
    def debug(self, *_: object, **__: object) -> None:
        """Say nothing."""


def quiet_libraries() -> None:
    """Keep mitmproxy's own log out: it prints what passes, and a crash prints whole bodies (H30)."""
    for name in ("mitmproxy", "hpack", "h2", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # This one asks whether it may speak some sixty times a request.
    for module in (hpack.hpack, hpack.table):
        setattr(module, "log", _Silent("hpack", logging.CRITICAL))  # noqa: B010 - said aloud, as it replaces a name


def _modes(listen: Listen) -> list[str]:
    found = []
    if listen.explicit is not None:
        found.append("schoolexplicit@{}:{}".format(*listen.explicit))
    if listen.encrypted is not None:
        found.append("schoolencrypted@{}:{}".format(*listen.encrypted))
    if listen.transparent is not None:
        found.append("schooltransparent@{}:{}".format(*listen.transparent))
    return found
