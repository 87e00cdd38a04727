"""What the gateway answers itself: refusals, its own notice page, and review requests.

What lives only here: the gateway's own addresses. A review request comes to a path on the blocked site
itself, so that its form works from any page; that path never reaches any site. Its token ties it to
the page that we showed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import parse_qs

from mitmproxy import http

from appliance.filtering import REVIEW_PATH, Filtering, Judgement
from appliance.gateway.actions import answer
from appliance.gateway.pages import Answer, Context, Pages
from appliance.model.event import ReviewRequest
from appliance.model.request import Request

CA_PATH = "/ca.pem"
FORM_LIMIT = 8192
MESSAGE_LIMIT = 500

_OURS = "ours"
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
    ) -> None:
        self._pages = pages
        self._filtering = filtering
        self._reviews = reviews
        self._school = school
        self._own_name = own_name
        self._ca_pem = ca_pem
        self._review_key = review_key

    def page(self, judgement: Judgement, request: Request, reference: str) -> Answer:
        """Return the refusal that fits the decision, the person's age and what the browser wants."""
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
            sign_in_url=f"https://{self._own_name}/sign-in",
        )
        return self._pages.blocked(context)

    def serves(self, request: Request) -> bool:
        """Return whether `request` is for the gateway itself, and may reach no site."""
        return not request.refused and self._filtering.is_own(request.url)

    def answers(self, flow: http.HTTPFlow, request: Request) -> bool:
        """Return whether `request` is answered without being judged: our own pages, and a page's form.

        Whatever else comes to the form's path is judged first, as the attempt on that site that it is.
        """
        return self.serves(request) and (request.url.host == self._own_name or _is_form(flow, request))

    def begin(self, flow: http.HTTPFlow, request: Request) -> None:
        """Answer at the headers where no body is needed."""
        if request.url.path == REVIEW_PATH and request.method == "POST":
            if not _is_form(flow, request):
                answer(flow, _plain(413, "This form is too long."))
                return
            flow.metadata[_OURS] = request
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

    async def finish(self, flow: http.HTTPFlow) -> bool | None:
        """Take a review request whose body has arrived.

        Returns True when it was taken, False when it is no form of a page of ours (which is answered),
        and None where there is nothing to take.
        """
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
        person = self._filtering.identify(request.client)
        profile = self._filtering.profile_of(person)
        message = fields.get("message", [""])[0][:MESSAGE_LIMIT]
        await self._reviews.review(
            ReviewRequest(reference, datetime.now(UTC), request.client, person.group, message)
        )
        answer(flow, self._pages.review_received(profile.audience, self._school, reference))
        return True

    def _notice(self, request: Request) -> Answer:
        person = self._filtering.identify(request.client)
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
