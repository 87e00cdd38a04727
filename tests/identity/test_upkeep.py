from __future__ import annotations

from pathlib import Path

import pytest

from appliance.identity.upkeep import add_people, end_what_is_over
from tests.doubles.people import NOW, TABLET, WORD, quick, school


@pytest.mark.slow
def test_what_is_over_ends(tmp_path: Path) -> None:
    """S-12, S-62: idle sessions and stops for a time end without anybody's doing."""
    made = school(tmp_path)
    made.sessions.begin(made.add("amy"), TABLET, NOW, NOW + 9_999)
    made.stops.remove("bob", "x", NOW + 50, by="head", now=NOW)
    end_what_is_over(made.database, made.stops, 100, NOW + 99)
    assert len(made.sessions.open(NOW)) == 1
    assert [entry["what"] for entry in made.trail.entries()] == ["remove-access", "restore"]
    end_what_is_over(made.database, made.stops, 100, NOW + 100)
    assert made.sessions.open(NOW) == []


@pytest.mark.slow
def test_people_of_the_settings_are_added_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The demo's class is there at the first start, and a changed password stays at the second."""
    made = school(tmp_path / "state")
    file = tmp_path / "people.yaml"
    file.write_text(
        f"people:\n  - {{name: amy, group: ks2, password: {WORD.reveal()}}}\n  - {{name: bob, group: ks2}}\n"
    )
    assert add_people(made.database, made.trail, file, ["ks2"], quick(), NOW) == 1
    assert add_people(made.database, made.trail, file, ["ks2"], quick(), NOW) == 0
    assert quick().fits(made.accounts.get("amy").password, WORD)
    assert add_people(made.database, made.trail, file, ["ks1"], quick(), NOW) == 0
    assert "unknown group 'ks2'" in caplog.text
