"""Names of accounts: which are possible, and when two are the same.

What lives only here: a name may be in any script, and is compared without regard to case, width and
accents' spelling (Unicode NFKC, case-folded), so that nobody signs in as somebody's look-alike double.
"""

from __future__ import annotations

import re
import unicodedata

from appliance.config.problems import InWordsError

LONGEST = 64
"""Most characters of a name."""

_BLANKS = re.compile(r"\s+")


class IdentityError(InWordsError):
    """Something about people or sign-in cannot be done; the text says what and what to do next."""


def neat(text: str) -> str:
    """Return a name as it is kept and shown; IdentityError if it can be none."""
    name = _BLANKS.sub(" ", unicodedata.normalize("NFC", text)).strip()
    if not name:
        raise IdentityError("a name must not be empty")
    if len(name) > LONGEST:
        raise IdentityError(f"the name {name[:20]!a}... is longer than {LONGEST} characters")
    if not name.isprintable() or ":" in name:
        # A colon ends the name in a browser's proxy credentials (RFC 7617); what cannot be printed
        # could pose as another name on a screen.
        raise IdentityError(f"the name {name!a} holds a colon or a character that cannot be printed")
    return name


def key(text: str) -> str:
    """Return what is the same for every spelling of one name; an impossible name has a key as well."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _BLANKS.sub(" ", unicodedata.normalize("NFKC", folded)).strip()
