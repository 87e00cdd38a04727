from __future__ import annotations

from appliance.overrides.options import OverrideSettings


def test_a_name_needs_its_password_unless_the_school_says_otherwise() -> None:
    """Whoever forgets the setting has the safe one."""
    assert OverrideSettings().typed_for_others is False
