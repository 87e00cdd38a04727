"""blocklists/categories.yaml as model values.

What lives only here: what categories may say of each other. Only what narrows may lift: a floor is
never lifted, and no two categories lift each other, or a listed site could come to count as unlisted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from appliance.config.document import Document
from appliance.config.problems import Problem, ProblemsError, unknown
from appliance.config.shapes import CategoriesFile, CategoryShape
from appliance.config.typed import validate
from appliance.model.category import Category, Severity

STATUTORY = ("csam", "terrorism")
"""The categories that a statutory list must feed, whatever else there is (S-18, S-19, DFE-F2)."""


def read_categories(document: Document) -> dict[str, Category]:
    """Return the categories of the file by id. Raises ProblemsError with everything that is wrong."""
    shapes = validate(document, CategoriesFile).categories
    problems = [problem for name in shapes for problem in _lift_problems(name, shapes, document)]
    problems += [
        document.problem(
            ("categories", name),
            f"{name!r} is what a statutory list feeds: `floor: true` cannot be taken away",
        )
        for name in STATUTORY
        if name in shapes and not shapes[name].floor
    ]
    if problems:
        raise ProblemsError(problems)
    return {name: _category(name, shape) for name, shape in shapes.items()}


def _category(name: str, shape: CategoryShape) -> Category:
    return Category(
        id=name,
        title=shape.title,
        severity=Severity[shape.severity.upper()],
        risk=shape.risk,
        plain=shape.plain,
        simple=shape.simple,
        floor=shape.floor,
        lifts=frozenset(shape.lifts),
        inspect=shape.inspect,
    )


def _lift_problems(name: str, shapes: Mapping[str, CategoryShape], document: Document) -> Iterator[Problem]:
    for index, lifted in enumerate(shapes[name].lifts):
        path = ("categories", name, "lifts", index)
        if lifted not in shapes:
            yield document.problem(path, unknown("category", lifted, shapes))
        elif shapes[lifted].floor:
            yield document.problem(path, f"{lifted!r} is part of the floor, and the floor cannot be lifted")
        elif name in _reached(lifted, shapes):
            yield document.problem(
                path, f"{name!r} and {lifted!r} lift each other; only the narrower one may"
            )


def _reached(start: str, shapes: Mapping[str, CategoryShape]) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += shapes[name].lifts if name in shapes else ()
    return reached
