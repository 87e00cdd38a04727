"""What the gateway answers itself: refusals, its own notice page, and review requests.

What lives only here: the gateway's own addresses. A review request comes to a path on the blocked site
itself, so that its form works from any page; that path never reaches any site. Its token ties it to
the page that we showed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import parse_qs

from mitmproxy import http

from appliance.filtering import REVIEW_PATH, Filtering, Judgement
from appliance.gateway.actions import answer
from appliance.gateway.asking import Asking
from appliance.gateway.captive import free, is_probe, sent_to
from appliance.gateway.pages import Answer, Context, Pages
from appliance.gateway.relay import Relay
from appliance.gateway.wording import upset_messages
from appliance.model.decision import Reason
from appliance.model.event import ReviewRequest
from appliance.model.person import Standing
from appliance.model.request import Request, Wants
from appliance.model.url import Url

CA_PATH = "/ca.pem"
FORM_LIMIT = 8192
MESSAGE_LIMIT = 500

_OURS = "ours"
_PORTAL = "portal"
_SIGN_IN = ("/sign-in", "/sign-out", "/captive-portal")
_NUMBER = re.compile(r"[0-9]{1,9}")


class Reviews(Protocol):
    """Where review requests go."""

    async def review(self, request: ReviewRequest) -> None:
        """Keep one review request."""


class OwnSite:
    """Makes every answer that does not come from the web."""

    def __init__(
        self,
        *,
        pages: Pages,
        filtering: Filtering,
        reviews: Reviews,
        school: str,
        own_name: str,
        ca_pem: bytes,
        review_key: bytes,
        portal: Relay | None = None,
    ) -> None:
        self._pages = pages
        self._filtering = filtering
        self._reviews = reviews
        self._school = school
        self._own_name = own_name
        self._ca_pem = ca_pem
        self._review_key = review_key
        self._portal = portal
        self._asking = Asking()
        self._upset = upset_messages()
        self._sign_in = f"https://{own_name}/sign-in" if portal is not None else ""

    def page(self, judgement: Judgement, request: Request, reference: str) -> Answer:
        """Return the refusal that fits the decision, the person's age and what the browser wants."""
        signed_out = judgement.decision.reason is Reason.SIGNED_OUT and self._sign_in
        if signed_out and request.url.scheme == "http" and request.wants is Wants.PAGE:
            return sent_to(self._sign_in)  # what a captive portal does, and devices look for
        context = Context(
            decision=judgement.decision,
            category=judgement.category,
            audience=judgement.profile.audience,
            wants=request.wants,
            host=(judgement.about or request.url).host,
            reference=reference,
            school=self._school,
            profile_title=judgement.profile.title,
            review_path=REVIEW_PATH if reference else "",
            review_token=self._token(reference) if reference else "",
            sign_in_url=self._sign_in,
        )
        return self._pages.blocked(context)

    def serves(self, request: Request) -> bool:
        """Return whether `request` is for the gateway itself, and may reach no site."""
        return not request.refused and (self._filtering.is_own(request.url) or self._probes(request))

    def owns(self, url: Url) -> bool:
        """Return whether `url` is at the gateway's own name, which no other site can have."""
        return url.host == self._own_name

    def answers(self, flow: http.HTTPFlow, request: Request) -> bool:
        """Return whether `request` is answered without being judged: our own pages, probes, a page's form.

        Whatever else comes to the form's path is judged first, as the attempt on that site that it is.
        """
        ours = request.url.path != REVIEW_PATH or self.owns(request.url)
        return self.serves(request) and (ours or _is_form(flow, request))

    def begin(self, flow: http.HTTPFlow, request: Request) -> None:
        """Answer at the headers where no body is needed."""
        if self._is_portals(request):
            length = flow.request.headers.get("content-length", "0")
            if not _NUMBER.fullmatch(length) or int(length) > FORM_LIMIT:
                answer(flow, _plain(413, "This form is too long."))
                return
            flow.metadata[_PORTAL] = request
        elif request.url.path == REVIEW_PATH and request.method == "POST":
            if not _is_form(flow, request):
                answer(flow, _plain(413, "This form is too long."))
                return
            flow.metadata[_OURS] = request
        elif self._probes(request):
            answer(flow, free(request.url.host, request.url.path))
        elif request.url.host != self._own_name:
            answer(flow, _plain(405, "This address only takes the form of a blocked page."))
        elif request.url.path == CA_PATH:
            headers = (
                ("content-type", "application/x-x509-ca-cert"),
                ("content-disposition", 'attachment; filename="school-filter-ca.pem"'),
                ("cache-control", "no-store"),
            )
            answer(flow, Answer(200, headers, self._ca_pem))
        else:
            answer(flow, self._notice(request))

    def awaits(self, flow: http.HTTPFlow) -> bool:
        """Tell whether `finish` has anything to do."""
        return _OURS in flow.metadata or _PORTAL in flow.metadata

    async def finish(self, flow: http.HTTPFlow) -> bool | None:
        """Answer what needed its body first: what is for the sign-in, and a review request.

        Returns True when a review request was taken, False when it is no form of a page of ours (which is
        answered), and None where there is none to take.
        """
        asked: Request | None = flow.metadata.pop(_PORTAL, None)
        if asked is not None and self._portal is not None:
            query = f"?{asked.url.query}" if asked.url.query else ""
            # HTTP/2 sends each cookie in a field of its own, which belong together again (RFC 9113, 8.2.3).
            headers = dict(flow.request.headers.items())
            if cookies := flow.request.headers.get_all("cookie"):
                headers["cookie"] = "; ".join(cookies)
            reply = await self._portal.ask(
                asked.method,
                f"{asked.url.path}{query}",
                headers,
                flow.request.raw_content or b"",
                client=asked.client,
                scheme=asked.url.scheme,
            )
            answer(flow, reply)
            return None
        request: Request | None = flow.metadata.pop(_OURS, None)
        if request is None:
            return None
        # The raw body: no decoding of whatever Content-Encoding a client claims (H2).
        fields = _fields(flow.request.raw_content or b"")
        reference = fields.get("reference", [""])[0]
        token = fields.get("token", [""])[0]
        if not hmac.compare_digest(token.encode(), self._token(reference).encode()):
            answer(flow, _plain(400, "This form has expired. Please open the page again."))
            return False
        message = fields.get("message", [""])[0][:MESSAGE_LIMIT]
        # Whoever says that they are upset is heard, however often they say it.
        if message not in self._upset and not self._asking.again(request.client, time.monotonic()):
            answer(
                flow,
                _plain(429, "You have asked for several reviews already. Please tell a member of staff."),
            )
            return False
        person = self._filtering.identify(request.client, request.user)
        profile = self._filtering.profile_of(person)
        await self._reviews.review(
            ReviewRequest(reference, datetime.now(UTC), request.client, person.group, message)
        )
        answer(flow, self._pages.review_received(profile.audience, self._school, reference))
        return True

    def _is_portals(self, request: Request) -> bool:
        here = self._portal is not None and self.owns(request.url) and request.method in ("GET", "POST")
        return here and request.url.path.startswith(_SIGN_IN)

    def _probes(self, request: Request) -> bool:
        url = request.url
        if self._portal is None or url.scheme != "http" or not is_probe(url.host, url.path):
            return False
        return self._filtering.identify(request.client, request.user).standing is Standing.OPEN

    def _notice(self, request: Request) -> Answer:
        person = self._filtering.identify(request.client, request.user)
        profile = self._filtering.profile_of(person)
        return self._pages.notice(
            school=self._school,
            audience=profile.audience,
            profile_title=profile.title,
            group=person.group,
            source=person.source,
            ca_path=CA_PATH,
        )

    def _token(self, reference: str) -> str:
        return hmac.new(self._review_key, reference.encode(), hashlib.sha256).hexdigest()[:32]


def _is_form(flow: http.HTTPFlow, request: Request) -> bool:
    length = flow.request.headers.get("content-length", "")
    fits = _NUMBER.fullmatch(length) is not None and int(length) <= FORM_LIMIT
    return request.url.path == REVIEW_PATH and request.method == "POST" and fits


def _fields(body: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    except ValueError:  # more fields than our form has
        return {}


def _plain(status: int, text: str) -> Answer:
    headers = (("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store"))
    return Answer(status, headers, f"{text}\n".encode())
