"""Entries in memory."""

from __future__ import annotations

import pytest

from appliance.lists.entries import key_of
from appliance.lists.overlay import Overlay
from appliance.model.known import Match, Use
from appliance.model.url import parse_typed


def _overlay(*entries: str) -> Overlay:
    return Overlay((key_of(entry), Match("local", "1", entry, (), Use.ALLOW)) for entry in entries)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entry", "address", "covered"),
    [
        ("a.example", "a.example", True),
        ("a.example", "www.a.example/x", True),
        ("a.example", "ba.example", False),
        ("example", "www.a.example", True),
        ("x.y.z.example", "w.x.y.z.example", True),
        ("x.y.z.example", "y.z.example", False),
        ("192.0.0.0/16", "192.0.2.9", True),
        ("2001:db8::/32", "http://[2001:db8::1]/", True),
        ("2001:db8::/32", "192.0.2.9", False),
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


@pytest.mark.parametrize(
    ("address", "varies"),
    [("www.a.example", True), ("a.example/y", True), ("b.example", False), ("c.d", False)],
)
def test_it_says_where_a_path_could_matter(address: str, *, varies: bool) -> None:
    """The answer for a host is kept only where no path on it could have another one."""
    assert _overlay("a.example/x", "b.example").ask(parse_typed(address)).varies is varies


def test_size_counts_entries() -> None:
    """`len` is what status prints."""
    assert len(_overlay("a.example", "b.example/x")) == 2
    assert not _overlay()
