from __future__ import annotations

import pytest
from pydantic import ValidationError

from appliance.overrides.options import OverrideSettings


def test_an_override_is_kept_until_the_yearly_review_and_not_for_ever() -> None:
    """DP-5: thirteen months unless the school says otherwise, and never only for days."""
    assert OverrideSettings().keep_days == 395
    for wrong in (0, 29, 4000, "365"):
        with pytest.raises(ValidationError):
            OverrideSettings.model_validate({"keep_days": wrong})


def test_a_name_needs_its_password_unless_the_school_says_otherwise() -> None:
    """Whoever forgets the setting has the safe one."""
    assert OverrideSettings().typed_for_others is False
