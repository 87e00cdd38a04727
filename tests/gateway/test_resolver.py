from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass, field

import pytest

from appliance.gateway import resolver as module
from appliance.gateway.nameservers import Answer, NoAnswerError
from appliance.gateway.reach import InternalAddressError, Reach
from appliance.gateway.resolver import CLIENT, PER_CLIENT, Resolver, UnknownNameError

WEB, WEB6 = "93.184.216.34", "2606:2800:220:1::1"


@dataclass
class Names:
    """Answers from memory; names that begin with `hang` wait until they are let go."""

    known: dict[tuple[str, str], Answer] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    hanging: int = 0
    most: int = 0
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    broken: bool = False

    async def ask(self, name: str, kind: str, seconds: float) -> Answer:
        assert seconds > 0
        self.asked.append((name, kind))
        if name.startswith("hang"):
            self.hanging += 1
            self.most = max(self.most, self.hanging)
            await self.let_go.wait()
            self.hanging -= 1
        if self.broken:
            raise NoAnswerError
        return self.known.get((name, kind), Answer((), 60))


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def made(names: Names, **more: object) -> Resolver:
    return Resolver(asking=names, local=dict, clock=Clock(), **more)  # type: ignore[arg-type]  # a double's options


def site(ttl: float = 60, *addresses: str) -> Names:
    return Names({("site.example", "A"): Answer(addresses or (WEB,), ttl)})


async def test_both_kinds_of_address_are_found() -> None:
    """A site is reachable over IPv6 and IPv4, the newer first."""
    names = site()
    names.known["site.example", "AAAA"] = Answer((WEB6,), 60)
    assert await made(names).addresses("Site.EXAMPLE.") == (WEB6, WEB)


async def test_a_name_is_asked_for_once_while_its_answer_holds() -> None:
    """A page with fifty pictures asks the name server once, and again when the answer's own time is over."""
    names = site(30)
    resolver = made(names)
    await asyncio.gather(*(resolver.addresses("site.example") for _ in range(50)))
    assert sorted(names.asked) == [("site.example", "A"), ("site.example", "AAAA")]
    resolver.clock.now += 29  # type: ignore[attr-defined]  # the test's clock
    await resolver.addresses("site.example")
    assert len(names.asked) == 2
    resolver.clock.now += 2  # type: ignore[attr-defined]  # as above
    await resolver.addresses("site.example")
    assert names.asked.count(("site.example", "A")) == 2
    assert names.asked.count(("site.example", "AAAA")) == 1  # its negative answer holds for 60 s


@pytest.mark.parametrize(("ttl", "kept", "gone"), [(0, 1, 3), (10**9, 3599, 3601)])
async def test_no_answer_is_kept_for_no_time_or_for_ever(ttl: float, kept: float, gone: float) -> None:
    """A zone cannot make the gateway ask at every connection, nor nail it to an address."""
    names = site(ttl)
    resolver = made(names)
    await resolver.addresses("site.example")
    for seconds, times in ((kept, 1), (gone - kept, 2)):
        resolver.clock.now += seconds  # type: ignore[attr-defined]  # the test's clock
        await resolver.addresses("site.example")
        assert names.asked.count(("site.example", "A")) == times


async def test_that_there_is_no_such_name_is_kept_as_well() -> None:
    """A page full of dead links does not flood the name server."""
    names = Names()
    resolver = made(names)
    for _ in range(3):
        with pytest.raises(UnknownNameError, match="no address"):
            await resolver.addresses("none.example")
    assert len(names.asked) == 2


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.1.1", "::1", "fd00::1", "::ffff:10.0.0.1"]
)
async def test_a_name_that_leads_inwards_leads_nowhere(address: str) -> None:
    """A name of the web that turns into an internal address (DNS rebinding) cannot be connected to (H27)."""
    kind = "AAAA" if ":" in address else "A"
    resolver = made(Names({("evil.example", kind): Answer((address,), 60)}))
    with pytest.raises(InternalAddressError, match="internal address"):
        await resolver.addresses("evil.example")


async def test_of_several_addresses_only_those_outside_are_used() -> None:
    """An internal address smuggled in beside a public one is left out."""
    assert await made(site(60, "192.168.0.1", WEB)).addresses("site.example") == (WEB,)


@pytest.mark.parametrize("name", ["127.1", "0x7f.1", "3405803796", "127.0.0.1", "::1", "fe80::1%lo"])
async def test_numbers_are_judged_and_not_looked_up(name: str) -> None:
    """No spelling of the gateway's own address gets past by not being a name."""
    names = Names()
    with pytest.raises(InternalAddressError):
        await made(names).addresses(name)
    assert names.asked == []


async def test_names_given_by_hand_need_no_name_server() -> None:
    """An intranet name resolves without DNS; one that leads to an address nobody opened does not (A20)."""
    names = Names()
    static = {"intranet.example": ("127.0.0.80", "127.0.0.81"), "slip.example": ("127.0.0.1",)}
    resolver = Resolver(
        reach=Reach([ipaddress.ip_network("127.0.0.80/32")]),
        static=static,
        asking=names,
        local=lambda: {"printer.example": (WEB,)},
    )
    assert await resolver.addresses("Intranet.example") == ("127.0.0.80",)
    assert await resolver.addresses("printer.example") == (WEB,)
    assert await resolver.addresses(WEB) == (WEB,)
    with pytest.raises(InternalAddressError):
        await resolver.addresses("slip.example")
    assert names.asked == []


@pytest.mark.slow
async def test_one_device_cannot_hold_up_another() -> None:
    """A page with 320 names that nobody answers leaves the rest of the class at work (F3)."""
    names = site()
    resolver = made(names)
    tasks = [asyncio.create_task(resolver.addresses(f"hang{n}.example", "10.0.0.66")) for n in range(320)]
    await asyncio.sleep(0)
    async with asyncio.timeout(1):
        assert await resolver.addresses("site.example", "10.0.0.7") == (WEB,)
    assert names.most <= PER_CLIENT
    names.let_go.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert resolver._gates == {}
    assert resolver._flights == {}


@pytest.mark.slow
async def test_help_is_reachable_from_the_device_that_asks_for_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Help lines have look-ups of their own, for the same device, and when all others are taken (S-54)."""
    monkeypatch.setattr(module, "ALL_CLIENTS", 4)
    names = Names({("help.example", "A"): Answer((WEB,), 60)})
    resolver = made(names, helps=lambda name: name == "help.example")
    tasks = [asyncio.create_task(resolver.addresses(f"hang{n}.example", "10.0.0.66")) for n in range(40)]
    await asyncio.sleep(0.01)
    async with asyncio.timeout(1):
        assert await resolver.addresses("help.example", "10.0.0.66") == (WEB,)
    names.let_go.set()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_name_that_waits_for_one_devices_turn_is_nobody_elses_delay() -> None:
    """Queueing every popular name behind names that hang does not take those names from the class."""
    names = site()
    resolver = made(names)
    tasks = [asyncio.create_task(resolver.addresses(f"hang{n}.example", "10.0.0.66")) for n in range(40)]
    tasks.append(asyncio.create_task(resolver.addresses("site.example", "10.0.0.66")))
    await asyncio.sleep(0.01)
    async with asyncio.timeout(1):
        assert await resolver.addresses("site.example", "10.0.0.7") == (WEB,)
    names.let_go.set()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_look_up_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a name that hangs, or for a turn, is told within the limit."""
    monkeypatch.setattr(module, "LOOKUP_SECONDS", 0.02)
    names = Names()
    resolver = made(names)
    names_asked = [f"hang{n}.example" for n in range(PER_CLIENT + 5)]
    found = await asyncio.gather(*map(resolver.addresses, names_asked), return_exceptions=True)
    assert all(isinstance(one, UnknownNameError) for one in found)
    names.let_go.set()
    await asyncio.sleep(0.01)
    assert resolver._gates == {}


async def test_the_slower_kind_of_address_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that never answers for IPv6 does not make every site slow (RFC 8305)."""
    monkeypatch.setattr(module, "RESOLUTION_DELAY", 0.001)
    names = Names({("hang.example", "AAAA"): Answer((WEB6,), 60), ("site.example", "A"): Answer((WEB,), 60)})
    resolver = made(names)

    async def ask(name: str, kind: str, seconds: float) -> Answer:
        assert seconds > 0
        if kind == "AAAA":
            await names.let_go.wait()
        return names.known.get((name, kind), Answer((), 60))

    names.ask = ask  # type: ignore[method-assign]  # a server of this one kind
    assert await resolver.addresses("site.example") == (WEB,)
    names.let_go.set()


async def test_an_old_answer_serves_while_no_name_server_does() -> None:
    """An outage of the name servers does not close the sites that were just used (RFC 8767)."""
    names = site(10)
    resolver = made(names)
    await resolver.addresses("site.example")
    names.broken = True
    resolver.clock.now += 600  # type: ignore[attr-defined]  # the test's clock
    assert await resolver.addresses("site.example") == (WEB,)
    with pytest.raises(UnknownNameError, match="no name server"):
        await resolver.addresses("other.example")
    resolver.clock.now += 3600  # type: ignore[attr-defined]  # as above
    with pytest.raises(UnknownNameError):
        await resolver.addresses("site.example")


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that asks for a million names does not fill the worker."""
    monkeypatch.setattr(module, "MOST_NAMES", 10)
    resolver = made(Names())
    for number in range(50):
        with pytest.raises(UnknownNameError):
            await resolver.addresses(f"n{number}.example")
    assert len(resolver._kept) == 10


async def test_the_device_is_that_of_the_task() -> None:
    """Whatever a connection looks up counts as its device's, however deep in the libraries."""
    resolver = made(names := Names())
    CLIENT.set("10.0.0.5")
    task = asyncio.create_task(resolver.addresses("hang.example"))
    await asyncio.sleep(0.01)
    assert set(resolver._gates) == {("10.0.0.5", False)}
    names.let_go.set()
    with pytest.raises(UnknownNameError):
        await task


async def test_who_gives_up_takes_nobody_along() -> None:
    """A pupil who closes the tab does not end the look-up that others wait for."""
    names = Names({("hang.example", "A"): Answer((WEB,), 60)})
    resolver = made(names)
    first = asyncio.create_task(resolver.addresses("hang.example", "10.0.0.1"))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(resolver.addresses("hang.example", "10.0.0.2"))
    await asyncio.sleep(0.01)
    first.cancel()
    names.let_go.set()
    assert await second == (WEB,)


async def test_what_is_known_needs_nobody_and_gives_way_to_what_was_given_since() -> None:
    """A connection to a site that was asked for lately costs a look into memory, by the same answers."""
    names, given = site(30), dict[str, tuple[str, ...]]()
    resolver = Resolver(asking=names, local=lambda: given, clock=Clock())
    assert resolver.known("site.example") == ()
    found = await resolver.addresses("site.example")
    assert resolver.known("Site.EXAMPLE.") == found == (WEB,)
    given["site.example"] = ("192.0.2.9",)  # /etc/hosts was edited
    assert resolver.known("site.example") == ()
    given.clear()
    resolver.clock.now += 31  # type: ignore[attr-defined]  # the test's clock
    assert resolver.known("site.example") == ()


async def test_what_leads_inwards_or_nowhere_is_never_known() -> None:
    """The short way gives out nothing that the long one refuses (H27)."""
    names = Names({("inward.example", "A"): Answer(("127.0.0.1",), 60)})
    resolver = made(names)
    with pytest.raises(InternalAddressError):
        await resolver.addresses("inward.example")
    with pytest.raises(UnknownNameError):
        await resolver.addresses("nothing.example")
    for name in ("inward.example", "nothing.example", "0x7f.1", "127.0.0.1"):
        assert resolver.known(name) == ()
