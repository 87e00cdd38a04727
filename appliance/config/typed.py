"""A YAML file, read into a typed model, or every problem of it at its line and column.

What lives only here: the one way from a file to a pydantic model, and the wording of what pydantic
finds, in words that say what to write instead. Settings, the catalogue of lists and the profiles all
come this way, so that `check` and `run` cannot disagree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from types import UnionType
from typing import Any, TypeAliasType, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from appliance.config.document import Document, Place, parse
from appliance.config.problems import Problem, ProblemsError, unknown

_QUOTED = re.compile(r"'([^']*)'")
_SHOWN = 60
_ROUNDS = 5

type Keys = tuple[int | str, ...]


class Section(BaseModel):
    """The base of every part of a file: unknown keys are problems, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def read[M: BaseModel](path: Path, model: type[M], shown: str | None = None) -> M:
    """Read one YAML file into `model`; `shown` is the file's name in problems, `path` by default.

    Raises ProblemsError with all problems. A file that cannot be opened is one of them.
    """
    document = open_document(path, shown)
    return validate(document, model)


def open_document(path: Path, shown: str | None = None) -> Document:
    """Read one YAML file into data with places. Raises ProblemsError with all problems."""
    return parse(read_bytes(path, shown), shown or str(path))


def read_bytes(path: Path, shown: str | None = None) -> bytes:
    """Return the bytes of `path`. Raises ProblemsError where it cannot be opened or read."""
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise ProblemsError([Problem(shown or str(path), 1, 1, message)]) from None


def validate[M: BaseModel](document: Document, model: type[M]) -> M:
    """Return the document's data as `model`, or raise ProblemsError with all problems."""
    if document.data is None:
        place = document.values.get((), Place(1, 1))
        raise ProblemsError([Problem(document.file, *place, "the file is empty")])
    try:
        return model.model_validate(document.data, extra="forbid")
    except ValidationError as error:
        raise ProblemsError(_problems(document, model, error)) from None


def without_problems[M: BaseModel](document: Document, model: type[M]) -> M | None:
    """Return what is left of the document as `model` once everything that is wrong is taken out.

    Good only for finding more problems in the rest, so that all are told at once; None where
    nothing usable is left.
    """
    data = deepcopy(document.data)
    for _ in range(_ROUNDS):
        try:
            return model.model_validate(data, extra="forbid")
        except ValidationError as error:
            for one in error.errors():
                if path := _path(data, one["loc"]):
                    _drop(data, path)
                elif len(one["loc"]) <= 1:
                    return None  # the file itself lacks a part, and is no use without it
    return None


def _drop(data: Any, path: Keys) -> None:  # noqa: ANN401 - any part of a document
    # A list goes as a whole: without one of its entries the places of the others would no longer fit.
    for item in path[:-1]:
        if not isinstance(data[item], dict):
            break
        data = data[item]
    else:
        item = path[-1]
    data.pop(item, None)


def _problems(document: Document, model: type[BaseModel], error: ValidationError) -> Iterator[Problem]:
    errors = error.errors()
    for one in errors:
        inside = any(other is not one and other["loc"][: len(one["loc"])] == one["loc"] for other in errors)
        if not (one["type"] == "too_short" and inside) and not _other_form(document.data, one, errors):
            yield _problem(document, model, one)


def _other_form(data: Any, error: ErrorDetails, errors: list[ErrorDetails]) -> bool:  # noqa: ANN401 - any part of a document
    """Tell whether this is about a form of the value that was not chosen: of a number or a block, say.

    pydantic tells of every form that a value may have. Who wrote a block is told about that block,
    and who wrote anything else about the first form.
    """
    path = _path(data, error["loc"])
    if isinstance(error["input"], dict):
        deeper = any(
            len(other["loc"]) > len(error["loc"]) and other["loc"][: len(path)] == path for other in errors
        )
        return deeper and error["type"] not in {"extra_forbidden", "missing", "too_short", "value_error"}
    same = (other for other in errors if _path(data, other["loc"]) == path)
    return error["type"] in {"model_type", "dict_type"} and next(same) is not error


def _problem(document: Document, model: type[BaseModel], error: ErrorDetails) -> Problem:
    path = _path(document.data, error["loc"])
    name = str(error["loc"][-1]) if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        return document.problem(path, unknown("key", name, _keys(model, path[:-1])), key=True)
    if error["type"] == "missing":
        return document.problem(path, f"{name!r} is missing", key=True)
    on_key = name == "[key]"
    field = next((str(item) for item in reversed(path) if isinstance(item, str)), "")
    return document.problem(path, _say(error, field), key=on_key)


def _path(data: Any, loc: Keys) -> Keys:  # noqa: ANN401 - any part of a document
    # pydantic puts words of its own between the keys (which member of a union, "[key]"): those lead nowhere.
    path: Keys = ()
    for item in loc:
        inside = isinstance(data, dict) and item in data
        if inside or (isinstance(data, list) and isinstance(item, int) and item < len(data)):
            data = data[item]
            path = (*path, item)
    return path


def _say(error: ErrorDetails, field: str) -> str:
    kind, value = error["type"], error["input"]
    context = error.get("ctx", {})
    if kind in {"enum", "literal_error"}:
        names = _QUOTED.findall(str(context.get("expected", "")))
        if isinstance(value, str):
            return unknown(field or "value", value, names)
        return f"{field!r} must be one of {', '.join(names)}, not {_shown(value)}"
    if kind == "value_error":
        return str(context.get("error", error["msg"]))
    if kind == "string_type" and isinstance(value, bool | int | float):
        return f"{field!r} must be text; put {_shown(value)} in quotes"
    words = next((words for start, words in _WORDS.items() if kind.startswith(start)), "")
    if not words:
        words = error["msg"][:1].lower() + error["msg"][1:]
    limit = next((f" {context[key]}" for key in _LIMITS if key in context), "")
    if kind == "too_short" or (kind == "string_too_short" and not value):
        return f"{field!r} must not be empty"
    subject = repr(field) if field else "the file"
    return f"{subject} {words}{limit}, not {_shown(value)}"


_LIMITS = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")
_WORDS = {
    "string_type": "must be text",
    "path_type": "must be a path",
    "string_too_short": "must have at least this many characters:",
    "string_too_long": "must have at most this many characters:",
    "string_pattern": "must fit the pattern",
    "bool": "must be true or false",
    "int": "must be a whole number",
    "float": "must be a number",
    "greater_than_equal": "must be at least",
    "greater_than": "must be more than",
    "less_than_equal": "must be at most",
    "less_than": "must be less than",
    "too_long": "must have at most this many entries:",
    "list": "must be a list ('- ' at the start of each line, or [a, b])",
    "tuple": "must be a list ('- ' at the start of each line, or [a, b])",
    "set": "must be a list ('- ' at the start of each line, or [a, b])",
    "frozen_set": "must be a list ('- ' at the start of each line, or [a, b])",
    "dict": "must be a block of 'name: value' lines",
    "mapping": "must be a block of 'name: value' lines",
    "model": "must be a block of 'name: value' lines",
}


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a block of 'name: value' lines"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _keys(model: type[BaseModel], path: Keys) -> set[str]:
    # Which keys are known where an unknown one stands: follow the annotations down the path.
    types: list[object] = [model]
    for item in path:
        types = [inner for kind in types for inner in _inside(kind, item)]
    names: set[str] = set()
    for kind in types:
        if _is_model(kind):
            names |= {field.alias or name for name, field in kind.model_fields.items()}
    return names


def _inside(kind: object, item: int | str) -> Iterator[object]:
    if _is_model(kind):
        for name, field in kind.model_fields.items():
            if item in {name, field.alias}:
                yield from _unwrapped(field.annotation)
    elif arguments := [argument for argument in get_args(kind) if argument is not Ellipsis]:
        yield from _unwrapped(arguments[-1])  # the values of a mapping, the entries of a list


def _unwrapped(kind: object) -> Iterator[object]:
    if isinstance(kind, TypeAliasType):
        yield from _unwrapped(kind.__value__)
    elif get_origin(kind) in {Union, UnionType}:
        for member in get_args(kind):
            yield from _unwrapped(member)
    elif hasattr(kind, "__metadata__"):
        yield from _unwrapped(get_args(kind)[0])
    else:
        yield kind


def _is_model(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
