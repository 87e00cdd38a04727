"""The lean lane: what its carriage wants done that is more than sending bytes.

What lives only here: these few words. `lane_carriage.py` says them, and the layer (`lane.py`) does them.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.gateway.lane_judge import Failure


@dataclass(frozen=True, slots=True)
class Close:
    """The client's connection ends; `unread` says that it may still be sending."""

    unread: bool = False


@dataclass(frozen=True, slots=True)
class HandOver:
    """The full lane takes the connection, and reads `data` first."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Refuse:
    """A head that never became whole is refused; `status` is 0 where nobody is left to be told."""

    status: int
    why: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """`Carriage.alarm` is to be called after so many seconds."""

    seconds: float


type Act = Close | HandOver | Refuse | Alarm | Failure
