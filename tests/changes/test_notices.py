from __future__ import annotations

from pathlib import Path

import pytest

from appliance.changes.notices import EMERGENCY, Notices
from appliance.changes.store import Approval, ChangeError
from tests.changes.test_store import Trail


def test_somebody_else_looks_at_it(tmp_path: Path) -> None:
    """S-26: who closed a site alone is not who looks at it, in whatever spelling, nor is just anybody."""
    made = Notices(tmp_path, Trail(), Approval(two=True, approvers=("Head", "dsl")))
    assert (made.open(), made.count(), made.untold()) == ([], 0, [])
    number = made.add(EMERGENCY, "blocked bad.example", by="head", at=1.0)
    for name, said in (("HEAD", "what you did"), ("amy", "none of changes.approvers")):
        with pytest.raises(ChangeError, match=said):
            made.seen(number, by=name, at=2.0)
    assert [each.words for each in made.open()] == ["blocked bad.example"]
    made.seen(number, by="dsl", at=2.0)
    assert made.count() == 0
    with pytest.raises(ChangeError, match="looked at by dsl already"):
        made.seen(number, by="dsl", at=3.0)
    with pytest.raises(ChangeError, match="no notice 9"):
        made.seen(9, by="dsl", at=3.0)


def test_it_is_told_once(tmp_path: Path) -> None:
    """What was given to what sends it is not given again; what was not, is after a restart as well."""
    made = Notices(tmp_path, Trail(), Approval(two=True, approvers=("head",)))
    made.add(EMERGENCY, "a", by="tech", at=1.0)
    assert [each.number for each in made.untold()] == [1]
    made.told([1])
    assert made.untold() == []
    assert made.count() == 1
