from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.gateway import answers
from appliance.gateway.wording import POLICY, REFUSED
from appliance.model.decision import FAULTS, Reason
from appliance.model.request import Wants

SMALL = [wants for wants in Wants if wants is not Wants.PAGE]


@pytest.mark.parametrize(
    ("status", "reasons"),
    [
        (400, {Reason.MALFORMED}),
        (403, (POLICY | REFUSED | {Reason.FLOOR}) - {Reason.MALFORMED, Reason.MISMATCH}),
        (421, {Reason.MISMATCH}),
        (502, {Reason.UPSTREAM_CERTIFICATE, Reason.UPSTREAM_UNREACHABLE}),
        (503, FAULTS | {Reason.ACCEPTABLE}),
    ],
)
def test_the_status_says_whose_trouble_it_is(status: int, reasons: set[Reason]) -> None:
    """A program that reads only the status learns: forbidden, malformed, filter fault or site fault."""
    assert {answers.status(reason) for reason in reasons} == {status}


def test_small_answers_fit_what_the_browser_wanted() -> None:
    """A blocked picture, script, style, fetch or socket does not break the page around it."""
    made = {wants: answers.small(Reason.UNACCEPTABLE, wants, "7KQ4-M2XD") for wants in SMALL}
    assert {wants: dict(answer.headers)["content-type"].split(";")[0] for wants, answer in made.items()} == {
        Wants.IMAGE: "image/svg+xml",
        Wants.SCRIPT: "text/javascript",
        Wants.STYLE: "text/css",
        Wants.DATA: "application/json",
        Wants.SOCKET: "text/plain",
    }
    assert all(answer.status == 403 and len(answer.body) < 600 for answer in made.values())
    assert all(("cache-control", "no-store") in answer.headers for answer in made.values())
    assert made[Wants.IMAGE].body.startswith(b"<svg")


def test_data_says_blocked_why_and_which_and_no_more() -> None:
    """An app may learn that it was blocked; nothing about the person, the site or the rule leaves with it."""
    data = json.loads(answers.small(Reason.FLOOR, Wants.DATA, "7KQ4-M2XD").body)
    assert data == {"blocked": True, "reason": "floor", "reference": "7KQ4-M2XD"}


@pytest.mark.slow
@settings(max_examples=40)
@given(st.text(st.characters()) | st.sampled_from(["*/alert(1)/*", '","x":"', "\r\nx: y", "\ud800"]))
def test_hostile_text_cannot_escape_a_small_answer(hostile: str) -> None:
    """A reference cannot close the comment of a script or a style, nor the string of the JSON."""
    for wants in (Wants.SCRIPT, Wants.STYLE, Wants.SOCKET):
        body = answers.small(Reason.FAULT, wants, hostile).body.decode()
        assert re.fullmatch(r"(/\* )?[^*/<>]*( \*/)?\n", body)
    assert set(json.loads(answers.small(Reason.FAULT, Wants.DATA, hostile).body)) == {
        "blocked",
        "reason",
        "reference",
    }


@pytest.mark.slow
@settings(max_examples=40)
@given(st.text(st.characters()))
def test_a_reference_is_letters_digits_and_hyphens(text: str) -> None:
    """What a pupil reads out to staff can be typed, and cannot be markup."""
    assert re.fullmatch(r"[0-9A-Za-z-]{0,32}", answers.clean_reference(text))
    assert answers.clean_reference("7KQ4-M2XD") == "7KQ4-M2XD"


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example/", "javascript:x", "/\\evil", "/a b", "/é"]
)
def test_a_path_of_another_site_is_refused(path: str) -> None:
    """A form or a button that points away from us could carry a child's words to a stranger."""
    assert answers.own_path(path) == ""
    assert answers.own_path("/" + "a" * 1000) == ""
    assert answers.own_path("/.well-known/x?y=1") == "/.well-known/x?y=1"


def test_page_headers_allow_one_style_and_nothing_else() -> None:
    """A blocked site can smuggle neither script nor picture nor frame into our page."""
    headers = dict(answers.page_headers("p{}"))
    digest = base64.b64encode(hashlib.sha256(b"p{}").digest()).decode()
    policy = headers["content-security-policy"].split("; ")
    assert policy[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
    assert {"base-uri 'none'", "form-action 'self'"} <= set(policy)
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"


def test_a_page_is_counted_in_bytes_and_never_fails_to_encode() -> None:
    """A wrong length cuts a page short or leaves the browser waiting."""
    answer = answers.page(403, (("a", "b"),), "Tŷ \ud800")
    assert answer.body == "Tŷ ?".encode()
    assert dict(answer.headers) == {"a": "b", "content-length": str(len(answer.body))}
