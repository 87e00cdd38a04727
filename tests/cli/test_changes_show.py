from __future__ import annotations

from pathlib import Path

import pytest

from appliance import releasing
from appliance.changes.notices import EMERGENCY
from appliance.cli import changes_show
from appliance.cli.setup import Setup
from tests.doubles.school import configuration
from tests.doubles.two import WHY


def test_a_full_page_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of many changes a page is shown, with the command for the one before, and what is to be looked at."""
    made = Setup()
    made.config = configuration(tmp_path)
    store = releasing.changes(made.settings)
    for number in range(3):
        store.propose("a", "b", (), reason=f"{WHY} {number}\x1b[2J", by="tech", at=1.0, impact={})
    releasing.notices(made.settings).add(EMERGENCY, "blocked\nbad.example", by="tech", at=1.0)
    changes_show.many(made, store.newest(2), full=True, as_json=False)
    out, err = capsys.readouterr()
    assert "\x1b" not in out
    assert "--before 2" in err
    assert "seen NUMBER" in out
    changes_show.one(made, store.get(1))
    assert "stale: policy" in capsys.readouterr().out
