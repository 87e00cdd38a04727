"""The same report as a page: one HTML file with its charts in it, for screens light and dark, and print.

What lives only here: the page's form. It loads nothing from anywhere, and everything in it is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from appliance.reports.charts import bars
from appliance.reports.paper import Paper, Table, like_a_number

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #52606d; --rule: #cdd4dc; --back: #fff;
  --bar: #1f5f99 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6ebf0; --soft: #a9b4bf; --rule: #3a4652; --back: #12181f;
  --bar: #6cb0ea } }
body { font: 1rem/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back);
  max-width: 52rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; line-height: 1.2 } h2 { font-size: 1.15rem; margin: 2rem 0 .4rem }
table { border-collapse: collapse; width: 100% } caption { text-align: left; color: var(--soft) }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--rule);
  vertical-align: top }
.n { text-align: right; font-variant-numeric: tabular-nums } .wide { overflow-x: auto }
.note, footer { color: var(--soft); font-size: .9rem }
figure { margin: .5rem 0 } svg { max-width: 100%; height: auto }
@media print { :root { --ink: #000; --soft: #333; --rule: #999; --back: #fff; --bar: #1f5f99 }
  body { margin: 0; max-width: none; font-size: 10pt } section { break-inside: avoid }
  @page { margin: 16mm } }
"""


def page(paper: Paper) -> str:
    """Return the report as one HTML document."""
    parts = [
        "<!doctype html>",
        f'<html lang="{escape(paper.language)}"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f"<title>{escape(paper.title)}</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>{escape(paper.title)}</h1>",
        *(f"<p>{escape(sentence)}</p>" for sentence in paper.sentences),
        *map(_section, paper.tables),
        f"</main><footer><p>{escape(paper.foot)}</p></footer></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _section(table: Table) -> str:
    parts = ["<section>", f"<h2>{escape(table.title)}</h2>"]
    if not table.rows:
        parts.append("<p>Nothing in this time.</p>")
    else:
        if table.bars:
            parts.append(f"<figure>{bars(table)}</figure>")
        parts.append(_grid(table))
    if table.note:
        parts.append(f'<p class="note">{escape(table.note)}</p>')
    return "\n".join([*parts, "</section>"])


def _grid(table: Table) -> str:
    right = [at > 0 and all(like_a_number(row[at]) for row in table.rows) for at in range(len(table.heads))]
    heads = "".join(
        f'<th scope="col"{_class(right[at])}>{escape(head)}</th>' for at, head in enumerate(table.heads)
    )
    lines = "\n".join(f"<tr>{_line(row, right)}</tr>" for row in table.rows)
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>\n{lines}\n</tbody></table></div>'


def _line(row: Sequence[str], right: Sequence[bool]) -> str:
    first = f'<th scope="row">{escape(row[0])}</th>'
    return first + "".join(f"<td{_class(right[at])}>{escape(row[at])}</td>" for at in range(1, len(row)))


def _class(right: bool) -> str:  # noqa: FBT001 - one of two forms of a cell
    return ' class="n"' if right else ""
