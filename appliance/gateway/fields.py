"""Header fields, looked up on the shortest way.

What lives only here: the reading of one field of a mitmproxy message. mitmproxy converts the name of every
field in a call of its own, for each look-up anew, and one request brings some forty look-ups. What is found
is the same, and so is what is not.
"""

from __future__ import annotations

from typing import Any

from mitmproxy.http import Headers


def _key(name: str | bytes) -> bytes:
    return (name.encode("utf-8", "surrogateescape") if isinstance(name, str) else name).lower()


def get_all(self: Headers, name: str | bytes) -> list[str]:
    """Return the values of all fields of a name, in their order."""
    key = _key(name)
    return [value.decode("utf-8", "surrogateescape") for one, value in self.fields if one.lower() == key]


def get(self: Headers, name: str | bytes, default: Any = None) -> Any:
    """Return the values of all fields of a name, joined by commas; `default` where there is none."""
    found = get_all(self, name)
    return ", ".join(found) if found else default


def contains(self: Headers, name: object) -> bool:
    """Tell whether there is a field of a name."""
    if not isinstance(name, str | bytes):
        raise TypeError("a name of a header field is text or bytes")
    key = _key(name)
    return any(one.lower() == key for one, _ in self.fields)


def without(headers: Headers, names: frozenset[bytes]) -> None:
    """Take every field away whose name, in small letters, is among `names`."""
    kept = tuple(field for field in headers.fields if field[0].lower() not in names)
    if len(kept) < len(headers.fields):
        headers.fields = kept


# They stand in the place of mitmproxy's own: its messages make their headers themselves.
for _name, _function in (("get_all", get_all), ("get", get), ("__contains__", contains)):
    setattr(Headers, _name, _function)
