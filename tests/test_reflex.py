from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from hypothesis import settings

from tests import reflex

QUICK = (
    "import pytest\n\n\ndef test_a() -> None: ...\n\n\n@pytest.mark.slow\nasync def test_b() -> None: ...\n"
)


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_every_file_is_in_one_share(count: int, tmp_path: Path) -> None:
    """A file that no process takes would be tests that nobody runs, and nobody would miss them."""
    files = {tmp_path / "a" / f"test_{number}.py" for number in range(7)} | {tmp_path / "test_top.py"}
    (tmp_path / "a").mkdir()
    for number, path in enumerate(files):
        path.write_text(QUICK + "# gateway\n" * number * 9, encoding="utf-8")
    found = reflex.shares(tmp_path, count)
    assert len(found) == count
    assert frozenset().union(*found) == files
    assert sum(map(len, found)) == len(files)


@pytest.mark.parametrize(
    ("text", "slow"),
    [
        (QUICK, False),
        (QUICK.replace("def test_a", "@pytest.mark.slow\ndef test_a", 1), True),
        ("pytestmark = pytest.mark.slow\n" + QUICK, True),
        ("pytestmark = pytest.mark.slow  # for a reason\n" + QUICK, True),
        ("pytestmark = [pytest.mark.slow, pytest.mark.timeout(9)]\n" + QUICK, True),
        ("pytestmark = pytest.mark.usefixtures('a')\n" + QUICK, False),
    ],
)
def test_a_file_is_left_out_only_when_all_of_it_is_slow(text: str, slow: bool) -> None:
    """One quick test in a file of slow ones still runs with the others."""
    assert reflex.all_slow(text) is slow


def asked_of(share: tuple[int, int] | None) -> Any:
    """Return the configuration of a process that has such a share; of the one that shares out for None."""
    options = SimpleNamespace(
        markexpr=reflex.QUESTION, keyword="", lf=False, failedfirst=False, tx=["popen"] * 2
    )
    plain = SimpleNamespace(option=options, args_source=pytest.Config.ArgsSource.TESTPATHS)
    return plain if share is None else SimpleNamespace(**vars(plain), workerinput={reflex.SHARE: share})


@pytest.mark.slow
def test_a_folder_is_for_those_who_have_a_file_in_it() -> None:
    """What a folder's tests share is loaded where they run, and every file of a share is reached."""
    tests = Path(reflex.__file__).parent
    for number, share in enumerate(reflex.shares(tests, 2)):
        mine = asked_of((number, 2))
        assert all(reflex.wanted(path, mine) for path in share)
        assert all(reflex.wanted(folder, mine) for path in share for folder in path.parents)
        others = {path for each in reflex.shares(tests, 2) for path in each} - share
        assert not any(reflex.wanted(path, mine) for path in others)
    assert [reflex.wanted(tests / "gateway", asked_of((number, 2))) for number in range(2)] == [True, False]


def test_dice_are_laid_out_wherever_a_test_runs() -> None:
    """Only the process that shares the suite out goes without; one alone, and each with a share, has them."""
    alone = asked_of(None)
    alone.option.tx = []
    assert [reflex.only_shares_out(config) for config in (asked_of(None), asked_of((0, 2)), alone)] == [
        True,
        False,
        False,
    ]


def test_ci_throws_all_dice_and_a_reflex_a_few() -> None:
    """What a test asks for is what CI does; at a desk it is quick."""
    before = settings.get_current_profile_name()
    try:
        for name, thrown in (("thorough", [150, 5]), ("reflex", [reflex.FEW, 5])):
            settings.load_profile(name)
            assert [reflex.dice(150), reflex.dice(5)] == thrown
    finally:
        settings.load_profile(before)


def test_files_stand_in_memory_only_where_there_is_room(tmp_path: Path) -> None:
    """A container with a few megabytes of shared memory keeps them on its disk."""
    assert reflex.in_memory(tmp_path, room=1)
    assert not reflex.in_memory(tmp_path, room=1 << 62)
    assert not reflex.in_memory(tmp_path / "nowhere")


def report(when: str, outcome: str = "passed", duration: float = 0.0, *sections: str) -> dict[str, Any]:
    return {"when": when, "outcome": outcome, "duration": duration, "sections": list(sections)}


@pytest.mark.parametrize(
    ("name", "about", "told"),
    [
        ("logstart", None, False),
        ("testreport", report("setup"), False),
        ("testreport", report("call"), True),
        ("testreport", report("setup", "failed"), True),
        ("testreport", report("teardown", "failed"), True),
        ("testreport", report("teardown", "passed", 0.2), True),
        ("testreport", report("setup", "passed", 0.0, "what it printed"), True),
        ("runtest_protocol_complete", None, True),
    ],
)
def test_trouble_is_always_told(name: str, about: dict[str, Any] | None, told: bool) -> None:
    """Few words save time; a failure before or after a test must not be among what they leave out."""
    said: list[str] = []
    reflex.in_few_words(lambda event, **_: said.append(event))(name, **({"data": about} if about else {}))
    assert said == ([name] if told else [])


@pytest.mark.parametrize(("outcome", "kept"), [("passed", False), ("failed", True), ("skipped", True)])
def test_only_what_passed_is_told_shortly(
    outcome: Literal["passed", "failed", "skipped"], kept: bool
) -> None:
    """Of a failure all is told; of a success enough to count it and to name it."""
    location = ("test_a.py", 1, "test_a")
    whole = pytest.TestReport("test_a.py::test_a", location, {"a": 1}, outcome, None, "call", duration=0.1)
    said = reflex.short(whole)
    assert (said is None) is kept
    if said is not None:
        again = pytest.TestReport._from_json(said)
        assert (again.nodeid, again.outcome, again.when, again.duration) == (
            whole.nodeid,
            outcome,
            "call",
            0.1,
        )
