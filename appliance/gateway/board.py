"""Bare sockets that are waited for, and waits that seldom end.

What lives only here: one epoll for all such sockets, which the event loop sees as a single file, and one
timer for all waits of a length. An event costs a look into a dictionary and a call, where the loop's own
readers cost a handle, a context and several look-ups; most connections never know a timer. Whoever is
called may be called in vain, and closes what it cannot go on with.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Callable, Hashable

READ, WRITE = select.EPOLLIN, select.EPOLLOUT

_BOARD = "board of bare sockets"
_MOST = 64  # events taken at a time, so that others are not held up

type Ready = Callable[[int], None]
"""Is told what a socket is ready for: `READ`, `WRITE`, or more that means its end."""


class Board:
    """The bare sockets of one event loop, by their file descriptors."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._epoll = select.epoll()
        self._ready: dict[int, Ready] = {}
        self._events: dict[int, int] = {}
        self.now = time.monotonic()
        """The loop's time when the present events were taken."""
        loop.add_reader(self._epoll.fileno(), self._turn)

    def want(self, file: int, events: int, ready: Ready) -> None:
        """Let `ready` be called whenever `file` is ready for one of `events`; 0 for nothing any more."""
        had = self._events.get(file, 0)
        if not events:
            self.rest(file)
            return
        if not had:
            self._epoll.register(file, events)
        elif events != had:
            self._epoll.modify(file, events)
        self._events[file] = events
        self._ready[file] = ready

    def rest(self, file: int) -> None:
        """Expect nothing of `file` any more, not even its end."""
        self._ready.pop(file, None)
        if self._events.pop(file, 0):
            try:
                self._epoll.unregister(file)
            except OSError:
                return  # it has been closed already

    def left(self, file: int, ready: Ready) -> None:
        """Expect nothing of `file` any more, unless somebody else has begun to wait for it meanwhile."""
        if self._ready.get(file) is ready:
            self.rest(file)

    def closed(self, file: int) -> None:
        """Forget `file`, which is closed right after this: the kernel forgets it by itself."""
        self._ready.pop(file, None)
        self._events.pop(file, None)

    def _turn(self) -> None:
        self.now = time.monotonic()
        found = self._epoll.poll(0, _MOST)
        # Looked up before any is called: what is closed in this turn may be opened in it as something else.
        for file, ready, events in [(file, self._ready.get(file), events) for file, events in found]:
            if ready is None:
                continue
            try:
                ready(events)
            except Exception as error:  # noqa: BLE001 - the others get their turn, and this one is not asked again
                self.left(file, ready)
                _tell("a bare socket failed", error)


def board() -> Board:
    """Return the board of the running event loop."""
    loop = asyncio.get_running_loop()
    found: Board | None = loop.__dict__.get(_BOARD)  # with the loop itself: asked for at each connection
    if found is None:
        found = loop.__dict__[_BOARD] = Board(loop)
    return found


class Patience:
    """Waits of one length, under one timer: whoever began first is due first."""

    def __init__(self) -> None:
        self._waits: dict[Hashable, tuple[float, Callable[[], None]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def wait(self, whose: Hashable, seconds: float, over: Callable[[], None]) -> None:
        """Call `over` after so many seconds, unless `end` is called first; one wait each."""
        due = time.monotonic() + seconds
        self._waits[whose] = due, over
        if self._timer is None or due < self._timer.when():
            self._arm(due)

    def end(self, whose: Hashable) -> None:
        """End somebody's wait, if there is one."""
        self._waits.pop(whose, None)

    def close(self) -> None:
        """End all waits."""
        self._waits.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        now = time.monotonic()
        late = []
        for whose, (due, over) in self._waits.items():
            if due > now:
                self._arm(due)
                break
            late.append((whose, over))
        for whose, over in late:
            if self._waits.pop(whose, None) is None:
                continue
            try:
                over()
            except Exception as error:  # noqa: BLE001 - the others are due as well, and no timer would call them again
                _tell("the end of a wait failed", error)


def _tell(message: str, error: Exception) -> None:
    asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
