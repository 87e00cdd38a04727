"""The section of the configuration file about changes of the policy."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from appliance.config.typed import Section


class ChangeSettings(Section):
    """Who changes the policy."""

    approval: Literal["single", "two"] = Field(
        "single", description="two: what is changed counts once a second person has released it."
    )
    approvers: tuple[str, ...] = Field((), description="Staff accounts that may release changes.")
    replay_days: int = Field(
        14, strict=True, ge=0, le=365, description="Days whose decisions are judged again for a proposal."
    )
