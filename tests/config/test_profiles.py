"""All files of a policy together: the cases under tests/cases/broken, and what a version stands for."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.config.document import Data, parse
from appliance.config.problems import ProblemsError
from appliance.config.profiles import blanks, load_policy

ROOT = Path(__file__).resolve().parents[2]
CASES = sorted((ROOT / "tests" / "cases" / "broken").glob("*.yaml"))
SHIPPED = (ROOT / "profiles", ROOT / "blocklists" / "categories.yaml")

GOOD = {
    "profiles/hill/set.yaml": """set: hill
title: Hill School
strictest: ks2
terms:
  - {name: Autumn, first: 2026-09-02, last: 2026-12-18}
bells: {lunch: 12:15, afternoon: 13:15}
timetables:
  lunch:
    windows:
      - {from: lunch, to: afternoon}
""",
    "profiles/hill/ks2.yaml": """profile: ks2
title: Key Stage 2
audience: ks2
unknown: {action: allow, because: Pupils of this age learn to search.}
rules:
  gambling: {rating: unacceptable, because: Gambling is not for schools.}
""",
    "categories.yaml": """categories:
  csam: {title: C, severity: critical, risk: content, plain: c, simple: c, floor: true}
  terrorism: {title: T, severity: critical, risk: content, plain: t, simple: t, floor: true}
  grooming: {title: G, severity: critical, risk: contact, plain: g, simple: g}
  gambling: {title: G, severity: medium, risk: commerce, plain: g, simple: g}
  shopping: {title: S, severity: low, risk: commerce, plain: s, simple: s}
  games_educational: {title: E, severity: info, risk: content, plain: e, simple: e}
""",
}


def write(folder: Path, files: dict[str, str | None]) -> tuple[Path, Path]:
    for name, text in {**GOOD, **files}.items():
        if text is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    return folder / "profiles", folder / "categories.yaml"


def told(folder: Path, files: dict[str, str | None]) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        load_policy(*write(folder, files))
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_broken_files_are_told(case: Path, tmp_path: Path) -> None:
    """Each case is a file named as its claim: what a technician wrote, and every problem that is told."""
    content = cast("dict[str, Data]", parse(case.read_bytes(), case.name).data)
    files = cast("dict[str, str | None]", content["files"])
    assert told(tmp_path, files) == content["problems"]


def test_there_are_cases() -> None:
    """A wrong path must not make the test above pass by having nothing to do."""
    assert len(CASES) > 40


@pytest.mark.slow
def test_the_good_files_are_good(tmp_path: Path) -> None:
    """What the cases are variations of loads without a problem."""
    policy = load_policy(*write(tmp_path, {}), groups=["ks2"])
    assert policy.sets["hill"].profiles["ks2"].rules["gambling"].where == "profiles/hill/ks2.yaml:6"
    assert policy.sets["hill"].strictest == "ks2"


def test_a_group_without_a_profile_is_a_problem(tmp_path: Path) -> None:
    """A network that maps to a profile which does not exist would fall to nobody's rules."""
    with pytest.raises(ProblemsError, match=r"unknown group 'ks22'; did you mean 'ks2'\?"):
        load_policy(*write(tmp_path, {}), groups=["ks2", "ks22"])


@pytest.mark.slow
def test_the_version_names_exactly_these_files(tmp_path: Path) -> None:
    """Any byte of any file changes it, and nothing else: not the folder, not what editors leave behind."""
    one = load_policy(*write(tmp_path / "one", {})).version
    profiles, categories = write(tmp_path / "two", {})
    (profiles / "hill" / ".ks2.yaml.swp").write_text("left behind")
    (profiles / "hill" / "ks2.yaml~").write_text("left behind")
    (profiles / "profile.schema.json").write_text("{}")
    assert load_policy(profiles, categories).version == one
    assert one.startswith("sha256:")
    assert len(one) == len("sha256:") + 16
    for name, text in GOOD.items():
        changed = load_policy(*write(tmp_path / name.replace("/", "-"), {name: text + "# a remark\n"}))
        assert changed.version != one


@pytest.mark.slow
def test_the_shipped_profiles_are_whole() -> None:
    """Every category has a rule in every shipped profile: nothing is blocked by a blank."""
    policy = load_policy(*SHIPPED, groups=["eyfs", "ks1", "ks2", "ks3", "ks4", "ks5", "staff", "guest"])
    assert blanks(policy) == []
    assert set(policy.sets) == {"westways", "west"}


def test_a_blank_is_told_but_is_no_error(tmp_path: Path) -> None:
    """A missing rule blocks, which is safe; the school should know."""
    found = blanks(load_policy(*write(tmp_path, {})))
    assert "hill/ks2 has no rule for 'shopping': what is in no other category is blocked" in found


@pytest.mark.slow
def test_nothing_there_is_told(tmp_path: Path) -> None:
    """No folder, and a folder without sets."""
    with pytest.raises(ProblemsError, match="profiles:1:1: cannot be read: No such file"):
        load_policy(tmp_path / "profiles", SHIPPED[1])
    with pytest.raises(ProblemsError, match="holds no set of profiles"):
        load_policy(tmp_path, SHIPPED[1])


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(GOOD)), st.data())
def test_no_slip_of_the_finger_raises_anything_else(tmp_path: Path, name: str, data: st.DataObject) -> None:
    """A character lost, doubled or replaced anywhere gives a policy or problems with a place."""
    text = GOOD[name]
    at = data.draw(st.integers(0, len(text) - 1))
    slip = data.draw(st.sampled_from(["", ":", " ", "\n", "[", "x", "'", "\t", "-", "&a ", "*a"]))
    shutil.rmtree(tmp_path / "profiles", ignore_errors=True)
    try:
        load_policy(*write(tmp_path, {name: text[:at] + slip + text[at + 1 :]}))
    except ProblemsError as error:
        problems = error.problems
    else:
        return
    assert problems
    assert all(problem.line >= 1 and problem.column >= 1 for problem in problems)
