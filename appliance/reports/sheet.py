"""A4 paper: headings, sentences, tables and bars, as PDF.

What lives only here: fpdf2, and which letters it prints. With a font of the system (Debian:
fonts-dejavu-core) every name is printed as it is written; without one, what the built-in
font lacks is printed as its number. Loading it takes as long as loading the rest of a command:
whoever prints does so when there is something to print.
"""

from __future__ import annotations

from pathlib import Path

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import FontFace

from appliance.reports.paper import Paper, Table, like_a_number, number

FONTS = Path("/usr/share/fonts/truetype/dejavu")
_BOLD, _PLAIN = "DejaVuSans-Bold.ttf", "DejaVuSans.ttf"
_LINE, _SMALL = 5.0, 8.0
_BARS_SAY = 2  # columns that bars with their numbers say altogether
_LABEL = 42  # letters beside a bar
_CELL = 300  # characters of one cell: a row must fit on a page
_INK, _BAR, _RULE = (29, 39, 51), (31, 95, 153), (205, 212, 220)


class _Sheet(FPDF):
    def __init__(self, paper: Paper, fonts: Path) -> None:
        super().__init__(format="A4")
        self._foot = paper.foot
        self.everything = (fonts / _PLAIN).is_file() and (fonts / _BOLD).is_file()
        self.letters = "own" if self.everything else "helvetica"
        if self.everything:
            self.add_font("own", "", fonts / _PLAIN)
            self.add_font("own", "B", fonts / _BOLD)
        self.set_title(self.plain(paper.title))
        self.set_lang(paper.language)
        self.set_creation_date(paper.made)  # two reports of the same figures are the same file
        self.set_margin(16)
        self.set_auto_page_break(auto=True, margin=18)
        self.set_text_color(*_INK)

    def plain(self, text: str) -> str:
        """Return text that the font can print, and that cannot reorder what stands around it."""
        shown = "".join(mark if mark.isprintable() else " " for mark in text)
        if self.everything:
            return shown
        return shown.encode("latin-1", "backslashreplace").decode("latin-1")

    def footer(self) -> None:
        self.set_y(-14)
        self.set_font(self.letters, size=_SMALL)
        self.cell(0, 6, self.plain(f"{self._foot}   page {self.page_no()} of {{nb}}"), align="C")


def pdf(paper: Paper, fonts: Path = FONTS) -> bytes:
    """Return the paper as a PDF."""
    sheet = _Sheet(paper, fonts)
    sheet.add_page()
    sheet.set_font(sheet.letters, "B", 17)
    _say(sheet, paper.title, 8)
    sheet.set_font(sheet.letters, size=10)
    for sentence in paper.sentences:
        sheet.ln(1.5)
        _say(sheet, sentence)
    for table in paper.tables:
        _table(sheet, table)
    return bytes(sheet.output())


def _say(sheet: _Sheet, text: str, height: float = _LINE) -> None:
    sheet.multi_cell(0, height, sheet.plain(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _table(sheet: _Sheet, table: Table) -> None:
    sheet.ln(5)
    if sheet.will_page_break(32):  # a heading alone at the foot of a page helps nobody
        sheet.add_page()
    sheet.set_font(sheet.letters, "B", 12)
    _say(sheet, table.title, 7)
    sheet.set_font(sheet.letters, size=9)
    if not table.rows:
        _say(sheet, "Nothing in this time.")
    elif table.bars:
        _bars(sheet, table)
    if table.rows and (not table.bars or len(table.heads) > _BARS_SAY):
        _grid(sheet, table)
    if table.note:
        sheet.ln(1)
        sheet.set_font(sheet.letters, size=_SMALL)
        _say(sheet, table.note, 4)
    sheet.set_font(sheet.letters, size=9)


def _grid(sheet: _Sheet, table: Table) -> None:
    sheet.set_draw_color(*_RULE)
    sheet.set_fill_color(255)  # what a bar was drawn with before would fill the cells
    heads = FontFace(emphasis="BOLD", fill_color=(238, 242, 246))
    widths = _widths(table)
    aligns = tuple("LEFT" if _is_text(table, at) else "RIGHT" for at in range(len(table.heads)))
    with sheet.table(
        headings_style=heads, line_height=_LINE, borders_layout="HORIZONTAL_LINES", col_widths=widths,
        text_align=aligns, padding=0.8,
    ) as grid:  # fmt: skip
        for row in (table.heads, *table.rows):
            line = grid.row()
            for cell in row:
                line.cell(sheet.plain(cell if len(cell) <= _CELL else f"{cell[:_CELL]}…"))


def _bars(sheet: _Sheet, table: Table) -> None:
    most = max((number(row[-1]) for row in table.rows), default=0) or 1
    for row in table.rows:
        if sheet.will_page_break(6):
            sheet.add_page()
        top = sheet.get_y()
        sheet.cell(70, _LINE, sheet.plain(row[0][:_LABEL]))
        length = 76 * number(row[-1]) / most
        sheet.set_fill_color(*_BAR)
        if length:
            sheet.rect(sheet.l_margin + 72, top + 1, max(0.6, length), 3.2, style="F")
        sheet.set_xy(sheet.l_margin + 74 + length, top)
        sheet.cell(30, _LINE, sheet.plain(row[-1]), new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _widths(table: Table) -> tuple[int, ...]:
    longest = [max(len(line[at]) for line in (table.heads, *table.rows)) for at in range(len(table.heads))]
    return tuple(min(max(each, 6), 42) for each in longest)


def _is_text(table: Table, at: int) -> bool:
    return at == 0 or not all(like_a_number(row[at]) for row in table.rows)
