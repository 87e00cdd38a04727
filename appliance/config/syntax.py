"""What is wrong with text that is no YAML at all, in words instead of a parser's.

What lives only here: the checks on raw bytes (encoding, control characters) and the translation of
the YAML library's messages. A byte-order mark, as Windows editors write it, does no harm and is dropped.
"""

from __future__ import annotations

import re

import yaml

from appliance.config.problems import Problem, ProblemsError

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SHOWN = 40

_WORDS = (
    ("mapping values are not allowed", "a ': ' where no key can be; put text that holds ': ' in quotes"),
    ("found unexpected end of stream", "the quotation mark that begins here is never closed"),
    ("unknown escape", "unknown escape after a backslash; in single quotes a backslash is only a backslash"),
    ("',' or ']'", "the '[' that begins here is not closed, or a comma is missing"),
    ("',' or '}'", "the '{' that begins here is not closed, or a comma is missing"),
    ("expected '-' indicator", "a list is going on here; begin the line with '- ' or check its indentation"),
    ("expected key", "this line is not indented like the ones it belongs to"),
    ("expected <block end>", "this line is not indented like the ones it belongs to"),
    ("expected <document start>", "this line is not indented like the ones it belongs to"),
    ("could not find expected ':'", "a key without its ':'"),
)  # fmt: skip
_AT_BEGINNING = ("unexpected end of stream", "',' or")


def check_text(raw: bytes, file: str) -> str:
    """Return the text of `raw`, or raise ProblemsError where it is no UTF-8 or holds what text does not."""
    if raw.startswith(_UTF16):
        raise ProblemsError([Problem(file, 1, 1, "saved as UTF-16; save it as UTF-8")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig", "replace")
        message = f"the byte 0x{raw[error.start]:02x} is no UTF-8; save the file as UTF-8"
        raise ProblemsError([_at(before, file, message)]) from None
    problems = [
        _at(
            text[: found.start()],
            file,
            f"the control character {found.group()!r} does not belong in a text file",
        )
        for found in _first(text)
    ]
    if problems:
        raise ProblemsError(problems)
    return text


def syntax_problem(error: yaml.YAMLError, text: str, file: str) -> Problem:
    """Return the readable form of what the YAML library could not read in `text`."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Problem(file, 1, 1, f"no YAML: {error}")
    words, mark = error.problem or "", error.problem_mark
    lines = text.splitlines()
    rest = lines[mark.line][mark.column :] if mark.line < len(lines) else ""
    if "tab" in words or rest.startswith("\t"):
        return Problem(file, mark.line + 1, mark.column + 1, "a tab; indent with spaces")
    if "cannot start any token" in words:
        message = f"a value cannot begin with {rest[:1]!r}; put it in quotes"
    else:
        message = next((ours for theirs, ours in _WORDS if theirs in words), f"no YAML: {words[:_SHOWN]}")
    if error.context_mark is not None and any(theirs in words for theirs in _AT_BEGINNING):
        mark = error.context_mark
    return Problem(file, mark.line + 1, mark.column + 1, message)


def _first(text: str) -> list[re.Match[str]]:
    # The first is enough: a file with one of them usually holds thousands.
    found = _FORBIDDEN.search(text)
    return [found] if found else []


def _at(before: str, file: str, message: str) -> Problem:
    return Problem(file, before.count("\n") + 1, len(before) - before.rfind("\n"), message)
