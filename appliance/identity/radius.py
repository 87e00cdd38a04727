"""RADIUS accounting packets: which are genuine, new and readable, and what they say (RFC 2866, RFC 2869).

What lives only here: pyrad, and the order of the questions. A packet must hold both signatures that its
secret makes, the Request Authenticator and a Message-Authenticator (RFC 3579), and the moment that it speaks
of. Whatever lacks one is dropped without an answer, and counted.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pyrad.packet import AccountingRequest, AcctPacket, PacketError

from appliance.identity.announced import Report, Status
from appliance.model.secret import Secret
from appliance.model.url import embedded_ipv4

LONGEST = 4096
"""Most bytes of a packet (RFC 2865, 3)."""

REMEMBERED = 20_000
_HEADER = 20
_SIGNATURE = 16
_ADDRESSES = 8
_MAC = re.compile(r"[0-9a-f]{12}")
_STATUS = {1: Status.START, 2: Status.STOP, 3: Status.INTERIM, 7: Status.RESTARTED, 8: Status.RESTARTED}
_USER, _NAS_IP, _IP, _CLASS, _CALLING, _NAS, _STATE, _SESSION = 1, 4, 8, 25, 31, 32, 40, 44
_AT, _SIGNED, _NAS_IP6, _INTERFACE, _PREFIX, _IP6 = 55, 80, 95, 96, 97, 168
_ONCE = (_USER, _NAS_IP, _CALLING, _NAS, _STATE, _SESSION, _AT, _SIGNED, _NAS_IP6)


class Outcome(StrEnum):
    """What became of a packet."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"  # sent again, and answered again
    UNKNOWN_CLIENT = "unknown_client"
    MALFORMED = "malformed"
    FORGED = "forged"  # a signature is wrong
    UNSIGNED = "unsigned"  # without Message-Authenticator
    UNTIMELY = "untimely"  # without Event-Timestamp, or too far from our clock
    REPLAYED = "replayed"  # older than what is known, or after the end
    FAILED = "failed"  # could not be kept; the client sends it again


class DropError(Exception):
    """A packet is not for us; `outcome` says why."""

    def __init__(self, outcome: Outcome, detail: str = "") -> None:
        self.outcome = outcome
        super().__init__(detail or outcome.value)


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who may tell: from where, with which secret."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    secret: Secret
    name: str


@dataclass(frozen=True, slots=True)
class Genuine:
    """A packet that is what it claims to be. `answer` is to be sent once it was kept."""

    report: Report
    answer: bytes
    again: bool


class Reader:
    """Reads packets, and remembers those it has seen for as long as they could come again."""

    def __init__(self, clients: Iterable[Client], window: float) -> None:
        self._clients = sorted(clients, key=lambda client: client.network.prefixlen, reverse=True)
        self._window = window
        self._seen: OrderedDict[tuple[str, bytes], float] = OrderedDict()

    def read(self, data: bytes, sender: str, now: float) -> Genuine:
        """Return what a packet from an address says; DropError where it is not for us."""
        client = self._client(sender)
        packet = _packet(data, client.secret)
        report = _report(packet, client.name)
        if abs(report.at - now) > self._window:
            raise DropError(
                Outcome.UNTIMELY, f"its clock is {report.at - now:+.0f} s from ours; both must be set (NTP)"
            )
        reply = packet.CreateReply()
        reply.add_message_authenticator()
        mark = (client.name, data[4:_HEADER])
        return Genuine(report, reply.ReplyPacket(), mark in self._seen)

    def keep(self, data: bytes, sender: str, now: float) -> None:
        """Remember a packet that was taken, so that it is not taken again."""
        self._seen[self._client(sender).name, data[4:_HEADER]] = now
        while self._seen and (
            len(self._seen) > REMEMBERED or next(iter(self._seen.values())) < now - 2 * self._window
        ):
            self._seen.popitem(last=False)

    def _client(self, sender: str) -> Client:
        address = embedded_ipv4(ipaddress.ip_address(sender.partition("%")[0]))
        for client in self._clients:
            if client.network.version == address.version and address in client.network:
                return client
        raise DropError(Outcome.UNKNOWN_CLIENT)


def _packet(data: bytes, secret: Secret) -> AcctPacket:
    if not _well_formed(data):
        raise DropError(Outcome.MALFORMED)
    try:
        packet = AcctPacket(packet=data, secret=secret.reveal().encode())
        if packet.code != AccountingRequest or not packet.VerifyAcctRequest():
            raise DropError(Outcome.FORGED)
        signed = _values(packet, _SIGNED)
        if not signed:
            raise DropError(
                Outcome.UNSIGNED, "it sends no Message-Authenticator; README.md says how it is added"
            )
        if len(signed) > 1 or len(signed[0]) != _SIGNATURE or not packet.verify_message_authenticator():
            raise DropError(Outcome.FORGED)
    except (PacketError, ValueError, struct.error, IndexError, KeyError) as error:
        raise DropError(Outcome.MALFORMED) from error
    return packet


def _well_formed(data: bytes) -> bool:
    if not _HEADER <= len(data) <= LONGEST or int.from_bytes(data[2:4]) != len(data):
        return False
    at = _HEADER
    while at + 2 <= len(data):
        length = data[at + 1]
        if length < len("tl") or at + length > len(data):
            return False
        at += length
    return at == len(data)


def _values(packet: AcctPacket, code: int) -> Sequence[bytes]:
    found: Sequence[bytes] = OrderedDict.get(packet, code) or ()
    return found


def _report(packet: AcctPacket, client: str) -> Report:
    if any(len(_values(packet, code)) > 1 for code in _ONCE):
        raise DropError(Outcome.MALFORMED)
    status = _STATUS.get(_number(packet, _STATE))
    if status is None:
        raise DropError(Outcome.MALFORMED, "its Acct-Status-Type is none that says who is there")
    if not _values(packet, _AT):
        raise DropError(Outcome.UNTIMELY, "it sends no Event-Timestamp; README.md says how it is added")
    session = _text(packet, _SESSION)
    if not session and status is not Status.RESTARTED:
        raise DropError(Outcome.MALFORMED, "it sends no Acct-Session-Id")
    nas = " ".join([_text(packet, _NAS), *(_first(packet, code).hex() for code in (_NAS_IP, _NAS_IP6))])
    return Report(
        status,
        client,
        nas.strip(),
        session,
        float(_number(packet, _AT)),
        _name(_first(packet, _USER)),
        _mac(_text(packet, _CALLING)),
        tuple(dict.fromkeys(_addresses(packet)))[:_ADDRESSES],
        tuple(value.decode("utf-8", "replace") for value in _values(packet, _CLASS)[:_ADDRESSES]),
    )


def _first(packet: AcctPacket, code: int) -> bytes:
    return next(iter(_values(packet, code)), b"")


def _text(packet: AcctPacket, code: int) -> str:
    return _first(packet, code).decode("latin-1")  # each byte its own sign: what differs stays different


def _name(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return ""


def _number(packet: AcctPacket, code: int) -> int:
    value = _first(packet, code)
    return int.from_bytes(value) if len(value) == 4 else -1  # noqa: PLR2004 - an integer has four bytes (RFC 2865, 5)


def _mac(text: str) -> str:
    plain = re.sub(r"[:.-]", "", text.strip().lower())[:12]
    return bytes.fromhex(plain).hex(":") if _MAC.fullmatch(plain) else ""


def _addresses(packet: AcctPacket) -> Iterable[str]:
    for raw in (*_values(packet, _IP), *_values(packet, _IP6), *_whole_prefixes(packet)):
        try:
            address = ipaddress.ip_address(raw)
        except ValueError:
            continue
        # 255.255.255.254 and the like say "some address", and not which (RFC 2865, 5.8).
        nobodys = address.is_multicast or address.is_unspecified or address.is_loopback or address.is_reserved
        if not nobodys and not address.is_link_local:
            yield str(address)


def _whole_prefixes(packet: AcctPacket) -> Iterable[bytes]:
    # A prefix is one device's address where it is whole, or with the interface's half of it (RFC 3162).
    half = _first(packet, _INTERFACE)
    for raw in _values(packet, _PREFIX):
        bits, prefix = raw[1:2], raw[2:]
        if bits == b"\x80":
            yield prefix
        elif bits == b"\x40" and len(half) == 8:  # noqa: PLR2004 - 64 bits
            yield prefix[:8].ljust(8, b"\0") + half
