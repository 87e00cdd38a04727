"""Bars as SVG, in the colours of the page that they stand in.

What lives only here: pygal. Nothing is loaded from anywhere, and no script runs; the table below a chart says
the same in figures, so a reader of the page by ear is told that this is one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from appliance.reports.paper import Table, number

_SCRIPTS = re.compile(r"<script.*?</script>", re.DOTALL)
_GUIDES = re.compile(r'<path [^>]*class="(?:major )?guide line"[^>]*/>')
# Rules of pygal's that are about nothing: a strict reader (WeasyPrint) ignores whatever follows them.
_ABOUT_NOTHING = re.compile(r"(<style[^>]*>|\n)\{[^}]*\}")


def bars(table: Table) -> str:
    """Return the last column of a table as bars, one a row; what is not shown in figures has no bar."""
    import pygal  # noqa: PLC0415 - only where a chart is drawn: it is slow to load
    from pygal.style import Style  # noqa: PLC0415 - the same

    style = Style(
        background="transparent", plot_background="transparent", foreground="var(--ink)",
        foreground_strong="var(--ink)", foreground_subtle="var(--rule)", colors=("var(--bar)",), opacity="1",
        font_family="inherit", label_font_size=13, major_label_font_size=13, value_font_size=13,
    )  # fmt: skip
    chart = pygal.HorizontalBar(
        style=style, js=(), show_legend=False, disable_xml_declaration=True, explicit_size=True,
        width=760, height=60 + 30 * len(table.rows), print_values=False, margin=4, no_prefix=True,
        show_y_guides=False, show_x_guides=False, truncate_label=40,
        range=(0, max(map(_height, table.rows), default=0) or 1),
    )  # fmt: skip
    rows = list(reversed(table.rows))  # pygal begins at the foot
    chart.x_labels = [row[0] for row in rows]
    chart.add("", [_height(row) for row in rows])
    drawn = _GUIDES.sub("", _SCRIPTS.sub("", chart.render(is_unicode=True)))
    drawn = _ABOUT_NOTHING.sub(r"\1", drawn)
    return drawn.replace("<svg ", '<svg role="img" aria-label="The same as bars" ', 1)


def _height(row: Sequence[str]) -> int:
    return number(row[-1])
