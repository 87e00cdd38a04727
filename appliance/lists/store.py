"""The lists that a school has imported: what each is, where it came from, and its keys.

What lives only here: the layout of STATE/lists/imported. Each list has a folder with
`meta.json` (the one file that says which keys are in force), a key file named by its content,
and the account of the lines that were not used.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from appliance.lists.paths import Paths, replacing
from appliance.lists.reading import Account
from appliance.lists.table import Info

_META = "meta.json"
_SHOWN_DIGITS = 12


class StoreError(ValueError):
    """An imported list is damaged; the message says which and what to do."""


class Meta(BaseModel):
    """What is known of an imported list. `aliases` are other names its source gives it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    title: str
    categories: tuple[str, ...]
    use: Literal["category", "block", "allow"] = "category"
    licence: str = ""
    format: str = ""
    source: str
    source_sha256: str = ""
    imported_at: datetime
    keys: str
    sha256: str
    usage: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    lines: int
    used: int
    comments: int
    skipped: int
    quarantined: int
    entries: int

    @property
    def version(self) -> str:
        """Which edition this is, by its content."""
        return f"sha256:{self.sha256[:_SHOWN_DIGITS]}"

    def info(self) -> Info:
        """Return what the table says of this list."""
        return Info(
            id=self.id,
            title=self.title,
            version=self.version,
            categories=self.categories,
            use=self.use,
            licence=self.licence,
            dated=self.imported_at.isoformat(timespec="seconds"),
            usage=self.usage,
            lines=self.lines,
            used=self.used,
            comments=self.comments,
            skipped=self.skipped,
            quarantined=self.quarantined,
            entries=self.entries,
        )


@dataclass(slots=True)
class Draft:
    """A list that is being read in; nothing of it counts until `commit`."""

    folder: Path
    keys: IO[str] = field(init=False)
    problems: IO[str] = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.keys = (self.folder / ".keys.new").open("w", encoding="ascii", newline="\n")
        self.problems = (self.folder / ".problems.new").open("w", encoding="utf-8", newline="\n")

    def close(self) -> tuple[str, str]:
        """Put the keys on the disk and return their SHA-256 and file name."""
        for file in (self.keys, self.problems):
            file.flush()
            os.fsync(file.fileno())
            file.close()
        with (self.folder / ".keys.new").open("rb") as written:
            sha256 = hashlib.file_digest(written, "sha256").hexdigest()
        return sha256, f"{sha256[:_SHOWN_DIGITS]}.keys"

    def commit(self, meta: Meta) -> None:
        """Make this edition the one in force; the last one's keys stay until `tidy`."""
        (self.folder / ".keys.new").replace(self.folder / meta.keys)
        (self.folder / ".problems.new").replace(self.folder / "problems.txt")
        with replacing(self.folder / _META) as file:
            file.write(meta.model_dump_json(indent=1).encode() + b"\n")

    def drop(self) -> None:
        """Forget what was read in."""
        for file in (self.keys, self.problems):
            file.close()
        for name in (".keys.new", ".problems.new"):
            (self.folder / name).unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


class Store:
    """All imported lists."""

    def __init__(self, paths: Paths) -> None:
        self._root = paths.imported

    def draft(self, list_id: str) -> Draft:
        """Begin a new edition of a list."""
        return Draft(self._root / list_id)

    def all(self) -> tuple[Meta, ...]:
        """Return every list in force, by id. Raises `StoreError` where one is damaged."""
        return tuple(self._meta(path) for path in sorted(self._root.glob(f"*/{_META}")))

    def keys_of(self, meta: Meta) -> Path:
        """Return the file of a list's keys."""
        return self._root / meta.id / meta.keys

    def saved(self, ids: list[str]) -> dict[str, bytes | None]:
        """Return what `restore` needs to go back to the editions now in force."""
        found = {name: self._root / name / _META for name in ids}
        return {name: path.read_bytes() if path.exists() else None for name, path in found.items()}

    def restore(self, saved: dict[str, bytes | None]) -> None:
        """Go back to the editions that were in force; new lists go."""
        for name, meta in saved.items():
            if meta is None:
                shutil.rmtree(self._root / name, ignore_errors=True)
            else:
                with replacing(self._root / name / _META) as file:
                    file.write(meta)

    def tidy(self) -> None:
        """Remove the keys of editions that are no longer in force."""
        for meta in self.all():
            for path in (self._root / meta.id).glob("*.keys"):
                if path.name != meta.keys:
                    path.unlink()

    def fingerprint(self) -> bytes:
        """Return bytes that change with every change of what is in force."""
        return b"".join(path.read_bytes() for path in sorted(self._root.glob(f"*/{_META}")))

    def _meta(self, path: Path) -> Meta:
        again = f"import the list again, or remove the folder {path.parent}"
        try:
            meta = Meta.model_validate_json(path.read_bytes())
        except ValidationError:
            raise StoreError(f"{path}: damaged; {again}") from None
        if not (path.parent / meta.keys).is_file():
            raise StoreError(f"{path}: its keys are missing; {again}")
        return meta


def counts(account: Account) -> dict[str, int]:
    """Return an account's numbers under the names that `Meta` and `Info` use."""
    names = ("lines", "used", "comments", "skipped", "quarantined", "entries")
    return {name: getattr(account, name) for name in names}
