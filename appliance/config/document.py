"""YAML text, read as plain data in which every value knows its line.

What lives only here: what YAML means to us. The rules are those of YAML 1.2, not the traps of 1.1:
`12:15` is text and not 735, `2026-09-02` is text and not a date object, `no`, `on` and `NO` are text;
only `true`/`false`, numbers and `null` are more than text, and keys are always text. Tags that build
objects, several documents in one file, keys given twice and aliases that multiply are problems.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

import yaml

from appliance.config.problems import Problem, ProblemsError
from appliance.config.syntax import check_text, syntax_problem

MAX_BYTES = 1 << 20
"""Largest file that is read, in bytes; a profile has some ten thousand."""

MAX_VALUES = 20_000
"""Most values in one file, aliases written out: a small file of aliases can stand for billions."""

MAX_DEPTH = 32
"""Deepest nesting."""

type Path = tuple[str | int, ...]
type Data = bool | int | float | str | list[Data] | dict[str, Data] | None

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one where libyaml was there to build it
_TAG = "tag:yaml.org,2002:"
_PLAIN = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]{1,2})?|[0-9]+[eE][-+]?[0-9]{1,2})")


class Place(NamedTuple):
    """Where something stands; both count from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Document:
    """The data of one file, and where each of its keys and values stands.

    A path is the tuple of keys and list positions that lead to a value, `()` for the whole.
    """

    file: str
    data: Data
    keys: dict[Path, Place]
    values: dict[Path, Place]

    def problem(self, path: Path, message: str, *, key: bool = False) -> Problem:
        """Return a problem at the value (or the key) under `path`, or the nearest thing above it."""
        place = (self.keys.get(path) if key else None) or self.values.get(path)
        while place is None:
            path = path[:-1]
            place = self.keys.get(path) or self.values.get(path, Place(1, 1) if not path else None)
        return Problem(self.file, place.line, place.column, message)


@dataclass(slots=True)
class _Node:
    place: Place
    value: Data = None
    items: list[tuple[str | int, Place, _Node]] | None = None  # of a mapping or list, in order
    mapping: bool = False


def parse(raw: bytes, file: str) -> Document:
    """Read the bytes of one YAML file; `file` is the name shown in problems.

    Raises ProblemsError with everything that is wrong with it.
    """
    text = _decode(raw, file)
    return _Builder(file).build(text)


def _decode(raw: bytes, file: str) -> str:
    if len(raw) > MAX_BYTES:
        message = f"the file is larger than {MAX_BYTES // 1024} KiB; no file of this kind needs that"
        raise ProblemsError([Problem(file, 1, 1, message)])
    return check_text(raw, file)


class _Builder:
    """Turns the parser's events into a tree, then the tree into data and places."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._anchors: dict[str, _Node] = {}
        self._problems: list[Problem] = []
        self._count = 0

    def build(self, text: str) -> Document:
        try:
            root = self._documents(yaml.parse(text, Loader=_Loader))
        except yaml.YAMLError as error:
            raise ProblemsError([*self._problems, syntax_problem(error, text, self._file)]) from None
        document = Document(self._file, None, {}, {(): root.place})
        document.data = self._flatten(root, (), document)
        if self._problems:
            raise ProblemsError(self._problems)
        return document

    def _documents(self, events: Iterator[yaml.Event]) -> _Node:
        root: _Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    self._stop(event, "a second document begins here; one file holds one")
                root = self._node(next(events), events, 0)
        return root if root is not None else _Node(Place(1, 1))

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> _Node:
        if depth > MAX_DEPTH:
            self._stop(event, f"nested more than {MAX_DEPTH} deep")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        node = _Node(_place(event))
        if isinstance(event, yaml.ScalarEvent):
            node.value = self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            self._mapping(node, event, events, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._sequence(node, event, events, depth)
        else:
            self._stop(event, "a value is missing here")
        # Only now may others refer to it: a value that contains itself finds no such name.
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: yaml.AliasEvent) -> _Node:
        name = event.anchor or ""
        if name not in self._anchors:
            self._stop(event, f"*{name} refers to nothing that was written before it")
        return self._anchors[name]

    def _scalar(self, event: yaml.ScalarEvent) -> Data:
        self._check_tag(event, "str", "int", "float", "bool", "null")
        value: str = event.value
        if event.tag == f"{_TAG}str" or event.style or not (event.implicit[0] or event.tag):
            return value
        return plain(value)

    def _mapping(
        self, node: _Node, event: yaml.MappingStartEvent, events: Iterator[yaml.Event], depth: int
    ) -> None:
        self._check_tag(event, "map")
        node.mapping, node.items = True, []
        seen: dict[str, Place] = {}
        while not isinstance(start := next(events), yaml.MappingEndEvent):
            if not isinstance(start, yaml.ScalarEvent):
                self._stop(start, "a key must be a plain word")
            key, place = start.value, _place(start)
            if key in seen:
                message = f"{key!r} is given twice; it stands at line {seen[key].line} already"
                self._problems.append(Problem(self._file, *place, message))
            seen.setdefault(key, place)
            node.items.append((key, place, self._node(next(events), events, depth + 1)))

    def _sequence(
        self, node: _Node, event: yaml.SequenceStartEvent, events: Iterator[yaml.Event], depth: int
    ) -> None:
        self._check_tag(event, "seq")
        node.items = []
        while not isinstance(start := next(events), yaml.SequenceEndEvent):
            node.items.append((len(node.items), _place(start), self._node(start, events, depth + 1)))

    def _check_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, *allowed: str) -> None:
        if event.tag and event.tag not in {"!", *(_TAG + name for name in allowed)}:
            message = f"the tag {event.tag.replace(_TAG, '!!')} is not allowed here; write the value alone"
            self._problems.append(Problem(self._file, *_place(event), message))

    def _flatten(self, node: _Node, path: Path, document: Document) -> Data:
        self._count += 1
        if self._count > MAX_VALUES:
            message = f"stands for more than {MAX_VALUES} values once its aliases are written out"
            raise ProblemsError([*self._problems, Problem(self._file, *node.place, message)])
        document.values[path] = node.place
        if node.items is None:
            return node.value
        for name, place, _ in node.items:
            document.keys[(*path, name)] = place
        if node.mapping:
            return {str(name): self._flatten(child, (*path, name), document) for name, _, child in node.items}
        return [self._flatten(child, (*path, name), document) for name, _, child in node.items]

    def _stop(self, event: yaml.Event, message: str) -> NoReturn:
        raise ProblemsError([*self._problems, Problem(self._file, *_place(event), message)])


def plain(text: str) -> Data:
    """Return what an unquoted YAML value means: null, a truth value, a number, or the text itself."""
    if text in _PLAIN:
        return _PLAIN[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    return Place(mark.line + 1, mark.column + 1) if mark is not None else Place(1, 1)
