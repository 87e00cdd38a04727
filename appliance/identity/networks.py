"""Client networks: the last and weakest way to know who is asking.

What lives only here: which network an address belongs to. The narrowest network wins; an address
in no network is an unknown person, and gets the set's strictest profile (P14, S-01).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from appliance.model.person import Confidence, Person, Standing
from appliance.model.url import embedded_ipv4

type Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_CACHE_LIMIT = 8192


class ProxySignIn(StrEnum):
    """What becomes of a name and a password that a device gives to the proxy itself."""

    NEVER = "never"  # they are dropped unread
    OFFERED = "offered"  # they count where they are given, and nobody is asked for them
    REQUIRED = "required"  # whoever has not signed in, in this way or at the portal, is asked (407)


@dataclass(frozen=True, slots=True)
class ClientNetwork:
    """One network of clients: its addresses, the group they count as, and a name staff recognise.

    `sign_in`: whoever has not signed in here finds help lines open, and the way to the sign-in; where
    `proxy` requires a name and a password, that is so in any case.
    """

    network: Network
    group: str
    name: str
    sign_in: bool = False
    proxy: ProxySignIn = ProxySignIn.NEVER


class Networks:
    """Resolves a client address to a Person, in memory, without I/O."""

    def __init__(self, networks: Iterable[ClientNetwork], unknown_group: str) -> None:
        self._networks = sorted(networks, key=lambda n: n.network.prefixlen, reverse=True)
        self._unknown_group = unknown_group
        self._cache: dict[str, tuple[Person, ProxySignIn]] = {}

    def resolve(self, address: str, user: str = "") -> Person:
        """Return who stands behind `address` (text, IPv4 or IPv6, a zone such as `%eth0` allowed)."""
        del user  # a network knows nobody by name
        return self._found(address)[0]

    def proxy_sign_in(self, address: str) -> ProxySignIn:
        """Return what becomes of a name and a password that a device at `address` gives to the proxy."""
        return self._found(address)[1]

    def _found(self, address: str) -> tuple[Person, ProxySignIn]:
        found = self._cache.get(address)
        if found is None:
            if len(self._cache) >= _CACHE_LIMIT:
                self._cache.clear()
            found = self._cache[address] = self._search(address)
        return found

    def _search(self, address: str) -> tuple[Person, ProxySignIn]:
        try:
            ip = embedded_ipv4(ipaddress.ip_address(address.partition("%")[0]))
        except ValueError:
            return self._unknown()
        for known in self._networks:
            if ip.version == known.network.version and ip in known.network:
                closed = known.sign_in or known.proxy is ProxySignIn.REQUIRED
                standing = Standing.SIGNED_OUT if closed else Standing.OPEN
                return Person(known.group, f"network {known.name}", standing=standing), known.proxy
        return self._unknown()

    def _unknown(self) -> tuple[Person, ProxySignIn]:
        return Person(self._unknown_group, "unknown network", Confidence.UNKNOWN), ProxySignIn.NEVER
