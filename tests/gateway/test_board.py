from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from appliance.gateway.board import READ, WRITE, Board, Patience, board


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    with one, other:
        yield one, other


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_socket_is_told_of_what_it_waits_for_and_of_nothing_else() -> None:
    """Bytes are moved when there are some, and nobody is woken in between."""
    said: list[int] = []
    with pair() as (one, other):
        board().want(one.fileno(), READ, said.append)
        await turns()
        assert said == []
        other.send(b"x")
        await turns(2)
        assert set(said) == {READ}
        board().want(one.fileno(), WRITE, said.append)
        said.clear()
        await turns(2)
        assert set(said) == {WRITE}
        board().want(one.fileno(), 0, said.append)
        said.clear()
        await turns()
        assert said == []
        board().rest(one.fileno())  # twice is no fault


async def test_what_is_closed_in_a_turn_is_not_mistaken_for_what_is_opened_in_it() -> None:
    """A new connection that gets an old one's number does not get its events."""
    said: list[str] = []
    places = board()
    with pair() as (one, other), pair() as (two, more):

        def first(_events: int) -> None:
            said.append("closed")
            for sock in (one, two):
                places.closed(sock.fileno())
                sock.close()
            opened.extend(socket.socketpair())
            for made in opened:
                places.want(made.fileno(), READ, lambda _events: said.append("mistaken"))

        opened: list[socket.socket] = []
        for sock in (one, two):
            places.want(sock.fileno(), READ, lambda events: first(events) if not said else None)
        other.send(b"x")
        more.send(b"x")
        places._turn()
        for made in opened:
            places.rest(made.fileno())
            made.close()
    assert said == ["closed"]


async def test_one_that_fails_costs_the_others_nothing() -> None:
    """A fault is told, the socket is not asked again, and the rest goes on."""
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, told: faults.append(told["exception"]))
    said: list[int] = []

    def fails(_events: int) -> None:
        raise RuntimeError("x")

    with pair() as (one, other), pair() as (two, more):
        board().want(one.fileno(), READ, fails)
        board().want(two.fileno(), READ, said.append)
        other.send(b"x")
        more.send(b"x")
        await turns()
        assert [str(each) for each in faults] == ["x"]
        assert said
        board().rest(two.fileno())


async def test_each_loop_has_a_board_of_its_own() -> None:
    """What one loop waits for wakes no other."""
    here = board()
    assert board() is here
    there = asyncio.new_event_loop()
    try:
        assert Board(there) is not here
    finally:
        there.close()


class Clock:
    """What became late, in order."""

    def __init__(self) -> None:
        self.late: list[str] = []

    def of(self, name: str) -> Callable[[], None]:
        return lambda: self.late.append(name)


async def test_who_waits_too_long_is_told_and_who_ended_is_not() -> None:
    """A wait costs a place in a row, not a timer, and ends all the same."""
    clock, patience = Clock(), Patience()
    for name in ("ended", "first", "second"):
        patience.wait(name, 0.002, clock.of(name))
    patience.end("ended")
    patience.end("nobody")
    async with asyncio.timeout(5):
        while len(clock.late) < 2:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
    patience.wait("third", 0.002, clock.of("third"))
    await asyncio.sleep(0.01)
    assert clock.late == ["first", "second", "third"]
    patience.close()


async def test_a_wait_whose_end_fails_costs_the_others_nothing() -> None:
    """A fault at one connection's end lets nobody else wait for ever."""
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, told: faults.append(told["exception"]))
    clock, patience = Clock(), Patience()

    def fails() -> None:
        raise RuntimeError("x")

    patience.wait("fails", 0.001, fails)
    patience.wait("second", 0.001, clock.of("second"))
    await asyncio.sleep(0.02)
    assert [str(each) for each in faults] == ["x"]
    assert clock.late == ["second"]
    patience.close()


async def test_a_wait_that_is_ended_by_another_is_not_told() -> None:
    """Whoever is sent away because of somebody else is not sent away twice."""
    clock, patience = Clock(), Patience()

    def first() -> None:
        clock.late.append("first")
        patience.end("second")

    patience.wait("first", 0.001, first)
    patience.wait("second", 0.001, clock.of("second"))
    await asyncio.sleep(0.02)
    assert clock.late == ["first"]
    patience.close()


@pytest.mark.parametrize("left", [0, 1])
async def test_a_closed_row_tells_nobody(left: int) -> None:
    """What ends takes its waits with it."""
    clock, patience = Clock(), Patience()
    for at in range(left):
        patience.wait(at, 0.001, clock.of("late"))
    patience.close()
    await asyncio.sleep(0.005)
    assert clock.late == []
