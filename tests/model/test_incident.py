"""Rows of a school's table."""

from __future__ import annotations

from appliance.model.alerting import Who
from appliance.model.incident import Incident, Incidents, Step

PLAIN = Incident("a", "A", "W:1", "x:1", (Step("s", "S"),), themes=frozenset({"harm"}))


def test_a_row_is_proposed_for_its_theme_or_its_rule_and_to_nobody_else() -> None:
    """A row about staff must not stand in a child's case."""
    adults = Incident("b", "B", "W:2", "x:2", (), Who.ADULTS, rules=frozenset({"repeat"}))
    table = Incidents({"a": PLAIN, "b": adults})
    assert table.proposed("harm", frozenset(), adult=False) == (PLAIN,)
    assert table.proposed("other", frozenset({"repeat"}), adult=True) == (adults,)
    assert table.proposed("other", frozenset({"repeat"}), adult=False) == ()
    assert (PLAIN.about(adult=True), PLAIN.about(adult=False)) == (True, True)
