from __future__ import annotations

import base64
import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.gateway.pages import TEMPLATES, Answer, Pages
from appliance.gateway.wording import POLICY, REFUSED
from appliance.model.decision import FAULTS, Reason
from appliance.model.profile import Audience
from appliance.model.request import Wants
from tests.doubles.pages import HOST, SELF_HARM, context, pages, skeleton, text

PUPILS = [Audience.EARLY, Audience.KS2, Audience.TEEN]
HOSTILE = st.text(st.characters(exclude_characters="@"), max_size=80).map(
    lambda text: f"h{text}"
) | st.sampled_from(
    [
        "h<script>alert(1)</script>",
        'h"><img src=x onerror=alert(1)>',
        "h' autofocus onfocus='x",
        "h{{ 7*7 }}{% raw %}",
        "h</bdi></main></style><style>",
        "h&#60;b&#62;{about}{0}",
        "h\u202emoc.live\u2066",
        "h\r\nset-cookie: a=b",
        "h*/alert(1)/*",
        "h\ud800\x00" + "w" * 5000,
    ]
)


@pytest.mark.slow
@pytest.mark.parametrize("audience", Audience)
def test_every_reason_audience_and_want_gets_a_whole_answer(audience: Audience) -> None:
    """GAI-1: whatever is decided for whomever, there is an answer, never an exception."""
    for reason in Reason:
        for wants in Wants:
            answer = pages().blocked(context(reason, audience, wants=wants))
            headers = dict(answer.headers)
            assert answer.status in {400, 403, 421, 502, 503, 511}
            assert headers["content-length"] == str(len(answer.body))
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.slow
def test_no_answer_invites_a_retry_or_names_the_product() -> None:
    """A refused page must not reload itself, set a cookie or tell an attacker what answers."""
    for reason in Reason:
        for wants in Wants:
            answer = pages().blocked(context(reason, wants=wants))
            names = {name for name, _ in answer.headers}
            assert names.isdisjoint({"retry-after", "refresh", "location", "set-cookie", "server", "via"})
            assert all(name == name.lower() for name in names)
            assert b"mitmproxy" not in answer.body.lower()
            assert b"http-equiv" not in answer.body.lower()


@pytest.mark.parametrize("audience", Audience)
def test_a_page_runs_nothing_and_fetches_nothing(audience: Audience) -> None:
    """The page works with JavaScript off, and a blocked site can smuggle nothing into it."""
    answer = pages().blocked(context(audience=audience))
    html, page, policy = text(answer), skeleton(answer), dict(answer.headers)["content-security-policy"]
    style = html.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{digest}'" in policy
    assert "form-action 'self'" in policy
    assert "base-uri 'none'" in policy
    assert "unsafe" not in policy
    assert {"script", "img", "iframe", "object", "embed", "base"}.isdisjoint(tag[0] for tag in page.tags)
    assert not [
        name for name, _ in page.attributes if name.startswith("on") or name in {"style", "src", "srcset"}
    ]
    assert "url(" not in style
    assert "@import" not in style
    assert all(
        link.startswith(("https://", "tel:", "sms:", "data:image/svg+xml,")) for link in page.values("href")
    )


@pytest.mark.slow
@pytest.mark.parametrize("audience", Audience)
@pytest.mark.parametrize(
    "reason", [Reason.UNACCEPTABLE, Reason.FLOOR, Reason.FAULT, Reason.UPSTREAM_CERTIFICATE]
)
def test_a_page_has_a_sound_outline(audience: Audience, reason: Reason) -> None:
    """S-82: language, title, one main heading, landmarks, and no id twice."""
    answer = pages().blocked(context(reason, audience))
    page = skeleton(answer)
    tags = [tag[0] for tag in page.tags]
    assert dict(answer.headers)["content-language"] == "en-GB"
    assert page.values("lang") == ["en-GB"]
    assert [tags.count(name) for name in ("h1", "main", "header", "footer")] == [1, 1, 1, 1]
    assert "title" in tags  # of the page; a drawing may have its own
    assert len(page.values("id")) == len(set(page.values("id")))


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(
    HOSTILE, HOSTILE, st.sampled_from(Audience), st.sampled_from([Reason.UNACCEPTABLE, Reason.OUT_OF_TIME])
)
def test_hostile_text_cannot_change_a_page(
    host: str, because: str, audience: Audience, reason: Reason
) -> None:
    """No host, reason, name, token or reference of an attacker becomes markup: the skeleton stays."""
    calm = context(
        reason, audience, host="host", school="school", profile_title="title", review_token="token"
    )
    calm = replace(calm, decision=replace(calm.decision, because="because"))
    wild = replace(
        calm,
        host=host,
        reference=because,
        school=host,
        profile_title=because,
        review_token=host,
        decision=replace(calm.decision, because=because, rule=host, list=because, policy_version=host),
    )
    answer = pages().blocked(wild)
    assert skeleton(answer).tags == skeleton(pages().blocked(calm)).tags
    assert len(answer.body) < 40_000
    assert all("\n" not in value and "\r" not in value for _, value in answer.headers)


@pytest.mark.slow
@pytest.mark.parametrize("audience", PUPILS)
def test_a_pupil_is_told_to_tell_without_blame(audience: Audience) -> None:
    """S-67: telling somebody about an accident must be easy and blameless."""
    for reason in sorted(POLICY | REFUSED | {Reason.FLOOR}):
        html = text(pages().blocked(context(reason, audience)))
        assert "you are not in trouble" in html.lower()
        assert 'href="tel:08001111"' in html
        assert 'href="https://www.childline.org.uk/"' in html


@pytest.mark.parametrize("audience", Audience)
def test_a_fault_is_nobodys_fault(audience: Audience) -> None:
    """GAI-1: when the filter closes because it failed, the page says so and blames nobody."""
    for reason in FAULTS - {Reason.FLOOR_UNAVAILABLE}:
        html = text(pages().blocked(context(reason, audience)))
        assert "is not your fault" in html
        assert "<form" not in html


@pytest.mark.parametrize("audience", Audience)
def test_a_bad_certificate_has_its_own_page_and_no_way_round(audience: Audience) -> None:
    """A page that offered to go on anyway would teach pupils to click through warnings."""
    page = skeleton(pages().blocked(context(Reason.UPSTREAM_CERTIFICATE, audience)))
    assert "form" not in {tag[0] for tag in page.tags}
    assert all(HOST not in link for link in page.values("href"))
    unreachable = text(pages().blocked(context(Reason.UPSTREAM_UNREACHABLE, audience)))
    if audience is not Audience.EARLY:
        assert skeleton(Answer(502, (), unreachable.encode())).words != page.words


@pytest.mark.parametrize("audience", Audience)
def test_self_harm_puts_help_before_anything_else(audience: Audience) -> None:
    """A10: a crisis search is no dead end; help stands above forms and explanations."""
    html = text(pages().blocked(context(audience=audience, category=SELF_HARM)))
    assert "Betting" not in html or audience is Audience.ADULT
    judged = context(audience=audience, category=SELF_HARM)
    html = text(pages().blocked(replace(judged, decision=replace(judged.decision, category="self_harm"))))
    assert html.index('class="help"') < html.index("<form")
    assert 'href="tel:08001111"' in html
    if audience is not Audience.EARLY:
        assert 'href="tel:116123"' in html
        assert 'href="sms:85258"' in html
        assert html.index('class="help"') < html.index(HOST)


@pytest.mark.slow
@pytest.mark.parametrize("audience", Audience)
def test_what_was_blocked_and_why_is_said_in_the_readers_words(audience: Audience) -> None:
    """GAI-1: each audience reads the site, its kind in fitting words, and a reference for staff."""
    html = text(pages().blocked(context(audience=audience)))
    young = audience in {Audience.EARLY, Audience.KS2}
    assert HOST in html
    assert ("betting games" if young else "ambling") in html
    assert "7KQ4-M2XD" in html
    assert "Westways School" in html


def test_staff_see_the_whole_decision_and_pupils_do_not() -> None:
    """A11, S-21: staff can say which rule and list did it; pupils get no map of the filter."""
    facts = (
        "Gambling sites",
        "Betting is for adults (W:472).",
        "profiles/westways/ks2.yaml:14",
        "Key Stage 2",
        "ut1-gambling 2026-11-20",
        "sha256:0123456789abcdef",
        "unacceptable",
    )
    staff = text(pages().blocked(context(audience=Audience.ADULT)))
    assert all(fact in staff for fact in facts)
    assert "designated safeguarding lead" in staff
    for audience in PUPILS:
        pupil = text(pages().blocked(context(audience=audience)))
        assert not [fact for fact in facts if fact in pupil]


@pytest.mark.parametrize("audience", [Audience.KS2, Audience.TEEN, Audience.ADULT])
def test_outside_its_hours_a_page_says_when(audience: Audience) -> None:
    """GAI-1: "not now" is only an answer together with the rule that says when."""
    base = context(Reason.OUT_OF_TIME, audience)
    html = text(
        pages().blocked(
            replace(base, decision=replace(base.decision, because="Lunch, 12:15 to 13:15 (W:470)."))
        )
    )
    assert "Lunch, 12:15 to 13:15" in html
    assert ("(W:470)" in html) is (audience is Audience.ADULT)


@pytest.mark.slow
@pytest.mark.parametrize("audience", Audience)
def test_a_mistake_can_be_reported_with_javascript_off(audience: Audience) -> None:
    """UKF-S13: a plain form posts reference and token to the gateway's own path."""
    for reason in sorted(POLICY | REFUSED - {Reason.MALFORMED}):
        page = skeleton(pages().blocked(context(reason, audience)))
        assert set(page.values("action")) == {"/review"}
        assert set(page.values("method")) == {"post"}
        assert {"reference", "token", "message"} <= set(page.values("name"))
        assert {"7KQ4-M2XD", "tok"} <= set(page.values("value"))


@pytest.mark.parametrize("audience", PUPILS)
def test_one_tap_tells_staff_that_something_upset_me(audience: Audience) -> None:
    """S-54, B9: a child who cannot write can still report, with the message already filled in."""
    page = skeleton(pages().blocked(context(audience=audience)))
    assert [value for value in page.values("value") if value.startswith("I saw something")]


def test_no_review_is_offered_where_it_can_change_nothing() -> None:
    """A form that leads nowhere would be a false promise."""
    for reason in [*sorted(set(Reason) - POLICY - REFUSED), Reason.MALFORMED]:
        assert "<form" not in text(pages().blocked(context(reason)))


@pytest.mark.parametrize(
    "path", ["", "//evil.example/x", "https://evil.example/", "javascript:x", "/\\evil", "/a b"]
)
def test_a_form_posts_to_this_origin_or_nowhere(path: str) -> None:
    """A note that a child writes must not be carried to another site."""
    assert "<form" not in text(pages().blocked(context(review_path=path)))


def test_a_page_shows_the_host_and_nothing_more_of_the_address() -> None:
    """Privacy: a search term or a name in an address never appears on the screen of a classroom."""
    html = text(
        pages().blocked(context(host="anna:pw@search.example/q?term=my+secret#x", audience=Audience.ADULT))
    )
    assert "search.example" in html
    for private in ("anna", "pw@", "term", "secret"):
        assert private not in html.split("</style>")[1]


@pytest.mark.parametrize("audience", Audience)
def test_a_review_request_is_thanked_for(audience: Audience) -> None:
    """UKF-S13: whoever asks gets the reference back, and a child is sent to a person now."""
    answer = pages().review_received(audience, "Westways <School>", "7KQ4-M2XD")
    html = text(answer)
    assert answer.status == 200
    assert "7KQ4-M2XD" in html
    assert "Westways &lt;School&gt;" in html
    assert ("tell" in html.lower()) or ("speak" in html)
    assert ("08001111" in html) is (audience is not Audience.ADULT)


@pytest.mark.parametrize("audience", Audience)
def test_the_notice_says_that_you_are_filtered_and_as_whom(audience: Audience) -> None:
    """DFE-M2, DP-3: everybody is told about filtering and monitoring, in words for their age."""
    answer = pages().notice(
        school="Westways School",
        audience=audience,
        profile_title="Key Stage <2>",
        group="ks2",
        source="network Classrooms",
        ca_path="/ca.crt",
    )
    html = text(answer)
    assert answer.status == 200
    for needed in ("Key Stage &lt;2&gt;", "ks2", "network Classrooms", 'href="/ca.crt"', "Westways School"):
        assert needed in html
    assert {Audience.EARLY: "School can see", Audience.KS2: "keeps a list"}.get(audience, "monitored") in html


def test_a_notice_without_certificate_has_no_button() -> None:
    """A button to nowhere, or to another site, is not offered."""
    answer = pages().notice(
        school="", audience=Audience.KS2, profile_title="", group="", source="", ca_path="//evil.example/ca"
    )
    assert "evil.example" not in text(answer)


def test_two_readers_of_one_decision_get_their_own_values() -> None:
    """Pages are drawn once and filled often: no host, reference or token of one reader reaches the next."""
    one = context(host="one.example", reference="AAAA-1111", review_token="tokenone")
    two = context(host="two.example", reference="BBBB-2222", review_token="tokentwo")
    first, second = text(pages().blocked(one)), text(pages().blocked(two))
    for mine, yours in (("one.example", "two.example"), ("AAAA-1111", "BBBB-2222"), ("tokenone", "tokentwo")):
        assert mine in first
        assert mine not in second
        assert yours in second


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["[adult.policy]", 'not_in_trouble = "You', "[lines.shout]"])
def test_a_gap_in_the_wording_stops_the_start(tmp_path: Path, broken: str) -> None:
    """A school may change the words; what it forgot is found when the gateway starts."""
    folder = tmp_path / "templates"
    shutil.copytree(TEMPLATES, folder)
    file = folder / "wording.toml"
    gap = broken.replace("[", "[x_").replace("not_in", "not_at")
    words = file.read_text(encoding="utf-8").replace(broken, gap)
    file.write_text(words, encoding="utf-8")
    with pytest.raises(ValueError, match="not whole"):
        Pages(folder)


def test_a_folder_that_is_not_whole_stops_the_start(tmp_path: Path) -> None:
    """A missing template is found when the gateway starts, not when a child is blocked."""
    folder = tmp_path / "templates"
    shutil.copytree(TEMPLATES, folder)
    (folder / "style.css").unlink()
    with pytest.raises(OSError, match=r"style\.css"):
        Pages(folder)
