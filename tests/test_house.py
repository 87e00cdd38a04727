"""The house rules that no other tool checks: twins, sentences, sizes, top level, words that may not stand.

What lives only here: the rules themselves. Each finding names file and line, so that whoever broke a rule
need not search.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests import reflex

ROOT = Path(__file__).resolve().parents[1]
TOP_LEVEL = {"pyproject.toml", "appliance", "blocklists", "profiles", "deploy", "tests", "README.md"}
TOP_LEVEL |= {"LICENSE", "Makefile", "requirements.lock"}
TOP_LEVEL_MADE = {"var", "dist"}
"""What a run leaves behind; git does not keep it."""

FILE_LINES, FUNCTION_LINES = 400, 60
ROOM_LINES = ("For: ", "In -> out: ", "May touch: ", "Must not know: ")
PURE = ("model", "policy", "inspection")

TEXT = {
    ".css",
    ".html",
    ".json",
    ".jsonl",
    ".lock",
    ".md",
    ".nft",
    ".py",
    ".service",
    ".svg",
    ".toml",
    ".yaml",
    "",
}
"""Ends of the names of files that people read. Lists and recorded cases are data and not searched."""


type Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One Python file, read and parsed once; `functions` are all of them, methods and inner ones too."""

    path: str
    text: str
    tree: ast.Module
    functions: tuple[Function, ...]


@cache
def files() -> tuple[Path, ...]:
    """Every file that may be committed, with its path from the repository's top."""
    found = []
    for entry in sorted(ROOT.iterdir()):
        if entry.is_file():
            found.append(entry)
        elif entry.name in TOP_LEVEL or entry.name in {".ci", ".vscode"}:
            found += [path for path in sorted(entry.rglob("*")) if path.is_file()]
    return tuple(path.relative_to(ROOT) for path in found if "__pycache__" not in path.parts)


@cache
def sources() -> tuple[Source, ...]:
    """Every Python file of the project and its tests."""
    found = []
    for path in files():
        if path.suffix == ".py":
            text = (ROOT / path).read_text(encoding="utf-8")
            tree = ast.parse(text)
            nodes = (
                node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            )
            found.append(Source(path.as_posix(), text, tree, tuple(nodes)))
    return tuple(found)


def read(name: str) -> str:
    """Return a file's text, or an empty one: what must be there, another test or the build asks for."""
    path = ROOT / name
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def complain(findings: list[str], rule: str) -> None:
    """Fail with the rule and every place that breaks it."""
    assert not findings, f"{rule}:\n  " + "\n  ".join(findings)


# --- the shape of the house ---


def test_the_top_level_holds_only_what_the_plan_names() -> None:
    """A new folder at the top is a decision about the plan, never an accident."""
    entries = {entry.name for entry in ROOT.iterdir() if not entry.name.startswith(".")}
    complain(sorted(entries - TOP_LEVEL - TOP_LEVEL_MADE), "the top level holds nothing else")


@pytest.mark.slow
def test_every_module_has_its_twin() -> None:
    """Whoever opens a module finds its tests without searching; only a list of values needs none."""
    findings = []
    for source in sources():
        path = Path(source.path)
        if path.parts[0] != "appliance" or not source.functions:
            continue
        twin = Path(
            "tests", *path.parts[1:-1], f"test_{path.stem.strip('_')}.py"
        )  # __init__.py: test_init.py
        if not (ROOT / twin).is_file():
            findings.append(f"{path} wants {twin}")
    complain(findings, "every module has its twin test")


@pytest.mark.slow
def test_every_room_says_the_four_things() -> None:
    """A room's first page says what it is for, what goes in and out, what it may touch and must not know."""
    findings = []
    for source in sources():
        parts = Path(source.path).parts
        if parts[0] != "appliance" or parts[-1] != "__init__.py" or len(parts) != 3:
            continue
        said = [
            line
            for line in (ast.get_docstring(source.tree) or "").splitlines()
            if line.startswith(ROOM_LINES)
        ]
        if [line.split(": ")[0] + ": " for line in said] != list(ROOM_LINES):
            findings.append(f"{source.path}: wants the lines {', '.join(ROOM_LINES)}in this order")
        if parts[1] != "cli" and len(source.tree.body) != 1:
            findings.append(f"{source.path}: holds more than its docstring")
    complain(findings, "a room's __init__.py says four things and no more")


@pytest.mark.slow
def test_every_room_has_its_first_page() -> None:
    """A folder without __init__.py escapes the import contracts unseen."""
    rooms = {Path(source.path).parent for source in sources() if source.path.startswith("appliance/")}
    complain(
        [str(room) for room in sorted(rooms) if not (ROOT / room / "__init__.py").is_file()], "no __init__.py"
    )


@pytest.mark.slow
def test_files_and_functions_stay_readable() -> None:
    """A file that nobody can hold in the head is where the hole will be."""
    findings = []
    for source in sources():
        if (lines := source.text.count("\n")) > FILE_LINES:
            findings.append(f"{source.path}: {lines} lines")
        for function in source.functions:
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            if length > FUNCTION_LINES:
                findings.append(f"{source.path}:{function.lineno}: {function.name} has {length} lines")
    complain(findings, f"no file past {FILE_LINES} lines, no function past {FUNCTION_LINES}")


ONE_SENTENCE = r"(?:(?![.!?] [A-Z]).|(?<=e\.g)\.|(?<=i\.e)\.)+[.!?]"


@pytest.mark.slow
def test_every_test_says_in_one_sentence_what_it_protects() -> None:
    """When a test fails, the sentence says what is in danger."""
    findings = []
    for source in sources():
        if not Path(source.path).name.startswith("test_"):
            continue
        for function in source.functions:
            if not function.name.startswith("test"):
                continue
            sentence = " ".join((ast.get_docstring(function) or "").split())
            if not re.fullmatch(ONE_SENTENCE, sentence):
                findings.append(f"{source.path}:{function.lineno}: {function.name}")
    complain(findings, "every test has one sentence that says what it protects")


STARTS = ("Popen", "run", "check_call", "check_output", "create_subprocess_exec", "create_subprocess_shell")
STARTERS = ("subprocess", "asyncio")
SLEEPS_MOST = 0.1
"""Seconds that a quick test may let pass: it waits for what happens, never for a time."""


def own_steps(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what a function does itself; what it defines within may hang, as a double of a bad day does."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield child
            yield from own_steps(child)


def what_takes_long(function: Function) -> list[str]:
    """Return what a test does that no reflex does: start a process or a browser, or sleep."""
    found = [
        "a browser" for node in own_steps(function) if isinstance(node, ast.Name) and "playwright" in node.id
    ]
    for node in own_steps(function):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        of, does = ast.unparse(node.func.value), node.func.attr
        first = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else 0
        starts = of in STARTERS and does in STARTS and (of, does) != ("asyncio", "run")
        if starts or (of in {"time", "asyncio"} and does == "sleep" and float(str(first)) > SLEEPS_MOST):
            found.append(f"{of}.{does}()")
    return found


@pytest.mark.slow
def test_a_quick_test_starts_nothing_and_waits_for_no_time() -> None:
    """The quick suite stays a reflex: what needs processes, browsers or sleep is marked slow."""
    findings = [
        f"{source.path}:{function.lineno}: {function.name}: {', '.join(long)}"
        for source in sources()
        if source.path.startswith("tests/") and "/journeys/" not in source.path
        if not reflex.SLOW_FILE.search(source.text)
        for function in source.functions
        if function.name.startswith("test_")
        if not any("mark.slow" in ast.unparse(mark) for mark in function.decorator_list)
        if (long := what_takes_long(function))
    ]
    complain(findings, "mark it slow, or wait for what happens")


@pytest.mark.parametrize(
    ("body", "takes_long"),
    [
        ("time.sleep(1)", True),
        ("await asyncio.sleep(5)", True),
        ("await asyncio.sleep(0)", False),
        ("subprocess.run(['true'])", True),
        ("with sync_playwright() as browser: pass", True),
        ("asyncio.run(serve())", False),
    ],
)
def test_what_takes_long_is_seen(body: str, takes_long: bool) -> None:
    """A rule that cannot see a sleep would let the reflex grow slow unnoticed."""
    (function,) = ast.parse(f"async def test_it():\n    {body}").body
    assert isinstance(function, ast.AsyncFunctionDef)
    assert bool(what_takes_long(function)) is takes_long


# --- what may not stand anywhere ---

UNFINISHED = re.compile(
    r"\bTODO\b|\bFIXME\b|\bXXX\b|NotImplementedError|\bskipif\b|\bxfail\b|importorskip|"
    r"\bpytest\.skip\b|\bmark\.skip\b|\bSkipTest\b|\bmock\b.*\bimport\b|\bimport\b.*\bmock\b|(?<![.\w])patch\(",
)
PLACES = re.compile(
    r"(?<![\w.])/(?:work|root|tmp/w)/|\b(?:pypi|npmjs)\.org\b|pythonhosted|\bdeb\.debian\.org\b"
)
INDEX = re.compile(r"(?<!emit)-index-url|(?<!emit)--index\b|(?<!emit)--?find-links|trusted-host")


def places_where(pattern: re.Pattern[str], suffixes: set[str]) -> list[str]:
    """Return file, line and text of every match, except in this file, which has to name what it looks for."""
    findings = []
    for path in files():
        if (
            path.suffix not in suffixes
            or path.parts[0] == "blocklists"
            or path == Path("tests/test_house.py")
        ):
            continue
        text = (ROOT / path).read_text(encoding="utf-8", errors="replace")
        if pattern.search(text):
            lines = enumerate(text.splitlines(), 1)
            findings += [
                f"{path}:{number}: {line.strip()[:80]}" for number, line in lines if pattern.search(line)
            ]
    return findings


@pytest.mark.slow
def test_nothing_is_half_done_or_skipped() -> None:
    """A stub or a skipped test looks like safety and is none."""
    complain(places_where(UNFINISHED, {".py"}), "nothing half done, nothing skipped, nothing patched")


@pytest.mark.slow
def test_no_machine_of_ours_is_named() -> None:
    """The repository works on any machine, so it names none: no path of ours, no registry, no index."""
    complain(
        places_where(PLACES, TEXT) + places_where(INDEX, TEXT), "no machine paths, registry hosts or indexes"
    )


@pytest.mark.slow
def test_every_exception_to_a_rule_has_its_reason() -> None:
    """Whoever meets a silenced warning can judge whether the reason still holds."""
    silenced = re.compile(r"#\s*(noqa: [A-Z0-9, ]+|type: ignore\[[\w, -]+\])\s*$")
    findings = [
        f"{source.path}:{number}: {line.strip()[-60:]}"
        for source in sources()
        for number, line in enumerate(source.text.splitlines(), 1)
        if silenced.search(line)
    ]
    complain(findings, "write the reason behind it: `# noqa: S104 - the port is the point`")


@pytest.mark.slow
def test_what_decides_never_asks_the_time() -> None:
    """`now` is an argument, so that any moment can be asked about, and gives the same answer twice."""
    clocks = {"now", "utcnow", "today", "fromtimestamp"}
    findings = [
        f"{source.path}:{node.lineno}: .{node.func.attr}()"
        for source in sources()
        if source.path.startswith(tuple(f"appliance/{room}/" for room in PURE))
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in clocks
    ]
    complain(findings, f"{', '.join(PURE)} read no clock")


# --- the rules themselves ---


@pytest.mark.parametrize(
    "line",
    [
        "pytest.skip('no nginx')",
        "# TODO later",
        "raise NotImplementedError",
        "from unittest import mock",
        "patch('x')",
    ],
)
def test_the_search_for_the_unfinished_finds_it(line: str) -> None:
    """A rule that finds nothing because it cannot is worse than none."""
    assert UNFINISHED.search(line)


@pytest.mark.parametrize(
    "line", ["client.patch(url)", "monkeypatch.setenv('A', 'b')", "dispatch(event)", "# a todo app"]
)
def test_the_search_for_the_unfinished_leaves_the_rest_alone(line: str) -> None:
    """A rule that cries wolf is switched off before long."""
    assert not UNFINISHED.search(line)
