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


def test_a_report_does_not_outlive_its_override() -> None:
    """A term that could not be kept is said where it is written, not found out a year later."""
    assert OverrideSettings.model_validate({"report_days": 395}).report_days == 395
    with pytest.raises(ValidationError, match="goes with its override"):
        OverrideSettings.model_validate({"report_days": 60, "keep_days": 59})
    with pytest.raises(ValidationError, match="no mail address"):
        OverrideSettings.model_validate({"addresses": {"mrs.jones": "Mrs Jones <a@b.example>"}})
