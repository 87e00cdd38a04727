"""The shapes of feeds."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from appliance.lists.feeds import Download, FloorEntry

LIST: dict[str, Any] = {"id": "a", "title": "A", "licence": "MIT", "categories": ["gambling"]}
FLOOR: dict[str, Any] = {"id": "iwf", "title": "IWF", "category": "csam"}
PROOF = {"canaries": ["http://canary.example/"], "control": "http://open.example/", "text": "blocked page"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "needs a `url`"),
        ({"url": "http://a.example/list"}, "https"),
        ({"url": "https://me:hush@a.example/list"}, "no user"),
        ({"url": "https://a.example/", "categories": []}, "at least one category"),
        ({"url": "https://a.example/", "tree": "ut1"}, "from `trees`"),
        ({"url": "https://a.example/", "user": "me"}, "go together"),
        ({"url": "https://a.example/", "user": "me", "password": "p", "token": "t"}, "not both"),
        ({"url": "https://a.example/", "password": "../../etc/shadow"}, "password"),
    ],
)
def test_a_download_that_makes_no_sense_is_told(more: dict[str, Any], said: str) -> None:
    """In the clear, without a subject or with a password in the catalogue: refused when it is read."""
    with pytest.raises(ValidationError, match=said):
        Download.model_validate(LIST | more)


@pytest.mark.parametrize(
    ("more", "good"),
    [
        ({"mode": "development", "source": "a.txt"}, True),
        ({"mode": "development"}, False),
        ({"mode": "development", "source": "a.txt", "url": "https://a.example/"}, False),
        ({"mode": "supplied", "url": "https://a.example/"}, True),
        ({"mode": "supplied", "file": "/a", "container": {"kind": "age", "secret": "k"}}, True),
        ({"mode": "supplied", "file": "/a", "url": "https://a.example/"}, False),
        ({"mode": "supplied", "source": "a.txt"}, False),
        ({"mode": "supplied"}, False),
        ({"mode": "upstream", "proof": PROOF}, True),
        ({"mode": "upstream"}, False),
        ({"mode": "off"}, False),
    ],
)
def test_a_statutory_list_is_held_in_one_of_three_ways(more: dict[str, Any], *, good: bool) -> None:
    """Each way names what it needs and nothing else; there is no way to switch it off (DFE-F2)."""
    if good:
        assert FloorEntry.model_validate(FLOOR | more).mode == more["mode"]
    else:
        with pytest.raises(ValidationError):
            FloorEntry.model_validate(FLOOR | more)
