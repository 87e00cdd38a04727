"""From a name to addresses that may be connected to.

What lives only here: what is known of names for as long as their answers hold, and who may ask how much at
once. One device that asks for hundreds of names which nobody answers holds up itself, not the others, and
never a help line. Names given by hand and those of /etc/hosts need no name server; an address that lies
inside the school is handed out to nobody (DNS rebinding, H27). A name is looked up as it was judged: no
search domain is tried.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from typing import Protocol

from appliance.gateway.nameservers import HOSTS, Answer, NameServers, NoAnswerError, Watched, hosts
from appliance.gateway.reach import InternalAddressError, Reach, hidden_number

CLIENT: ContextVar[str] = ContextVar("client", default="")
"""The device on whose behalf this task works; its look-ups are counted together."""

LOOKUP_SECONDS = 5.0
"""Longest time that a look-up takes, waiting for its turn included."""

PER_CLIENT = 24
"""Look-ups that one device may have under way; the rest wait for their turn."""

PER_CLIENT_HELP = 8
"""The same for help lines, beside the others."""

ALL_CLIENTS = 512
"""Look-ups of all devices together; those for help lines are not counted."""

MOST_NAMES = 8192
"""Answers kept: about 4 MB."""

KEEP_LEAST, KEEP_MOST = 2.0, 3600.0
"""Shortest and longest time for which an answer is kept, whatever it says itself, in seconds."""

KEEP_NOTHING = 300.0
"""Longest time for which a name counts as having no address (RFC 2308)."""

KEEP_FAILURE = 3.0
"""How long nobody is asked again after no name server answered."""

STALE = 3600.0
"""How long an answer past its time still serves, where no name server answers now (RFC 8767)."""

RESOLUTION_DELAY = 0.05
"""How long the answer for the other kind of address is waited for (RFC 8305 section 3)."""


class UnknownNameError(OSError):
    """A name has no address, or no name server could say."""


class Asking(Protocol):
    """Who answers questions."""

    async def ask(self, name: str, kind: str, seconds: float) -> Answer:
        """Return the addresses of `name`; NoAnswerError if nobody says."""


@dataclass(slots=True)
class _Kept:
    """An answer; `failed` where none came, `inward` where every address lies inside the school.

    After `until` it is asked for again; where nobody answers, it still serves until `dies`.
    """

    addresses: tuple[str, ...]
    until: float
    dies: float = 0.0
    failed: bool = False
    inward: bool = False


@dataclass(slots=True)
class _Gate:
    """The look-ups of one device."""

    turns: asyncio.Semaphore
    users: int = 0


def _hosts_file() -> Callable[[], Mapping[str, tuple[str, ...]]]:
    nothing: Mapping[str, tuple[str, ...]] = {}
    return Watched(HOSTS, hosts, nothing).value


@dataclass(slots=True)
class Resolver:
    """Looks names up, and keeps what it learns. It belongs to one event loop.

    `static` are names given by hand (in small letters), `helps` says which names are help lines'.
    """

    reach: Reach = field(default_factory=Reach)
    static: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    asking: Asking = field(default_factory=NameServers)
    helps: Callable[[str], bool] = lambda _name: False
    local: Callable[[], Mapping[str, tuple[str, ...]]] = field(default_factory=_hosts_file)
    clock: Callable[[], float] = time.monotonic
    _kept: OrderedDict[tuple[str, str], _Kept] = field(default_factory=OrderedDict)
    _flights: dict[tuple[str, str], asyncio.Task[_Kept]] = field(default_factory=dict)
    _gates: dict[tuple[str, bool], _Gate] = field(default_factory=dict)
    _all: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ALL_CLIENTS))

    async def addresses(self, name: str, client: str | None = None) -> tuple[str, ...]:
        """Return the addresses of a name or of a literal address, IPv6 first; never none.

        `client` is the device that asks, else that of the task. InternalAddressError if it leads only
        inwards, UnknownNameError if there is no address or nobody says.
        """
        name = name.lower().rstrip(".")
        given = self._given(name)
        if given is not None:
            return self._outward(name, given)
        client = CLIENT.get() if client is None else client
        found = await self._both(name, client)
        addresses = tuple(address for kept in found for address in kept.addresses)
        if addresses:
            return addresses
        if any(kept.inward for kept in found):
            raise InternalAddressError(f"{name!r} leads only to internal addresses")
        if any(kept.failed for kept in found):
            raise UnknownNameError("no name server answered for this name")
        raise UnknownNameError("this name has no address")

    def known(self, name: str) -> tuple[str, ...]:
        """Return the addresses of a name where nobody has to be asked for them any more, else none."""
        name = name.lower().rstrip(".")
        # What is remembered was no number and led outwards; a name given by hand since then goes before it.
        six, four = self._remembered((name, "AAAA")), self._remembered((name, "A"))
        if six is None or four is None or name in self.static or name in self.local():
            return ()
        return six.addresses + four.addresses

    def _given(self, name: str) -> tuple[str, ...] | None:
        try:
            return (str(ipaddress.ip_address(name.partition("%")[0])),)
        except ValueError:
            pass
        if hidden_number(name):
            # The system's resolver reads `0x7f.1` as an address; whoever judged it saw a name.
            raise InternalAddressError(f"{name!r} leads only to internal addresses")
        return self.static.get(name) or self.local().get(name)

    def _outward(self, name: str, addresses: tuple[str, ...]) -> tuple[str, ...]:
        found = tuple(one for one in addresses if not self.reach.internal(ipaddress.ip_address(one)))
        if not found:
            raise InternalAddressError(f"{name!r} leads only to internal addresses")
        return found

    async def _both(self, name: str, client: str) -> list[_Kept]:
        kept = [self._remembered((name, kind)) for kind in ("AAAA", "A")]
        if kept[0] is not None and kept[1] is not None:
            return [kept[0], kept[1]]
        tasks = [asyncio.ensure_future(self._find((name, kind), client)) for kind in ("AAAA", "A")]
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if any(task.done() and task.result().addresses for task in tasks):
                    # One kind is enough to begin with; the other's answer is kept for the next time.
                    await asyncio.wait(tasks, timeout=RESOLUTION_DELAY)
                else:
                    await asyncio.wait(tasks)
        except TimeoutError:
            pass
        finally:
            for task in tasks:
                if not task.done():
                    task.cancel()  # the waiting for it; the look-up itself goes on
        return [task.result() if task.done() else _Kept((), 0.0, failed=True) for task in tasks]

    def _remembered(self, key: tuple[str, str]) -> _Kept | None:
        kept = self._kept.get(key)
        if kept is None or kept.until < self.clock():
            return None
        self._kept.move_to_end(key)
        return kept

    async def _find(self, key: tuple[str, str], client: str) -> _Kept:
        found = self._remembered(key)
        if found is not None:
            return found
        flight = self._flights.get(key) or await self._take_off(key, client)
        return await asyncio.shield(flight) if isinstance(flight, asyncio.Task) else flight

    async def _take_off(self, key: tuple[str, str], client: str) -> asyncio.Task[_Kept] | _Kept:
        """Begin a look-up when it is the device's turn, or find that it is under way or done by then."""
        helps = self.helps(key[0])
        place = (client, helps)
        gate = self._gates.get(place)
        if gate is None:
            gate = _Gate(asyncio.Semaphore(PER_CLIENT_HELP if helps else PER_CLIENT))
            self._gates[place] = gate
        turns = (gate.turns,) if helps else (gate.turns, self._all)
        gate.users += 1
        taken: list[asyncio.Semaphore] = []

        def land(_flight: object = None) -> None:
            for turn in taken:
                turn.release()
            gate.users -= 1
            if not gate.users:
                self._gates.pop(place, None)

        try:
            for turn in turns:
                await turn.acquire()
                taken.append(turn)
        except BaseException:
            land()
            raise
        found = self._remembered(key) or self._flights.get(key)
        if found is not None:
            land()
            return found
        # In a context of its own: it is nobody's, and serves whoever asks for the same name meanwhile.
        flight = asyncio.get_running_loop().create_task(self._look_up(key), context=Context())
        self._flights[key] = flight
        flight.add_done_callback(land)
        return flight

    async def _look_up(self, key: tuple[str, str]) -> _Kept:
        try:
            answer = await self.asking.ask(*key, LOOKUP_SECONDS)
        except NoAnswerError:
            kept = self._failure(key)
        else:
            most = KEEP_MOST if answer.addresses else KEEP_NOTHING
            until = self.clock() + min(max(answer.ttl, KEEP_LEAST), most)
            allowed = tuple(
                one for one in answer.addresses if not self.reach.internal(ipaddress.ip_address(one))
            )
            kept = _Kept(allowed, until, until + STALE, inward=bool(answer.addresses) and not allowed)
        finally:
            self._flights.pop(key, None)
        self._kept[key] = kept
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_NAMES:
            self._kept.popitem(last=False)
        return kept

    def _failure(self, key: tuple[str, str]) -> _Kept:
        now = self.clock()
        old = self._kept.get(key)
        if old is not None and old.addresses and old.dies > now:
            # Not for longer than a failure is kept: the name servers are asked again soon.
            return _Kept(old.addresses, min(now + KEEP_FAILURE, old.dies), old.dies)
        return _Kept((), now + KEEP_FAILURE, failed=True)
