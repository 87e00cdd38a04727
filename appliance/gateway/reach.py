"""What the gateway is no way to: itself, and the school's own network.

What lives only here: the judgement of a network address as internal (H27), and the event loop whose
name resolution hands out no internal address. Every connection out of the worker resolves through
that loop, so a name that turns into 127.0.0.1 (DNS rebinding) leads nowhere.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import Iterable, Mapping
from typing import Any

from appliance.model.url import Address, Url, embedded_ipv4

type Network = ipaddress.IPv4Network | ipaddress.IPv6Network
type AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]

_LOCAL_NAMES = ("localhost", "local", "localdomain", "internal", "home.arpa", "lan")
_V6 = 6
_WEB_V6 = ipaddress.ip_network("2000::/3")  # all that was ever given out for the web; fec0::/10 is not in it
_CACHE_SECONDS = 20.0
_CACHE_LIMIT = 4096


class InternalAddressError(OSError):
    """A name leads only to addresses that must not be reached through the gateway."""


class Reach:
    """Says which addresses lie inside the school.

    `reachable` are the networks a technician opened on purpose (an intranet server), and `names` the
    host names given an address by hand, which may end like internal ones; `lan` are the client
    networks, which may have public addresses and are still no web.
    """

    def __init__(
        self, reachable: Iterable[Network] = (), lan: Iterable[Network] = (), names: Iterable[str] = ()
    ) -> None:
        self._reachable = tuple(reachable)
        self._lan = tuple(lan)
        self._names = frozenset(names)

    def refuses(self, url: Url) -> str:
        """Return why the host of `url` is internal by its spelling alone, or an empty text."""
        if url.ip is not None:
            return self.internal(url.ip)
        if url.host in self._names:
            return ""  # what it leads to is judged when it is looked up
        if "." not in url.host:
            return "This name has no dot in it: it belongs to the school's own network, not to the web."
        if url.host.rpartition(".")[2] in _LOCAL_NAMES or f".{url.host}".endswith(".home.arpa"):
            return "This name belongs to the school's own network, not to the web."
        return ""

    def internal(self, address: Address) -> str:
        """Return why `address` must not be reached through the gateway, or an empty text."""
        ip = embedded_ipv4(address)
        if any(ip.version == net.version and ip in net for net in self._reachable):
            return ""
        if not ip.is_global or ip.is_multicast or (ip.version == _V6 and ip not in _WEB_V6):
            return "This address belongs to a private or local network, not to the web."
        if any(ip.version == net.version and ip in net for net in self._lan):
            return "This address belongs to the school's own network."
        if _can_bind(ip):
            return "This is an address of the gateway itself."
        return ""


def _hidden_number(name: str) -> bool:
    try:
        socket.inet_aton(name)
        ipaddress.IPv4Address(name)
    except ipaddress.AddressValueError:
        return True
    except (OSError, ValueError):  # no number at all; ValueError: not even ASCII, or with a NUL
        return False
    return False


def _can_bind(ip: Address) -> bool:
    # The kernel lets us bind only to addresses that are ours: the one list that is never out of date.
    family = socket.AF_INET if isinstance(ip, ipaddress.IPv4Address) else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(ip), 0))
        except OSError:
            return False
    return True


class GuardedLoop(asyncio.SelectorEventLoop):
    """An event loop whose name resolution gives out no internal address.

    Connections to a literal address do not resolve; the gateway's `server_connect` hook judges those.
    Answers are kept for 20 seconds, so that judging and connecting see the same addresses.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reach = Reach()
        self.static_hosts: Mapping[str, tuple[str, ...]] = {}
        self._answers: dict[tuple[Any, ...], tuple[float, list[AddressInfo]]] = {}

    async def getaddrinfo(  # type: ignore[override] # typeshed knows more kinds of host than occur here
        self,
        host: str | bytes | None,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - the name that asyncio calls it by
        proto: int = 0,
        flags: int = 0,
    ) -> list[AddressInfo]:
        """Resolve as usual; internal addresses are left out, and nothing but those is an error."""
        key = (host, port, family, type, proto, flags)
        kept = self._answers.get(key)
        if kept is not None and kept[0] > time.monotonic():
            return list(kept[1])
        found = await self._resolve(host, port, family, type, proto, flags)
        allowed = [info for info in found if not self._internal(info)]
        if not allowed:
            raise InternalAddressError(f"{host!r} leads only to internal addresses")
        if len(self._answers) >= _CACHE_LIMIT:
            self._answers.clear()
        self._answers[key] = (time.monotonic() + _CACHE_SECONDS, allowed)
        return list(allowed)

    async def _resolve(
        self, host: str | bytes | None, port: Any, family: int, kind: int, proto: int, flags: int
    ) -> list[AddressInfo]:
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host or ""
        if _hidden_number(name):
            # The system's resolver reads `0x7f.1` as an address; whoever judged it saw a name.
            raise InternalAddressError(f"{name!r} leads only to internal addresses")
        found: list[AddressInfo] = []
        for target in self.static_hosts.get(name.lower().rstrip("."), (name,)):
            found += await super().getaddrinfo(
                target, port, family=family, type=kind, proto=proto, flags=flags
            )
        return found

    def _internal(self, info: AddressInfo) -> bool:
        text = str(info[4][0]).partition("%")[0]
        return bool(self.reach.internal(ipaddress.ip_address(text)))
