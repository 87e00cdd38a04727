"""Names under which anybody can register: `com`, `ac.uk`, `blogspot.com`.

What lives only here: the public suffix list (bundled with the publicsuffixlist package) as a
set that can be asked for each of millions of names. A list that names one of these by mistake
would block or open half of the web.
"""

from __future__ import annotations

import functools
from importlib import resources


class PublicSuffixes:
    """The rules of publicsuffix.org, both sections (ICANN's, and those of hosting companies).

    `exact` are the plain rules; every name directly below one of `parents` is a suffix as well,
    but for the `exceptions`.
    """

    def __init__(self, rules: list[str]) -> None:
        plain = {_ascii(rule) for rule in rules}
        self.exceptions = frozenset(rule[1:] for rule in plain if rule.startswith("!"))
        self.parents = frozenset(rule[2:] for rule in plain if rule.startswith("*."))
        self.exact = frozenset(rule for rule in plain if rule[0] not in "!*")

    def __contains__(self, name: str) -> bool:
        """Tell whether the ASCII `name` is a public suffix, or has one label only."""
        if name in self.exact:
            return True
        _, dot, parent = name.partition(".")
        return not dot or (parent in self.parents and name not in self.exceptions)


@functools.cache
def public_suffixes() -> PublicSuffixes:
    """Return the bundled rules, read once a process."""
    source = resources.files("publicsuffixlist").joinpath("public_suffix_list.dat")
    lines = (line.strip() for line in source.read_text("utf-8").splitlines())
    return PublicSuffixes([line.split()[0] for line in lines if line and not line.startswith("//")])


def _ascii(rule: str) -> str:
    return rule if rule.isascii() else rule.encode("idna").decode("ascii")
