"""How an override is said in a line: what it opens, for whom, how long still.

What lives only here: those lines, the same on a page and on a terminal. Nothing is escaped here.
"""

from __future__ import annotations

import math

from appliance.model.grant import State, What, Whom
from appliance.overrides.written import Override


def minutes_left(override: Override, now: float) -> int | None:
    """Return the minutes that are left, rounded up; None where it is not in force."""
    if override.state is not State.ACTIVE:
        return None
    return max(0, math.ceil((override.wish.ends - now) / 60))


def opens(what: What) -> str:
    """Return what is opened, in one line."""
    pages = (f"{host}{path}" for host, path in sorted(what.pages))
    return ", ".join(
        [*sorted(what.hosts), *pages, *(f"all about {name}" for name in sorted(what.categories))]
    )


def people(whom: Whom) -> str:
    """Return for whom, in one line."""
    who = ", ".join([*sorted(whom.groups), *sorted(whom.persons)])
    where = ", ".join([*map(str, whom.networks), *sorted(whom.devices)])
    return " at ".join(filter(None, (who, where))) if who else f"whoever is at {where}"
