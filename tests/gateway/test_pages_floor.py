from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.model.decision import Reason
from appliance.model.profile import Audience
from appliance.model.request import Wants
from tests.doubles.pages import CSAM, context, floor, pages, skeleton, text


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(
    st.from_regex(r"[a-z]{12,20}\.[a-z]{6,9}", fullmatch=True),
    st.sampled_from(Audience),
    st.sampled_from(Wants),
)
def test_a_floor_answer_never_holds_the_host(host: str, audience: Audience, wants: Wants) -> None:
    """IWF-4, IWF-8: neither the address nor a part of it, whichever way the floor was met."""
    by_reason = floor(audience, wants=wants, host=host)
    by_flag = replace(by_reason, decision=replace(by_reason.decision, reason=Reason.ILLEGAL, floor=True))
    by_category = context(Reason.ILLEGAL, audience, wants=wants, host=host, category=CSAM)
    by_fault = context(Reason.FAULT, audience, wants=wants, host=host, category=CSAM)
    for case in (by_reason, by_flag, by_category, by_fault):
        body = pages().blocked(case).body.decode()
        assert host not in body
        assert host.split(".", maxsplit=1)[0] not in body


@pytest.mark.parametrize("audience", Audience)
def test_a_floor_page_offers_no_form_and_shows_no_list(audience: Audience) -> None:
    """S-18: a statutory block is not argued about on the page, and tells nothing of the list."""
    html = text(pages().blocked(floor(audience)))
    assert "<form" not in html
    assert "7KQ4-M2XD" in html
    for secret in ("ut1-gambling", "profiles/westways", "sha256:", "Betting is for adults"):
        assert secret not in html


@pytest.mark.parametrize("audience", [Audience.TEEN, Audience.ADULT])
def test_the_splash_page_says_what_the_guidance_asks(audience: Audience) -> None:
    """IWF-4: access denied, why, that attempts may be an offence, where help and appeal are."""
    html = text(pages().blocked(floor(audience)))
    for needed in (
        "Access denied",
        "indecent images of children",
        "Internet Watch Foundation",
        "criminal offence",
    ):
        assert needed in html
    assert 'href="https://www.stopitnow.org.uk/"' in html
    assert 'href="https://www.iwf.org.uk/"' in html
    assert "terrorist" in text(pages().blocked(floor(audience, "terrorism")))
    assert "indecent" not in text(pages().blocked(floor(audience, "terrorism")))
    assert "against the law" in text(pages().blocked(floor(Audience.TEEN, "")))


@pytest.mark.parametrize("audience", [Audience.EARLY, Audience.KS2])
@pytest.mark.parametrize("category", ["csam", "terrorism", "", "new_list"])
def test_a_floor_page_does_not_frighten_a_young_child(audience: Audience, category: str) -> None:
    """B9: a young child learns that it is not safe and whom to tell, and no more."""
    html = " ".join(skeleton(pages().blocked(floor(audience, category))).words).lower()
    assert "not safe" in html
    assert "you are not in trouble" in html
    for word in (
        "indecent",
        "terror",
        "police",
        "criminal",
        "offence",
        "image of",
        "stopitnow",
        "abuse",
        "sexual",
    ):
        assert word not in html
