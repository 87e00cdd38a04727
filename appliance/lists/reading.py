"""Lines of a list in, keys out, and an account of every line.

What lives only here: the promise that a bad line costs a line, and that no line is lost without
a word: lines = used + comments + skipped (of no use to a gateway) + quarantined (wrong or
dangerous, such as `com`), each of the last two with file, line and reason.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import re2

from appliance.lists.entries import LONGEST_NAME, PLAIN, EntryRefusedError, key_of, shown
from appliance.lists.formats import EXPRESSION, READERS, SAMPLE, Format, Meaning, Skip, reader_of, sniff
from appliance.lists.formats_line import EXCEPTION
from appliance.lists.suffixes import PublicSuffixes, Searching, bulk_options, public_suffixes

MOST_REPORTED = 10_000
"""Problem lines kept word for word; all are counted."""

BATCH = 1024
"""Lines that are looked at together."""

_SIMPLE = {
    kind: re.compile(rf"^(?:{before}({PLAIN}){after}|.*)$", re.MULTILINE)
    for kind, before, after in (
        (Format.DOMAINS, "", ""),
        (Format.HOSTS, r"(?:0\.0\.0\.0|127\.0\.0\.1)[ \t]++(?!localhost\.)", ""),
        (Format.ADBLOCK, r"\|\|", r"\^"),
        (Format.DNSMASQ, "(?:address|server|local)=/", "/#?"),
    )
}
"""For each line of a text: the name, where the line is of its format's simplest form, else nothing."""

_LABEL = "[a-z0-9_-]{1,63}"
_NAMES: Searching = re2.compile(rf"(?:(?:{_LABEL}\.)+[a-z][a-z0-9-]{{1,62}}\n)*", bulk_options())
"""Lines that are each as `PLAIN` says, but for labels in Punycode, which need a look of their own."""

SUFFIX = "a public suffix: it would cover everybody's sites below it"


@dataclass(slots=True)
class Account:
    """What became of the lines of one list. `entries` counts keys written, doubles included."""

    lines: int = 0
    used: int = 0
    comments: int = 0
    skipped: int = 0
    quarantined: int = 0
    entries: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def balanced(self) -> bool:
        """True when every line is accounted for."""
        return self.lines == self.used + self.comments + self.skipped + self.quarantined


class Text(Protocol):
    """Where keys or reports are written."""

    def write(self, text: str, /) -> object:
        """Write `text`."""


class Reader:
    """Reads the files of one list into `keys`, one key a line, and its problems into `problems`.

    `means_suffixes` says that the list means the public suffixes in it (dynamic DNS providers, say).
    """

    def __init__(
        self,
        keys: Text,
        problems: Text,
        *,
        means_suffixes: bool = False,
        suffixes: PublicSuffixes | None = None,
    ) -> None:
        self.account = Account()
        self._keys = keys
        self._problems = problems
        self._suffixes = PublicSuffixes([]) if means_suffixes else suffixes or public_suffixes()

    def read(
        self, name: str, lines: Iterator[str], chosen: Format = Format.AUTO, *, column: str = ""
    ) -> Format:
        """Read one file and return the format it was read as.

        `column` says where the addresses of a CSV file stand. Raises `NotAListError` for a web
        page, `ColumnError` for a CSV file without that column.
        """
        if chosen is Format.AUTO:
            head = list(itertools.islice(lines, SAMPLE))
            chosen = sniff(line for text in head if (line := text.strip()))
            lines = itertools.chain(head, lines)
        if simple := _SIMPLE.get(chosen):
            self._read(
                name, self._all_but_simple(lines, simple, bare=chosen is Format.DOMAINS), READERS[chosen]
            )
        else:
            self.read_as(name, lines, reader_of(chosen, column))
        return chosen

    def read_as(self, name: str, lines: Iterator[str], meaning_of: Callable[[str], Meaning]) -> None:
        """Read one file whose lines mean what `meaning_of` says."""
        self._read(name, enumerate(lines, 1), meaning_of)

    def _all_but_simple(
        self, lines: Iterator[str], simple: re.Pattern[str], *, bare: bool
    ) -> Iterator[tuple[int, str]]:
        """Take the lines that hold one plain name, and pass on the others with their numbers.

        `bare` says that such a line holds nothing else. Two million lines go through this, so it looks
        at a batch at once.
        """
        number = 1
        while batch := list(itertools.islice(lines, BATCH)):
            if bare and self._take_plain(batch):
                number += len(batch)
                continue
            ended = batch[0][-1:] == "\n"
            found = simple.findall(("" if ended else "\n").join(batch))
            # A line with something odd in it may look like two; then each is read for itself.
            if len(found) != len(batch) or len(max(batch, key=len)) > LONGEST_NAME:
                yield from enumerate(batch, number)
            else:
                found = self._without_suffixes(found)
                self._take_names([name for name in found if name])
                if "" in found:
                    rest = zip(batch, found, strict=True)
                    yield from ((at, line) for at, (line, taken) in enumerate(rest, number) if not taken)
            number += len(batch)

    def _take_plain(self, names: list[str]) -> bool:
        """Take a batch of lines at once where each is a plain name and nothing else, as most batches are."""
        text = "\n".join(names) + "\n"
        # One that holds line ends of its own, or is too long, is no plain name; a Punycode label may be none.
        if "xn--" in text or not text.isascii() or len(max(names, key=len)) > LONGEST_NAME:
            return False
        lines = text.encode()
        if not _NAMES.fullmatch(lines) or lines.count(b"\n") != len(names):
            return False
        if self._suffixes.may_hold(names, lines):
            return False
        self._take_names(names)
        return True

    def _take_names(self, names: list[str]) -> None:
        if names:
            self._keys.write(".\n".join([name[::-1] for name in names]) + ".\n")
        self.account.lines += len(names)
        self.account.used += len(names)
        self.account.entries += len(names)

    def _without_suffixes(self, names: list[str]) -> list[str]:
        """Return the names with an empty text in the place of each public suffix."""
        if not self._suffixes.may_hold(names, ("\n".join(names) + "\n").encode()):
            return names
        return ["" if name in self._suffixes else name for name in names]

    def _read(
        self, name: str, lines: Iterator[tuple[int, str]], meaning_of: Callable[[str], Meaning]
    ) -> None:
        account = self.account
        for number, raw in lines:
            account.lines += 1
            line = raw.strip().lstrip("\ufeff")
            if not line:
                account.comments += 1
            elif "\0" in line:
                self._refuse(name, number, line, "holds a NUL byte, or is longer than any address")
            else:
                self._take(name, number, line, meaning_of(line))

    def _take(self, name: str, number: int, line: str, meaning: Meaning) -> None:
        if isinstance(meaning, Skip):
            self.account.skipped += 1
            self._report("skipped", name, number, line, meaning.why)
        elif isinstance(meaning, tuple):
            refusals = [why for target in meaning if (why := self._write(target))]
            if len(refusals) < len(meaning):
                self.account.used += 1
                for why in refusals:
                    self._report("in part", name, number, line, why)
            else:
                self._refuse(name, number, line, refusals[0] if refusals else "lists nothing")
        else:
            self.account.comments += 1

    def _write(self, target: str) -> str:
        """Write the key of `target`; return why not where it cannot be."""
        mark = ""
        if target.startswith(EXPRESSION):
            return self._write_expression(target)
        if target.startswith(EXCEPTION):
            mark, target = EXCEPTION, target[2:]
        try:
            key = key_of(target)
        except EntryRefusedError as error:
            return str(error)
        # Only a name's key ends with a dot; `COM.` and `http://com/` are spellings of `com`.
        if key[-1] == "." and shown(key) in self._suffixes:
            return SUFFIX
        self._keys.write(f"{mark}{key}\n")
        self.account.entries += 1
        return ""

    def _write_expression(self, target: str) -> str:
        pattern = target.removeprefix(EXPRESSION)
        try:
            compile_expression(pattern)
        except re2.error:
            return "a regular expression that has no bounded running time, or is wrong"
        self._keys.write(f"{target}\n")
        self.account.entries += 1
        return ""

    def _refuse(self, name: str, number: int, line: str, why: str) -> None:
        self.account.quarantined += 1
        self._report("quarantined", name, number, line, why)

    def _report(self, kind: str, name: str, number: int, line: str, why: str) -> None:
        self.account.reasons[f"{kind}: {why}"] += 1
        if self.account.reasons.total() <= MOST_REPORTED:
            self._problems.write(f"{name}:{number}: {kind}: {why}: {line[:120]!a}\n")


def compile_expression(pattern: str) -> object:
    """Compile with re2, whose running time is linear in the text; raises `re2.error`."""
    return re2.compile(pattern, expression_options())


def expression_options() -> re2.Options:
    """Return how squidGuard's expressions are meant: any case, quiet about errors."""
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    return options
