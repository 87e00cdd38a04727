"""How much a decision costs with 500 overrides in force, beside none: CPU time, interleaved, best of repeats.

What lives only here: that comparison. `python -m tests.bench.bench_overrides`
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

from appliance.filtering import Filtering
from appliance.model.grant import Grant, What, Whom
from appliance.model.profile import Policy
from appliance.model.request import Request
from appliance.model.role import Grants as May
from appliance.model.role import Role
from appliance.model.url import parse_url
from appliance.policy.overrides import Grants
from tests.doubles.gateway import filtering, policy

ACTIVE, ROUNDS, REPEATS = 500, 20_000, 9
SITES = {
    "open": "https://school.example/page?x=1",
    "unlisted": "https://www.nobody.example/page",
    "blocked": "https://bets.example/odds",
}


def grants(count: int) -> Grants:
    """Return grants for sites, pages and categories, as a large school may have at the same time."""
    dice, now = Random(1), time.time()
    made = []
    for number in range(1, count + 1):
        host = f"site{number}.example"
        what = dice.choice(
            (
                What(frozenset({host, f"www.{host}"})),
                What(pages=frozenset({(host, "/lesson")})),
                What(frozenset({host}), categories=frozenset({dice.choice(("drugs", "blogs", "forums"))})),
            )
        )
        whom = Whom(groups=frozenset({dice.choice(("ks1", "ks2"))}))
        made.append(Grant(number, what, whom, "teacher", now - 60, now + 86_400, "Opened.", learns=True))
    return Grants(made)


def with_roles() -> Policy:
    """Return the small policy with a role that may open what the grants name."""
    categories = frozenset({"drugs", "blogs", "forums", "gambling"})
    opens_for = frozenset({"ks1", "ks2"})
    teacher = Role("teacher", "Teachers", "So.", "", May.AT_ONCE, 120, 14, opens_for, categories)
    made = policy()
    sets = {name: replace(one, roles={"teacher": teacher}) for name, one in made.sets.items()}
    return replace(made, sets=sets)


def cost(journey: Filtering, request: Request) -> float:
    """Return the CPU seconds of one decision."""
    judge: Callable[[Request], object] = journey.judge
    begun = time.process_time()
    for _ in range(ROUNDS):
        judge(request)
    return (time.process_time() - begun) / ROUNDS


def main() -> None:
    """Measure and print the ratios."""
    none, many = filtering(), filtering()
    for journey in (none, many):
        journey.use(with_roles())
    many.grant(grants(ACTIVE))
    print(f"{ACTIVE} overrides beside none, {datetime.now(UTC):%Y-%m-%d}: CPU time of a decision")
    for name, text in SITES.items():
        request = Request(parse_url(text), client="10.20.0.5")
        pairs = [(cost(none, request), cost(many, request)) for _ in range(REPEATS)]
        without, with_many = min(a for a, _ in pairs), min(b for _, b in pairs)
        print(f"  {name:9} {without * 1e6:6.1f} us   {with_many * 1e6:6.1f} us   {with_many / without:.2f}x")


if __name__ == "__main__":
    main()
