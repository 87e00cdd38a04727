"""The lists that a school has imported: what each is, where it came from, and its keys.

What lives only here: the layout of STATE/lists/imported. Each list has a folder with
`meta.json` (the one file that says which keys are in force; `dropped.json` once it was dropped),
`last.json` (the edition before, to which `rollback` returns), a key file each named by its
content, and the account of the lines that were not used.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from appliance.config.problems import InWordsError
from appliance.lists.paths import Paths, make_folder, open_owned, replacing
from appliance.lists.reading import Account
from appliance.lists.rekeyed import NEW, OLD, rekeyed
from appliance.lists.table import Info

_META = "meta.json"
_LAST = "last.json"
_DROPPED = "dropped.json"
_SHOWN_DIGITS = 12
_BLOCK = 1 << 20


class StoreError(InWordsError):
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
        make_folder(self.folder)
        self.keys = open_owned(self.folder / ".keys.new", "w", encoding="ascii", newline="\n")
        self.problems = open_owned(self.folder / ".problems.new", "w", encoding="utf-8", newline="\n")

    def close(self) -> tuple[str, str]:
        """Put the keys on the disk and return their SHA-256 and file name."""
        for file in (self.keys, self.problems):
            file.flush()
            os.fsync(file.fileno())
            file.close()
        with (self.folder / ".keys.new").open("rb") as written:
            sha256 = hashlib.file_digest(written, "sha256").hexdigest()
        return sha256, f"{sha256[:_SHOWN_DIGITS]}{NEW}"

    @property
    def unconfirmed(self) -> Path:
        """The file of keys that `commit` would put in force."""
        return self.folder / ".keys.new"

    def commit(self, meta: Meta) -> None:
        """Make this edition the one in force, and the one that was the last."""
        in_force = self.folder / _META
        if in_force.exists() and f'"{meta.sha256}"'.encode() not in in_force.read_bytes():
            with replacing(self.folder / _LAST) as file:
                file.write(in_force.read_bytes())
        (self.folder / ".keys.new").replace(self.folder / meta.keys)
        (self.folder / ".problems.new").replace(self.folder / "problems.txt")
        with replacing(in_force) as file:
            file.write(meta.model_dump_json(indent=1).encode() + b"\n")
        (self.folder / _DROPPED).unlink(missing_ok=True)

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

    def whole(self) -> tuple[Meta, ...]:
        """Return every list in force that is not damaged: for what mends the others, or needs none."""
        found = []
        for name in self.ids():
            with contextlib.suppress(StoreError, OSError):
                meta = self._meta(self._root / name / _META)
                self.keys_of(meta)
                found.append(meta)
        return tuple(found)

    def get(self, list_id: str) -> Meta | None:
        """Return the list of this id if it is in force; raises `StoreError` where it is damaged."""
        return self._meta(self._root / list_id / _META) if list_id in self.ids() else None

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all lists in force, damaged ones too."""
        return tuple(sorted(path.parent.name for path in self._root.glob(f"*/{_META}")))

    def keys_of(self, meta: Meta) -> Path:
        """Return the file of a list's keys.

        Raises `StoreError` where it is not whole: half a list in force would be noticed by nobody.
        """
        path = self._root / meta.id / meta.keys
        if not path.is_file():
            raise StoreError(f"{path}: its keys are missing; {_again(path)}")
        if _lines(path) != meta.entries:
            raise StoreError(f"{path}: damaged; {_again(path)}")
        return path

    def saved(self, ids: list[str]) -> dict[str, bytes | None]:
        """Return what `restore` needs to go back to the editions now in force, and those before them."""
        names = [f"{name}/{file}" for name in ids for file in (_META, _LAST, _DROPPED)]
        return {name: _bytes(self._root / name) for name in names}

    def restore(self, saved: dict[str, bytes | None]) -> None:
        """Go back to the editions that were in force; new lists go."""
        for name, meta in saved.items():
            path = self._root / name
            if meta is not None:
                with replacing(path) as file:
                    file.write(meta)
            else:
                path.unlink(missing_ok=True)
        for folder in {(self._root / name).parent for name in saved}:
            if not any((folder / name).exists() for name in (_META, _DROPPED)):
                shutil.rmtree(folder, ignore_errors=True)

    def last(self, list_id: str) -> Meta | None:
        """Return the edition before the one in force, if it is still there and whole."""
        path = self._root / list_id / _LAST
        try:
            return self._meta(path) if path.exists() else None
        except StoreError:
            return None

    def drop(self, list_id: str) -> None:
        """Take a list out of force; its keys stay, so that `roll_back` can bring it back."""
        folder = self._root / list_id
        (folder / _META).replace(folder / _DROPPED)

    def dropped(self) -> tuple[str, ...]:
        """Return the ids of the lists that were dropped and can be brought back."""
        return tuple(sorted(path.parent.name for path in self._root.glob(f"*/{_DROPPED}")))

    def roll_back(self, list_id: str) -> Meta:
        """Put the last edition in force again, and keep the present one in its place; or a dropped list.

        Returns the edition that is then in force; raises `StoreError` where there is none.
        """
        folder = self._root / list_id
        if list_id in self.dropped():
            meta = self._meta(folder / _DROPPED)
            (folder / _DROPPED).replace(folder / _META)
            return meta
        last = self.last(list_id)
        if last is None:
            raise StoreError(f"there is no earlier edition of {list_id!r} to return to")
        before, now = self._root / list_id / _LAST, self._root / list_id / _META
        present = _bytes(now)
        with replacing(now) as file:
            file.write(before.read_bytes())
        with replacing(before) as file:
            file.write(present or b"")
        return last

    def tidy(self) -> None:
        """Remove the keys of editions that are neither in force nor the last before it."""
        for meta in self.all():
            last = self.last(meta.id)
            kept = {meta.keys, last.keys if last else ""}
            for path in (self._root / meta.id).iterdir():
                if path.suffix in {OLD, NEW} and path.name not in kept and path.name[0] != ".":
                    path.unlink()

    def bring_up(self) -> None:
        """Bring what an earlier version has left into this one's form; raises `StoreError`."""
        for path in (*self._root.glob(f"*/{_META}"), *self._root.glob(f"*/{_LAST}")):
            meta = self.last(path.parent.name) if path.name == _LAST else self._meta(path)
            if meta is not None and meta.keys.endswith(OLD):
                new = rekeyed(path.parent / meta.keys)
                with replacing(path) as file:
                    file.write(meta.model_copy(update={"keys": new.name}).model_dump_json(indent=1).encode())

    def fingerprint(self) -> bytes:
        """Return bytes that change with every change of what is in force."""
        return b"".join(path.read_bytes() for path in sorted(self._root.glob(f"*/{_META}")))

    def _meta(self, path: Path) -> Meta:
        try:
            meta = Meta.model_validate_json(path.read_bytes())
        except ValidationError:
            raise StoreError(f"{path}: damaged; {_again(path)}") from None
        if not (path.parent / meta.keys).is_file():
            raise StoreError(f"{path}: its keys are missing; {_again(path)}")
        return meta


def _again(path: Path) -> str:
    name = path.parent.name
    return f"import or update the list again, or take it out with: appliance lists drop {name}"


def _lines(path: Path) -> int:
    """Return how many lines of keys a file has; -1 where something else is in it."""
    found = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            if not block.isascii():
                return -1
            found += block.count(b"\n")
    return found


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def counts(account: Account) -> dict[str, int]:
    """Return an account's numbers under the names that `Meta` and `Info` use."""
    names = ("lines", "used", "comments", "skipped", "quarantined", "entries")
    return {name: getattr(account, name) for name in names}
