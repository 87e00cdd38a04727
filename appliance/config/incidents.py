"""profiles/<set>/incidents.yaml: what a school does about which incident, as model values.

What lives only here: what makes such a table whole. A step or a theme that nobody knows would be a task that
nobody is ever given, so each is a problem.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated

from pydantic import Field

from appliance.config.document import Document
from appliance.config.document import Path as Keys
from appliance.config.fields import Name, Texts
from appliance.config.problems import ProblemsError, unknown
from appliance.config.shapes import Text
from appliance.config.typed import Section, validate
from appliance.model.alerting import Alerting, Who
from appliance.model.incident import Incident, Incidents, Step

INCIDENTS_FILE = "incidents.yaml"


class StepShape(Section):
    """One thing that a person may have to do. Nothing of it is done by the gateway."""

    title: Annotated[Text, Field(max_length=120)]
    """What whoever has to do it reads."""
    help: str = ""
    """How it is done here: a command of the gateway's, a telephone number."""
    held: Annotated[bool, Field(strict=True)] = False
    """Whether it waits until one of the roles `clears` says that it may be done."""


class IncidentShape(Section):
    """One row: what happened, and what follows from it."""

    incident: Name
    """The id of this row."""
    title: Annotated[Text, Field(max_length=160)]
    """What happened, as staff say it."""
    source: Texts = ()
    """Where it is written, for example W:503."""
    who: Who | None = None
    """Only pupils, or only adults."""
    themes: tuple[Name, ...] = ()
    """Themes of alerts.yaml: a case of one of these has this row proposed."""
    rules: tuple[Name, ...] = ()
    """Rules of alerts.yaml: a case that one of these told of has this row proposed."""
    steps: Annotated[tuple[Name, ...], Field(min_length=1)]
    """What follows, in this order; each once."""


class IncidentsFile(Section):
    """incidents.yaml: what the school does about which incident."""

    clears: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Roles of alerts.yaml that may let a held step be done."""
    steps: Annotated[dict[Name, StepShape], Field(min_length=1)]
    """Each step under its id."""
    incidents: Annotated[tuple[IncidentShape, ...], Field(min_length=1)]
    """The rows of the school's table."""


def read_incidents(document: Document, alerting: Alerting, shown: str) -> Incidents:
    """Return the tables of a set, whose alert rules are `alerting`; `shown` is the file's name for people.

    Raises ProblemsError with everything that is wrong.
    """
    shape = validate(document, IncidentsFile)
    problems = [document.problem(path, text) for path, text in _wrong(shape, alerting)]
    if problems:
        raise ProblemsError(problems)
    steps = {name: Step(name, one.title, one.help, one.held) for name, one in shape.steps.items()}
    rows = {
        one.incident: Incident(
            id=one.incident,
            title=one.title,
            source=", ".join(one.source),
            where=f"{shown}:{document.values['incidents', index].line}",
            steps=tuple(steps[name] for name in one.steps),
            who=one.who,
            themes=frozenset(one.themes),
            rules=frozenset(one.rules),
        )
        for index, one in enumerate(shape.incidents)
    }
    return Incidents(rows, frozenset(shape.clears))


type _Found = Iterator[tuple[Keys, str]]


def _wrong(shape: IncidentsFile, alerting: Alerting) -> _Found:
    yield from _known(("clears",), "role", shape.clears, alerting.roles)
    taken: set[str] = set()
    for index, row in enumerate(shape.incidents):
        at: Keys = ("incidents", index)
        if row.incident in taken:
            yield (*at, "incident"), f"a second incident is named {row.incident!r}"
        taken.add(row.incident)
        yield from _known((*at, "themes"), "theme", row.themes, alerting.themes)
        yield from _known((*at, "rules"), "rule", row.rules, [rule.id for rule in alerting.rules])
        yield from _known((*at, "steps"), "step", row.steps, shape.steps)
        for place, step in enumerate(row.steps):
            if step in row.steps[:place]:
                yield (*at, "steps", place), f"{step!r} stands in this row already"


def _known(path: Keys, kind: str, names: Collection[str], known: Collection[str]) -> _Found:
    for index, name in enumerate(names):
        if name not in known:
            yield (*path, index), unknown(kind, name, known)
