"""Proves that a provider upstream enforces a statutory list: its canaries must be blocked, from here.

What lives only here: what counts as a proof. Only the provider's own block page does; a line that is
down, an error and a time-out prove nothing, and a canary that can be reached proves the opposite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urljoin

import urllib3
from urllib3.exceptions import HTTPError

from appliance.lists.feeds import Proof

MOST_BYTES = 256 * 1024
_REDIRECTS = 5
_SECONDS = 20.0


class Verdict(StrEnum):
    """What a round of canaries came to."""

    PROVED = "proved"
    DISPROVED = "disproved"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Look:
    """What a page answered; status 0 where nothing did."""

    status: int
    text: str = ""


def prove(proof: Proof, look: Callable[[str], Look] | None = None) -> tuple[Verdict, str]:
    """Ask for every canary over the machine's own line, and return what that shows, and in words why.

    The words name no canary: its number is enough.
    """
    look = look or look_at
    control = look(proof.control)
    if not control.status:
        return Verdict.UNKNOWN, "the control page cannot be reached, so nothing can be proved"
    if _blocked(control, proof):
        return Verdict.UNKNOWN, "the control page is blocked as well, so nothing can be proved"
    for number, canary in enumerate(proof.canaries, 1):
        seen = look(canary)
        if not seen.status:
            return Verdict.UNKNOWN, f"canary {number} did not answer, which proves nothing"
        if not _blocked(seen, proof):
            return Verdict.DISPROVED, f"canary {number} is not blocked upstream (it answered {seen.status})"
    return Verdict.PROVED, f"all {len(proof.canaries)} canaries are blocked upstream"


def look_at(url: str) -> Look:
    """Return what a page answers, after redirects; never raises for what the network does."""
    with urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=_SECONDS)) as pool:
        try:
            for _ in range(_REDIRECTS + 1):
                response = pool.request("GET", url, redirect=False, preload_content=False)
                location = response.headers.get("Location")
                if response.status not in range(300, 400) or not location:
                    text = response.read(MOST_BYTES, decode_content=True).decode("utf-8", "replace")
                    response.close()
                    return Look(response.status, text)
                url = urljoin(url, location)
                response.close()
        except (HTTPError, OSError):
            return Look(0)
    return Look(0)


def _blocked(seen: Look, proof: Proof) -> bool:
    return seen.status in proof.status and proof.text.casefold() in seen.text.casefold()
