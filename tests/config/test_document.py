"""YAML as data with places, without the surprises of YAML 1.1 and without its bombs."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.config.document import MAX_BYTES, Place, parse
from appliance.config.problems import ProblemsError


def data(text: str) -> object:
    return parse(text.encode(), "f.yaml").data


def problem(text: str) -> str:
    with pytest.raises(ProblemsError) as caught:
        parse(text.encode(), "f.yaml")
    return str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12:15", "12:15"),  # 735 in YAML 1.1
        ("'12:15'", "12:15"),
        ("2026-09-02", "2026-09-02"),  # a date object in YAML 1.1
        ("2026-11-23T10:15", "2026-11-23T10:15"),
        ("no", "no"),
        ("NO", "NO"),  # Norway
        ("on", "on"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("'true'", "true"),
        ("010", 10),  # 8 in YAML 1.1
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("-7", -7),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.2.3.4", "1.2.3.4"),
        ("W:472", "W:472"),
        ("=", "="),
        ("~", None),
        ("null", None),
        ("", None),
        ("''", ""),
        ("!!str 12", "12"),
        (".nan", ".nan"),
        ("9" * 40, "9" * 40),
    ],
)
def test_values_mean_what_they_look_like(text: str, value: object) -> None:
    """A time, a date or a country is text, quoted or not; only true, false, numbers and null are not."""
    assert data(f"key: {text}") == {"key": value}


def test_keys_are_always_text() -> None:
    """`no:`, `1:` and `12:15:` as keys are the words that were written."""
    assert data("no: 1\n1: 2\n12:15: 3\ntrue: 4") == {"no": 1, "1": 2, "12:15": 3, "true": 4}


def test_every_key_and_value_knows_its_place() -> None:
    """Problems point to the very key or value; list entries too."""
    document = parse(b"rules:\n  gambling:\n    rating: never\n  list: [a,\n    b]\n", "f.yaml")
    assert document.keys["rules", "gambling"] == Place(2, 3)
    assert document.values["rules", "gambling", "rating"] == Place(3, 13)
    assert document.values["rules", "list", 1] == Place(5, 5)


def test_a_place_that_is_missing_falls_back_to_what_holds_it() -> None:
    """A missing key is told at the block that lacks it."""
    document = parse(b"a:\n  b: 1\n", "f.yaml")
    assert str(document.problem(("a", "c", "d"), "missing")) == "f.yaml:1:1: missing"
    assert str(document.problem(("x",), "missing")) == "f.yaml:1:1: missing"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "f.yaml:3:1: 'a' is given twice; it stands at line 1 already"),
        ("a:\n\tb: 1", "f.yaml:2:1: a tab; indent with spaces"),
        ("a: 1\n---\nb: 2", "f.yaml:2:1: a second document begins here; one file holds one"),
        ("a: !!python/name:os.system x", "f.yaml:1:4: the tag !!python/name:os.system is not allowed here"),
        ("a: !secret x", "f.yaml:1:4: the tag !secret is not allowed here"),
        ("a: &x [*x]", "f.yaml:1:8: *x refers to nothing that was written before it"),
        ("? [a]\n: b", "f.yaml:1:3: a key must be a plain word"),
        ("a: [1, 2", "f.yaml:1:4: the '[' that begins here is not closed, or a comma is missing"),
        ("a: {b: 1", "f.yaml:1:4: the '{' that begins here is not closed, or a comma is missing"),
        ('a: "x', "f.yaml:1:4: the quotation mark that begins here is never closed"),
        ("a: b: c", "f.yaml:1:5: a ': ' where no key can be"),
        ("a: `x", "f.yaml:1:4: a value cannot begin with '`'; put it in quotes"),
        ('a: "\\q"', "f.yaml:1:5: unknown escape after a backslash"),
        ("a: 1\n  b: 2", "f.yaml:2:4: a ': ' where no key can be"),
        ("a:\n  b: 1\n c: 2", "f.yaml:3:2: this line is not indented like the ones it belongs to"),
    ],
)
def test_broken_yaml_is_said_in_plain_words(text: str, message: str) -> None:
    """Each has its line and column, and says what to write instead."""
    assert problem(text).startswith(message)


def test_several_problems_are_told_at_once() -> None:
    """Duplicate keys and tags do not hide each other, nor the syntax error after them."""
    assert len(problem("a: 1\na: 2\nb: !x y\nc: [").split("\n")) == 3


def test_an_alias_may_be_used() -> None:
    """An anchor that is used twice is good YAML."""
    assert data("a: &x [1]\nb: *x") == {"a": [1], "b": [1]}


@pytest.mark.slow
def test_aliases_that_multiply_are_refused_at_once() -> None:
    """A kilobyte that stands for ten billion values must cost neither memory nor time (billion laughs)."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    started = time.process_time()
    assert "stands for more than 20000 values" in problem("\n".join(lines))
    assert time.process_time() - started < 2


@pytest.mark.parametrize("text", ["[" * 5000, "{a: " * 5000, "- " * 5000 + "x", "[" * 100 + "]" * 100])
def test_deep_nesting_is_refused(text: str) -> None:
    """Nesting that would exhaust a stack is a problem like any other."""
    assert "nested more than" in problem(text)


def test_a_huge_file_is_not_parsed() -> None:
    """A list that was saved in place of a profile is refused by its size."""
    with pytest.raises(ProblemsError, match="larger than 1024 KiB"):
        parse(b"#" * (MAX_BYTES + 1), "f.yaml")


@pytest.mark.slow
@settings(max_examples=60)
@given(st.text(st.sampled_from("ab:-[]{}&*!|>'\"%@`#,? \n\t\\~1"), max_size=40) | st.binary(max_size=40))
def test_nothing_but_readable_problems(text: str | bytes) -> None:
    """Whatever is in the file, the answer is data or problems with a place, never another exception."""
    try:
        parse(text if isinstance(text, bytes) else text.encode(), "f.yaml")
    except ProblemsError as error:
        problems = error.problems
    else:
        return
    assert problems
    assert all(one.line >= 1 and one.column >= 1 for one in problems)
