"""The section of the configuration file about overrides."""

from __future__ import annotations

from pydantic import Field

from appliance.config.typed import Section


class OverrideSettings(Section):
    """What staff open for a lesson: for how long that is kept, and who is believed."""

    keep_days: int = Field(
        395, strict=True, ge=30, le=3650, description="Days for which an override is kept after its end."
    )
    typed_for_others: bool = Field(
        default=False,
        strict=True,
        description="Whether --by NAME is believed without NAME's password: a technician types for others.",
    )
