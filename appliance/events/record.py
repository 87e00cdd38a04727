"""One event as it is stored: flat, bounded, and safe to put into any database.

What lives only here: the step from `model.event` values to storable ones. Text from the network may
hold half a surrogate pair, NUL or 64 KB of anything; after this file it is valid Unicode of limited
length. The floor is enforced here a second time: what a statutory list names keeps no address.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from appliance.model.decision import Decision, Reason
from appliance.model.event import Access, ReviewRequest

MAX_URL = 4_096
"""Longest address kept, in characters; a longer one is cut and ends in an ellipsis."""

MAX_TEXT = 1_024
"""Longest other text kept, in characters."""

_MAX_INT = 2**63 - 1
_NUMBERS = {"time", "floor", "severity", "flagged", "status", "bytes_sent", "bytes_received"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Record(NamedTuple):
    """One access as the log keeps it. `time` is milliseconds since 1970, UTC.

    `url` is None when it was never kept (a floor hit) or its retention has run out.
    """

    reference: str
    time: int
    name: str
    group: str
    source: str
    confidence: str
    device: str
    client: str
    host: str
    url: str | None
    method: str
    search_term: str
    action: str
    reason: str
    category: str
    profile: str
    because: str
    rule: str
    list: str
    list_version: str
    policy_version: str
    floor: int
    severity: int
    flagged: int
    status: int
    bytes_sent: int
    bytes_received: int

    @property
    def at(self) -> datetime:
        """The moment, aware (UTC)."""
        return moment(self.time)


class Review(NamedTuple):
    """One "I think this is a mistake" as the log keeps it; `time` as in `Record`."""

    reference: str
    time: int
    client: str
    group: str
    message: str

    @property
    def at(self) -> datetime:
        """The moment, aware (UTC)."""
        return moment(self.time)


type Entry = Record | Review


def from_access(access: Access) -> Record:
    """Flatten one access into what may be stored."""
    person, decision = access.person, access.decision
    # Suspected illegal addresses are never stored (ILL-1), whatever the caller put into the event;
    # a search term is part of such an address.
    hidden = _hidden(decision)
    host, url, term = ("", None, "") if hidden else (access.host, access.url, access.search_term)
    texts: tuple[str, ...] = (
        access.reference, person.name, person.group, person.source, person.device, access.client,
        host, access.method, term, decision.category, decision.profile, decision.because,
        decision.rule, decision.list, decision.list_version, decision.policy_version,
    )  # fmt: skip
    # Nearly always nothing needs cleaning, which all of them together tell as well as each by itself.
    whole = "".join(texts)
    if len(whole) > MAX_TEXT or not whole.isprintable():
        texts = tuple(clean(text) for text in texts)
    (
        reference, name, group, source, device, client, host, method, term, category, profile, because,
        rule, listed, list_version, policy_version,
    ) = texts  # fmt: skip
    return Record(
        reference,
        milliseconds(access.at),
        name,
        group,
        source,
        person.confidence.value,
        device,
        client,
        host,
        None if url is None else clean(url, MAX_URL),
        method,
        term,
        decision.action.value,
        decision.reason.value,
        category,
        profile,
        because,
        rule,
        listed,
        list_version,
        policy_version,
        int(decision.floor),
        int(decision.severity),
        int(decision.flagged),
        _bounded(access.status),
        _bounded(access.bytes_sent),
        _bounded(access.bytes_received),
    )


def from_review(request: ReviewRequest) -> Review:
    """Flatten one review request into what may be stored."""
    return Review(
        clean(request.reference),
        milliseconds(request.at),
        clean(request.client),
        clean(request.group),
        clean(request.message),
    )


def clean(text: str, limit: int = MAX_TEXT) -> str:
    r"""Return `text` as valid Unicode without NUL, at most `limit` characters.

    Half surrogate pairs and NUL become visible escapes (`\udc80`, `\x00`); line ends and other
    controls stay, because the record is evidence: whoever shows it escapes them.
    """
    if len(text) > limit or not text.isprintable():  # isprintable: false for surrogates and NUL
        text = text[: limit + 1].encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
        if len(text) > limit:
            text = text[: limit - 1] + "…"
    return text


def milliseconds(at: datetime) -> int:
    """Return an aware moment as whole milliseconds since 1970, UTC."""
    return (at - _EPOCH) // _MILLISECOND


def moment(time: int) -> datetime:
    """Return what `milliseconds` was given, to the millisecond."""
    return _EPOCH + time * _MILLISECOND


def to_line(entry: Entry) -> str:
    """Write one entry as a line of JSON, without its line end; ASCII only."""
    kind = "access" if isinstance(entry, Record) else "review"
    return json.dumps({kind: entry._asdict()}, separators=(",", ":"))


def from_line(line: str) -> Entry:
    """Read back what `to_line` wrote; raise ValueError where the line is anything else."""
    try:
        ((kind, values),) = json.loads(line).items()
        entry: Entry = {"access": Record, "review": Review}[kind](**values)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("not a spilled event") from error
    for name, value in entry._asdict().items():
        if isinstance(value, str):
            value.encode()  # half a surrogate pair: an UnicodeEncodeError is a ValueError
        fits = abs(value) <= _MAX_INT if isinstance(value, int) else name == "url" or value is not None
        if not fits or (type(value) is int) != (name in _NUMBERS):
            raise ValueError(f"not a spilled event: {name}")
    return entry


def _hidden(decision: Decision) -> bool:
    return decision.floor or decision.reason is Reason.FLOOR


def _bounded(number: int) -> int:
    return min(max(number, 0), _MAX_INT)
