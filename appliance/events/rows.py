"""How one record lies in the tables: which part is a dictionary entry, which part is the row.

What lives only here: the statements that put a record in and read it out, and the packing of its
address, which would otherwise repeat the host.
"""

from __future__ import annotations

from typing import Any

from appliance.events.record import Entry, Record
from appliance.events.schema import DAY

type Key = tuple[str | int, ...]

FIND_WHO = """SELECT id FROM who WHERE day = ? AND flagged = ? AND name = ? AND "group" = ? AND source = ?
    AND confidence = ? AND device = ? AND client = ?"""
ADD_WHO = """INSERT INTO who (day, flagged, name, "group", source, confidence, device, client)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
FIND_VERDICT = """SELECT id FROM verdict WHERE day = ? AND flagged = ? AND action = ? AND reason = ?
    AND category = ? AND profile = ? AND because = ? AND rule = ? AND list = ? AND list_version = ?
    AND policy_version = ? AND floor = ? AND severity = ?"""
ADD_VERDICT = """INSERT INTO verdict (day, flagged, action, reason, category, profile, because, rule, list,
    list_version, policy_version, floor, severity) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
ADD_ACCESS = """INSERT INTO access (time, flagged, who, verdict, reference, host, url, method, search_term,
    status, bytes_sent, bytes_received) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_SAME_ACCESS = """SELECT 1 FROM access WHERE flagged = 1 AND reference = ? AND time = ? AND method = ?
    AND status = ?"""
_SAME_REVIEW = "SELECT 1 FROM review WHERE time = ? AND reference = ? AND client = ? AND message = ?"
ADD_REVIEW = 'INSERT INTO review (reference, time, client, "group", message) VALUES (?, ?, ?, ?, ?)'

# The columns in the order of Record. LEFT JOIN: an access outlives a dictionary entry only for
# moments, at the end of its retention, and is shown without it then, not hidden.
SELECT = """SELECT a.reference, a.time, coalesce(w.name, ''), coalesce(w."group", ''),
    coalesce(w.source, ''), coalesce(w.confidence, ''), coalesce(w.device, ''), coalesce(w.client, ''),
    a.host, a.url, a.method, a.search_term, coalesce(v.action, ''), coalesce(v.reason, ''),
    coalesce(v.category, ''), coalesce(v.profile, ''), coalesce(v.because, ''), coalesce(v.rule, ''),
    coalesce(v.list, ''), coalesce(v.list_version, ''), coalesce(v.policy_version, ''),
    coalesce(v.floor, 0), coalesce(v.severity, 0), a.flagged, a.status, a.bytes_sent, a.bytes_received
    FROM access a LEFT JOIN who w ON w.id = a.who LEFT JOIN verdict v ON v.id = a.verdict"""

# First character of a stored address: which start, made from the host, was left out.
_PREFIXES = {"s": "https://", "h": "http://"}
_WHOLE = "="


def same(entry: Entry) -> tuple[str, Key]:
    """Return the question, with its values, whether this very flagged access or review is there."""
    if isinstance(entry, Record):
        return _SAME_ACCESS, (entry.reference, entry.time, entry.method, entry.status)
    return _SAME_REVIEW, (entry.time, entry.reference, entry.client, entry.message)


def who_key(record: Record) -> Key:
    """Return what identifies the record's entry in `who`, in the order of FIND_WHO."""
    return (
        record.time // DAY,
        record.flagged,
        record.name,
        record.group,
        record.source,
        record.confidence,
        record.device,
        record.client,
    )


def verdict_key(record: Record) -> Key:
    """Return what identifies the record's entry in `verdict`, in the order of FIND_VERDICT."""
    return (
        record.time // DAY,
        record.flagged,
        record.action,
        record.reason,
        record.category,
        record.profile,
        record.because,
        record.rule,
        record.list,
        record.list_version,
        record.policy_version,
        record.floor,
        record.severity,
    )


def access_row(record: Record, who: int, verdict: int) -> tuple[str | int | None, ...]:
    """Return the values of ADD_ACCESS."""
    return (
        record.time,
        record.flagged,
        who,
        verdict,
        record.reference,
        record.host,
        pack_url(record.url, record.host),
        record.method,
        record.search_term,
        record.status,
        record.bytes_sent,
        record.bytes_received,
    )


def read_row(row: tuple[Any, ...]) -> Record:
    """Return the record of one row of SELECT."""
    record = Record._make(row)
    return record._replace(url=unpack_url(record.url, record.host))


def pack_url(url: str | None, host: str) -> str | None:
    """Leave out of an address the start that its host repeats."""
    if url is None:
        return None
    for mark, scheme in _PREFIXES.items():
        start = scheme + host
        if host and url.startswith(start):
            return mark + url[len(start) :]
    return _WHOLE + url


def unpack_url(packed: str | None, host: str) -> str | None:
    """Return what `pack_url` was given."""
    if not packed:
        return None
    return packed[1:] if packed[0] == _WHOLE else _PREFIXES[packed[0]] + host + packed[1:]
