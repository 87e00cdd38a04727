"""The section of the configuration file about overrides."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from appliance.config.addresses import MailText
from appliance.config.typed import Section


class OverrideSettings(Section):
    """What staff open for a lesson: for how long that is kept, and who is believed."""

    keep_days: int = Field(
        395, strict=True, ge=30, le=3650, description="Days for which an override is kept after its end."
    )
    report_days: int | None = Field(
        None,
        strict=True,
        ge=1,
        le=3650,
        description="Days that a report keeps names and sites; null: as long as the log does.",
    )
    addresses: dict[str, MailText] = Field(
        {}, description="Staff account: mail address that is told of the reports of what they granted."
    )
    typed_for_others: bool = Field(
        default=False,
        strict=True,
        description="Whether --by NAME is believed without NAME's password: a technician types for others.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.report_days is not None and self.report_days > self.keep_days:
            raise ValueError("'report_days' is more than 'keep_days': a report goes with its override")
        return self
