from __future__ import annotations

from pathlib import Path

from appliance.cli.lists_alone import _shrinks, closed
from tests.doubles.school import configuration, load_once


def test_only_what_every_profile_closes_is_closed(tmp_path: Path) -> None:
    """What one age may see, or at one hour, a list could open; what no profile knows is not closed."""
    policy = load_once(configuration(tmp_path)).policy
    assert closed(policy, ["gambling", "pornography"])
    for wrong in (["education"], ["gambling", "education"], ["games_educational"], ["no_such"]):
        assert not closed(policy, wrong)


def test_an_edition_shrinks_by_what_it_lacks_and_by_what_it_takes_back(tmp_path: Path) -> None:
    """An entry less, and an exception more, both open something; entries more do not."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("a\nb\n")
    for text, shrinks in (("a\nb\nc\n", False), ("a\n", True), ("a\nb\n@@a/x\n", True), ("", True)):
        new.write_text(text)
        assert _shrinks(old, new) is shrinks
