"""Values that must not be seen: their every text form is redacted.

A traceback, a log line, an f-string or a JSON dump of one of these shows a
placeholder. The one way to the value is `.reveal()`, which a reviewer can grep.
"""

from __future__ import annotations

from typing import Never

REDACTED = "[redacted]"


class Secret:
    """A text that is never printed: a floor-list URL, a key, a password."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text itself; call this only where it is used, never where it is shown."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({REDACTED})"

    def __str__(self) -> str:
        return REDACTED

    def __format__(self, spec: str) -> str:
        return format(REDACTED, spec)

    def __reduce__(self) -> Never:
        """Refuse to be pickled: a pickle would carry the text into a file."""
        raise TypeError("a Secret cannot be pickled")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))
