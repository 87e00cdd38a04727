"""Many lists merged into one."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.lists.merging import HAS_URLS, Sets, merge, part_of, special, split

KEYS = st.sampled_from(
    [
        "test.a.",
        "test.a.b.",
        "test.c.",
        "test.a./x",
        "test.c.d./y?z",
        "intranet./x",
        "=192.0.2.1./x",
        "4/1100",
    ]
)
LISTS = st.lists(st.lists(KEYS, max_size=8), min_size=1, max_size=4)


def _merged(lists: list[list[str]], largest: int) -> dict[str, set[int]]:
    sets = Sets()
    trie, numbers = merge(lists, [], special(lists).with_urls, largest, sets)
    return {key: set(sets.sets[numbers[trie.key_id(key)]]) for key in trie}


@pytest.mark.slow
@given(LISTS, st.data())
def test_each_key_has_exactly_its_lists(lists: list[list[str]], data: st.DataObject) -> None:
    """Whichever list is taken for the largest, each key is with those lists that hold it and no other."""
    found = _merged(lists, data.draw(st.integers(0, len(lists) - 1)))
    for key in {key for keys in lists for key in keys}:
        assert found[key] - {HAS_URLS} == {at for at, keys in enumerate(lists) if key in keys}
    for key in found:
        below = key.endswith(".") and any(key + "/" in each or each.startswith(key + "/") for each in found)
        assert (HAS_URLS in found[key]) == (below or (key[:2] == "4/" and len(key) == 34))


@pytest.mark.slow
@given(st.lists(KEYS), st.integers(2, 9))
def test_parts_hold_every_key_with_what_covers_it(keys: list[str], parts: int) -> None:
    """A host, its sub-domains and its URLs stay together, so that one part answers for an address."""
    files = [io.StringIO() for _ in range(parts)]
    split(keys, files)
    shares = [file.getvalue().split() for file in files]
    for key in keys:
        part = part_of(key, parts)
        assert all(key in share for share in (shares if part < 0 else [shares[part]]))
    assert part_of("test.a.", parts) == part_of("test.a.b./x.y", parts)
    assert part_of("=2001:db8::1./a", parts) == part_of("=2001:db8::1./a.b.c", parts)


def test_marks_are_told_apart() -> None:
    """Expressions and what a list takes back are no plain keys."""
    found = special([["test.a."], ["~ad[0-9]/", "@@test.a.b./x", "test.c."]])
    assert found.expressions == [(1, "ad[0-9]/")]
    assert found.taken_back == {1: ["test.a.b./x"]}
    assert found.with_urls == {1}
