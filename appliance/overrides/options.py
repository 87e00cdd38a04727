"""The section of the configuration file about overrides."""

from __future__ import annotations

from pydantic import Field

from appliance.config.typed import Section


class OverrideSettings(Section):
    """Who is believed when a site is opened for a lesson."""

    typed_for_others: bool = Field(
        default=False,
        strict=True,
        description="Whether --by NAME is believed without NAME's password: a technician types for others.",
    )
