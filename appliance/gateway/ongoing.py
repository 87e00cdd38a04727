"""What is under way on connections that are read, judged again.

What lives only here: which requests those are, in either lane, and their end. A request is judged by its
head, once; a WebSocket or a stream of events can go on for hours after that. When the policy, the lists, the
people or the minute change (`passage.py` sees that, and judges what passes unread), each is judged as if it
were asked for now, and the connection of what would be refused is cut. What said how long it is may come to
its end: an edit of the policy drops no download. On a statutory list nothing goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from mitmproxy.proxy.layers import http

from appliance.filtering import Filtering
from appliance.gateway.actions import Carried, new_reference
from appliance.gateway.addon import GatewayAddon
from appliance.gateway.closing import CARRIED
from appliance.gateway.door import Doors
from appliance.gateway.handler import Handler
from appliance.gateway.pressure import http_layers
from appliance.model.decision import Reason

_SLICE = 50  # connections at a time, so that others are not held up


class Ongoing:
    """Looks after what one worker carries."""

    def __init__(self, doors: Doors, filtering: Filtering, addon: GatewayAddon) -> None:
        """Judge with `filtering` what is under way at `doors`, and record by `addon` what is refused."""
        self._doors, self._filtering, self._addon = doors, filtering, addon

    async def judge_again(self) -> None:
        """Cut every connection on which something would no longer be let through; that goes on record."""
        for count, handler in enumerate(self._doors.handlers):
            if count % _SLICE == 0:
                await asyncio.sleep(0)
            try:
                looked = [self._refused(*each) for each in under_way(handler)]
            except Exception as error:  # noqa: BLE001 - what cannot be judged does not go on
                self._addon.fault("ongoing", Reason.FAULT, error)
                handler.cut()
                continue
            refused = [each for each in looked if each is not None]
            for carried in refused:
                _ = self._addon.attempts.soon("ongoing", carried)
            if refused:
                handler.cut()

    def _refused(self, carried: Carried, endless: bool) -> Carried | None:  # noqa: FBT001 - given in pairs
        """Return the refusal of what must not go on."""
        if carried.judgement.decision.blocked or self._filtering.is_own(carried.request.url):
            return None  # what the client gets is a page of ours
        judgement = self._filtering.judge(carried.request)
        ends = judgement.decision.blocked and (endless or judgement.decision.floor)
        return Carried(carried.request, judgement, new_reference()) if ends else None


def under_way(handler: Handler) -> Iterator[tuple[Carried, bool]]:
    """Yield every request of a connection that was let through and goes on, and whether it has no end."""
    carriage = handler.link.carriage if handler.link is not None else None
    if carriage is not None and not carriage.gone:
        if carriage.carried is not None:
            yield carriage.carried, carriage.endless
        return
    for layer in list(http_layers(handler.layer.context)):
        for stream in list(layer.streams.values()):
            flow = getattr(stream, "flow", None)  # there is none before a stream's head is whole
            carried = flow.metadata.get(CARRIED) if flow is not None else None
            if isinstance(carried, Carried):
                yield carried, _endless(stream)


def _endless(stream: http.HttpStream) -> bool:
    request, response = stream.flow.request, stream.flow.response
    if response is not None and "content-length" not in response.headers:
        return True  # a WebSocket among them
    return stream.client_state == stream.state_stream_request_body and "content-length" not in request.headers
