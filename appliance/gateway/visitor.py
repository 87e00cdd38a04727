"""One connection of which nothing is known yet but where it comes from.

What lives only here: the waiting for its first bytes however they are split, the CONNECT of a client that
knows the proxy, and the handing on: to the passage what passes or is refused, to mitmproxy what is to be
read, with all that was read so far. Whatever is out of the ordinary goes to mitmproxy whole, whose stricter
eyes and pages are for that.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from appliance.filtering import Judgement
from appliance.gateway.board import READ
from appliance.gateway.hello import ALERT_CLOSE, Hello, HelloReader, NoHelloError, starts_like_tls
from appliance.gateway.passage import What
from appliance.gateway.translate import Tunnel, connect_of, host_of
from appliance.model.decision import Reason
from appliance.model.inspect import Inspect
from appliance.model.request import Request
from appliance.model.url import Url, UrlRefusedError

if TYPE_CHECKING:
    from appliance.gateway.entrance import Entrance

FIRST_SECONDS = 30.0
"""Longest time from a connection's first byte to a whole ClientHello, or to a whole CONNECT."""

_PIECE = 65_536
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
        self.silent = True
        """True while nothing has come."""
        entrance.visitors.add(self)
        entrance.silent.wait(self, entrance.passage.idle, self.leave)
        entrance.board.want(sock.fileno(), READ, self._readable)

    def leave(self) -> None:
        """Close the connection."""
        self._let_go()
        self._sock.close()

    def _let_go(self) -> None:
        self._entrance.silent.end(self)
        self._entrance.speaking.end(self)
        self._entrance.visitors.discard(self)
        self._entrance.board.rest(self._sock.fileno())

    def _readable(self, _events: int) -> None:
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
            first, self.silent = self.silent, False
            self._data += piece
            self._look()
            if first and self in self._entrance.visitors:  # most have said it all at once
                self._entrance.silent.end(self)
                self._entrance.speaking.wait(self, FIRST_SECONDS, self._late)
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
        self._entrance.board.rest(self._sock.fileno())
        self._entrance.run(self._compare(shown), self._sock)
        return False

    async def _compare(self, shown: list[str]) -> None:
        try:
            await self._entrance.passage.credentials.learn(shown, self.tunnel)
            self._comparing, self._compared = False, True
            if self in self._entrance.visitors:  # it may have been sent away meanwhile
                self._entrance.board.want(self._sock.fileno(), READ, self._readable)
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
            first = bytes(self._data)
            if not passage.splice_at_once(self._sock, first, verdict):
                self._entrance.run(passage.splice(self._sock, first, verdict), self._sock)
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
