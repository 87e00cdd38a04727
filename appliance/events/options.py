"""The audit's section of the configuration file."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from appliance.config.addresses import MailText
from appliance.config.typed import Section


class AuditSettings(Section):
    """Who did what: how its checkpoints leave the box."""

    checkpoint_hours: float = Field(
        24.0, strict=True, ge=1, le=744, description="How often a checkpoint is written, if there is news."
    )
    copy_to: Path | None = Field(None, description="A folder elsewhere, such as a share, for a copy of each.")
    mail_to: tuple[MailText, ...] = Field((), description="Governors' mail addresses, for each checkpoint.")
    syslog: bool = Field(default=True, strict=True, description="Whether each is one line in syslog too.")
