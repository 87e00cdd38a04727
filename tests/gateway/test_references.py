from __future__ import annotations

from appliance.gateway.references import new_reference


def test_a_reference_can_be_read_out() -> None:
    """A pupil reads it to a teacher: eight letters that nobody takes for others, and each its own."""
    made = {new_reference() for _ in range(200)}
    assert len(made) == 200
    assert all(len(each) == 9 and each[4] == "-" and not set(each) & set("ILOU") for each in made)
