"""What a page that was opened for a lesson needs of other sites, so that it can be shown whole."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.model.category import Severity


@dataclass(frozen=True, slots=True)
class Need:
    """One host that a page of an override has named in its own answer, and that is closed otherwise.

    `page` is the host of that page; `limit` how severe a category the override had opened there, which
    nothing that comes with it may exceed. `refused` says why it stays closed, or is empty where it comes
    with the page; `dropped` is true once staff have taken it out. `at` is when, in seconds since 1970.
    """

    host: str
    page: str
    limit: Severity
    at: float = 0.0
    refused: str = ""
    dropped: bool = False

    @property
    def open(self) -> bool:
        """True where it may come with the page, as far as was known when it was named."""
        return not self.refused and not self.dropped
