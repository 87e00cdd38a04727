"""Parts of pages that are open for a lesson: what such a page names is learnt, what comes back looked at.

What lives only here: how mitmproxy's flow tells of both. An answer of an opened page is read as it passes,
never held up; one that was let through as a part of such a page, and is none, does not pass.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

from mitmproxy import http

from appliance.filtering import Filtering, Judgement
from appliance.gateway import actions
from appliance.gateway.actions import Carried
from appliance.gateway.site import OwnSite
from appliance.inspection.loads import CODINGS, Reader, link_hosts, policy_hosts
from appliance.learning import Learning
from appliance.model.grant import Grant
from appliance.model.request import Load, Request, Wants
from appliance.model.url import UrlRefusedError, parse_url
from appliance.policy.needs import BARE, may_answer

logger = logging.getLogger(__name__)

NO_PART = "What came back is a page, or nothing that a page is made of."

_HTML = frozenset({"text/html", "application/xhtml+xml"})
_STYLE = "text/css"
_POLICIES = "content-security-policy"
_UNREADABLE = "?"
_READ = (Wants.PAGE, Wants.STYLE)
_OK, _REFUSED = 200, 403
_NEVER_LONG = (204, 304)  # statuses whose answers have no length (RFC 9110 8.6)
_ELSEWHERE = ("if-none-match", "if-modified-since")
"""Fields by which a browser would be told to take the page that it has, so that nothing were learnt of it."""


class Parts:
    """What the addon asks about requests and answers while pages bring what they need."""

    def __init__(self, filtering: Filtering, site: OwnSite) -> None:
        self._filtering = filtering
        self._site = site
        self._learning = Learning(filtering, filtering.learnt) if filtering.learnt is not None else None

    def answered(self, request: Request, judgement: Judgement) -> bool:
        """Tell whether a connection that is refused by its name has its answer inside: it is no attempt yet.

        So it is at the gateway's own pages, and at hosts that come with a page: browsers open connections to
        them in advance.
        """
        learning = self._learning if self._filtering.learns else None
        return self._site.serves(request) or (
            learning is not None and learning.comes(request, judgement, datetime.now(UTC))
        )

    def read(self, flow: http.HTTPFlow, request: Request) -> Request:
        """Return the request with what its browser says of it, where that can matter."""
        return replace(request, load=load_of(flow.request)) if self._filtering.learns else request

    def forward(self, flow: http.HTTPFlow, carried: Carried) -> None:
        """Let an allowed request go to its site, so that its answer can be read where that can matter."""
        actions.forward(flow, carried)
        decision, grants = carried.judgement.decision, self._filtering.grants
        if decision.page:
            flow.request.stream = lambda _: b""  # it sends nothing, whatever comes
        elif grants is not None and decision.override in grants.learning and carried.request.wants in _READ:
            headers = flow.request.headers
            plain = "gzip" if "gzip" in headers.get("accept-encoding", "") else "identity"
            headers["accept-encoding"] = plain
            for name in _ELSEWHERE:
                headers.pop(name, None)

    def pass_back(self, flow: http.HTTPFlow, carried: Carried | None) -> Carried | None:
        """Let a site's answer stream to the client; return what is to be recorded first where it must not."""
        response = flow.response
        if response is None or carried is None or carried.judgement.decision.blocked:
            return None
        actions.pass_back(flow, carried)
        if carried.judgement.decision.page:
            return self._pass_part(response, carried)
        if self._filtering.learns and response.status_code == _OK and carried.request.method == "GET":
            self._watch(response, carried)
        return None

    def _pass_part(self, response: http.Response, carried: Carried) -> Carried | None:
        asked = carried.request.method == "OPTIONS" and response.headers.get("content-length", "0") == "0"
        if response.status_code in BARE or asked:
            _empty(response)
            return None
        if may_answer(response.status_code, response.headers.get("content-type", "")):
            return None
        return self._refuse(response, carried)

    def _refuse(self, response: http.Response, carried: Carried) -> Carried | None:
        # What it would have been without the page that needs it.
        judgement = self._filtering.judge(replace(carried.request, load=None), carried.judgement.person)
        decision = judgement.decision
        if not decision.blocked:
            return None
        because = f"{NO_PART} {decision.because}"
        blocked = replace(judgement, decision=replace(decision, because=because))
        response.status_code = _REFUSED
        response.headers = http.Headers(cache_control="no-store")
        _empty(response)
        return Carried(carried.request, blocked, actions.new_reference(), sent=carried.sent)

    def _watch(self, response: http.Response, carried: Carried) -> None:
        headers, learning = response.headers, self._learning
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if learning is None or (kind not in _HTML and kind != _STYLE):
            return
        grant = learning.teacher(carried.request, carried.judgement)
        if grant is None:
            return
        if kind in _HTML:
            told = policy_hosts(headers.get_all(_POLICIES)) | link_hosts(headers.get_all("link"))
            self._learn(grant, carried, told)
        coding = headers.get("content-encoding", "").strip().lower()
        if coding in CODINGS and callable(response.stream):
            reader = Reader(style=kind == _STYLE, coding=coding)
            response.stream = self._reading(reader, grant, carried, response.stream)

    def _reading(
        self,
        reader: Reader,
        grant: Grant,
        carried: Carried,
        pass_on: Callable[[bytes], Iterable[bytes] | bytes],
    ) -> Callable[[bytes], Iterable[bytes] | bytes]:
        def read(chunk: bytes) -> Iterable[bytes] | bytes:
            if not reader.done:
                self._learn(grant, carried, reader.feed(chunk))
            return pass_on(chunk)

        return read

    def _learn(self, grant: Grant, carried: Carried, hosts: frozenset[str]) -> None:
        # Before the browser can ask for what was named. What cannot be kept stays closed, and that is all.
        own = carried.request.url.host
        if not hosts - {own} or self._learning is None:
            return
        try:
            self._learning.learn(grant, carried.request, carried.judgement, hosts - {own}, datetime.now(UTC))
        except Exception as error:  # noqa: BLE001 - whatever failed, the page goes on without it
            logger.warning("what a page needs could not be kept: %s", type(error).__name__)


def load_of(request: http.Request) -> Load:
    """Return what a browser says of a request: evidence, and no proof."""
    headers = request.headers
    dest, mode, site = (headers.get(f"sec-fetch-{name}", "") for name in ("dest", "mode", "site"))
    accept = headers.get("accept", "").lower()
    by_hand = "sec-fetch-user" in headers or not (accept or dest)
    return Load(
        dest,
        mode,
        site,
        _host(headers.get("referer", "")),
        _host(headers.get("origin", "")),
        document=by_hand or any(kind in accept for kind in _HTML),
        sends=headers.get("content-length", "0") != "0"
        or any(name in headers for name in ("transfer-encoding", "upgrade")),
    )


def _empty(response: http.Response) -> None:
    # Its head is all that the client gets.
    for name in ("transfer-encoding", "content-encoding", "trailer"):
        response.headers.pop(name, None)
    if response.status_code not in _NEVER_LONG:
        response.headers["content-length"] = "0"
    response.stream = lambda _: b""


def _host(address: str) -> str:
    if not address:
        return ""
    try:
        return parse_url(address).host
    except UrlRefusedError:
        return _UNREADABLE
