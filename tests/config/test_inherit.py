"""A trust's base, varied by a school."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from pathlib import Path

import pytest

from appliance.config.problems import ProblemsError
from appliance.config.profiles import load_policy
from appliance.model.profile import Policy, Rating

SET = """set: {name}
title: T
strictest: ks2
terms: [{{name: Autumn, first: 2026-09-02, last: 2026-12-18}}]
timetables:
  lunch: {{windows: [{{from: {lunch}, to: 13:30}}]}}
"""
BASE = """profile: _base
title: Base
abstract: true
audience: ks2
unknown: {action: allow, because: Pupils of this age learn to search.}
rules:
  gambling: {rating: unacceptable, because: Gambling is not for schools.}
  games: {rating: acceptable_certain_times, timetable: lunch, because: Games are for lunch time.}
"""
TRUST_KS2 = """profile: ks2
title: Key Stage 2
extends: _base
"""
SCHOOL_KS2 = """profile: ks2
title: Key Stage 2 at Hill
extends: trust/ks2
rules:
  gambling: {rating: unacceptable_and_illegal, because: Hill is stricter than the trust.}
  news: {rating: acceptable, because: Pupils learn about the world., source: H:1}
"""
LINE = "{title: T, severity: low, risk: content, plain: p, simple: s}"
CATEGORIES = f"categories: {{gambling: {LINE}, games: {LINE}, news: {LINE}}}\n"
FILES = {
    "profiles/trust/set.yaml": SET.format(name="trust", lunch="12:00"),
    "profiles/trust/_base.yaml": BASE,
    "profiles/trust/ks2.yaml": TRUST_KS2,
    "profiles/hill/set.yaml": SET.format(name="hill", lunch="12:30"),
    "profiles/hill/ks2.yaml": SCHOOL_KS2,
    "categories.yaml": CATEGORIES,
}


def load(folder: Path, files: Mapping[str, str]) -> Policy:
    for name, text in {**FILES, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return load_policy(folder / "profiles", folder / "categories.yaml")


def test_a_child_takes_what_it_does_not_say_itself(tmp_path: Path) -> None:
    """Audience, the unknown, and each rule come from the nearest file that has them, which is named."""
    policy = load(tmp_path, {})
    trust, hill = policy.sets["trust"].profiles["ks2"], policy.sets["hill"].profiles["ks2"]
    assert (hill.title, hill.audience, hill.allow_unknown) == ("Key Stage 2 at Hill", trust.audience, True)
    assert hill.rules["games"].where == "profiles/trust/_base.yaml:8"
    assert hill.unknown_where == "profiles/trust/_base.yaml:5"
    assert hill.rules["gambling"].where == "profiles/hill/ks2.yaml:5"
    assert hill.rules["gambling"].rating is Rating.ILLEGAL
    assert trust.rules["gambling"].rating is Rating.UNACCEPTABLE
    assert "news" not in trust.rules


def test_an_inherited_timetable_rings_the_schools_own_bells(tmp_path: Path) -> None:
    """The trust says "at lunch", the school says when that is."""
    policy = load(tmp_path, {})
    starts = {}
    for name in ("trust", "hill"):
        timetable = policy.sets[name].profiles["ks2"].rules["games"].timetable
        assert timetable is not None
        starts[name] = timetable.windows[0].start
    assert starts == {"trust": time(12), "hill": time(12, 30)}


@pytest.mark.slow
def test_abstract_profiles_are_given_to_nobody(tmp_path: Path) -> None:
    """A base is not a profile that a network could map to."""
    assert set(load(tmp_path, {}).sets["trust"].profiles) == {"ks2"}


def test_what_the_trust_rates_illegal_stays_so(tmp_path: Path) -> None:
    """A school may be stricter than the trust, and looser in most things, but not in this (S-79)."""
    illegal = BASE.replace("{rating: unacceptable,", "{rating: unacceptable_and_illegal,")
    looser = SCHOOL_KS2.replace("rating: unacceptable_and_illegal", "rating: unacceptable")
    with pytest.raises(ProblemsError, match="trust/_base rates 'gambling'"):
        load(tmp_path, {"profiles/trust/_base.yaml": illegal, "profiles/hill/ks2.yaml": looser})


def test_what_follows_from_a_broken_parent_is_not_told(tmp_path: Path) -> None:
    """One broken base is one problem, not one in each file that extends it."""
    with pytest.raises(ProblemsError) as caught:
        load(tmp_path, {"profiles/trust/_base.yaml": "profile: _base\ntitle: [\n"})
    assert [problem.file.rpartition("/")[2] for problem in caught.value.problems] == ["_base.yaml"]
