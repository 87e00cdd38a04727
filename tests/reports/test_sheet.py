"""Tests of printing: every page can be read, whatever stands in a name."""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.reports.paper import Paper, Table
from appliance.reports.sheet import FONTS, pdf

MADE = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)

pytestmark = pytest.mark.slow  # fpdf2 and its fonts take a second to load


def words(data: bytes) -> str:
    """Return what the pages of a PDF with the built-in font say."""
    found = []
    for stream in re.findall(rb"stream\n(.*?)\nendstream", data, re.DOTALL):
        try:
            found.append(zlib.decompress(stream).decode("latin-1"))
        except zlib.error:
            continue
    return " ".join(re.findall(r"\((.*?)\) Tj", "".join(found)))


def paper(*rows: tuple[str, ...], bars: bool = False) -> Paper:
    """Return a report with one table."""
    return Paper(
        "Weekly report",
        MADE,
        ["It was quiet."],
        [Table("Cases", ("Theme", "Cases"), rows, bars=bars)],
        "Foot",
    )


def test_everything_is_printed_and_the_same_figures_are_the_same_file(tmp_path: Path) -> None:
    """Two prints of one report can be compared by their hash."""
    made = pdf(paper(("Drugs", "14")), fonts=tmp_path)
    said = words(made)
    assert all(word in said for word in ("Weekly report", "It was quiet.", "Drugs", "14", "Foot"))
    assert made == pdf(paper(("Drugs", "14")), fonts=tmp_path)


@pytest.mark.parametrize("fonts", [FONTS, Path("/nowhere")])
@pytest.mark.parametrize(
    "text", ["Łukasz Żółć", "学生", "\u202eevil", "a" * 5_000, "", "(\\) Tj", "\udc80\0\n"]
)
def test_no_name_breaks_the_page(fonts: Path, text: str) -> None:
    """Names in any script, marks that reorder, and the longest address make a page, with or without fonts."""
    assert pdf(paper((text, text)), fonts=fonts).startswith(b"%PDF")


def test_bars_and_long_tables_go_over_pages(tmp_path: Path) -> None:
    """A term of many rows loses none of them at the foot of a page."""
    rows = tuple((f"Row {at}", str(at)) for at in range(120))
    for bars in (True, False):
        said = words(pdf(paper(*rows, bars=bars), fonts=tmp_path))
        assert all(f"Row {at}" in said for at in range(120))
