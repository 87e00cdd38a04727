"""The lean lane: one request under way.

What lives only here: what is remembered of a request from its head to the last byte of its answer, and by
which rule its answer's body ends.
"""

from __future__ import annotations

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
        self.target = Target(url.host, url.port, url.scheme == "https")
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
    def status(self) -> int:
        """The status that the client has seen, or 0."""
        return self.answer.status if self.answer is not None else 0


def reader_of(head: AnswerHead, method: str) -> Body | None:
    """Return what reads the body that follows `head`; None where none does."""
    if head.bare(method):
        return None
    if head.chunked:
        return Chunked()
    if head.length is None:
        return UntilClose()
    return Sized(head.length)
