"""The part of AdBlock and AdGuard DNS syntax that a gateway can honour.

What lives only here: telling a rule that names a host or a plain address from one that hides
parts of pages, applies to some requests only, or is a pattern over text.
"""

from __future__ import annotations

import re

from appliance.lists.formats_line import EXCEPTION, Meaning, Skip

_COSMETIC = re.compile(r"#[@?$%]*#|\$\$|\$@\$|#@?\$\??#")
_ANCHOR = re.compile(r"\|{0,2}(?:(?:https?|wss?):|:)?(?://)?(?:\*\.|\*?\.)?", re.IGNORECASE)
_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)*|\d+(?:\.\d+){3}", re.ASCII)
_BARE = re.compile(r"(?:[\w-]+\.)+[a-z][\w-]+", re.IGNORECASE)
_WHOLE = frozenset(["important", "all", "document", "doc"])
"""Options that do not narrow a rule down."""


def adblock(line: str) -> Meaning:
    """Read `||example.org^`, `||example.org/page`, `|https://example.org/`, `@@||example.org^`."""
    if line[0] == "!" or line.lower().startswith(("[adblock", "[adguard")):
        return None
    if _COSMETIC.search(line):
        return Skip("hides a part of a page; a gateway cannot")
    if line[0] == "#":
        return None
    marker, rule = ("@@", line[2:]) if line.startswith(EXCEPTION) else ("", line)
    rule, dollar, options = rule.rpartition("$") if "$" in rule else (rule, "", "")
    if dollar and (narrow := _narrowed_by(options)):
        return Skip(f"applies to some requests only (${narrow})")
    found = _target(rule)
    return found if isinstance(found, Skip) else (marker + found,)


def _narrowed_by(options: str) -> str:
    names = (option.partition("=")[0] for option in options.split(","))
    return next((name for name in names if name not in _WHOLE), "")


def _target(rule: str) -> str | Skip:
    if len(rule) > 1 and rule[0] == rule[-1] == "/":
        return Skip("a regular expression")
    anchor = _ANCHOR.match(rule)
    rest = rule[anchor.end() :] if anchor else rule
    anchored = bool(anchor and anchor.end())
    host, slash, path = rest.partition("/")
    if not slash:
        bare = host.rstrip("|").removesuffix("^*").removesuffix("^")
        if (anchored and _HOST.fullmatch(bare)) or _BARE.fullmatch(host):
            return bare
        return Skip("a pattern over text, not a name")
    return _address(host, path.rstrip("*|").removesuffix("^"), anchored=anchored and rule[0] != ".")


def _address(host: str, path: str, *, anchored: bool) -> str | Skip:
    if not anchored or not _HOST.fullmatch(host) or "*" in path or "^" in path:
        return Skip("a pattern over text, not an address")
    return f"http://{host}/{path}"
