"""From a file to a typed model, or to every problem with its place."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from appliance.config.document import parse
from appliance.config.fields import Day
from appliance.config.problems import ProblemsError
from appliance.config.typed import Section, read, validate, without_problems


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Port(Section):
    number: Annotated[int, Field(ge=1, le=65535)]
    name: str = ""


class Sample(Section):
    colour: Colour = Colour.RED
    ports: tuple[Port, ...] = ()
    by_name: dict[str, Port] = Field(default_factory=dict)
    proxy: Port | None = None
    on: bool = False
    since: Day | None = None
    ratio: float = 1.0


def sample(text: str) -> Sample:
    return validate(parse(text.encode(), "f.yaml"), Sample)


def problems(text: str) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        sample(text)
    return [str(problem) for problem in caught.value.problems]


def test_a_good_file_is_read(tmp_path: Path) -> None:
    """Values arrive typed; a date is a date and an absent key its default."""
    file = tmp_path / "f.yaml"
    file.write_text("colour: green\nports: [{number: 80}]\nsince: 2026-09-02\non: true\n")
    found = read(file, Sample)
    assert (found.colour, found.ports[0].number, found.since) == (Colour.GREEN, 80, date(2026, 9, 2))
    assert (found.on, found.proxy) == (True, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("color: red", "f.yaml:1:1: unknown key 'color'; did you mean 'colour'?"),
        ("ports:\n  - numbr: 1\n    number: 1", "f.yaml:2:5: unknown key 'numbr'; did you mean 'number'?"),
        ("by_name:\n  a: {numbr: 1, number: 1}", "f.yaml:2:7: unknown key 'numbr'; did you mean 'number'?"),
        ("proxy:\n  numbr: 1\n  number: 1", "f.yaml:2:3: unknown key 'numbr'; did you mean 'number'?"),
        ("proxy:\n  name: x", "f.yaml:1:1: 'number' is missing"),
        ("colour: grean", "f.yaml:1:9: unknown colour 'grean'; did you mean 'green'? Also possible: red"),
        ("colour: [red]", "f.yaml:1:9: 'colour' must be one of red, green, not a list"),
        ("proxy: {number: 0}", "f.yaml:1:17: 'number' must be at least 1, not 0"),
        ("proxy: {number: 70000}", "f.yaml:1:17: 'number' must be at most 65535, not 70000"),
        ("proxy: {number: http}", "f.yaml:1:17: 'number' must be a whole number, not 'http'"),
        ("proxy: {number: 1, name: 5}", "f.yaml:1:26: 'name' must be text; put 5 in quotes"),
        ("proxy: 80", "f.yaml:1:8: 'proxy' must be a block of 'name: value' lines, not 80"),
        ("ports: 80", "f.yaml:1:8: 'ports' must be a list"),
        ("on: perhaps", "f.yaml:1:5: 'on' must be true or false, not 'perhaps'"),
        ("ratio: much", "f.yaml:1:8: 'ratio' must be a number, not 'much'"),
        ("since: 31 February", "f.yaml:1:8: '31 February' is no date"),
        ("- colour", "f.yaml:1:1: the file must be a block of 'name: value' lines, not a list"),
        ("", "f.yaml:1:1: the file is empty"),
    ],
)
def test_each_problem_has_its_place_and_a_way_out(text: str, message: str) -> None:
    """Line and column are those of the key or value that is wrong, and the words are no library's."""
    found = problems(text)
    assert len(found) == 1
    assert found[0].startswith(message)


def test_all_problems_are_told_at_once() -> None:
    """A technician mends a file once, not once for each mistake."""
    assert len(problems("color: red\nproxy: {number: 0}\non: perhaps\nports: [{}, {number: x}]")) == 5


def test_words_for_yes_and_no_are_understood_where_only_they_fit() -> None:
    """`on: yes` is a truth value because the key wants one; elsewhere `yes` stays the word."""
    assert sample("on: yes").on
    assert not sample("on: no").on
    assert sample("proxy: {number: 1, name: no}").proxy == Port(number=1, name="no")


def test_a_file_that_cannot_be_opened_is_a_problem_too(tmp_path: Path) -> None:
    """Missing, or a folder: said like everything else, under the name that was given."""
    for path, why in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ProblemsError, match=f"deploy/demo.yaml:1:1: cannot be read: {why}"):
            read(path, Sample, "deploy/demo.yaml")


def test_what_is_left_of_a_broken_file_can_be_looked_through() -> None:
    """The good parts stay, so that their own problems can be told in the same run."""
    text = b"by_name: {a: {number: 0}, b: {number: 2}}\nports: [{number: 1}, {}]\non: perhaps"
    rest = without_problems(parse(text, "f.yaml"), Sample)
    assert rest is not None
    assert (set(rest.by_name), rest.ports, rest.on) == ({"b"}, (), False)
    assert without_problems(parse(b"[]", "f.yaml"), Sample) is None
