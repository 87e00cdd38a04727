"""Which settings count only once two people have agreed, and how they are joined with the file as it is.

What lives only here: that everything is held which is not named here as technical. A key that a later release
adds is held until somebody says otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

type Values = dict[str, Any]

FREE: tuple[tuple[str, ...], ...] = (
    ("paths",),
    ("metrics",),
    ("demo",),
    ("gateway", "listen"),
    ("gateway", "listen_tls"),
    ("gateway", "proxy_name"),
    ("gateway", "transparent"),
    ("gateway", "workers"),
    ("gateway", "resolvers"),
    ("gateway", "deadline_seconds"),
    ("gateway", "idle_seconds"),
    ("gateway", "http2"),
    ("gateway", "lean_lane"),
    ("gateway", "recycle"),
    ("lists", "update_memory_megabytes"),
    ("alerts", "mail"),
    ("alerts", "webhooks"),
    ("alerts", "syslog"),
    ("alerts", "heartbeat"),
    ("alerts", "link"),
)
"""What a technician mends alone in the morning: where we listen, how mail leaves, how much memory."""


def held(values: Mapping[str, Any]) -> Values:
    """Return what is held of a whole configuration, given as plain values."""
    return _without(values, ())


def joined(values: Mapping[str, Any], released: Mapping[str, Any]) -> Values:
    """Return the configuration that counts: what is held as it was released, the rest as `values` say.

    A key that `released` does not know yet, since a newer program brought it, is as in `values`.
    """
    return _joined(values, released, ())


def text_of(values: Mapping[str, Any]) -> str:
    """Return values as lines of one key each, in order, as they are kept, hashed and compared."""
    lines = sorted(f"{'.'.join(path)}: {json.dumps(value)}" for path, value in _leaves(values, ()))
    return "".join(f"{line}\n" for line in lines)


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the keys in which two configurations differ, such as `changes.approval`."""
    first, second = dict(_leaves(one, ())), dict(_leaves(other, ()))
    paths = {path for path in first.keys() | second.keys() if first.get(path) != second.get(path)}
    return sorted(".".join(path) for path in paths)


def _without(values: Mapping[str, Any], path: tuple[str, ...]) -> Values:
    found: Values = {}
    for name, value in values.items():
        here = (*path, name)
        if here not in FREE:
            found[name] = _without(value, here) if isinstance(value, dict) and _mixed(here) else value
    return found


def _joined(values: Mapping[str, Any], released: Mapping[str, Any], path: tuple[str, ...]) -> Values:
    found: Values = {}
    for name, value in values.items():
        here = (*path, name)
        if here in FREE or name not in released:
            found[name] = value
        elif isinstance(value, dict) and isinstance(released[name], dict) and _mixed(here):
            found[name] = _joined(value, released[name], here)
        else:
            found[name] = released[name]
    return found


def _mixed(path: tuple[str, ...]) -> bool:
    # A section of which some keys are technical and others are not.
    return any(free[: len(path)] == path for free in FREE) or len(path) == 1


def _leaves(values: Mapping[str, Any], path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    found: list[tuple[tuple[str, ...], Any]] = []
    for name, value in values.items():
        here = (*path, name)
        found += _leaves(value, here) if isinstance(value, dict) and value else [(here, value)]
    return found
