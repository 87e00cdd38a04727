"""Sections of the configuration file about the front door."""

from __future__ import annotations

from pydantic import Field

from appliance.config.typed import Section


class FloorHits(Section):
    """When a client that keeps meeting the statutory lists has to wait (in each worker process)."""

    hits: int = Field(
        10, strict=True, ge=0, le=10_000, description="So many hits lead to a pause; 0 for never."
    )
    window_seconds: float = Field(
        300.0, strict=True, gt=0, le=86_400, description="Hits within this time count."
    )
    pause_seconds: float = Field(
        300.0, strict=True, gt=0, le=86_400, description="How long only help lines are open."
    )


class Recycle(Section):
    """When a worker is replaced by a fresh one; it finishes what it has begun."""

    hours: float = Field(24.0, strict=True, ge=0, le=8760, description="After so long; 0 for never.")
    megabytes: int = Field(300, strict=True, ge=0, le=65_536, description="With so much memory; 0: never.")
    drain_seconds: int = Field(300, strict=True, ge=1, le=86_400, description="How long the rest may go on.")
