from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from appliance.gateway import wording
from appliance.gateway.pages import TEMPLATES
from appliance.gateway.wording import Words, upset_messages
from appliance.model.category import Category, Risk, Severity
from appliance.model.decision import Action, Decision, Reason
from appliance.model.profile import Audience

ROOT = Path(__file__).resolve().parents[2]
WORDING = wording.load_wording(TEMPLATES / "wording.toml")
GAMBLING = Category("gambling", "Gambling", Severity.LOW, Risk.COMMERCE, "gambling", "betting games")
CSAM = Category("csam", "CSAM", Severity.CRITICAL, Risk.CONTENT, "plain", "simple", floor=True)
PUPILS = [Audience.EARLY, Audience.KS2, Audience.TEEN]


def decision(reason: Reason, category: str = "", *, floor: bool = False) -> Decision:
    return Decision(Action.BLOCK, reason, "because", "ks2", category, floor=floor)


def sentences(audience: Audience) -> list[str]:
    """Every sentence that a child of this audience may read, names of sites and numbers apart."""
    labels = [text for name, text in WORDING.labels[audience].items() if not name.startswith("details_")]
    texts = [*_flat(labels), *(text for words in WORDING.words[audience].values() for text in _texts(words))]
    lines = {name for words in WORDING.words[audience].values() for name in words.help}
    texts += [WORDING.lines[name].simple for name in lines]
    values = {"about": "betting games", "school": "Your school", "because": "You can play at lunch."}
    whole = [text.format(**values) for text in texts]
    return [part for text in whole for part in re.split(r"(?<=[.?!:])\s+", text) if part]


def _flat(values: list[object]) -> Iterator[str]:
    for value in values:
        yield from value if isinstance(value, list) else [str(value)]


def _texts(words: Words) -> Iterator[str]:
    yield from (words.title, *words.lead, *words.after, words.why, words.rule)


def syllables(word: str) -> int:
    """Count groups of vowels, without a silent e: good enough to compare one text with a target."""
    word = re.sub(r"[^a-z]", "", word.lower())
    stem = re.sub(r"(?<=[a-z]{2})e$", "", word) if not word.endswith("le") else word
    return max(1, len(re.findall(r"[aeiouy]+", stem)))


def grade(texts: list[str]) -> float:
    """The Flesch-Kincaid grade of sentences (grade 1: age six); short labels would flatter it."""
    texts = [text for text in texts if len(text.split()) > 3]
    words = [word for text in texts for word in re.findall(r"[A-Za-z'’-]+", text)]
    return 0.39 * len(words) / len(texts) + 11.8 * sum(map(syllables, words)) / len(words) - 15.59


@pytest.mark.parametrize(("audience", "limit", "longest"), [(Audience.EARLY, 1, 10), (Audience.KS2, 2, 14)])
def test_childrens_words_are_short_enough_to_read(audience: Audience, limit: float, longest: int) -> None:
    """B9, GAI-1: a child can read why, for the sentences stay below the age's reading grade."""
    texts = sentences(audience)
    assert grade(texts) <= limit
    assert [text for text in texts if len(text.split()) > longest] == []


def test_the_measure_of_reading_age_tells_easy_from_hard() -> None:
    """The reading test would notice: the staff's words are several grades above the children's."""
    assert grade(["The cat sat on the mat.", "It was a hot day."]) < 1
    assert grade(sentences(Audience.ADULT)) > grade(sentences(Audience.KS2)) + 3


@pytest.mark.parametrize("audience", Audience)
def test_every_reason_has_words_for_every_audience(audience: Audience) -> None:
    """GAI-1: no decision leaves a reader without an explanation and a way to help."""
    for reason in Reason:
        words = WORDING.choose(audience, decision(reason), None)
        assert words.title
        assert words.lead
        assert WORDING.help(audience, decision(reason), None)


@pytest.mark.parametrize("audience", Audience)
def test_every_section_can_be_reached_and_names_what_exists(audience: Audience) -> None:
    """A misspelt section, picture or help line in wording.toml is found here, not by a pupil."""
    known = {reason.value for reason in Reason} | {
        "policy",
        "refused",
        "fault",
        "upstream",
        "floor",
        "support",
    }
    known |= {"floor_csam", "floor_terrorism"}
    for key, words in WORDING.words[audience].items():
        assert key in known
        assert set(words.help) <= set(WORDING.lines)
        assert (TEMPLATES / "pictures" / f"{words.picture}.svg").is_file()


@pytest.mark.parametrize("audience", PUPILS)
def test_every_pupils_page_offers_childline(audience: Audience) -> None:
    """S-54, A10: whatever was blocked, a child finds Childline on the page."""
    assert all("childline" in words.help for words in WORDING.words[audience].values())


def test_categories_named_in_the_wording_exist() -> None:
    """Help for drugs must not vanish because a category was renamed."""
    text = (ROOT / "blocklists" / "categories.yaml").read_text(encoding="utf-8")
    ids = set(yaml.load(text, Loader=yaml.CSafeLoader)["categories"])
    assert (set(WORDING.support) | set(WORDING.help_for) | WORDING.floors) <= ids


def test_every_link_on_a_page_is_a_help_line_that_is_never_blocked() -> None:
    """A10: a help line on the page of a blocked site is itself reachable in every profile."""
    text = (ROOT / "blocklists" / "help.yaml").read_text(encoding="utf-8")
    lines = yaml.load(text, Loader=yaml.CSafeLoader)["lines"]
    open_always = tuple(address for line in lines for address in line["addresses"])
    links = {line.url.removeprefix("https://").removeprefix("www.") for line in WORDING.lines.values()}
    assert {link for link in links if not link.startswith(open_always)} == set()


def test_help_lines_are_whole() -> None:
    """A wrong link or number on a help line is worse than none: https, and numbers of digits."""
    for line in WORDING.lines.values():
        assert urlsplit(line.url).scheme == "https"
        assert line.says
        assert line.simple
        assert re.fullmatch(r"\d*", line.dial)
        assert re.fullmatch(r"\d*", line.text)
    assert WORDING.lines["childline"].dial == "08001111"
    assert WORDING.lines["samaritans"].dial == "116123"
    assert WORDING.lines["shout"].text == "85258"


def test_floor_words_depend_on_the_list_and_fall_back() -> None:
    """IWF-4: each statutory list has its own text, and one that is new still has a proper page."""
    choose = WORDING.choose
    csam = choose(Audience.ADULT, decision(Reason.FLOOR, "csam", floor=True), CSAM)
    terrorism = choose(Audience.ADULT, decision(Reason.FLOOR, "terrorism", floor=True), None)
    other = choose(Audience.ADULT, decision(Reason.FLOOR, "new_list", floor=True), None)
    assert "Internet Watch Foundation" in csam.lead[0]
    assert "terrorist" in terrorism.lead[0]
    assert other == WORDING.words[Audience.ADULT]["floor"]


def test_a_floor_category_from_any_list_counts_as_floor() -> None:
    """An imported list that feeds a floor category must not give its hosts away on a page."""
    judged = decision(Reason.ILLEGAL, "csam")
    assert wording.is_floor(judged, CSAM)
    assert wording.is_statutory(decision(Reason.FAULT, "csam"), CSAM)
    assert not wording.is_floor(decision(Reason.FAULT, "csam"), CSAM)
    assert not wording.is_floor(decision(Reason.UNACCEPTABLE), GAMBLING)


def test_fitting_help_joins_the_usual_lines() -> None:
    """GAI-2: a teenager on a drugs site sees FRANK, and Childline still first."""
    judged = decision(Reason.UNACCEPTABLE, "drugs")
    assert [line.name for line in WORDING.help(Audience.TEEN, judged, None)][:2] == ["Childline", "FRANK"]
    assert WORDING.help(Audience.ADULT, judged, None)[0].name == "FRANK"
    assert "FRANK" not in [line.name for line in WORDING.help(Audience.KS2, judged, None)]


def test_support_comes_first_only_where_a_school_decided() -> None:
    """A10: a blocked self-harm page turns to help; a filter fault does not pretend to know why."""
    assert WORDING.supportive(decision(Reason.UNACCEPTABLE, "self_harm"))
    assert WORDING.supportive(decision(Reason.UNRATED, "self_harm"))
    assert not WORDING.supportive(decision(Reason.FAULT, "self_harm"))


def test_about_is_worded_for_the_reader() -> None:
    """A seven-year-old reads "betting games", a teenager and a teacher read "gambling"."""
    assert wording.about(Audience.KS2, GAMBLING) == "betting games"
    assert wording.about(Audience.TEEN, GAMBLING) == "gambling"
    assert wording.about(Audience.TEEN, None) == ""


def test_a_sentence_without_its_value_is_left_out() -> None:
    """No page says "It is listed as: ." when no category decided."""
    assert wording.fill(["About {about}.", "Closed.", ""], about="") == ["Closed."]
    assert wording.fill(["About {about}."], about="<b>&{x}") == ["About &lt;b&gt;&amp;{x}."]


@pytest.mark.slow
@given(st.text(st.characters(), max_size=600), st.integers(2, 50))
def test_shown_text_is_bounded_and_visible(text: str, limit: int) -> None:
    """No foreign text can flood a page, turn its writing direction or break its encoding."""
    shown = wording.shown(text, limit)
    assert len(shown) <= limit
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert not any(unicodedata.category(mark) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for mark in shown)


def test_shown_text_keeps_ordinary_writing() -> None:
    """A Welsh school's name and a curly quotation mark come through as they are."""
    assert wording.shown("Ysgol Tŷ Coch – “Hwyl”") == "Ysgol Tŷ Coch – “Hwyl”"
    assert wording.shown("a\u202egnp.exe") == "a\N{REPLACEMENT CHARACTER}gnp.exe"


@pytest.mark.parametrize(
    ("given_host", "seen"),
    [
        ("example.org", "example.org"),
        ("example.org/search?q=my+secret", "example.org"),
        ("anna:pw@example.org?x", "example.org"),
        ("example.org#frag", "example.org"),
        ("example.org\\@evil", "example.org"),
        ("example.org and more", "example.org"),
        ("xn--80ak6aa92e.example", "xn--80ak6aa92e.example"),
        ("", ""),
    ],
)
def test_only_the_host_of_an_address_is_shown(given_host: str, seen: str) -> None:
    """A search term, a path or a user name that slips into the host never reaches a page."""
    assert wording.shown_host(given_host) == seen


def test_a_long_host_keeps_its_end() -> None:
    """Whose site it is stands at the end of its name, so that is what a cut leaves."""
    seen = wording.shown_host("a." * 150 + "owner.example")
    assert seen.endswith("owner.example")
    assert len(seen) <= wording.MAX_HOST


def test_a_rule_is_quoted_to_pupils_without_its_source() -> None:
    """A child need not read "(W:470)"; other brackets stay."""
    assert (
        wording.for_pupils("Open at lunch (12:15 to 13:15) (W:470, T:300).")
        == "Open at lunch (12:15 to 13:15)."
    )


def test_every_reason_belongs_to_a_group() -> None:
    """A reason that allows has no page; asked for one, the gateway admits a fault of its own."""
    assert wording.group(Reason.PORT) == "refused"
    assert wording.group(Reason.UPSTREAM_UNREACHABLE) == "upstream"
    assert wording.group(Reason.UNRATED) == "policy"
    assert wording.group(Reason.ACCEPTABLE) == "fault"


def test_a_broken_wording_file_is_refused(tmp_path: Path) -> None:
    """A wording file that lost an audience stops the start, not the first blocked child."""
    file = tmp_path / "wording.toml"
    file.write_text(
        'support_categories = []\nhelp_for = {}\nlines = {}\n[early]\nx = "y"\n', encoding="utf-8"
    )
    with pytest.raises(ValueError, match="ks2"):
        wording.load_wording(file)


def test_what_says_that_somebody_is_upset_is_known() -> None:
    """A child who is upset must not end up as a wish to open the site."""
    found = upset_messages()
    assert "I saw something that upset me." in found
    assert "" not in found
