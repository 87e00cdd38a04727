from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.gateway.reach import Reach, hidden_number
from appliance.model.url import parse_host, parse_url

LOOPBACK = (
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "0x7F.0x0.0x0.0x1",
    "127.0.0.1.",
    "%31%32%37.0.0.1",
    "１２７.0.0.1",
    "127。0。0。1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:0:0:0:0:80ff:fffe]",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "loCAL%68ost",
    "anything.localhost",
)
PRIVATE = (
    "10.0.0.1",
    "10.1",
    "172.16.0.1",
    "192.168.1.1",
    "192.168.257",
    "169.254.169.254",
    "0xA9FEA9FE",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104 - a spelling of this machine, not a place to listen
    "0",
    "255.255.255.255",
    "198.18.0.1",
    "224.0.0.251",
    "239.255.255.250",
    "[::]",
    "[fe80::1]",
    "[fc00::1]",
    "[fd12:3456::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[ff0e::101]",
    "[2001:db8::1]",
    "[64:ff9b::a00:1]",
    "[64:ff9b:1::a00:1]",
    "[2002:a00:1::1]",
    "[5f00::1]",
    "[4000::1]",
    "printer.local",
    "intranet.lan",
    "dc.school.internal",
    "router.home.arpa",
    "home.arpa",
    "host.localdomain",
    "intranet",
)
WEB = (
    "example.org",
    "93.184.216.34",
    "[2606:4700::6810:84e5]",
    "local.example.org",
    "notlocalhost.example",
    "lan.example",
)


@pytest.mark.slow
@pytest.mark.parametrize("host", [*LOOPBACK, *PRIVATE])
def test_no_spelling_of_an_internal_address_is_the_web(host: str) -> None:
    """The gateway is no way to itself or to the school's network, however the address is spelled (H27)."""
    assert Reach().refuses(parse_url(f"http://{host}/"))


@pytest.mark.parametrize("host", WEB)
def test_the_web_is_reachable(host: str) -> None:
    """Ordinary sites are not taken for the school's own network."""
    assert Reach().refuses(parse_url(f"http://{host}/")) == ""


def test_what_a_technician_opened_is_reachable_and_nothing_beside_it() -> None:
    """An intranet server that is listed opens no other address of its network."""
    reach = Reach([ipaddress.ip_network("10.0.5.20/32"), ipaddress.ip_network("fd00:5::/64")])
    assert reach.refuses(parse_host("10.0.5.20")) == ""
    assert reach.refuses(parse_host("fd00:5::20")) == ""
    assert reach.refuses(parse_host("::ffff:10.0.5.20")) == ""
    assert reach.refuses(parse_host("10.0.5.21"))
    assert reach.refuses(parse_host("fd00:6::20"))


def test_a_name_with_an_address_given_by_hand_may_end_like_an_internal_one() -> None:
    """A school's intranet.school.local can be opened; every other such name stays closed."""
    reach = Reach(names=["intranet.school.local"])
    assert reach.refuses(parse_host("intranet.school.local")) == ""
    assert reach.refuses(parse_host("other.school.local"))


def test_public_addresses_of_the_school_are_no_web() -> None:
    """A school whose clients have public addresses is still not reachable through its own filter."""
    reach = Reach(lan=[ipaddress.ip_network("2a00:1450::/32"), ipaddress.ip_network("81.2.69.0/24")])
    assert reach.refuses(parse_host("2a00:1450::20"))
    assert reach.refuses(parse_host("81.2.69.142"))
    assert reach.refuses(parse_host("81.2.70.1")) == ""


def test_an_address_of_this_machine_is_its_own_even_when_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway's outside address leads to its own ports, past the firewall of the inside (H26)."""
    monkeypatch.setattr("appliance.gateway.reach._can_bind", lambda ip: str(ip) == "81.2.69.142")
    assert Reach().refuses(parse_host("81.2.69.142"))
    assert Reach().refuses(parse_host("81.2.69.143")) == ""


@pytest.mark.slow
@given(st.ip_addresses())
def test_judging_an_address_never_fails(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Whatever a resolver answers is judged, also by the IPv4 address that an IPv6 one carries."""
    reach = Reach()
    assert isinstance(reach.internal(address), str)
    if address.version == 4 and not address.is_global:
        assert reach.internal(ipaddress.ip_address(f"::ffff:{address}"))
        assert reach.internal(ipaddress.ip_address(int(ipaddress.ip_address("64:ff9b::")) + int(address)))


@pytest.mark.parametrize("name", ["0xcb007114", "0313.0.113.20", "3405803796", "203.0.28948", "127.1"])
def test_a_number_in_disguise_is_seen(name: str) -> None:
    """The system would read it as an address, which nobody judged as one."""
    assert hidden_number(name)


@pytest.mark.parametrize("name", ["example.org", "1.1.1.1", "::1", "1.example", "a\0b", "\ud800"])
def test_a_name_is_no_number_in_disguise(name: str) -> None:
    """Sites whose names begin with digits, and addresses written as such, are looked up as before."""
    assert not hidden_number(name)
