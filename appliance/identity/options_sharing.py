"""The part of the configuration that says what counts as sharing an account.

What lives only here: the keys of `identity.sharing`.
"""

from __future__ import annotations

from pydantic import Field

from appliance.config.typed import Section
from appliance.identity.sharing import SharingRules


class SharingSettings(Section):
    """When an account counts as shared; class and generic accounts are, and are never told of."""

    pupil_devices: int = Field(
        1, strict=True, ge=1, le=9, description="Devices that one pupil uses at once; one more is told of."
    )
    staff_devices: int = Field(
        2, strict=True, ge=1, le=9, description="Devices that one member of staff uses at once."
    )
    minutes: float = Field(
        5.0, ge=1, le=120, description="Two devices that are both in use for so long are in use at once."
    )
    pupil_networks: bool = Field(
        default=True,
        description="Tell of staff on any device of a pupils' network, not only on registered ones.",
    )

    @property
    def rules(self) -> SharingRules:
        """The rules as they are asked."""
        return SharingRules(self.pupil_devices, self.staff_devices, self.minutes * 60, self.pupil_networks)
