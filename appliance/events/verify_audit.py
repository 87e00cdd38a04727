"""Checks the audit of a school gateway: whether anything was changed, left out, cut off or signed anew.

This one file needs Python and the library `cryptography`, and nothing of the gateway: a governor's own
computer runs it on an export (`appliance audit export FILE.zip`), with what left the gateway earlier:

    python verify_audit.py FILE.zip --checkpoint printed-in-march.txt --fingerprint 3f09...

Each record is one line of canonical JSON (RFC 8785) that names the SHA-256 of the line before it, so whatever
is changed breaks the chain at that place. Who can write the whole file anew can make a whole chain again:
against that there are checkpoints, which say how many records there were and how the last one was hashed,
signed with Ed25519. A new key is named in the chain, and both keys sign that. Flagged events are sealed into
the chain by the root of a Merkle tree (RFC 6962, 2.1).

What lives only here: the rules of all that; the gateway itself uses this same file.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import io
import json
import math
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from pathlib import Path
from typing import IO, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FIRST = "0" * 64
"""What stands for the hash of the line before the first."""

TITLE = "School gateway: audit checkpoint, version 1"
TRAIL = "audit.jsonl"
CHECKPOINTS = "checkpoints"
WHOLE, FOUND, UNREADABLE = 0, 1, 2
"""Exit status: nothing was found; something was; it could not be read."""

KEY_CHANGE = "audit-key-change"
"""A record that names a new key for checkpoints: `whom` is its fingerprint; both keys sign it."""
NOT_CARRIED = "not-carried-out"
"""A record that says of an earlier one, `record`, that its step was rolled back: it did not take effect."""
KEY_TITLE = "School gateway: audit key change, version 1"
_SIGNED = ("school", "records", "head", "made", "key")
_EXACT = 2**53
_MOST = 1_000
"""Findings kept; more would not help anybody."""


# --- one record ---


def canonical(value: object) -> bytes:
    """Return a value as RFC 8785 writes it; ValueError for numbers that programs could write differently.

    Names of members are expected to be ASCII, numbers to be whole, or of at most three decimals.
    """
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        value = round(value, 3)
        value = int(value) if value.is_integer() else value
    if isinstance(value, int | float) and abs(value) >= _EXACT:
        raise ValueError(f"{value} is too large a number")
    return value


def line_hash(line: bytes) -> str:
    """Return the hash by which the next record names this line, its line end included."""
    return hashlib.sha256(line).hexdigest()


def merkle_root(leaves: Sequence[bytes]) -> str:
    """Return the root of RFC 6962 over the data of the leaves, in hexadecimal."""
    level = [hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves]
    if not level:
        return hashlib.sha256(b"").hexdigest()
    while len(level) > 1:
        # Pairs from the left, and whoever is left over moves up: the same tree as the standard's.
        pairs = [
            hashlib.sha256(b"\x01" + level[at] + level[at + 1]).digest() for at in range(0, len(level) - 1, 2)
        ]
        level = pairs + level[len(level) - len(level) % 2 :]
    return level[0].hex()


# --- checkpoints ---


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint says: so many records, the last one hashed so, signed by this key."""

    name: str
    school: str
    records: int
    head: str
    made: str
    key: bytes

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the public key."""
        return fingerprint(self.key)


def fingerprint(key: bytes) -> str:
    """Return what people compare of a public key (32 bytes)."""
    return hashlib.sha256(key).hexdigest()


def signed_text(school: str, records: int, head: str, made: str, key: bytes) -> str:
    """Return the lines of a checkpoint that its signature covers."""
    values = (" ".join(school.split()), records, head, made, base64.b64encode(key).decode())
    lines = [f"{name}: {value}" for name, value in zip(_SIGNED, values, strict=True)]
    return "\n".join([TITLE, *lines, ""])


def read_checkpoint(text: str, name: str) -> Checkpoint:
    """Return the checkpoint; ValueError where the text is none, or its signature does not fit."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    values = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    try:
        key = base64.b64decode(values["key"], validate=True)
        found = Checkpoint(
            name, values["school"], int(values["records"]), values["head"], values["made"], key
        )
        signature = base64.b64decode(values["signature"], validate=True)
        signed = signed_text(found.school, found.records, found.head, found.made, key)
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed.encode())
    except (KeyError, ValueError, binascii.Error) as error:
        raise ValueError(f"{name}: this is no audit checkpoint, or not all of it ({error})") from None
    except InvalidSignature:
        raise ValueError(f"{name}: this checkpoint was changed: its signature does not fit") from None
    if lines[0] != TITLE:
        raise ValueError(f"{name}: this is no audit checkpoint of a version that is known here")
    return found


def key_change_text(old: bytes, new: bytes, reason: str) -> str:
    """Return what both keys sign where a new one (32 bytes, public) takes the place of an old one."""
    names = (base64.b64encode(key).decode() for key in (old, new))
    return "\n".join([KEY_TITLE, *names, " ".join(reason.split()), ""])


def read_key_change(record: dict[str, Any]) -> tuple[str, str]:
    """Return the fingerprints of the old and the new key; ValueError where they have not both signed."""
    try:
        old, new = (base64.b64decode(record[name], validate=True) for name in ("old_key", "new_key"))
        text = key_change_text(old, new, record["reason"]).encode()
        for key, name in ((old, "old_signature"), (new, "new_signature")):
            Ed25519PublicKey.from_public_bytes(key).verify(base64.b64decode(record[name]), text)
    except (KeyError, ValueError, TypeError, AttributeError, InvalidSignature):
        raise ValueError("a new key that the old one has not signed") from None
    return fingerprint(old), fingerprint(new)


# --- the chain ---


@dataclass(slots=True)
class Report:
    """What was found. `findings` are proof that something is wrong; `notes` are worth a look."""

    records: int = 0
    head: str = FIRST
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    heads: dict[int, str] = field(default_factory=dict)
    """The hash of each record that a checkpoint is about."""
    key_changes: list[tuple[int, str, str]] = field(default_factory=list)
    """By record: the fingerprints of the key before and after."""

    def find(self, text: str) -> None:
        """Keep one finding."""
        if len(self.findings) < _MOST:
            self.findings.append(text)


def check_chain(lines: Iterable[bytes], wanted: Iterable[int] = ()) -> Report:
    """Check every record against the one before; `wanted` are numbers of records whose hash is needed.

    Each break is told with its place, and the search goes on behind it.
    """
    report, points, last, line = Report(), frozenset(wanted), "", b""
    expected = 0  # the number that the record should have; 0 while records carry none
    for number, line in enumerate(lines, 1):
        record = _record(line)
        if record is None:
            report.find(f"line {number}: is no record, or was changed: it is not as a gateway writes it")
        else:
            own = record.get("n", 0)
            if expected and own != expected:
                report.find(f"line {number}: {_order(own, expected)}")
            elif record["before"] != report.head:
                why = f"line {number - 1} was changed, or this one" if number > 1 else "its start is missing"
                report.find(f"line {number}: does not follow from what stands before it; {why}")
            if record["at"] < last:
                report.notes.append(f"line {number}: the clock went back, from {last} to {record['at']}")
            last = record["at"]
            if record.get("what") == KEY_CHANGE:
                _note_key_change(report, number, record)
            if record.get("what") == NOT_CARRIED:
                what = f"record {record.get('record')} ({record.get('was')}, {record.get('whom')})"
                report.notes.append(f"line {number}: {what} was not carried out: it could not be kept then")
            expected = own if isinstance(own, int) else 0
        expected = expected + 1 if expected else 0
        report.records, report.head = number, line_hash(line)
        if number in points:
            report.heads[number] = report.head
    if line and _record(line) is not None and not _as_written(line):
        report.find(f"line {report.records}: was changed: it is not as a gateway writes it")
    return report


def _note_key_change(report: Report, number: int, record: dict[str, Any]) -> None:
    try:
        report.key_changes.append((number, *read_key_change(record)))
    except ValueError as error:
        report.find(f"line {number}: names {error}")


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
        if not isinstance(record, dict) or not isinstance(record["before"], str):
            return None
        return record if isinstance(record["at"], str) and line.endswith(b"\n") else None
    except (ValueError, KeyError, RecursionError):
        return None


def _as_written(line: bytes) -> bool:
    # Asked of the last line only: what stands before it is held by its hash, byte for byte. Records of older
    # releases carry no number, and were not written in canonical form.
    try:
        record = json.loads(line)
        return "n" not in record or canonical(record) == line[:-1]
    except (ValueError, RecursionError):
        return False


def _order(own: object, expected: int) -> str:
    if not isinstance(own, int) or own == 0:
        return f"carries no number, where record {expected} belongs"
    if own == expected + 1:
        return f"is record {own}: record {expected} is missing"
    if own > expected:
        return f"is record {own}: records {expected} to {own - 1} are missing"
    return f"is record {own}, where record {expected} belongs: it was moved or put in"


def verify(
    lines: Iterable[bytes], checkpoints: Sequence[Checkpoint] = (), trusted: Sequence[str] = ()
) -> Report:
    """Check the chain, and the chain against checkpoints; `trusted` are fingerprints known from elsewhere.

    Without `trusted` the key of the earliest checkpoint counts.
    """
    points = sorted(checkpoints, key=lambda point: (point.records, point.made))
    report = check_chain(lines, {point.records for point in points})
    keys = {print_.lower().replace(":", "").strip() for print_ in trusted}
    for name in sorted(name for name in keys if len(name) != len(FIRST)):
        report.find(f"{name!a}: is no fingerprint of a key: copy all {len(FIRST)} digits and letters of it")
        keys.remove(name)
    if points and not keys:
        keys = {min(points, key=lambda point: point.made).fingerprint}
    fits, valid = 0, _valid(keys, report.key_changes)
    for point in points:
        if not any(name == point.fingerprint and first <= point.records < end for name, first, end in valid):
            report.find(
                f"{point.name}: signed by another key ({point.fingerprint}) than expected "
                f"({', '.join(sorted(keys))}): somebody has made a new key, or used one that was given up"
            )
        elif point.records > report.records:
            missing = _numbers(report.records + 1, point.records)
            report.find(
                f"{point.name}: made {point.made}, when there were {point.records} records; "
                f"{missing} missing: the end was cut off"
            )
        elif report.heads.get(point.records, FIRST) != point.head:
            report.find(
                f"{point.name}: made {point.made}; among records {fits + 1} to {point.records} something "
                "was changed since, and the chain made again"
            )
        else:
            fits = point.records
    return report


def _valid(keys: set[str], changes: Sequence[tuple[int, str, str]]) -> list[tuple[str, int, float]]:
    """Return each key with the records from and up to which its checkpoints count.

    From a key that is known, each change leads on to the next, and back to the one before: both signed it.
    """
    known, grown = set(keys), True
    while grown:
        linked = {name for _, old, new in changes if known & {old, new} for name in (old, new)}
        grown = not linked <= known
        known |= linked
    first = {new: number for number, _, new in changes}
    end = {old: number for number, old, _ in changes}
    return [(name, first.get(name, 0), end.get(name, math.inf)) for name in known]


def _numbers(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"


def kept_text(data: bytes) -> str:
    """Return the text of a checkpoint as somebody kept it: alone, or in a mail as a program saves it."""
    parts = [part.get_payload(decode=True) for part in message_from_bytes(data).walk()]
    texts = [part.decode("utf-8", "replace") for part in (*reversed(parts), data) if isinstance(part, bytes)]
    return next((text[text.find(TITLE) :] for text in texts if TITLE in text), texts[-1])


def read_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a trail, ends included. Only LF ends a line, as in the gateway's own file."""
    yield from file  # a half line at the end, which a power cut leaves, has no end and is told


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], dict[str, str]]]:
    """Open a trail, a folder with one, or an exported archive; give its lines and its checkpoints."""
    if path.is_dir():
        points = {
            file.name: file.read_text("utf-8", "replace")
            for file in sorted(path.glob(f"{CHECKPOINTS}/*.txt"))
        }
        gone = points and not (path / TRAIL).exists()  # somebody took all of it away
        with io.BytesIO() if gone else (path / TRAIL).open("rb") as file:
            yield file, points
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in sorted(archive.namelist()) if name.startswith(f"{CHECKPOINTS}/")]
            points = {name: archive.read(name).decode("utf-8", "replace") for name in names}
            with archive.open(TRAIL) as inner:
                yield inner, points
    else:
        with path.open("rb") as file:
            yield file, {}


def verify_path(path: Path, extra: Iterable[Path] = (), trusted: Sequence[str] = ()) -> Report:
    """Check what lies at `path`, against its own checkpoints and `extra` ones; OSError, KeyError."""
    with opened(path) as (file, texts):
        texts |= {str(name): kept_text(name.read_bytes()) for name in extra}
        points, bad = [], []
        for name, text in texts.items():
            try:
                points.append(read_checkpoint(text, name))
            except ValueError as error:
                bad.append(str(error))
        report = verify(read_lines(file), points, trusted)
        report.findings += bad
        if not points:
            report.notes.append(
                "no checkpoint was at hand: records that were cut off at the end, or a chain that was made "
                "anew as a whole, cannot be seen"
            )
        return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Check what the command line names; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("export", type=Path, help="the exported archive, a folder, or audit.jsonl itself")
    parser.add_argument("--checkpoint", type=Path, action="append", default=[], help="one kept elsewhere")
    parser.add_argument("--fingerprint", action="append", default=[], help="of the key, known from elsewhere")
    given = parser.parse_args(arguments)
    try:
        report = verify_path(given.export, given.checkpoint, given.fingerprint)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        sys.stderr.write(f"{given.export}: cannot be read: {error}\n")
        return UNREADABLE
    out = [*(f"FOUND  {text}" for text in report.findings), *(f"note   {text}" for text in report.notes)]
    words = "something was changed" if report.findings else "the chain is whole"
    sys.stdout.write("\n".join([*out, f"{report.records} records; {words}; head {report.head}", ""]))
    return FOUND if report.findings else WHOLE


if __name__ == "__main__":
    sys.exit(main())
