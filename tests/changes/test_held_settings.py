from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.changes.held_settings import FREE, differing, held, joined, text_of

FILE: dict[str, Any] = {
    "paths": {"state": "/a"},
    "changes": {"approval": "single", "approvers": ["tech"]},
    "gateway": {"listen": "x", "ports": [80], "floor_hits": {"hits": 0}},
    "alerts": {"roles": {"dsl": []}, "mail": None},
    "newer": {"key": 1},
}
AGREED: dict[str, Any] = {
    "changes": {"approval": "two", "approvers": ["head"]},
    "gateway": {"ports": [80, 443], "floor_hits": {"hits": 10}},
    "alerts": {"roles": {"dsl": ["dsl@school.example"]}},
}


def test_what_matters_counts_as_agreed_and_the_rest_as_edited() -> None:
    """S-26: one person's file changes where we listen, and neither who approves nor who is told."""
    found = joined(FILE, AGREED)
    assert found["changes"] == AGREED["changes"]
    assert found["alerts"] == {"roles": {"dsl": ["dsl@school.example"]}, "mail": None}
    assert found["gateway"] == {"listen": "x", "ports": [80, 443], "floor_hits": {"hits": 10}}
    assert (found["paths"], found["newer"]) == (FILE["paths"], {"key": 1})
    assert differing(held(FILE), held(found)) == [
        "alerts.roles.dsl", "changes.approval", "changes.approvers", "gateway.floor_hits.hits",
        "gateway.ports",
    ]  # fmt: skip
    assert 'changes.approval: "two"\n' in text_of(held(found))


def test_a_key_is_held_unless_it_is_named_as_technical() -> None:
    """What a later release adds cannot be forgotten: it is held from the beginning."""
    assert held({"identity": {"new": 1}, "paths": {}, "gateway": {"listen": 1, "new": 2}}) == {
        "identity": {"new": 1},
        "gateway": {"new": 2},
    }
    assert not {free[0] for free in FREE} & {"changes", "identity", "events", "audit", "school"}


_KEYS = st.sampled_from(["changes", "alerts", "gateway", "paths", "mail", "listen", "x"])
_TREES = st.dictionaries(_KEYS, st.dictionaries(_KEYS, st.integers(0, 3), max_size=4), max_size=4)


@pytest.mark.slow
@given(file=_TREES, agreed=_TREES)
def test_no_edit_changes_what_was_agreed(file: dict[str, Any], agreed: dict[str, Any]) -> None:
    """Whatever is edited, each held key that both have comes out as it was agreed."""
    wanted, found = held(agreed), held(joined(file, held(agreed)))
    for section, values in found.items():
        for name, value in values.items():
            if name in wanted.get(section, {}):
                assert value == wanted[section][name]
