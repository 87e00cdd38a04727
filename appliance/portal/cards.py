"""Class cards: a sheet to be printed, with each class's pictures in their order.

What lives only here: that sheet. It is the only place where a picture password can be read; nothing of it
is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from appliance.identity.passwords import PICTURES
from appliance.portal.pages import TEMPLATES


def sheet(school: str, cards: Iterable[tuple[str, tuple[str, ...]]]) -> str:
    """Return a page to be printed: one card for each name, with its pictures in order."""
    drawings = {
        name: Markup((TEMPLATES / "cards" / f"{name}.svg").read_text(encoding="utf-8"))  # noqa: S704 - our own file
        for name in PICTURES
    }
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("sheet.html").render(school=school, cards=list(cards), drawings=drawings)


def write_sheet(path: Path, html: str) -> None:
    """Write the sheet, readable for its owner alone; OSError if there is a file already."""
    with path.open("x", encoding="utf-8") as file:
        path.chmod(0o600)
        file.write(html)
