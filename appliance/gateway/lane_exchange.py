"""The lean lane: one request under way.

What lives only here: what is remembered of a request from its head to the last byte of its answer, and by
which rule its answer's body ends.
"""

from __future__ import annotations

from functools import lru_cache

from appliance.gateway.actions import Carried
from appliance.gateway.lane_bodies import Body, Chunked, Sized, UntilClose
from appliance.gateway.lane_heads import AnswerHead, RequestHead
from appliance.gateway.lane_pool import Target, Upstream


class Exchange:
    """One request on its way, and its answer."""

    __slots__ = (
        "answer",
        "body",
        "carried",
        "discarded",
        "early",
        "fit",
        "head",
        "held",
        "interim",
        "name",
        "over",
        "pooled",
        "reader",
        "target",
        "unread",
        "upstream",
        "waiting",
    )

    def __init__(self, head: RequestHead, carried: Carried) -> None:
        url = carried.request.url
        self.head = head
        self.carried = carried
        self.target, self.name = way(url.scheme, url.host, url.port)
        self.body: Body | None = None
        """What is still to come of the request's body; None when it is whole."""
        if head.length is None:
            self.body = Chunked()
        elif head.length:
            self.body = Sized(head.length)
        self.waiting: list[bytes] = []
        """What could not be sent yet."""
        self.held = 0
        """How much of that is body, in bytes."""
        self.upstream: Upstream | None = None
        self.pooled = False
        self.unread = b""
        """What came of an answer's head."""
        self.early = False
        """Something came back: from here on the request is not sent again."""
        self.fit = False
        """The site's connection is fit for another request, once this one is whole."""
        self.interim = 0
        self.answer: AnswerHead | None = None
        self.reader: Body | None = None
        self.over = False
        """The answer is out."""
        self.discarded = 0

    @property
    def endless(self) -> bool:
        """Whether the body that is under way, either way, does not say how long it is."""
        return isinstance(self.body, Chunked) or isinstance(self.reader, Chunked | UntilClose)

    @property
    def own(self) -> bool:
        """Whether its client alone may go on using the site's connection.

        Sites that do not read a body where one came, or send one where none can be, take it for a request of
        its own, or let it be taken for an answer: so one client could write the answer that another one gets.
        """
        return self.head.length != 0 or self.head.method == "HEAD"

    @property
    def status(self) -> int:
        """The status that the client has seen, or 0."""
        return self.answer.status if self.answer is not None else 0


@lru_cache(maxsize=1024)
def way(scheme: str, host: str, port: int) -> tuple[Target, str]:
    """Return where requests to a site go, and how it is told its own name: as it was judged.

    The name has a port where that is not the usual one.
    """
    default = 443 if scheme == "https" else 80
    return Target(host, port, scheme == "https"), host if port == default else f"{host}:{port}"


def reader_of(head: AnswerHead, method: str) -> Body | None:
    """Return what reads the body that follows `head`; None where none does."""
    if head.bare(method):
        return None
    if head.chunked:
        return Chunked()
    if head.length is None:
        return UntilClose()
    return Sized(head.length)
