from __future__ import annotations

import re
from typing import override
from urllib.parse import urlencode

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from appliance.filtering import REVIEW_PATH
from appliance.gateway.answers import Answer
from appliance.gateway.asking import MOST
from appliance.gateway.relay import Relay
from appliance.gateway.site import CA_PATH, FORM_LIMIT, OwnSite
from appliance.model.decision import Reason
from appliance.model.person import Person, Standing
from appliance.model.request import Request, Wants
from appliance.model.url import parse_url
from tests.doubles.gateway import MemoryRecorder, OnePerson, filtering
from tests.doubles.pages import pages

OWN = "filter.internal"


class MemoryPortal(Relay):
    """A sign-in in memory that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes, str, str]] = []
        self.cookies: list[str] = []

    @override
    async def ask(
        self, method: str, target: str, headers: dict[str, str], body: bytes, *, client: str, scheme: str
    ) -> Answer:
        self.asked.append((method, target, body, client, scheme))
        self.cookies.append(headers.get("cookie", ""))
        return Answer(200, (("set-cookie", "a=b"), ("set-cookie", "c=d")), b"the sign-in")


def own_site(
    reviews: MemoryRecorder | None = None,
    group: str = "ks2",
    key: bytes = b"key",
    portal: Relay | None = None,
    standing: Standing = Standing.OPEN,
) -> OwnSite:
    return OwnSite(
        portal=portal,
        pages=pages(),
        filtering=filtering(identity=OnePerson(Person(group, "network Classrooms", standing=standing))),
        reviews=reviews or MemoryRecorder(),
        school="Westways",
        own_name=OWN,
        ca_pem=b"-----BEGIN CERTIFICATE-----",
        review_key=key,
    )


def request_for(url: str, method: str = "GET") -> Request:
    return Request(parse_url(url), method=method, client="10.20.0.5")


def begin(url: str, method: str = "GET", site: OwnSite | None = None, **headers: str) -> http.HTTPFlow:
    flow = tflow.tflow()
    flow.request.headers = http.Headers(
        [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    )
    (site or own_site()).begin(flow, request_for(url, method))
    return flow


def status(flow: http.HTTPFlow) -> int:
    assert flow.response is not None
    return flow.response.status_code


def body(flow: http.HTTPFlow) -> str:
    assert flow.response is not None
    return (flow.response.raw_content or b"").decode()


async def review(site: OwnSite, content: bytes) -> http.HTTPFlow:
    """Send the form of a blocked page and return what became of it."""
    flow = begin(f"https://bets.example{REVIEW_PATH}", "POST", site, content_length=str(len(content)))
    assert flow.response is None
    flow.request.raw_content = content
    await site.finish(flow)
    return flow


def form(site: OwnSite, message: str = "It is for maths", reference: str = "7KQ4-M2XD") -> bytes:
    """Return what a browser sends from the page that was really shown."""
    request = request_for("https://bets.example/")
    html = site.page(filtering().judge(request), request, reference).body.decode()
    found = re.search(r'name="token" value="([0-9a-f]+)"', html)
    assert found is not None
    return urlencode({"reference": reference, "token": found[1], "message": message}).encode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "refused", "ours"),
    [
        (f"http://{OWN}/", "", True),
        (f"https://{OWN}:8443/x", "", True),
        (f"https://bets.example{REVIEW_PATH}", "", True),
        (f"https://bets.example{REVIEW_PATH}?x=y", "", True),
        (f"https://bets.example{REVIEW_PATH}/more", "", False),
        ("https://bets.example/", "", False),
        (f"http://{OWN}/", "mismatch", False),
    ],
)
def test_the_gateway_answers_at_its_own_addresses_only(url: str, refused: str, *, ours: bool) -> None:
    """No path of a site is taken away from it but the one, and nothing unreadable is served."""
    assert own_site().serves(Request(parse_url(url), refused=refused)) is ours


def test_a_refusal_fits_the_person_and_the_request() -> None:
    """The same block is a page for a pupil, with the form, and a small answer for a picture."""
    site, request = own_site(), request_for("https://bets.example/")
    judgement = filtering().judge(request)
    page = site.page(judgement, request, "7KQ4-M2XD").body.decode()
    assert "7KQ4-M2XD" in page
    assert REVIEW_PATH in page
    image = Request(request.url, wants=Wants.IMAGE)
    assert site.page(judgement, image, "7KQ4-M2XD").body.startswith(b"<svg")
    assert REVIEW_PATH not in site.page(judgement, request, "").body.decode()


def test_the_notice_says_that_one_is_filtered_and_as_whom() -> None:
    """Everybody may know that the connection is filtered, and as what they are seen (DFE-M2)."""
    flow = begin(f"http://{OWN}/")
    assert status(flow) == 200
    assert "KS2" in body(flow)
    assert CA_PATH in body(flow)


def test_the_certificate_can_be_fetched_before_it_is_trusted() -> None:
    """A device is set up from the gateway's own page."""
    flow = begin(f"http://{OWN}{CA_PATH}")
    assert (status(flow), body(flow)) == (200, "-----BEGIN CERTIFICATE-----")
    assert flow.response is not None
    assert flow.response.headers["content-type"] == "application/x-x509-ca-cert"


@pytest.mark.parametrize("length", ["", "²", "-1", "+5", "1e3", str(FORM_LIMIT + 1), "9" * 40, "0x10"])
def test_a_form_without_a_sensible_length_is_refused_at_once(length: str) -> None:
    """Nobody fills the worker's memory through the review form (H8)."""
    flow = begin(f"https://bets.example{REVIEW_PATH}", "POST", content_length=length)
    assert status(flow) == 413


def test_the_review_path_takes_nothing_but_its_form() -> None:
    """A link to the review path shows a plain answer and asks no site."""
    assert status(begin(f"https://bets.example{REVIEW_PATH}")) == 405


async def test_a_review_request_is_kept_and_thanked_for() -> None:
    """A pupil who says that a block is a mistake is heard, under the group the gateway knows (UKF-S13)."""
    recorder = MemoryRecorder()
    site = own_site(recorder)
    flow = await review(site, form(site, "Mae hwn ar gyfer gwaith cartref ŵ"))
    assert status(flow) == 200
    assert "7KQ4-M2XD" in body(flow)
    (kept,) = recorder.reviews
    assert (kept.reference, kept.client, kept.group) == ("7KQ4-M2XD", "10.20.0.5", "ks2")
    assert kept.message == "Mae hwn ar gyfer gwaith cartref ŵ"


async def test_a_device_that_asks_without_end_is_told_so() -> None:
    """Nobody is thanked for what nobody will read, and the record is not filled by one button."""
    recorder = MemoryRecorder()
    site = own_site(recorder)
    found = [status(await review(site, form(site, ""))) for _ in range(MOST + 1)]
    assert found == [200] * MOST + [429]
    assert len(recorder.reviews) == MOST
    upset = await review(site, form(site, "I saw something that upset me."))
    assert status(upset) == 200, "a child who is upset is always heard"


async def test_a_long_message_is_cut_and_not_refused() -> None:
    """A pupil who writes much is still heard."""
    recorder = MemoryRecorder()
    site = own_site(recorder)
    assert status(await review(site, form(site, "😀" * 600))) == 200
    assert len(recorder.reviews[0].message) == 500


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe%ff%00",
        b"reference=7KQ4-M2XD&token=&message=x",
        b"reference=7KQ4-M2XD&token=%FF%FE&message=x",
        b"reference=7KQ4-M2XD&token=00000000000000000000000000000000",
        b"&".join(b"f%d=1" % number for number in range(50)),
    ],
)
async def test_a_form_that_no_page_of_ours_holds_is_refused(content: bytes) -> None:
    """Nobody floods the review list, or speaks for another, with forms of their own making."""
    recorder = MemoryRecorder()
    assert status(await review(own_site(recorder), content)) == 400
    assert recorder.reviews == []


async def test_a_token_belongs_to_one_page_and_one_gateway() -> None:
    """The token of one page opens no other, and none made with another key counts."""
    recorder = MemoryRecorder()
    site = own_site(recorder)
    other_page = form(site).replace(b"7KQ4-M2XD", b"AAAA-AAAA")
    assert status(await review(site, other_page)) == 400
    assert status(await review(site, form(own_site(key=b"other")))) == 400
    assert recorder.reviews == []


async def test_a_request_that_is_not_ours_is_left_alone() -> None:
    """Bodies on their way to a site are never read by the gateway's own form."""
    flow = tflow.tflow()
    await own_site().finish(flow)
    assert flow.response is None


async def test_a_review_that_cannot_be_kept_is_not_thanked_for() -> None:
    """To say "received" is a promise; when the log fails, the guard around the hook answers instead."""
    site = own_site(MemoryRecorder(broken=OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        await review(site, form(site))


async def test_the_sign_in_is_asked_with_the_clients_own_address() -> None:
    """S-04: forms of the sign-in go to its process with the address that we see; both cookies come back."""
    portal = MemoryPortal()
    site = own_site(portal=portal)
    flow = begin(f"https://{OWN}/sign-in?way=name", site=site, x_gateway_client="forged")
    flow.request.headers.set_all("cookie", ["a=1", "b=2; c=3"])  # as HTTP/2 has them
    await site.finish(flow)
    assert portal.cookies == ["a=1; b=2; c=3"]
    assert portal.asked == [("GET", "/sign-in?way=name", b"content", "10.20.0.5", "https")]
    assert body(flow) == "the sign-in"
    assert flow.response is not None
    assert flow.response.headers.get_all("set-cookie") == ["a=b", "c=d"]


@pytest.mark.parametrize(
    ("url", "method", "length", "expected"),
    [
        (f"https://{OWN}/sign-in", "POST", str(FORM_LIMIT + 1), 413),
        (f"https://{OWN}/sign-in", "POST", "x", 413),
        (f"https://{OWN}/sign-in", "DELETE", "0", 200),
        (f"https://{OWN}/", "GET", "0", 200),
    ],
)
def test_only_forms_of_a_fair_size_reach_the_sign_in(
    url: str, method: str, length: str, expected: int
) -> None:
    """A flood of bytes stops at the worker, and other paths are the notice page as before."""
    portal = MemoryPortal()
    assert status(begin(url, method, own_site(portal=portal), content_length=length)) == expected
    assert portal.asked == []


def test_the_signed_out_are_led_to_the_sign_in() -> None:
    """RFC 8910: a plain page leads there by itself, an encrypted one says where, anything else just fails."""
    site = own_site(portal=MemoryPortal(), standing=Standing.SIGNED_OUT)
    journey = filtering(identity=OnePerson(Person("ks2", "network Room", standing=Standing.SIGNED_OUT)))
    plain, secret = request_for("http://site.example/"), request_for("https://site.example/")
    judgement = journey.judge(plain)
    assert judgement.decision.reason is Reason.SIGNED_OUT
    answer = site.page(judgement, plain, "R")
    assert (answer.status, dict(answer.headers)["location"]) == (302, f"https://{OWN}/sign-in")
    answer = site.page(journey.judge(secret), secret, "R")
    assert answer.status == 511
    assert f'href="https://{OWN}/sign-in"'.encode() in answer.body
    picture = Request(plain.url, client="10.20.0.5", wants=Wants.IMAGE)
    assert site.page(judgement, picture, "R").status == 511
    assert own_site().page(judgement, plain, "R").status == 511


def test_a_probe_is_answered_only_for_who_needs_not_sign_in() -> None:
    """A device that is signed in hears what its maker says; any other is judged, and led to the sign-in."""
    probe = request_for("http://captive.apple.com/hotspot-detect.html")
    assert own_site(portal=MemoryPortal()).serves(probe)
    assert not own_site(portal=MemoryPortal(), standing=Standing.SIGNED_OUT).serves(probe)
    assert not own_site().serves(probe)
    assert not own_site(portal=MemoryPortal()).serves(
        request_for("https://captive.apple.com/hotspot-detect.html")
    )
    flow = begin("http://captive.apple.com/hotspot-detect.html", site=own_site(portal=MemoryPortal()))
    assert "Success" in body(flow)
