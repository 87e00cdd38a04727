"""DHCP leases: which device was given which address, by the file that the DHCP server keeps.

What lives only here: the formats of dnsmasq, ISC dhcpd and Kea, and when a file is read again. What stands
in a lease was said by the device itself, its name above all: any device can call itself what it likes. So a
lease is the weakest way to know a registered device, and a name that two devices have at once is nobody's.
"""

from __future__ import annotations

import csv
import io
import ipaddress
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from appliance.identity.neighbours import plain_mac

LARGEST = 32_000_000
"""Most bytes of a file that is read: a hundred times what the largest school has."""

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_ISC_LEASE = re.compile(r"(?ms)^lease\s+(\S+)\s*\{(.*?)^\}")
_ISC_ENDS = re.compile(r"(?m)^\s*ends\s+(?:(never)|epoch\s+(\d+)|\d\s+(\d+/\d+/\d+ \d+:\d+:\d+))\s*;")
_ISC_STATE = re.compile(r"(?m)^\s*binding state\s+(\w+)\s*;")
_ISC_MAC = re.compile(r"(?m)^\s*hardware ethernet\s+(\S+?)\s*;")
_ISC_NAME = re.compile(r'(?m)^\s*client-hostname\s+"([^"]*)"\s*;')
_DNSMASQ_FIELDS = 4


class LeaseFormat(StrEnum):
    """Whose file it is."""

    DNSMASQ = "dnsmasq"  # dnsmasq.leases
    ISC = "isc"  # dhcpd.leases
    KEA = "kea"  # kea-leases4.csv, kea-leases6.csv: the memfile


@dataclass(frozen=True, slots=True)
class Lease:
    """One address that was given out: hardware address and name, empty where not told; until when.

    `until` is in seconds since 1970; infinite for a lease that never ends.
    """

    mac: str
    name: str
    until: float


def lease_name(text: str) -> str:
    """Return the name of a device as it is compared, its first label alone; empty where it is none."""
    label = text.strip().lower().partition(".")[0]
    return label if _LABEL.fullmatch(label) else ""


def read_leases(kind: LeaseFormat, text: str) -> dict[str, Lease]:
    """Return the leases of a file by network address; an address's last entry counts, bad ones do not."""
    found: dict[str, Lease] = {}
    for address, lease in _READERS[kind](text):
        try:
            plain = str(ipaddress.ip_address(address))
        except ValueError:
            continue
        if lease is None:
            found.pop(plain, None)
        else:
            found[plain] = lease
    return found


def of_single_names(leases: Mapping[str, Lease], now: float) -> dict[str, str]:
    """Return the names by address of leases that count at `now`; one that two devices give is left out.

    Two addresses of one kind, IPv4 or IPv6, are two devices, unless their hardware is the same.
    """
    owners: Counter[tuple[str, bool]] = Counter()
    seen: set[tuple[str, bool, str]] = set()
    for address, lease in leases.items():
        mark = (lease.name, ":" in address, lease.mac or address)
        if lease.name and lease.until > now and mark not in seen:
            seen.add(mark)
            owners[mark[:2]] += 1
    return {
        address: lease.name
        for address, lease in leases.items()
        if lease.name and lease.until > now and max(owners[lease.name, six] for six in (False, True)) == 1
    }


class LeaseFile:
    """One file of leases, read again when it has changed."""

    def __init__(self, kind: LeaseFormat, path: Path) -> None:
        self._kind, self._path = kind, path
        self._seen: tuple[int, int, int] | None = None
        self._leases: dict[str, Lease] = {}

    def look(self) -> dict[str, Lease]:
        """Return the leases; OSError where the file cannot be read. Call it in a thread."""
        status = self._path.stat()
        seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        if seen != self._seen:
            if status.st_size > LARGEST:
                raise OSError(f"{self._path} is larger than {LARGEST} bytes")
            text = self._path.read_text(encoding="utf-8", errors="replace")
            self._leases, self._seen = read_leases(self._kind, text), seen
        return self._leases


def _dnsmasq(text: str) -> Iterator[tuple[str, Lease | None]]:
    for line in text.splitlines():
        # Moment of the end (0 for never), hardware address, address, name or *, client.
        fields = line.split()
        if len(fields) < _DNSMASQ_FIELDS or not fields[0].isascii() or not fields[0].isdigit():
            continue
        ends, mac, address, name = fields[:_DNSMASQ_FIELDS]
        # Before IPv6 addresses stands a number of the device's own, which is no hardware address.
        until = float(ends) or math.inf
        yield address, Lease(_mac(mac) if ":" not in address else "", lease_name(name), until)


def _isc(text: str) -> Iterator[tuple[str, Lease | None]]:
    for address, body in _ISC_LEASE.findall(text):
        state, ends = _ISC_STATE.search(body), _ISC_ENDS.search(body)
        until = _isc_moment(ends) if ends else None
        if until is None or (state and state[1] != "active"):
            yield address, None
            continue
        mac, name = _ISC_MAC.search(body), _ISC_NAME.search(body)
        yield address, Lease(_mac(mac[1]) if mac else "", lease_name(name[1]) if name else "", until)


def _isc_moment(ends: re.Match[str]) -> float | None:
    if ends[1]:
        return math.inf
    if ends[2]:
        return float(ends[2])
    try:
        return datetime.strptime(ends[3], "%Y/%m/%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _kea(text: str) -> Iterator[tuple[str, Lease | None]]:
    for row in csv.DictReader(io.StringIO(text)):
        address, ends = row.get("address") or "", row.get("expire") or ""
        if not ends.isascii() or not ends.isdigit():
            continue
        if row.get("state") != "0" or row.get("valid_lifetime") == "0":
            yield address, None
            continue
        until = math.inf if row.get("valid_lifetime") == "4294967295" else float(ends)
        yield address, Lease(_mac(row.get("hwaddr") or ""), lease_name(row.get("hostname") or ""), until)


def _mac(text: str) -> str:
    try:
        return plain_mac(text)
    except ValueError:
        return ""


_READERS: dict[LeaseFormat, Callable[[str], Iterator[tuple[str, Lease | None]]]] = {
    LeaseFormat.DNSMASQ: _dnsmasq,
    LeaseFormat.ISC: _isc,
    LeaseFormat.KEA: _kea,
}
