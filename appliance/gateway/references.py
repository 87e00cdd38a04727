"""References: what a page shows of one access, to be read out, and what the log finds it by.

What lives only here: how one is made. It needs no mitmproxy: whoever tells of something else
makes one as well.
"""

from __future__ import annotations

import secrets

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O or U to misread aloud


def new_reference() -> str:
    """Return a reference to read out, such as `7KQ4-M2XD` (40 random bits, no look-alike letters)."""
    number = secrets.randbits(40)
    letters = "".join(_ALPHABET[number >> shift & 31] for shift in range(0, 40, 5))
    return f"{letters[:4]}-{letters[4:]}"
