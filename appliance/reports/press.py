"""Which printer makes a report's PDF: WeasyPrint where it is installed, from the very page; fpdf2 otherwise.

What lives only here: the sheet that the page is laid out on, and the process that WeasyPrint runs in. It is a
process of its own, because it loads libraries in C, takes 70 MB and seconds, and may never be what ends the
keeper of alerts. Whatever goes wrong with it, there is a report, and it is said who made it.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

from appliance.reports.page import page
from appliance.reports.paper import Paper

WITHOUT = "fpdf2"
WEASY = (sys.executable, "-I", "-m", "appliance.reports.weasy")
_SECONDS = 180
"""How long a page may take to lay out, on a small machine that is busy."""

_COLOURS = {"ink": "#000", "soft": "#333", "rule": "#999", "back": "#fff", "bar": "#1f5f99"}
"""The page's own colours for print, written out: drawings do not inherit them on paper."""

_SHEET = """
@page {{ size: A4; margin: 16mm 16mm 20mm; @bottom-center {{ font: 8pt sans-serif; color: #333;
  content: "{foot}\\A page " counter(page) " of " counter(pages); white-space: pre-line }} }}
body {{ max-width: none; margin: 0; padding: 0; font-size: 9.5pt; font-family: "DejaVu Sans", sans-serif }}
h1 {{ margin-top: 0 }} h2 {{ break-after: avoid }} section {{ break-inside: auto }} footer {{ display: none }}
figure {{ break-inside: avoid; break-after: avoid }} tr, .note {{ break-inside: avoid }}
thead {{ display: table-header-group }} .wide {{ overflow: visible }} .note {{ break-before: avoid }}
td {{ overflow-wrap: anywhere }} th[scope=row] {{ font-weight: normal; overflow-wrap: anywhere }}
"""


class Printed(NamedTuple):
    """A PDF, and who made it, in words."""

    data: bytes
    by: str


def installed() -> bool:
    """Return whether WeasyPrint is there to be asked (`make install EXTRAS=pdf`)."""
    return importlib.util.find_spec("weasyprint") is not None


def printed(paper: Paper, html: str = "", weasy: Sequence[str] | None = None) -> Printed:
    """Return the report as a PDF; `html` is its page where that is made already.

    `weasy` is the command that lays out a page, standard input to standard output; as installed by default.
    """
    if weasy is None:
        weasy = WEASY if installed() else ()
    if not weasy:
        return Printed(_plainly(paper), WITHOUT)
    try:
        done = subprocess.run(  # noqa: S603 - our own program, and what it reads is escaped
            weasy, input=_sheet(paper, html or page(paper)), capture_output=True, timeout=_SECONDS, check=True
        )
    except subprocess.CalledProcessError as error:
        return _without(paper, _last_line(error.stderr) or f"it ended with {error.returncode}")
    except subprocess.TimeoutExpired:
        return _without(paper, f"it took longer than {_SECONDS} seconds")
    except OSError as error:
        return _without(paper, str(error))
    name, _, data = done.stdout.partition(b"\n")
    if not data.startswith(b"%PDF-") or not data.rstrip().endswith(b"%%EOF"):
        return _without(paper, "what it made is no whole PDF")
    return Printed(data, name.decode("utf-8", "replace"))


def _without(paper: Paper, why: str) -> Printed:
    return Printed(_plainly(paper), f"{WITHOUT}, since WeasyPrint is installed and failed: {why}")


def _plainly(paper: Paper) -> bytes:
    from appliance.reports.sheet import pdf  # noqa: PLC0415 - slow to load, and no command prints but these

    return pdf(paper)


def _last_line(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip()[:200] if lines else ""


def _sheet(paper: Paper, html: str) -> bytes:
    for name, colour in _COLOURS.items():
        html = html.replace(f"var(--{name})", colour)
    # Every mark of the foot that could end its string, or the style, goes in as its number.
    foot = "".join(mark if mark.isalnum() or mark == " " else f"\\{ord(mark):x} " for mark in paper.foot)
    return html.replace("</head>", f"<style>{_SHEET.format(foot=foot)}</style></head>", 1).encode(
        "utf-8", "replace"
    )
