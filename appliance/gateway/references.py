"""References: what a page shows of one access, to be read out, and what the log finds it by.

What lives only here: how one is made. It needs no mitmproxy: whoever tells of something else
makes one as well.
"""

from __future__ import annotations

import os

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O or U to misread aloud
_PAIRS = tuple(one + two for one in _ALPHABET for two in _ALPHABET)


def new_reference() -> str:
    """Return a reference to read out, such as `7KQ4-M2XD` (40 random bits, no look-alike letters)."""
    number = int.from_bytes(os.urandom(5))
    one, two, three, four = number & 1023, number >> 10 & 1023, number >> 20 & 1023, number >> 30
    return f"{_PAIRS[one]}{_PAIRS[two]}-{_PAIRS[three]}{_PAIRS[four]}"
