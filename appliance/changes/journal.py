"""What was in force before a decision about a change is carried out, until that decision is on the disk.

What lives only here: the file STATE/changes/undo.json. It is written before anything comes in force and goes
once the database has the decision (an undo log): whoever finds it beside another decision, after a power cut
or a full disk, knows what to go back to.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from appliance.changes.database import FOLDER, ChangeError
from appliance.owners import make_folder, open_private
from appliance.transactions import keep_names

JOURNAL = "undo.json"
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What reading a file raises that is not as it was written."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A decision that was begun: how change `number` is to stand, decided at `at` (seconds since 1970).

    `known` names how every decision stood before it, and `before` is what was in force, for whoever kept it.
    """

    number: int
    state: str
    at: float
    known: str
    before: dict[str, Any]


class Journal:
    """The file in the folder `state`. Only who has the database to write may write or remove it."""

    def __init__(self, state: Path) -> None:
        self.path = state / FOLDER / JOURNAL

    def there(self) -> bool:
        """Return whether a decision was begun, and may not have ended."""
        return self.path.exists()

    def write(self, begun: Begun) -> None:
        """Keep it, on the disk when this returns; OSError."""
        make_folder(self.path.parent)
        draft = self.path.with_name(f".{JOURNAL}")  # one, which the next decision takes after a power cut
        draft.unlink(missing_ok=True)
        with os.fdopen(open_private(draft, os.O_WRONLY), "w", encoding="utf-8") as file:
            json.dump(asdict(begun), file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)
        keep_names(self.path.parent)

    def read(self) -> Begun | None:
        """Return what was begun, None for nothing; ChangeError where the file is damaged."""
        try:
            found = json.loads(self.path.read_bytes())
            number, at = int(found["number"]), float(found["at"])
            return Begun(number, str(found["state"]), at, str(found["known"]), dict(found["before"]))
        except FileNotFoundError:
            return None
        except UNREADABLE as error:
            raise self.unusable(f"damaged ({error!r})") from None

    def words(self) -> str:
        """Return what whoever looks is to know while it is there; empty for nothing. OSError."""
        try:
            begun = self.read()
        except ChangeError as error:
            return str(error)
        if begun is None:
            return ""
        return (
            f"change {begun.number} is just being decided, or that was ended half way, and part of it may be "
            "in force: the gateway undoes that within ten seconds, or at its next start; its log says so, or "
            "why it cannot"
        )

    def unusable(self, why: str) -> ChangeError:
        """Return what is said where nobody can tell from the file what to go back to."""
        return ChangeError(
            f"{self.path}: {why}; see with `appliance changes list` that what is in force is what is meant, "
            "then move this file away"
        )

    def remove(self) -> None:
        """Forget it: the decision is on the disk, or undone; OSError."""
        self.path.unlink(missing_ok=True)
        keep_names(self.path.parent)
