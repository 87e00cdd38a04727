"""What the record keeps of one access."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from appliance.model.decision import Decision
from appliance.model.person import Person


@dataclass(frozen=True, slots=True)
class Access:
    """One judged access. `at` is aware (UTC).

    `url` is None for a floor hit: suspected illegal addresses are never stored; `host` is then
    empty too. `bytes_sent`/`bytes_received` are bodies, as carried towards/from the site.
    """

    reference: str
    at: datetime
    person: Person
    client: str
    host: str
    url: str | None
    method: str
    decision: Decision
    search_term: str = ""
    status: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """Somebody says that a block is a mistake ("I think this is a mistake", UKF-S13)."""

    reference: str
    at: datetime
    client: str
    group: str
    message: str = ""
