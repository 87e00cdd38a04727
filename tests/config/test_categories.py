"""blocklists/categories.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config.categories import read_categories
from appliance.config.document import parse
from appliance.config.problems import ProblemsError
from appliance.config.typed import open_document
from appliance.model.category import Risk, Severity

FILE = Path(__file__).resolve().parents[2] / "blocklists" / "categories.yaml"
LINE = "{title: T, severity: low, risk: content, plain: p, simple: s"


def lifting(**lifts: str) -> bytes:
    lines = [f"  {name}: {LINE}, lifts: [{lifted}]}}" for name, lifted in lifts.items()]
    return "\n".join(["categories:", f"  floor: {LINE}, floor: true}}", *lines]).encode()


def test_the_shipped_file_is_good() -> None:
    """Every category has its words for pages, and the floor is what the statutory lists feed (S-18, S-19)."""
    categories = read_categories(open_document(FILE))
    assert {category.id for category in categories.values() if category.floor} == {"csam", "terrorism"}
    assert categories["gambling"].severity is Severity.MEDIUM
    assert categories["gambling"].risk is Risk.COMMERCE
    assert all(category.severity is Severity.CRITICAL for category in categories.values() if category.floor)


def test_pages_can_say_what_was_blocked() -> None:
    """The words complete "this page is about ...": short, and without a full stop of their own."""
    for category in read_categories(open_document(FILE)).values():
        for words in (category.plain, category.simple):
            assert 0 < len(words) <= 60
            assert words[-1] not in ".!"
        assert len(category.simple.split()) <= 9, category.id


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (lifting(a="floor"), "'floor' is part of the floor"),
        (lifting(a="a"), "lift each other"),
        (lifting(a="b", b="c", c="a"), "lift each other"),
        (lifting(a="nothing"), "unknown category 'nothing'"),
    ],
)
def test_what_may_not_be_lifted(raw: bytes, message: str) -> None:
    """The floor is never lifted, and no circle of categories makes a listed site unlisted."""
    with pytest.raises(ProblemsError, match=message):
        read_categories(parse(raw, "c.yaml"))


def test_a_chain_of_lifting_is_good() -> None:
    """Narrow, broad, broader: each may lift the next."""
    found = read_categories(parse(lifting(a="b", b="c", c=""), "c.yaml"))
    assert found["a"].lifts == {"b"}
