from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import dns.rcode
import pytest

from appliance.gateway.nameservers import NameServers, NoAnswerError, Watched, hosts, name_servers
from tests.doubles.dns import NameServer, Records, serving

HERE = ("127.0.0.1",)


async def test_addresses_come_with_the_time_they_hold() -> None:
    """The shortest time along a chain of aliases counts, so nothing is kept longer than its owner says."""
    records: Records = {
        ("www.example", "CNAME"): (30, ("edge.example",)),
        ("edge.example", "A"): (300, ("192.0.2.1",)),
    }
    async with serving(NameServer(records)) as server:
        answer = await NameServers(HERE, server.port).ask("www.example", "A", 2)
    assert answer.addresses == ("192.0.2.1",)
    assert answer.ttl == 30


async def test_a_name_without_addresses_says_for_how_long() -> None:
    """That there is no such site is known for the time its zone says (RFC 2308)."""
    async with serving(NameServer(negative_ttl=77)) as server:
        answer = await NameServers(HERE, server.port).ask("nothing.example", "AAAA", 2)
    assert answer.addresses == ()
    assert answer.ttl == 77


@pytest.mark.slow
async def test_an_answer_that_is_cut_off_is_asked_for_over_tcp() -> None:
    """A site with many addresses is reachable."""
    many = tuple(f"192.0.2.{n}" for n in range(1, 200))
    async with serving(NameServer({("big.example", "A"): (60, many)}, cut_off=True)) as server:
        answer = await NameServers(HERE, server.port).ask("big.example", "A", 2)
    assert sorted(answer.addresses) == sorted(many)
    assert server.over_tcp == 1


async def test_an_answer_to_another_question_is_no_answer() -> None:
    """Whoever guesses at answers from outside, with a wrong number or a wrong name, is not believed."""

    def forged(answer: bytes) -> list[bytes]:
        other = bytes([answer[0] ^ 0xFF]) + answer[1:]
        return [b"", b"rubbish", other, answer.replace(b"example", b"exbmple"), answer]

    async with serving(NameServer({("a.example", "A"): (60, ("192.0.2.1",))}, twist=forged)) as server:
        answer = await NameServers(HERE, server.port).ask("a.example", "A", 2)
    assert answer.addresses == ("192.0.2.1",)


async def test_a_server_that_fails_or_is_silent_leaves_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """One broken name server of two is not noticed by anybody."""
    monkeypatch.setattr("appliance.gateway.nameservers.TRY_SECONDS", 0.05)
    async with serving(NameServer({("a.example", "A"): (60, ("192.0.2.1",))})) as server:
        answer = await NameServers(("127.0.0.9", *HERE), server.port).ask("a.example", "A", 1)
        assert answer.addresses == ("192.0.2.1",)
        server.rcode = dns.rcode.SERVFAIL
        with pytest.raises(NoAnswerError, match="no name server answered"):
            await NameServers(HERE, server.port).ask("a.example", "A", 1)


async def test_silence_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that hangs costs a bounded time: of each try, and of all together."""
    started = time.monotonic()
    monkeypatch.setattr("appliance.gateway.nameservers.TRY_SECONDS", 0.02)
    async with serving(NameServer(silent=lambda _name: True)) as server:
        with pytest.raises(NoAnswerError):
            await NameServers(HERE, server.port).ask("a.example", "A", 30)
        assert len(server.asked) == 2
        monkeypatch.setattr("appliance.gateway.nameservers.TRY_SECONDS", 30)
        with pytest.raises(NoAnswerError):
            await NameServers(HERE, server.port).ask("a.example", "A", 0.02)
    assert time.monotonic() - started < 20


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a" * 64 + ".example", "a..example", ".".join(["a" * 60] * 5), "\ud800"])
async def test_what_is_no_name_is_not_asked(name: str) -> None:
    """A hostile name ends as an error of ours, not as a crash."""
    with pytest.raises(NoAnswerError):
        await NameServers(("127.0.0.9",)).ask(name, "A", 0.1)


def test_the_systems_name_servers_are_read() -> None:
    """The first three of resolv.conf count, and without any the machine itself is asked."""
    text = "# c\nsearch school.example\nnameserver 192.0.2.1\nnameserver  fe80::1%eth0\nnameserver x\n"
    assert name_servers(text) == ("192.0.2.1", "fe80::1%eth0")
    assert name_servers("nameserver 192.0.2.1\n" * 5) == ("192.0.2.1",) * 3
    assert name_servers("") == ("127.0.0.1",)


def test_the_hosts_file_is_read() -> None:
    """Names are found in any case, with every address that they have."""
    text = "127.0.0.1 localhost # x\n::1\tLocalhost ip6\n# 1.2.3.4 no\nrubbish a\n192.0.2.7\n"
    assert hosts(text) == {"localhost": ("127.0.0.1", "::1"), "ip6": ("::1",)}


def test_a_file_is_read_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new address from DHCP needs no restart; a file that goes away leaves the fallback."""
    monkeypatch.setattr("appliance.gateway.nameservers._LOOK_SECONDS", 0)
    file = tmp_path / "resolv.conf"
    file.write_text("nameserver 192.0.2.1\n")
    nothing: tuple[str, ...] = ()
    watched = Watched(file, name_servers, nothing)
    assert watched.value() == ("192.0.2.1",)
    file.write_text("nameserver 192.0.2.33\n")
    os.utime(file, ns=(1, 1))
    assert watched.value() == ("192.0.2.33",)
    file.unlink()
    assert watched.value() == ()


async def test_the_loop_is_not_held_up() -> None:
    """While one name hangs, everything else goes on."""
    async with serving(NameServer(silent=lambda _name: True)) as server:
        task = asyncio.create_task(NameServers(HERE, server.port).ask("a.example", "A", 5))
        started = time.monotonic()
        await asyncio.sleep(0.01)
        assert time.monotonic() - started < 0.5
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
