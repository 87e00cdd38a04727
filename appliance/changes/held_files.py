"""What is in force of `blocklists/` and of the settings, while edits of them wait for a second person.

What lives only here: the folder STATE/changes, but for its database. Each version is kept by the hash of what
it holds; the one in force is a link, or a small file, that is replaced whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appliance.changes.database import FOLDER, ChangeError
from appliance.changes.held_settings import text_of
from appliance.owners import give, make_folder, open_private
from appliance.transactions import keep_names

BLOCKLISTS = "blocklists"
SETTINGS = "settings.json"
_KEPT = "kept"
_MOST_BYTES = 1 << 30


class HeldFiles:
    """What is held in the folder `state`."""

    def __init__(self, state: Path) -> None:
        self._root = state / FOLDER
        self.blocklists = self._root / BLOCKLISTS
        """The lists and the catalogue that are in force: a link to a version that is kept."""
        self._settings = self._root / SETTINGS

    # --- settings ---

    def settings(self) -> dict[str, Any] | None:
        """Return the settings that two people agreed on; None for none, ChangeError if damaged."""
        values: dict[str, Any] = {}
        try:
            found = json.loads(self._settings.read_bytes())
            version = found["version"]
            values = found["values"]
            whole = version == _digest(text_of(values).encode())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError:
            if os.access(self._root, os.W_OK) or os.access(self._root.parent, os.W_OK):
                raise
            return None  # whoever only looks, and could change nothing here
        except (ValueError, KeyError, TypeError, AttributeError):
            whole = False
        if not whole:
            raise ChangeError(
                f"{self._settings}: damaged; restore it from the last backup. Where there is none, move it "
                "away: the settings file then counts as it is, and the audit says so"
            )
        return values

    def settings_version(self) -> str:
        """Return the version of the settings in force; empty where none are held. ChangeError if damaged."""
        values = self.settings()
        return "" if values is None else _digest(text_of(values).encode())

    def keep_settings(self, values: dict[str, Any]) -> str:
        """Keep a version of what is held of the settings; return its name."""
        version = _digest(text_of(values).encode())
        self._write(self._path("settings", version), {"version": version, "values": values})
        return version

    def kept_settings(self, version: str) -> dict[str, Any]:
        """Return a version that is kept; ChangeError where there is none."""
        try:
            values: dict[str, Any] = json.loads(self._path("settings", version).read_bytes())["values"]
        except (OSError, ValueError, KeyError) as error:
            raise ChangeError(
                f"the settings {version} are not kept any more ({error}); propose them again"
            ) from None
        return values

    def use_settings(self, version: str) -> None:
        """Put a kept version in force, from the next start or reload on."""
        self._write(self._settings, {"version": version, "values": self.kept_settings(version)})

    # --- blocklists ---

    def blocklists_version(self) -> str:
        """Return the version of the lists and the catalogue in force; empty where none is held."""
        try:
            name = self.blocklists.readlink().name
        except OSError:
            return ""
        return name.replace("-", ":", 1)

    def keep_blocklists(self, source: Path) -> str:
        """Keep a copy of the folder `source`; return its version. OSError, ChangeError (too large)."""
        while True:
            version = folder_version(source)
            target = self._path(BLOCKLISTS, version)
            if target.is_dir() and folder_version(target) == version:
                return version
            draft = target.with_name(f".new-{os.getpid()}")
            shutil.rmtree(draft, ignore_errors=True)
            make_folder(target.parent)
            for name in _names(source):
                (draft / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, draft / name)
            for path in (draft, *draft.rglob("*")):
                give(path, self._root)
            # The copy is checked, not trusted: a file that was saved meanwhile gives another version.
            if folder_version(draft) == version:
                shutil.rmtree(target, ignore_errors=True)
                draft.rename(target)
                return version

    def kept_blocklists(self, version: str) -> Path:
        """Return the folder of a kept version; ChangeError where it is gone or was changed."""
        path = self._path(BLOCKLISTS, version)
        if not path.is_dir() or folder_version(path) != version:
            raise ChangeError(f"{path}: this copy is gone or was changed; propose the change again")
        return path

    def use_blocklists(self, version: str) -> None:
        """Put a kept version in force; ChangeError where it is gone or was changed, OSError."""
        self._link(self.kept_blocklists(version))

    @contextlib.contextmanager
    def using_blocklists(self, version: str) -> Iterator[None]:
        """Put a kept version in force; what was in force before comes back if the block raises."""
        before = self.blocklists_version()
        self._link(self.kept_blocklists(version))
        try:
            yield
        except BaseException:
            if before:
                self._link(self._path(BLOCKLISTS, before))
            raise

    def texts(self, version: str) -> dict[str, str]:
        """Return the text of each file of a kept version of the lists, as people compare them."""
        folder = self._path(BLOCKLISTS, version)
        if not version or not folder.is_dir():
            return {}
        return {
            f"{BLOCKLISTS}/{name}": (folder / name).read_text("utf-8", "replace") for name in _names(folder)
        }

    def settings_text(self, version: str) -> str:
        """Return a kept version of the settings, as people compare it; empty where there is none."""
        try:
            return text_of(self.kept_settings(version))
        except ChangeError:
            return ""

    @staticmethod
    def stamps(folder: Path) -> dict[str, str]:
        """Return the hash of each file of a folder of lists, by its name."""
        return {name: _file_digest(folder / name) for name in _names(folder)}

    def _link(self, target: Path) -> None:
        draft = self._root / f".{BLOCKLISTS}-{os.getpid()}"
        draft.unlink(missing_ok=True)
        draft.symlink_to(target.relative_to(self._root))
        draft.replace(self.blocklists)
        keep_names(self._root)  # before what was there is forgotten

    def _path(self, part: str, version: str) -> Path:
        # A version comes from the database or the command line: it names a file, and never a place.
        if not version.startswith("sha256:") or not version[7:].isalnum():
            raise ChangeError(f"{version!r} is no version")
        return self._root / _KEPT / part / version.replace(":", "-")

    def _write(self, path: Path, value: dict[str, Any]) -> None:
        make_folder(self._root)
        make_folder(path.parent)
        draft = path.with_name(f".{path.name}-{os.getpid()}")
        draft.unlink(missing_ok=True)
        with os.fdopen(open_private(draft, os.O_WRONLY), "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        keep_names(path.parent)


def folder_version(folder: Path) -> str:
    """Return the version of a folder's files, by their names and bytes; OSError, ChangeError."""
    digest, size = hashlib.sha256(), 0
    for name in _names(folder):
        size += (folder / name).stat().st_size
        if size > _MOST_BYTES:
            raise ChangeError(
                f"{folder}: holds more than 1 GB; import large lists (`appliance lists import`)"
            )
        digest.update(f"{name}\0{_file_digest(folder / name)}\n".encode())
    return f"sha256:{digest.hexdigest()[:32]}"


def _names(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    names = (path.relative_to(folder).as_posix() for path in found)
    return sorted(name for name in names if not any(part.startswith(".") for part in name.split("/")))


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()[:32]}"
