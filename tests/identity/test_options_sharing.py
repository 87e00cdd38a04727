from __future__ import annotations

import pytest
from pydantic import ValidationError

from appliance.identity.options_sharing import SharingSettings
from appliance.identity.sharing import SharingRules


def test_what_is_not_said_is_the_default() -> None:
    """The settings and the room agree on what is normal."""
    assert SharingSettings().rules == SharingRules()
    assert SharingSettings(pupil_devices=2, minutes=10).rules == SharingRules(2, seconds=600)


def test_nobody_switches_it_off_by_a_nought() -> None:
    """S-11: no device at all, or no time at all, would tell of everybody, and is no setting."""
    for wrong in ({"pupil_devices": 0}, {"minutes": 0}, {"staff_devices": "2"}):
        with pytest.raises(ValidationError):
            SharingSettings.model_validate(wrong)
