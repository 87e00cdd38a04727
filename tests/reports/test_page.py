"""Tests of the page: whole in one file, escaped, and fetching nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from appliance.reports.page import page
from appliance.reports.paper import Paper, Table

pytestmark = pytest.mark.slow  # pygal takes half a second to load

TABLES = [
    Table(
        "Cases <i>", ("Theme", "Cases"), [("Drugs <script>alert(1)</script>", "14")], "Note & more", bars=True
    ),
    Table("Nothing", ("a", "b"), []),
    Table("Words", ("Rule", "Precision"), [("minor", "poor")]),
]
PAPER = Paper("Report <b>", datetime(2026, 11, 20, tzinfo=UTC), ["One & two."], TABLES, "Foot <u>")


def test_nothing_in_it_is_obeyed() -> None:
    """A rule's or a list's name in a report cannot become a script."""
    made = page(PAPER)
    assert not any(mark in made for mark in ("<script>", "<b>", "<i>", "<u>"))
    assert "&lt;script&gt;" in made
    assert "default-src 'none'" in made


def test_every_element_is_closed_and_tables_have_heads() -> None:
    """Readers that speak find their way by headings and scopes."""
    open_now: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in ("meta", "rect", "line", "path", "circle", "br"):
                open_now.append(tag)
            if tag == "html":
                assert dict(attrs)["lang"] == "en-GB"

        def handle_endtag(self, tag: str) -> None:
            if tag in open_now:
                assert open_now.pop() == tag

    made = page(PAPER)
    Reader().feed(made)
    assert open_now == []
    assert made.count('scope="col"') == 4
    assert "Nothing in this time." in made


def test_figures_stand_right_and_words_left() -> None:
    """Columns of numbers can be compared at a glance."""
    made = page(PAPER)
    assert '<td class="n">14</td>' in made
    assert "<td>poor</td>" in made
