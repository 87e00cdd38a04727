"""Tests of the two printers: which is asked, and that there is a report whatever becomes of it."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.reports import press
from appliance.reports.paper import Paper, Table
from appliance.reports.press import installed, printed

pytestmark = pytest.mark.slow

ROWS = [(f"Row {at}", "fewer than 5 people" if at % 2 else str(at)) for at in range(80)]
PAPER = Paper(
    "Weekly report: Łukasz & Żółć <b>",
    datetime(2026, 11, 20, 15, 30, tzinfo=UTC),
    ["It was quiet."],
    [Table("Cases", ("Theme", "Cases"), ROWS), Table("Bars", ("Theme", "Cases"), ROWS[:6], bars=True)],
    'Confidential: "nobody" is named </style>',
)


def words(data: bytes, folder: Path) -> list[str]:
    """Return what each page of a PDF says, as poppler reads it."""
    path = folder / "made.pdf"
    path.write_bytes(data)
    done = subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, check=True)
    return done.stdout.decode().split("\f")[:-1]


def fake(tmp_path: Path, code: str) -> tuple[str, str]:
    path = tmp_path / "weasy.py"
    path.write_text(code, encoding="utf-8")
    return sys.executable, str(path)


def test_weasyprint_prints_the_very_page(tmp_path: Path) -> None:
    """Every row, every script and the foot are on paper, tagged for readers that speak, the same twice."""
    assert installed(), "EXTRAS=pdf deploy/bin/install puts it there"
    made = printed(PAPER)
    assert made.by.startswith("WeasyPrint ")
    pages = words(made.data, tmp_path)
    said = "\n".join(pages)
    assert all(f"Row {at}" in said for at in range(80))
    assert "Łukasz & Żółć <b>" in said
    assert len(pages) > 1
    for number, page in enumerate(pages, 1):
        assert 'Confidential: "nobody" is named </style>' in page
        assert f"page {number} of {len(pages)}" in page
    told = subprocess.run(["pdfinfo", str(tmp_path / "made.pdf")], capture_output=True, check=True)
    assert re.search(rb"Tagged: +yes", told.stdout)
    assert made == printed(PAPER)


def test_charts_are_drawn_in_colours_that_paper_has(tmp_path: Path) -> None:
    """A drawing whose colours come from the screen's theme is a black box on paper."""
    path = tmp_path / "made.pdf"
    path.write_bytes(printed(PAPER).data)
    subprocess.run(["pdftoppm", "-r", "30", str(path), str(tmp_path / "page")], check=True)
    black = blue = 0
    for image in sorted(tmp_path.glob("page*.ppm")):
        pixels = image.read_bytes().split(b"\n255\n", 1)[1]
        colours = zip(pixels[::3], pixels[1::3], pixels[2::3], strict=True)
        for red, _, of_blue in colours:
            black += of_blue < 40
            blue += of_blue - red > 60
    assert blue > 300
    assert black < 300


def test_without_it_the_paper_is_made_by_fpdf2() -> None:
    """A school that installs no extra has its reports all the same."""
    made = printed(PAPER, weasy=())
    assert made.by == "fpdf2"
    assert made.data.startswith(b"%PDF")


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import sys; sys.exit('x\\ncannot load library libpango')", "cannot load library libpango"),
        ("import os; os.kill(os.getpid(), 11)", "it ended with -11"),
        ("print('WeasyPrint 70'); print('%PDF-1.7 cut off')", "no whole PDF"),
        ("import sys; sys.exit(3)", "it ended with 3"),
    ],
)
def test_a_printer_that_fails_costs_no_report(tmp_path: Path, code: str, why: str) -> None:
    """A library that is missing, or a crash in C, is said, and fpdf2 prints instead."""
    made = printed(PAPER, weasy=fake(tmp_path, code))
    assert made.data.startswith(b"%PDF")
    assert made.by.startswith("fpdf2, since WeasyPrint is installed and failed")
    assert why in made.by


def test_a_printer_that_hangs_or_is_gone_costs_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keeper of alerts waits for no printer for ever."""
    monkeypatch.setattr(press, "_SECONDS", 0.3)
    assert "longer than" in printed(PAPER, weasy=fake(tmp_path, "import time; time.sleep(30)")).by
    assert "No such file" in printed(PAPER, weasy=(str(tmp_path / "gone"),)).by
