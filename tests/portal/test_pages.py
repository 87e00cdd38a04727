from __future__ import annotations

import re

import pytest

from appliance.gateway.pages import TEMPLATES
from appliance.model.profile import Audience
from appliance.portal.pages import Pages

PAGES = Pages(TEMPLATES, "Westways")
DRAWN: dict[str, dict[str, object]] = {
    "sign_in.html": {
        "classes": ["Class 1B"],
        "problem": "No.",
        "name": "amy",
        "password": "",
        "elsewhere": "Microsoft",
    },
    "classes.html": {"classes": ["Class 1B"], "problem": ""},
    "pictures.html": {"name": "Class 1B", "chosen": ("sun",)},
    "change.html": {"ticket": "t", "problem": ""},
    "agree.html": {"ticket": "t", "text": ("Be kind.",)},
    "signed_in.html": {"name": "amy", "shared": True, "until": "18:00"},
}


@pytest.mark.slow
@pytest.mark.parametrize("audience", Audience)
@pytest.mark.parametrize("template", DRAWN)
def test_every_page_is_whole_for_every_age(template: str, audience: Audience) -> None:
    """No age meets a gap in the words, and every field and button can be named by a screen reader."""
    html = PAGES.draw(template, audience, token="t", **DRAWN[template])
    assert html.count("<h1>") == 1
    assert f'class="{audience.value}"' in html
    labels = set(re.findall(r'<label for="(\w+)"', html))
    assert labels == set(re.findall(r'<input type="(?:text|password)" id="(\w+)"', html))
    assert "<script" not in html
    assert not re.search(r'(?:src|action|href)="https?:', html.replace('href="data:', ""))


def test_every_age_has_the_same_words() -> None:
    """A word that one age lacks would fail in front of a child."""
    keys = [set(PAGES.words(audience)) for audience in Audience]
    assert all(each == keys[0] for each in keys)


@pytest.mark.parametrize("audience", [Audience.EARLY, Audience.KS2])
def test_childrens_sentences_are_short(audience: Audience) -> None:
    """B9: a child can read what the sign-in says."""
    sentences = [part for text in PAGES.words(audience).values() for part in re.split(r"(?<=[.?!])\s+", text)]
    assert [part for part in sentences if len(part.split()) > 14] == []
