"""The pages of the sign-in, in the words of the reader's age.

What lives only here: its templates. A page runs no script and fetches nothing; style and drawings are the
gateway's own, whose folder comes as an argument.
"""

from __future__ import annotations

import base64
import hashlib
import tomllib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from appliance.identity.passwords import PICTURE_COUNT, PICTURES
from appliance.model.profile import Audience

TEMPLATES = Path(__file__).with_name("templates")


class Pages:
    """Renders the sign-in's pages; `shared` is the folder of the gateway's own templates."""

    def __init__(self, shared: Path, school: str) -> None:
        style = (shared / "style.css").read_text(encoding="utf-8")
        style += (TEMPLATES / "portal.css").read_text(encoding="utf-8")
        self._words = tomllib.loads((TEMPLATES / "words.toml").read_text(encoding="utf-8"))
        self._environment = Environment(
            loader=FileSystemLoader([TEMPLATES, shared]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        drawings = {file.stem: _drawing(file) for file in sorted((shared / "pictures").glob("*.svg"))}
        self._environment.globals.update(
            style=Markup(style),  # noqa: S704 - a file of the source tree
            pictures=drawings,
            cards={name: _drawing(TEMPLATES / "cards" / f"{name}.svg") for name in PICTURES},
            count=PICTURE_COUNT,
            school=school,
        )
        self.headers = _headers(style)

    def words(self, audience: Audience) -> dict[str, str]:
        """Return the words of an audience."""
        found: dict[str, str] = self._words[audience.value]
        return found

    def draw(self, template: str, audience: Audience, **values: object) -> str:
        """Return a whole page; every value is escaped."""
        return self._environment.get_template(template).render(
            audience=audience.value, words=self.words(audience), footer="", **values
        )


def _drawing(file: Path) -> Markup:
    return Markup(file.read_text(encoding="utf-8"))  # noqa: S704 - a file of the source tree


def _headers(style: str) -> dict[str, str]:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return {
        "content-language": "en-GB",
        "cache-control": "no-store",
        "content-security-policy": (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
            # No other page may hold the sign-in in a frame: a password is typed here.
            "form-action 'self'; frame-ancestors 'none'"
        ),
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
