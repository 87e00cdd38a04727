from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config.problems import ProblemsError
from appliance.identity.importing import Reading, day_end, first_secret, plan, read_people
from appliance.identity.names import IdentityError
from appliance.model.person import Kind
from tests.doubles.people import NOW, school

GROUPS = ("eyfs", "ks1", "ks2", "staff")
YAML = """\
people:
  - {name: Class 1B, group: ks1, kind: class, pictures: [sun, fish, boat]}
  - {name: amy.smith, group: ks2}
  - {name: ms.jones, group: staff, kind: staff, password: Blue-kettle-42, expires: 2026-12-18}
"""
CSV = "Pupil;Year;Leaves\r\nZoë Ó Briain;Year 4;2026-12-18\r\n\r\nЖанна;Year 2;\r\n"


def written(folder: Path, text: str, name: str = "people.yaml", coding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(coding))
    return path


def problems(path: Path, reading: Reading | None = None) -> list[str]:
    with pytest.raises(ProblemsError) as error:
        read_people(path, reading or Reading(), GROUPS)
    return [f"{problem.line}: {problem.message}" for problem in error.value.problems]


def test_a_file_of_people_becomes_accounts(tmp_path: Path) -> None:
    """S-02 to S-05: class, pupil and staff come out as what they are, and who must change does."""
    found = plan(read_people(written(tmp_path, YAML), Reading(), GROUPS), [], NOW)
    assert [(a.name, a.kind, a.must_change) for a in found.new] == [
        ("Class 1B", Kind.CLASS, False),
        ("amy.smith", Kind.INDIVIDUAL, True),
        ("ms.jones", Kind.STAFF, True),
    ]
    assert found.passwords["class 1b"] == ("sun", "fish", "boat")
    assert found.new[2].expires == day_end("2026-12-18")
    assert first_secret(found.passwords["ms.jones"])[1] == ""
    assert first_secret(found.passwords["amy.smith"])[1] != ""


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig"])
def test_an_export_is_read_with_its_own_columns(coding: str, tmp_path: Path) -> None:
    """An export of the school's system is taken as it is: semicolons, a BOM, years instead of groups."""
    reading = Reading(
        {"name": "pupil", "group": "year", "expires": "leaves"}, {"Year 4": "ks2", "Year 2": "ks1"}
    )
    found = read_people(written(tmp_path, CSV, "export.csv", coding), reading, GROUPS)
    assert [(entry.name, entry.group) for entry, _ in found] == [("Zoë Ó Briain", "ks2"), ("Жанна", "ks1")]
    latin = written(tmp_path, "name,group\nZoë,ks2\n", "old.csv", "cp1252")
    assert read_people(latin, Reading(), GROUPS)[0][0].name == "Zoë"


def test_importing_again_changes_what_is_new_alone(tmp_path: Path) -> None:
    """A nightly import moves a child up a year, and touches no password."""
    made = school(tmp_path)
    kept = made.add("AMY.smith", group="ks1")
    found = plan(read_people(written(tmp_path, YAML), Reading(), GROUPS), made.accounts.all(), NOW)
    assert [a.name for a in found.new] == ["Class 1B", "ms.jones"]
    assert [(a.name, a.group, a.password) for a in found.changed] == [("AMY.smith", "ks2", kept.password)]


def test_every_problem_of_a_file_is_told_at_its_line(tmp_path: Path) -> None:
    """One round of repairs: duplicates, unknown groups, bad days and names, all at once."""
    text = "name,group,kind,expires\namy,ks2,,\nAMY,ks3,,soon\na:b,ks2,,\n"
    told = problems(written(tmp_path, text, "p.csv"))
    assert [line[:2] for line in told] == ["3:", "3:", "3:", "4:"]
    assert "stands at line 2 already" in " ".join(told)
    assert (
        "unknown picture 'sub'; did you mean 'sun'?"
        in problems(written(tmp_path, YAML.replace("sun", "sub")))[0]
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name,class\namy,1B\n", "1: no column 'group' for 'group'"),
        ("name,group,kind\namy,ks2,teacher\n", "2: unknown kind 'teacher'"),
        ("name,group\n,ks2\n", "2: the name is missing"),
        ("\n", "1: no column 'group'"),
    ],
)
def test_a_csv_that_cannot_be_read_says_why(text: str, told: str, tmp_path: Path) -> None:
    """Whoever exported the wrong columns is told which there are."""
    assert problems(written(tmp_path, text, "p.csv"))[0].startswith(told)


def test_a_day_lasts_to_its_end() -> None:
    """An account that expires on a day works on that day, and a moment is meant as one."""
    assert day_end("2026-12-18T15:30") < day_end("2026-12-18")
    with pytest.raises(IdentityError, match="write it as"):
        day_end("18 December")
