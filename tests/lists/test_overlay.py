"""Entries in memory."""

from __future__ import annotations

import pytest

from appliance.lists.entries import key_of
from appliance.lists.overlay import Overlay
from appliance.model.known import Match, Use
from appliance.model.url import parse_typed


def _overlay(*entries: str) -> Overlay:
    return Overlay((key_of(entry), Match("local", "1", entry, (), Use.ALLOW)) for entry in entries)


@pytest.mark.parametrize(
    ("entry", "address", "covered"),
    [
        ("a.example", "a.example", True),
        ("a.example", "www.a.example/x", True),
        ("a.example", "ba.example", False),
        ("a.example/x", "www.a.example/x/y", True),
        ("a.example/x", "a.example/xy", False),
        ("a.example/x", "a.example", False),
        ("192.0.2.0/24", "192.0.2.9", True),
        ("192.0.2.0/24", "192.0.3.9", False),
        ("192.0.2.9", "http://0300.0.2.9/", True),
        ("http://192.0.2.9/x", "http://192.0.2.9/x/y", True),
    ],
)
def test_entries_cover_what_they_should(entry: str, address: str, *, covered: bool) -> None:
    """Names with sub-domains, paths at boundaries, and networks, as in the table."""
    assert bool(_overlay(entry).lookup(parse_typed(address))) is covered


def test_size_counts_entries() -> None:
    """`len` is what status prints."""
    assert len(_overlay("a.example", "b.example/x")) == 2
    assert not _overlay()
