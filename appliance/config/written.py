"""profiles/<set>/document.toml: what the school's own written policy says, statement by statement.

What lives only here: that form. It is a reading of the document, with the line of each statement; no request
is judged by it. The linter compares its statements with each other, with other sets, and with the profiles.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from appliance.config.problems import Problem, ProblemsError

FILE = "document.toml"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    at: str = Field(pattern=r"^[A-Z]:[0-9]+$")


class Statement(_Part):
    """One thing is allowed, or to some or at times (limited), forbidden or illegal; or a cell is blank."""

    subject: str
    part: str
    who: frozenset[Literal["staff", "pupils"]] = frozenset({"staff", "pupils"})
    says: Literal["allowed", "limited", "forbidden", "illegal", "blank"]


class Incident(_Part):
    """One row of a table of sanctions, with what is to be done."""

    table: str
    what: str
    illegal: bool = False
    actions: tuple[str, ...]


class Sanctions(_Part):
    """A table of sanctions, with everything that it offers."""

    table: str
    offers: tuple[str, ...]


class Duty(_Part):
    """Something that is to be done again and again."""

    what: str
    every: str


class Product(_Part):
    """A product that is named, and for what."""

    name: str
    does: str


class Channel(_Part):
    """A way by which personal data may not go, or by which a product sends it."""

    channel: str
    data: Literal["barred", "sent"]
    by: str = ""


class Document(BaseModel):
    """A school's written policy, as far as it can be compared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    statement: tuple[Statement, ...] = ()
    sanctions: tuple[Sanctions, ...] = ()
    incident: tuple[Incident, ...] = ()
    duty: tuple[Duty, ...] = ()
    product: tuple[Product, ...] = ()
    channel: tuple[Channel, ...] = ()


class Written(BaseModel):
    """A document with the file that it was read from."""

    model_config = ConfigDict(frozen=True)

    set: str
    path: Path
    text: str
    document: Document

    def where(self, at: str) -> tuple[str, int]:
        """Return file and line where a place of the document is written down."""
        lines = self.text.splitlines()
        found = (number for number, line in enumerate(lines, 1) if f'at = "{at}"' in line)
        return str(self.path), next(found, 1)


def read_written(profiles: Path) -> list[Written]:
    """Read the document of each set that has one; ProblemsError for one that cannot be understood."""
    return [_read(path) for path in sorted(profiles.glob(f"*/{FILE}"))]


def _read(path: Path) -> Written:
    try:
        text = path.read_text(encoding="utf-8")
        document = Document.model_validate(tomllib.loads(text))
    except ValidationError as error:
        problems = [
            Problem(str(path), 1, 1, f"{'.'.join(map(str, each['loc']))}: {each['msg']}")
            for each in error.errors()
        ]
        raise ProblemsError(problems) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProblemsError([Problem(str(path), 1, 1, f"cannot be read: {error}")]) from error
    return Written(set=path.parent.name, path=path, text=text, document=document)
