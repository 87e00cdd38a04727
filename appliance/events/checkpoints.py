"""Checkpoints: how far the audit trail goes, signed, on a piece of text that leaves the box.

What lives only here: the signing key, and the files of checkpoints. A checkpoint is small enough to be
printed: whoever has one can show later whether records from before it were changed or cut off.
"""

from __future__ import annotations

import base64
import hashlib
import os
import syslog
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from appliance.events.audit import FOLDER, Trail
from appliance.events.errors import EventsError
from appliance.events.record import clean
from appliance.events.verify_audit import (
    CHECKPOINTS,
    KEY_CHANGE,
    fingerprint,
    key_change_text,
    read_checkpoint,
    signed_text,
)
from appliance.owners import give, make_folder, open_private

KEY = "signing.key"
GATEWAY = "the gateway"
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Made:
    """A checkpoint that was written: its file, its text, the records it covers, the key's fingerprint."""

    path: Path
    text: str
    records: int
    fingerprint: str


class Checkpoints:
    """The checkpoints of the trail in the folder `state`, of the school `school`."""

    def __init__(self, state: Path, school: str) -> None:
        self.folder = state / FOLDER / CHECKPOINTS
        self._key = state / FOLDER / KEY
        self._next = self._key.with_suffix(".next")
        self._school = school
        self._trail = Trail(state)

    def make(self, at: float) -> Made:
        """Sign how far the trail goes now; OSError or EventsError where that cannot be written.

        The first time a key is made, and the trail says so.
        """
        key = self._signing_key(at)
        public = key.public_key().public_bytes_raw()
        moment = datetime.fromtimestamp(at, UTC)
        with self._trail.alone() as end:
            made = moment.isoformat(timespec="milliseconds")
            signed = signed_text(self._school, end.records, end.head, made, public)
            text = f"{signed}signature: {base64.b64encode(key.sign(signed.encode())).decode()}\n"
            make_folder(self.folder)
            path = self.folder / f"{end.records:09}-{moment:%Y%m%dT%H%M%S%f}.txt"
            _write(path, text.encode(), self.folder)
        return Made(path, text, end.records, fingerprint(public))

    def new_key(self, reason: str, by: str, at: float) -> tuple[str, str]:
        """Put a new key in the place of the old one; return both fingerprints. OSError, EventsError.

        The change is a record of the trail that both keys sign, so that a verifier follows it from the one to
        the other. A power cut in the middle leaves the old key, or is finished at the next start.
        """
        reason = clean(" ".join(reason.split()), _LONGEST)
        old = self._signing_key(at)
        new = Ed25519PrivateKey.generate()
        before, after = (key.public_key().public_bytes_raw() for key in (old, new))
        text = key_change_text(before, after, reason).encode()
        _write(self._next, _pem(new), self._key.parent)
        signed = {
            "old_key": before, "new_key": after,
            "old_signature": old.sign(text), "new_signature": new.sign(text),
        }  # fmt: skip
        told = {name: base64.b64encode(value).decode() for name, value in signed.items()}
        self._trail.add(KEY_CHANGE, fingerprint(after), by=by, at=at, reason=reason, **told)
        self._next.replace(self._key)
        return fingerprint(before), fingerprint(after)

    def due(self) -> bool:
        """Tell whether something was added since the last checkpoint; OSError or EventsError."""
        newest = max(self.folder.glob("*.txt"), default=None)
        with self._trail.alone() as end:
            return end.records > (int(newest.stem.partition("-")[0]) if newest else 0)

    def paths(self) -> list[Path]:
        """Return the files of all checkpoints, the oldest first."""
        return sorted(self.folder.glob("*.txt"), key=lambda path: path.stem.partition("-")[2])

    def _signing_key(self, at: float) -> Ed25519PrivateKey:
        if self._next.exists():
            self._finish_change()
        if not self._key.exists():
            self._make_key(at)
        return _key_in(self._key)

    def _finish_change(self) -> None:
        # Somebody changed the key, and did not come to its end: it counts if the trail has it.
        last = self._trail.last(KEY_CHANGE)
        key = _key_in(self._next)
        if last is not None and last["whom"] == fingerprint(key.public_key().public_bytes_raw()):
            self._next.replace(self._key)
        else:
            self._next.unlink()

    def _make_key(self, at: float) -> None:
        made = Ed25519PrivateKey.generate()
        pem = _pem(made)
        with self._trail.alone():
            if self._key.exists():
                return  # another process was first
            _write(self._key, pem, self._key.parent)
        # A second such record in a trail says that the first key was lost, or somebody wants it to look so.
        public = made.public_key().public_bytes_raw()
        self._trail.add("audit-key", fingerprint(public), by=GATEWAY, at=at)


def send(made: Made, copy_to: Path | None, *, to_syslog: bool) -> None:
    """Let a checkpoint leave the box: into a folder, a line to syslog; OSError where the folder refuses."""
    if to_syslog:
        signature = read_checkpoint(made.text, made.path.name)
        digest = hashlib.sha256(made.text.encode()).hexdigest()
        syslog.syslog(
            syslog.LOG_NOTICE | syslog.LOG_AUTH,
            f"appliance audit checkpoint: {made.records} records, head {signature.head}, "
            f"key {made.fingerprint}, text sha256 {digest}",
        )
    if copy_to is not None:
        with suppress(FileExistsError):
            _write(copy_to / made.path.name, made.text.encode(), copy_to)


def _key_in(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except ValueError as error:
        raise EventsError(f"{path}: is no key; restore it from the last backup") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise EventsError(f"{path}: is another kind of key; restore it from the last backup")
    return key


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, data: bytes, owner: Path) -> None:
    # Whole or not at all: a key of which half was written could never be replaced unseen.
    draft = path.with_name(f".{path.name}.new")
    with suppress(FileNotFoundError):
        draft.unlink()
    with os.fdopen(open_private(draft, os.O_WRONLY | os.O_EXCL), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    give(draft, owner)
    draft.rename(path)
