from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.identity.neighbours import neighbours, of_single_devices, plain_mac, read_table


def row(address: str, mac: str, state: int = 2) -> bytes:
    body = struct.pack("=BxxxiHBB", 2, 1, state, 0, 1)
    for kind, value in ((1, ipaddress.ip_address(address).packed), (2, bytes.fromhex(mac.replace(":", "")))):
        body += struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
    return struct.pack("=IHHII", 16 + len(body), 28, 0, 1, 0) + body


END = struct.pack("=IHHII", 16, 3, 0, 1, 0)
MAC = "3c:52:82:0a:1b:2c"


def test_both_kinds_of_address_lead_to_one_device() -> None:
    """IPv4 and IPv6 of one tablet are one session's."""
    found: dict[str, str] = {}
    assert not read_table(row("10.20.0.14", MAC) + row("fd00::14", MAC), found)
    assert read_table(END, found)
    assert found == {"10.20.0.14": MAC, "fd00::14": MAC}


def test_a_router_is_not_one_device() -> None:
    """NAT and proxy ARP: one sign-in behind a router does not sign in everybody behind it."""
    router = {"10.20.0.20": "02:00:00:00:00:01", "10.20.0.21": "02:00:00:00:00:01"}
    tablet = {"10.20.0.14": MAC, "fd00::14": MAC, "fd00::15": MAC}
    assert of_single_devices(tablet | router) == tablet


def test_a_neighbour_that_does_not_answer_is_none() -> None:
    """An address whose device has gone belongs to no device."""
    found: dict[str, str] = {}
    read_table(row("10.20.0.14", MAC, state=0x20) + row("10.20.0.15", "00:00:00:00:00:00"), found)
    assert found == {}


@pytest.mark.slow
@given(st.binary(max_size=200))
def test_whatever_the_kernel_says_is_survived(data: bytes) -> None:
    """A table of an unknown form costs the table, never the worker."""
    read_table(data, {})


def test_the_kernel_is_asked() -> None:
    """The question is one that this kernel understands."""
    assert all(plain_mac(mac) == mac for mac in neighbours().values())


@pytest.mark.parametrize("text", ["3C-52-82-0A-1B-2C", "3c52820a1b2c", " 3c:52:82:0a:1b:2c "])
def test_hardware_addresses_are_read_as_they_are_printed_on_devices(text: str) -> None:
    """A technician copies what stands on the sticker."""
    assert plain_mac(text) == MAC
    with pytest.raises(ValueError, match="not a hardware address"):
        plain_mac("tablet 14")
