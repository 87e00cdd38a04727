from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.identity.leases import (
    Lease,
    LeaseFile,
    LeaseFormat,
    lease_name,
    of_single_names,
    read_leases,
)

MAC, OTHER = "3c:52:82:0a:1b:2c", "3c:52:82:0a:1b:2d"
ENDS = 1_795_690_800.0  # 2026-11-26 11:00 UTC

DNSMASQ = f"""\
{ENDS:.0f} {MAC} 10.20.0.14 Tablet-14 01:{MAC}
0 {OTHER} 10.20.0.15 * *
duid 00:01:00:01:2a
{ENDS:.0f} 170595884 fd00:20::14 tablet-14 00:01
{ENDS:.0f} {MAC}
x {MAC} 10.20.0.16 a *
{ENDS:.0f} zz 10.20.0.17 ... *
{ENDS:.0f} {MAC} no-address a *
"""
ISC = f"""\
# The format of this file is documented in the dhcpd.leases(5) manual page.
lease 10.20.0.14 {{
  starts 4 2026/11/26 09:00:00;
  ends 4 2026/11/26 10:00:00;
  binding state active;
  hardware ethernet {OTHER};
  client-hostname "old";
}}
lease 10.20.0.14 {{
  ends 4 2026/11/26 11:00:00;
  binding state active;
  next binding state free;
  hardware ethernet {MAC};
  client-hostname "Tablet-14.school.example";
}}
lease 10.20.0.15 {{
  ends never;
  binding state active;
  hardware ethernet {OTHER};
}}
lease 10.20.0.16 {{
  ends epoch 1; # a moment
  binding state active;
}}
lease 10.20.0.17 {{
  ends epoch {ENDS:.0f};
  binding state active;
}}
lease 10.20.0.17 {{
  ends epoch {ENDS:.0f};
  binding state free;
}}
lease 10.20.0.18 {{
  ends 4 2026/13/99 11:00:00;
  binding state active;
}}
lease 10.20.0.19 {{
  ends 4 2026/11/26
"""
KEA = f"""\
address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id
10.20.0.14,{OTHER},,3600,1,1,0,0,old,0,,0
10.20.0.14,{MAC},,3600,{ENDS:.0f},1,0,0,tablet-14.school.example.,0,,0
10.20.0.15,{OTHER},,4294967295,{ENDS:.0f},1,0,0,,0,,0
10.20.0.16,{OTHER},,3600,{ENDS:.0f},1,0,0,gone,0,,0
10.20.0.16,{OTHER},,0,{ENDS:.0f},1,0,0,gone,0,,0
10.20.0.17,{OTHER},,3600,{ENDS:.0f},1,0,0,declined,1,,0
10.20.0.18,{OTHER},,3600,soon,1,0,0,x,0,,0
10.20
"""


@pytest.mark.parametrize(
    ("kind", "text"), [(LeaseFormat.DNSMASQ, DNSMASQ), (LeaseFormat.ISC, ISC), (LeaseFormat.KEA, KEA)]
)
def test_each_format_says_who_has_which_address_until_when(kind: LeaseFormat, text: str) -> None:
    """The newest entry counts, what was given back does not, and a broken line costs that line."""
    found = read_leases(kind, text)
    assert found["10.20.0.14"] == Lease(MAC, "tablet-14", ENDS)
    assert found["10.20.0.15"] == Lease(OTHER, "", math.inf)
    assert {address for address, lease in found.items() if lease.until > 1 and lease.name} <= {
        "10.20.0.14", "fd00:20::14",
    }  # fmt: skip
    if kind is LeaseFormat.DNSMASQ:
        assert found["fd00:20::14"] == Lease("", "tablet-14", ENDS)


@pytest.mark.slow
@settings(max_examples=20)
@given(st.sampled_from(LeaseFormat), st.text(max_size=200))
def test_no_file_is_too_broken_to_be_read(kind: LeaseFormat, text: str) -> None:
    """A half-written or foreign file names nobody, and fails nowhere."""
    assert all(lease.name == lease_name(lease.name) for lease in read_leases(kind, text).values())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Tablet-14.school.example.", "tablet-14"),
        ("a b", ""),
        ("-a", ""),
        ("é", ""),
        ("", ""),
        ("x" * 64, ""),
    ],
)
def test_a_name_is_its_first_label(text: str, name: str) -> None:
    """What is no host name is no name, whatever a device makes of it."""
    assert lease_name(text) == name


def test_a_name_that_two_devices_have_is_nobodys() -> None:
    """Whoever calls a tablet as the head's laptop is called gets nothing while that laptop is there."""
    one = {"10.20.0.14": Lease(MAC, "a", ENDS), "fd00::14": Lease("", "a", ENDS)}
    assert of_single_names(one, 0) == {"10.20.0.14": "a", "fd00::14": "a"}
    assert of_single_names(one | {"10.20.0.15": Lease(OTHER, "a", ENDS)}, 0) == {}
    assert of_single_names({"10.20.0.15": Lease(OTHER, "a", 5.0)} | one, 9.0) == dict.fromkeys(one, "a")
    assert of_single_names(one | {"10.20.0.16": Lease(MAC, "a", ENDS)}, 0)["10.20.0.16"] == "a"
    assert of_single_names({"10.20.0.14": Lease(MAC, "a", ENDS)}, 0) == {"10.20.0.14": "a"}


def test_the_file_is_read_when_it_has_changed(tmp_path: Path) -> None:
    """A lease counts within a second of being given, and an unchanged file costs one question."""
    path = tmp_path / "leases"
    file = LeaseFile(LeaseFormat.DNSMASQ, path)
    with pytest.raises(OSError, match="leases"):
        file.look()
    path.write_text(DNSMASQ, encoding="utf-8")
    first = file.look()
    assert first["10.20.0.14"].name == "tablet-14"
    assert file.look() is first
    path.write_text("", encoding="utf-8")
    os.utime(path, ns=(1, 1))
    assert file.look() == {}
