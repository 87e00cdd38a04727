"""The section of the configuration file about changes of the policy."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from appliance.config.addresses import MailText
from appliance.config.typed import Section


class ReturnSettings(Section):
    """When a released change of the profiles returns by itself."""

    minutes: int = Field(
        60, strict=True, ge=0, le=10_080, description="So long after a release it is watched; 0 for never."
    )
    factor: float = Field(
        3.0, strict=True, gt=1, le=1_000, description="So many times the share of blocks that was expected."
    )
    minimum: int = Field(
        50, strict=True, ge=5, le=1_000_000, description="Fewer blocks (or faults) than this return nothing."
    )


class ChangeSettings(Section):
    """Who changes the policy."""

    approval: Literal["single", "two"] = Field(
        "single", description="two: what is changed counts once a second person has released it."
    )
    approvers: tuple[str, ...] = Field((), description="Staff accounts that may release changes.")
    addresses: dict[str, MailText] = Field(
        {}, description="Staff account: mail address that is told what one person closed, or what returned."
    )
    replay_days: int = Field(
        14, strict=True, ge=0, le=365, description="Days whose decisions are judged again for a proposal."
    )
    returns: ReturnSettings = Field(ReturnSettings(), description="When a change returns by itself.")
