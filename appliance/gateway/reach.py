"""What the gateway is no way to: itself, and the school's own network.

What lives only here: the judgement of a network address as internal (H27). The resolver asks it about
every address that a name leads to, so a name that turns into 127.0.0.1 (DNS rebinding) leads nowhere.
"""

from __future__ import annotations

import atexit
import ipaddress
import socket
from collections.abc import Iterable

from appliance.model.url import Address, Url, embedded_ipv4

type Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LOCAL_NAMES = ("localhost", "local", "localdomain", "internal", "home.arpa", "lan")
_V6 = 6
_WEB_V6 = ipaddress.ip_network("2000::/3")  # all that was ever given out for the web; fec0::/10 is not in it


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


def hidden_number(name: str) -> bool:
    """Tell whether the system would read `name` as an address, though it is not written as one."""
    try:
        socket.inet_aton(name)
        ipaddress.IPv4Address(name)
    except ipaddress.AddressValueError:
        return True
    except (OSError, ValueError):  # no number at all; ValueError: not even ASCII, or with a NUL
        return False
    return False


_probes: dict[socket.AddressFamily, socket.socket] = {}
"""A socket for each family that was never bound; to make one for each question is what takes long."""


def _can_bind(ip: Address) -> bool:
    # The kernel lets us bind only to addresses that are ours: the one list that is never out of date.
    family = socket.AF_INET if isinstance(ip, ipaddress.IPv4Address) else socket.AF_INET6
    probe = _probes.pop(family, None) or socket.socket(family, socket.SOCK_DGRAM)
    try:
        probe.bind((str(ip), 0))
    except OSError:
        _probes[family] = probe  # still unbound: it can be asked again
        return False
    probe.close()
    return True


@atexit.register
def _close_probes() -> None:
    while _probes:
        _probes.popitem()[1].close()
