from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.identity.announced import Report, Status
from appliance.identity.radius import Client, DropError, Outcome, Reader
from appliance.model.secret import Secret
from tests.doubles.people import NOW
from tests.doubles.radius import INTERIM, ON, SECRET, START, STOP, attribute, ipv4, ipv6, packet

SWITCH = "10.0.0.5"


def reader() -> Reader:
    networks = (("10.0.0.5/32", SECRET), ("10.0.0.0/24", "another-secret-of-others"), ("fd00::/64", SECRET))
    return Reader(
        [Client(ipaddress.ip_network(where), Secret(word), where) for where, word in networks], 300.0
    )


def report(data: bytes, sender: str = SWITCH) -> Report:
    return reader().read(data, sender, NOW).report


def dropped(data: bytes, sender: str = SWITCH, now: float = NOW) -> Outcome:
    with pytest.raises(DropError) as error:
        reader().read(data, sender, now)
    return error.value.outcome


def test_a_log_in_is_read() -> None:
    """802.1X: who, with which hardware, on which addresses of both families, told by whom."""
    data = packet(START, NOW, ipv4("10.20.0.14"), ipv6("fd00:20::14"), (25, "year4"), user="Zoë Ñandú")
    found = report(data)
    assert (found.status, found.name, found.session, found.at) == (Status.START, "Zoë Ñandú", "S1", NOW)
    assert (found.mac, found.addresses) == ("3c:52:82:0a:1b:2c", ("10.20.0.14", "fd00:20::14"))
    assert (found.client, found.classes) == ("10.0.0.5/32", ("year4",))
    for sender in ("::ffff:10.0.0.5", "fd00::5"):
        assert report(data, sender).name == "Zoë Ñandú"
    for status, meant in ((STOP, Status.STOP), (INTERIM, Status.INTERIM), (ON, Status.RESTARTED)):
        assert report(packet(status, NOW)).status is meant


def test_the_answer_is_what_a_switch_expects() -> None:
    """RFC 2866 4.2: the same number, both signatures, and what a proxy put in, in its order."""
    states = [(33, b"one"), (33, b"two")]
    answer = reader().read(packet(START, NOW, *states, number=99), SWITCH, NOW).answer
    assert answer[:2] == bytes([5, 99])
    assert answer.index(attribute(33, b"one")) < answer.index(attribute(33, b"two"))
    assert bytes([80, 18]) in answer


def test_a_forged_packet_is_not_believed() -> None:
    """Forged: another secret, one bit changed, no Message-Authenticator, or a stranger's address."""
    good = packet(START, NOW, ipv4("10.20.0.14"))
    assert dropped(packet(START, NOW, secret="guessed-by-somebody")) is Outcome.FORGED
    assert dropped(good, "10.0.0.6") is Outcome.FORGED
    assert dropped(good, "192.0.2.1") is Outcome.UNKNOWN_CLIENT
    assert dropped(packet(START, NOW, signed=False)) is Outcome.UNSIGNED
    for place in (4, 25, len(good) - 1):
        changed = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
        assert dropped(changed) in (Outcome.FORGED, Outcome.MALFORMED)
    assert dropped(bytes([1]) + good[1:]) is Outcome.FORGED


def test_a_truncated_packet_is_no_packet() -> None:
    """Truncated: at no length does a part of a packet count, and nothing behind it does."""
    good = packet(START, NOW, ipv4("10.20.0.14"))
    assert {dropped(good[:length]) for length in range(len(good))} == {Outcome.MALFORMED}
    assert dropped(good + b"\0") is Outcome.MALFORMED
    assert dropped(b"\4" * 5000) is Outcome.MALFORMED


@pytest.mark.slow
@given(data=st.binary(max_size=200))
def test_no_rubbish_is_anything_but_dropped(data: bytes) -> None:
    """Whatever comes from the network, it is counted and forgotten, never a fault."""
    for sent in (data, bytes([4, 1]) + (20 + len(data)).to_bytes(2) + bytes(16) + data):
        assert dropped(sent) in (Outcome.MALFORMED, Outcome.FORGED)


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (packet(START, NOW - 301), Outcome.UNTIMELY),
        (packet(START, NOW + 301), Outcome.UNTIMELY),
        (packet(START, NOW, session=""), Outcome.MALFORMED),
        (packet(15, NOW), Outcome.MALFORMED),
        (packet(START, NOW, (1, "bob")), Outcome.MALFORMED),
        (packet(START, NOW, (80, bytes(16))), Outcome.FORGED),
    ],
)
def test_a_packet_must_say_what_is_needed_once(data: bytes, outcome: Outcome) -> None:
    """Clock skew and doubled attributes: what could be read in two ways is read in none."""
    assert dropped(data) is outcome


def test_without_its_moment_a_packet_could_be_old() -> None:
    """Replayed: a packet that does not say when it was made could be of any day."""
    whole = packet(START, NOW, session="S1")
    moment = attribute(55, int(NOW))
    assert moment in whole
    assert dropped(packet(START, NOW, (55, int(NOW)))) is Outcome.MALFORMED


@pytest.mark.parametrize(
    ("more", "addresses"),
    [
        ([ipv4("255.255.255.254"), ipv4("0.0.0.0")], ()),  # noqa: S104 - "any address", which nobody has
        ([ipv6("fe80::1"), ipv6("ff02::1"), ipv6("::1")], ()),
        ([(97, b"\0\x80" + bytes(15) + b"\1")], ()),
        ([(97, b"\0\x80\xfd" + bytes(14) + b"\1")], ("fd00::1",)),
        ([(97, b"\0\x40\xfd\0\0\x20"), (96, bytes(7) + b"\x14")], ("fd00:20::14",)),
        ([(97, b"\0\x40\xfd")], ()),
        ([(8, b"\1\2\3")], ()),
        ([ipv4(f"10.20.0.{number}") for number in range(1, 20)], tuple(f"10.20.0.{n}" for n in range(1, 9))),
    ],
)
def test_only_addresses_that_a_device_has_count(
    more: list[tuple[int, bytes]], addresses: tuple[str, ...]
) -> None:
    """A switch may send what stands for no address, and cannot fill our memory with others."""
    assert report(packet(START, NOW, *more)).addresses == addresses


@pytest.mark.parametrize(
    ("mac", "plain"),
    [("3c52.820a.1b2c", "3c:52:82:0a:1b:2c"), ("3C:52:82:0A:1B:2C", "3c:52:82:0a:1b:2c"), ("+441234", "")],
)
def test_hardware_is_written_in_many_ways(mac: str, plain: str) -> None:
    """Each maker has its own way to write a hardware address, and some send a telephone number."""
    assert report(packet(START, NOW, mac=mac)).mac == plain


def test_a_name_that_is_no_text_is_nobodys() -> None:
    """Names in any script are UTF-8; other bytes are no name, and never a part of one."""
    assert report(packet(START, NOW, user=b"am\xffy")).name == ""


def test_a_packet_that_was_taken_is_known_again() -> None:
    """A switch that missed the answer sends the same again: it is answered, and changes nothing."""
    made, data = reader(), packet(START, NOW)
    assert not made.read(data, SWITCH, NOW).again
    made.keep(data, SWITCH, NOW)
    assert made.read(data, SWITCH, NOW).again
    made.keep(packet(START, NOW + 700), SWITCH, NOW + 700)
    assert len(made._seen) == 1
