"""squidGuard's layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.lists.tree import Place, place_of, survey


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("blacklists/adult/domains", Place("adult", "domains")),
        ("x.tar.gz!blacklists/adult/urls", Place("adult", "urls")),
        ("adult/usage", Place("adult", "usage")),
        ("domains", Place("", "domains")),
    ],
)
def test_places(name: str, place: Place) -> None:
    """Folder and file are found in an archive as in a folder."""
    assert place_of(name) == place


def test_folders_and_aliases_are_found(tree: Callable[[dict[str, str]], Path]) -> None:
    """UT1's English names are links to the French folders, not lists of their own."""
    root = tree(
        {"blacklists/adult/domains": "a.example\n", "blacklists/adult/usage": "black\n", "README": ""}
    )
    (root / "blacklists" / "porn").symlink_to("adult")
    found = survey(root)
    assert found.folders == {"adult"}
    assert found.names_of("adult") == ("porn",)


def test_a_single_file_is_no_collection(tree: Callable[[dict[str, str]], Path]) -> None:
    """A file that happens to be called domains is one list."""
    assert survey(tree({"domains": "a.example\n"}) / "domains").folders == set()
