"""Which hardware stands behind which address: the kernel's table of neighbours, IPv4 and IPv6 alike.

What lives only here: asking the kernel for that table (rtnetlink, RFC 3549). A device that is not on a
network of the gateway's own, but behind a router, is not in it.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import struct
from collections import Counter
from collections.abc import Iterator

_GET, _DONE, _ERROR = 30, 3, 2  # RTM_GETNEIGH, NLMSG_DONE, NLMSG_ERROR
_REQUEST_DUMP = 0x301
_DESTINATION, _HARDWARE = 1, 2  # NDA_DST, NDA_LLADDR
_USELESS = 0x01 | 0x20 | 0x40  # incomplete, failed, without ARP
_HEADER = struct.Struct("=IHHII")
_NEIGHBOUR = struct.Struct("=BxxxiHBB")
_ATTRIBUTE = struct.Struct("=HH")
_ETHERNET = 6
_MAC = re.compile(r"([0-9a-f]{2}[:-]?){5}[0-9a-f]{2}", re.IGNORECASE)


def neighbours() -> dict[str, str]:
    """Return hardware addresses by network address, as texts; OSError if the kernel does not say."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asking:
        asking.settimeout(1.0)
        asking.send(
            _HEADER.pack(_HEADER.size + _NEIGHBOUR.size, _GET, _REQUEST_DUMP, 1, 0) + bytes(_NEIGHBOUR.size)
        )
        found: dict[str, str] = {}
        while True:
            done = read_table(asking.recv(65536), found)
            if done:
                return of_single_devices(found)


def of_single_devices(found: dict[str, str]) -> dict[str, str]:
    """Leave out hardware that answers for several IPv4 addresses: a router, behind which are many devices.

    Otherwise one sign-in behind it would count for everybody there.
    """
    counts = Counter(mac for address, mac in found.items() if ":" not in address)
    return {address: mac for address, mac in found.items() if counts[mac] <= 1}


def read_table(data: bytes, found: dict[str, str]) -> bool:
    """Put the neighbours of one answer of the kernel into `found`; return whether it was the last."""
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        if kind in (_DONE, _ERROR) or length < _HEADER.size:
            return True
        body, data = data[_HEADER.size : length], data[(length + 3) & ~3 :]
        if len(body) < _NEIGHBOUR.size:
            continue
        _, _, state, *_ = _NEIGHBOUR.unpack_from(body)
        attributes = dict(_attributes(body[_NEIGHBOUR.size :]))
        address, mac = attributes.get(_DESTINATION, b""), attributes.get(_HARDWARE, b"")
        if not state & _USELESS and len(mac) == _ETHERNET and any(mac) and len(address) in (4, 16):
            found[str(ipaddress.ip_address(address))] = mac.hex(":")
    return False


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind, data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]


def plain_mac(text: str) -> str:
    """Return a hardware address as `neighbours` writes it; ValueError if it is none."""
    if not _MAC.fullmatch(text.strip()):
        raise ValueError(f"'{text}' is not a hardware address; write one such as 3c:52:82:0a:1b:2c")
    return bytes.fromhex(text.strip().replace(":", "").replace("-", "")).hex(":")
