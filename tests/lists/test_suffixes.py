"""Public suffixes."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from appliance.lists.suffixes import PublicSuffixes, public_suffixes

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("com", True),
        ("ac.uk", True),
        ("blogspot.com", True),
        ("xn", True),
        ("foo.ck", True),
        ("www.ck", False),
        ("example.com", False),
        ("school.ac.uk", False),
        ("xn--fiqs8s", True),
    ],
)
def test_suffixes_are_known(name: str, *, expected: bool) -> None:
    """Plain, wildcard, exception, foreign and single-label names are told apart."""
    assert (name in public_suffixes()) is expected


def test_without_rules_only_single_labels_are_suffixes() -> None:
    """A list that means its suffixes still cannot name a whole top-level domain."""
    assert "com" in PublicSuffixes([])
    assert "blogspot.com" not in PublicSuffixes([])


@pytest.mark.slow
def test_bundled_rules_hold_the_published_ones() -> None:
    """The data bundled with the library is no empty or ancient file: it has nearly all published rules."""
    text = lzma.decompress((SHARED / "psl" / "public_suffix_list.dat.xz").read_bytes()).decode()
    rules = [line for line in text.splitlines() if line and line[0] not in "/!*" and line.isascii()]
    known = sum(rule in public_suffixes() for rule in rules)
    assert known / len(rules) > 0.98
