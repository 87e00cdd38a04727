"""Where connections come in: the first bytes, before anything is decided.

What lives only here: the accepting of connections, the waiting for their first bytes however they are split,
the CONNECT of a client that knows the proxy, and the handing on: to the passage what passes or is refused, to
mitmproxy what is to be read, with all that was read so far. Whatever is out of the ordinary goes to mitmproxy
whole, whose stricter eyes and pages are for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import re
import socket
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from appliance.filtering import Judgement
from appliance.gateway.hello import ALERT_CLOSE, Hello, HelloReader, NoHelloError, starts_like_tls
from appliance.gateway.passage import Passage, What
from appliance.gateway.proxy_tls import CUT_SECONDS, ProxyTls, Relay
from appliance.gateway.translate import Tunnel, connect_of, host_of
from appliance.model.decision import Reason
from appliance.model.inspect import Inspect
from appliance.model.request import Request
from appliance.model.url import Url, UrlRefusedError

logger = logging.getLogger(__name__)

FIRST_SECONDS = 30.0
"""Longest time from a connection's first byte to a whole ClientHello, or to a whole CONNECT."""

MOST_WAITING = 8192
"""Connections that wait for their first bytes; beyond them, new ones are closed."""

_PIECE = 65_536
_BATCH = 64  # accepted at a time, so that those who are in are not held up
_RETRY_SECONDS = 1.0
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_HEAD_LIMIT = 8192
_LAST_PORT = 65_535
# The plainest form of a CONNECT. A header that tells of a body makes it another request: not for us.
_CONNECT = re.compile(
    rb"CONNECT ((?=[A-Za-z0-9.-]{1,253}:)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*):"
    rb"([1-9][0-9]{1,4}) HTTP/1\.[01]\r\n"
    rb"((?:(?!(?i:content-length|transfer-encoding|expect|upgrade)[ \t]*:)[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ \t]*"
    rb"[\t\x20-\x7e\x80-\xff]*\r\n){0,64})\r\n"
)
_SHOWN = re.compile(rb"(?im)^proxy-authorization:[ \t]*(.*?)[ \t]*\r$")
_HOSTS = re.compile(rb"(?im)^host:[ \t]*(.*?)[ \t]*\r$")
_SSH = b"SSH-"
_NO_TEXT = re.compile(rb"[^\t\n\r\x20-\x7e]")

NEITHER = "The connection speaks neither HTTP nor TLS."
SSH = "The connection speaks SSH, which is no way to the web."
TO_PROXY = "The device speaks TLS to the proxy's plain port; gateway.listen_tls is the one for that."
TOO_LATE = "The connection did not say in time what it wants."

type Serve = Callable[[socket.socket, bytes, Tunnel, tuple[str, int] | None], Awaitable[None]]
"""Hands a connection to mitmproxy: its socket, the bytes read, what is known of it, and where it goes."""


class Entrance:
    """Listening sockets, and everybody who has come in and not yet said what they want.

    `destination` returns where a redirected connection was going (OSError if it was not redirected); None
    for a port to which clients speak as to a proxy, under the encryption `proxy_tls` if there is any. The
    passage stands in `passage`.
    """

    def __init__(
        self,
        sockets: list[socket.socket],
        passage: Passage,
        serve: Serve,
        destination: Callable[[socket.socket], tuple[str, int]] | None,
        proxy_tls: ProxyTls | None = None,
    ) -> None:
        self.sockets = sockets
        self.passage, self.serve, self.destination = passage, serve, destination
        self._proxy_tls = proxy_tls
        self.loop = asyncio.get_running_loop()
        self.visitors: set[Visitor] = set()
        self._relays: set[Relay] = set()
        self._opening = 0
        self._tasks: set[asyncio.Task[None]] = set()
        passage.waiting.append(self)
        for listener in sockets:
            self.loop.add_reader(listener, self._accept, listener)

    def close(self) -> None:
        """Let nobody in any more, and send away whoever still waits."""
        self.shut()
        for visitor in list(self.visitors):
            visitor.leave()
        if self in self.passage.waiting:
            self.passage.waiting.remove(self)
        self.passage.cut_all()

    def shut(self) -> None:
        """Let nobody in any more; whoever waits outside is for those who hold the sockets as well."""
        for listener in self.sockets:
            self.loop.remove_reader(listener)
            listener.close()
        self.sockets = []

    def dismiss(self) -> None:
        """Send away whoever has not said anything yet."""
        for visitor in list(self.visitors):
            if visitor.silent:
                visitor.leave()

    def __len__(self) -> int:
        return len(self.visitors)

    def cut(self, addresses: Collection[str], users: Collection[str] = ()) -> None:
        """Send away whoever waits, with or without a tunnel, by address or by the credentials shown."""
        for visitor in list(self.visitors):
            if visitor.tunnel.client in addresses or visitor.tunnel.user in users:
                visitor.leave()
        lost = [each for each in self._relays if each.tunnel.client in addresses or each.tunnel.user in users]
        for relay in lost:  # what a slow client has not read yet does not reach it any more
            self.loop.call_later(CUT_SECONDS, relay.cut)

    def run(self, work: Awaitable[None], sock: socket.socket | None) -> None:
        """Do something for a connection; when it fails, `sock` is closed, and the fault is counted."""

        async def done() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - whatever failed, the connection is closed
                self.fault(error)
                if sock is not None:
                    sock.close()

        # Begun at once: most of it need not wait, and a turn of the loop costs as much as a decision.
        task = asyncio.Task(done(), loop=self.loop, eager_start=True)
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def fault(self, error: BaseException) -> None:
        """Count a fault, and log its kind; its text can hold what a pupil sent."""
        self.passage.metrics.fault(Reason.FAULT, "door")
        logger.error("fault at the door, closed: %s", type(error).__name__)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_BATCH):
            try:
                sock, peer = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    # Out of descriptors: those who are in go first, and the others wait outside.
                    self.loop.remove_reader(listener)
                    self.loop.call_later(_RETRY_SECONDS, self._again, listener)
                return
            self._welcome(sock, peer)

    def _again(self, listener: socket.socket) -> None:
        if listener in self.sockets:
            self.loop.add_reader(listener, self._accept, listener)

    def _welcome(self, sock: socket.socket, peer: Any) -> None:
        tunnel = Tunnel(client=str(peer[0]).removeprefix("::ffff:"))
        if len(self.visitors) + self._opening >= MOST_WAITING:
            logger.warning("a connection was not taken: too many wait for their first bytes")
            sock.close()
            return
        try:
            sock.setblocking(False)  # noqa: FBT003 - the socket module's own signature
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wanted = self.destination(sock) if self.destination is not None else None
            if wanted is not None:
                tunnel.destination, tunnel.port = host_of(wanted[0]), wanted[1]
            if self._proxy_tls is not None:
                tunnel.secure = True
                self.run(self._open(sock, tunnel, self._proxy_tls), sock)
                return
            Visitor(self, sock, tunnel, wanted)
        except OSError as error:
            logger.warning("a connection was not taken: %s", error)
            sock.close()
        except Exception as error:  # noqa: BLE001 - nobody comes in through a fault
            self.fault(error)
            sock.close()

    async def _open(self, sock: socket.socket, tunnel: Tunnel, proxy_tls: ProxyTls) -> None:
        self._opening += 1
        try:
            inner, relay = await proxy_tls.opened(sock, tunnel)
        except OSError:  # no handshake, in time or at all: nobody has asked for anything yet
            return
        finally:
            self._opening -= 1
        self._relays.add(relay)
        try:
            Visitor(self, inner, tunnel, None)
            await relay.run()
        finally:
            self._relays.discard(relay)


class Visitor:
    """One connection of which nothing is known yet but where it comes from."""

    def __init__(
        self, entrance: Entrance, sock: socket.socket, tunnel: Tunnel, wanted: tuple[str, int] | None
    ) -> None:
        self._entrance, self._sock, self.tunnel, self._wanted = entrance, sock, tunnel, wanted
        self._data = bytearray()
        self._hello = HelloReader()
        self._asked: tuple[Request, Judgement] | None = None
        self._comparing = self._compared = False
        self._timer = entrance.loop.call_later(entrance.passage.idle, self.leave)
        self._timed = False
        entrance.visitors.add(self)
        entrance.loop.add_reader(sock, self._readable)

    @property
    def silent(self) -> bool:
        """True while nothing has come."""
        return not self._timed

    def leave(self) -> None:
        """Close the connection."""
        self._let_go()
        self._sock.close()

    def _let_go(self) -> None:
        self._timer.cancel()
        self._entrance.loop.remove_reader(self._sock)
        self._entrance.visitors.discard(self)

    def _readable(self) -> None:
        try:
            piece = self._sock.recv(_PIECE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            piece = b""
        try:
            if not piece:
                self._left()
                return
            if not self._timed:
                self._timed = True
                self._timer.cancel()
                self._timer = self._entrance.loop.call_later(FIRST_SECONDS, self._late)
            self._data += piece
            self._look()
        except Exception as error:  # noqa: BLE001 - whatever failed, the connection is closed
            self._entrance.fault(error)
            self.leave()

    def _left(self) -> None:
        if self._data:
            self._entrance.passage.metrics.incomplete()
        if self._asked is not None:
            # Who hangs up before anything can be shown has asked all the same.
            self._close_with(self._entrance.passage.refuse(*self._asked))
            return
        self.leave()

    def _late(self) -> None:
        self._refuse_unread(TOO_LATE)

    def _look(self) -> None:
        """Decide, if what has come is enough to decide upon."""
        if self._wanted is None:
            self._look_at_proxy_request()
        elif starts_like_tls(self._data):
            self._look_at_hello()
        elif self._data.startswith(_SSH):
            self._refuse_unread(SSH)
        elif _NO_TEXT.match(self._data):
            self._refuse_unread(NEITHER)
        elif not _SSH.startswith(self._data[: len(_SSH)]):
            self._inspect()

    def _look_at_proxy_request(self) -> None:
        if starts_like_tls(self._data):
            self._refuse_unread(TO_PROXY)
            return
        if not self._data.startswith(b"CONNECT "[: len(self._data)]):
            self._inspect()
            return
        end = self._data.find(b"\r\n\r\n")
        if end < 0 and len(self._data) <= _HEAD_LIMIT:
            return
        found = _CONNECT.match(bytes(self._data))
        target = self._target(found) if found is not None else None
        if found is None or target is None:
            self._inspect()
            return
        if self._comparing or not self._knows(
            [value.decode("latin-1") for value in _SHOWN.findall(found[3])]
        ):
            return
        self.tunnel.connect, self.tunnel.port = target, int(found[2])
        if self._refused_as_tunnel(target):
            self.tunnel.connect = self.tunnel.port = None
            self._inspect()  # answers with the page that belongs to it, or asks who it is, and records it
            return
        self._entrance.passage.metrics.connection()
        del self._data[: found.end()]
        if self._sock.send(_ESTABLISHED) != len(_ESTABLISHED):
            raise OSError("the client does not read")
        self._wanted = (target.host, int(found[2]))
        if self._data:
            self._look()

    def _knows(self, shown: list[str]) -> bool:
        # Whether it is known whose credentials these are; if not, that is found out, and we look again.
        if self._compared:
            return True
        found = self._entrance.passage.credentials.look(shown, self.tunnel)
        if found is not None:
            found.note(self.tunnel)
            return True
        self._comparing = True
        self._entrance.loop.remove_reader(self._sock)
        self._entrance.run(self._compare(shown), self._sock)
        return False

    async def _compare(self, shown: list[str]) -> None:
        try:
            await self._entrance.passage.credentials.learn(shown, self.tunnel)
            self._comparing, self._compared = False, True
            if self in self._entrance.visitors:  # it may have been sent away meanwhile
                self._entrance.loop.add_reader(self._sock, self._readable)
                self._look()
        except BaseException:
            self._let_go()  # the socket is closed, and must not be looked at any more
            raise

    def _target(self, found: re.Match[bytes]) -> Url | None:
        hosts = _HOSTS.findall(found[3])
        authority = found[1] + b":" + found[2]
        if (
            int(found[2]) > _LAST_PORT
            or len(hosts) > 1
            or (hosts and hosts[0].lower() not in (found[1].lower(), authority.lower()))
        ):
            return None
        try:
            target = host_of(found[1].decode("ascii"))
        except UrlRefusedError:
            return None
        return target if target.ip is None else None  # a number has no name to be judged by

    def _refused_as_tunnel(self, target: Url) -> bool:
        request = connect_of(target, int(self.tunnel.port or 0), self.tunnel)
        judgement = self._entrance.passage.filtering.judge(request)
        if self._entrance.passage.credentials.asks(judgement, request, self.tunnel):
            return True
        if not judgement.decision.blocked:
            return False
        if judgement.decision.reason in (Reason.PORT, Reason.OWN_NETWORK):
            return True
        if judgement.profile.inspect is Inspect.NEVER:
            self._asked = request, judgement  # no page can be shown; what follows is refused here
            return False
        return True

    def _look_at_hello(self) -> None:
        try:
            hello = self._hello.read(self._data)
        except NoHelloError as error:
            self._refuse_unread(f"The connection cannot be read: {error}.")
            return
        if hello is not None:
            self._decide(hello)

    def _decide(self, hello: Hello) -> None:
        passage = self._entrance.passage
        verdict = passage.judge(self.tunnel, hello)
        self._asked = None
        if verdict.what is What.INSPECT:
            passage.later(passage.note(verdict))
            self._inspect()
            return
        self._count()
        if verdict.what is What.SPLICE:
            self._let_go()
            self._entrance.run(passage.splice(self._sock, bytes(self._data), verdict), self._sock)
        else:
            self._close_with(passage.refuse(verdict.request, verdict.judgement))

    def _inspect(self) -> None:
        self._let_go()
        work = self._entrance.serve(self._sock, bytes(self._data), self.tunnel, self._wanted)
        self._entrance.run(work, self._sock)

    def _refuse_unread(self, because: str) -> None:
        self._count()
        self._close_with(self._entrance.passage.refuse_unread(self.tunnel, because))

    def _count(self) -> None:
        if self.tunnel.connect is None:  # one that opened a tunnel was counted then
            self._entrance.passage.metrics.connection()

    def _close_with(self, record: Awaitable[None]) -> None:
        """Record first, then tell the client: what is not on record must not have happened."""

        async def close() -> None:
            try:
                await record
                with contextlib.suppress(OSError):
                    self._sock.send(ALERT_CLOSE if starts_like_tls(self._data or b"\0") else b"")
            finally:
                self._sock.close()

        self._let_go()
        self._entrance.run(close(), self._sock)
