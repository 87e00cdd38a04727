from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config.problems import ProblemsError
from appliance.config.profiles import load_policy
from appliance.model.role import Grants
from tests.doubles.school import ROOT

CATEGORIES = ROOT / "blocklists" / "categories.yaml"
HEAD = "set: hill\ntitle: Hill\nstrictest: ks2\n"
PROFILE = """\
profile: ks2
title: Key Stage 2
audience: ks2
unknown: {action: allow, because: Pupils learn to search here.}
"""


def roles(tmp_path: Path, text: str) -> list[str]:
    """Load a set with these roles; return the problems, without the file's folder."""
    folder = tmp_path / "profiles" / "hill"
    folder.mkdir(parents=True)
    (folder / "set.yaml").write_text(HEAD, encoding="utf-8")
    (folder / "ks2.yaml").write_text(PROFILE, encoding="utf-8")
    (folder / "roles.yaml").write_text(text, encoding="utf-8")
    try:
        load_policy(tmp_path / "profiles", CATEGORIES)
    except ProblemsError as error:
        return [str(problem).rpartition("hill/")[2] for problem in error.problems]
    return []


ROLE = """\
roles:
  teacher:
    title: Teachers
    because: A teacher may open what is harmless.
    groups: [ks2]
    grants: at_once
    longest_minutes: 60
    opens_for: [ks2]
    categories: [blogs]
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("[blogs]", "[blogs, csam]", "roles.yaml:9:25: the floor cannot be turned off: no role"),
        ("[blogs]", "[blgs]", "roles.yaml:9:18: unknown category 'blgs'; did you mean 'blogs'?"),
        ("opens_for: [ks2]", "opens_for: [ks9]", "roles.yaml:8:17: unknown profile 'ks9'; did you mean"),
        ("groups: [ks2]", "groups: [staf]", "roles.yaml:5:14: unknown profile 'staf'; possible: ks2"),
        ("    groups: [ks2]\n", "", "roles.yaml:3:5: nobody has the role 'teacher'"),
        ("categories: [blogs]", "categories: []", "roles.yaml:3:5: the role 'teacher' opens nothing"),
        ("longest_minutes: 60", "longest_minutes: 99999", "'longest_minutes' must be at most 44640"),
        ("grants: at_once", "grants: sometimes", "unknown grants 'sometimes'"),
        ("title: Teachers", "titel: Teachers", "unknown key 'titel'; did you mean 'title'?"),
    ],
)  # fmt: skip
def test_a_role_that_cannot_mean_anything_is_a_problem(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    """A limit with a slip of the pen would open too much, or nothing, and be found out in a lesson."""
    assert old in ROLE
    found = roles(tmp_path, ROLE.replace(old, new))
    assert any(problem in one for one in found), found


@pytest.mark.slow
def test_roles_are_part_of_the_policy_and_no_profile(tmp_path: Path) -> None:
    """A change of who may open what is a new version of the policy, as every other change is."""
    assert roles(tmp_path, ROLE) == []
    policy = load_policy(tmp_path / "profiles", CATEGORIES)
    hill = policy.sets["hill"]
    assert set(hill.profiles) == {"ks2"}
    teacher = hill.roles["teacher"]
    assert (teacher.grants, teacher.where) == (Grants.AT_ONCE, "profiles/hill/roles.yaml:2")
    (tmp_path / "profiles" / "hill" / "roles.yaml").unlink()
    without = load_policy(tmp_path / "profiles", CATEGORIES)
    assert without.sets["hill"].roles == {}
    assert without.version != policy.version


@pytest.mark.slow
def test_the_shipped_roles_open_nothing_that_a_school_calls_illegal() -> None:
    """UKF-I3: what the schools' tables call illegal is in no role that ships."""
    policy = load_policy(ROOT / "profiles", CATEGORIES)
    never = {"pornography", "filter_bypass", "malware", "phishing", "self_harm", "extreme_porn", "grooming"}
    never |= {"criminal_racism_religious_hatred", "csam", "terrorism"}
    for school in policy.sets.values():
        assert school.roles
        assert not any(role.categories & never for role in school.roles.values())
