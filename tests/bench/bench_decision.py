"""How long one decision takes, with a million listed names and the shipped policy.

Measures `filtering.judge` alone, on requests of all kinds: `cold` asks for a host that was never asked
for, `warm` asks again for some hundred hosts, as pages do. Beside it, in the same run, the least that one
could do: a Python dictionary of the same names, looked up by suffix, and a table of ratings.
"""

from __future__ import annotations

import gc
import itertools
import random
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from appliance import assembly
from appliance.filtering import Filtering
from appliance.model.decision import Action
from appliance.model.profile import Policy, Rating
from appliance.model.request import Request
from appliance.model.url import parse_url
from tests.bench import states
from tests.bench.made import CATEGORIES, Asked, of_category, requests
from tests.bench.measure import KEPT, Report, percentile, report
from tests.bench.programs import configure

COLD, WARM_HOSTS, WARM = 30_000, 500, 60_000
MEDIAN_REACH, TAIL_REACH = 50.0, 200.0
"""Microseconds."""
_FEW = 100
"""Requests that are judged before anything is measured, so that no first time is among the figures."""

type Times = list[tuple[str, int, int]]
"""Kind of request, nanoseconds by the clock, nanoseconds of CPU."""


def main() -> None:
    """Measure, print, keep."""
    with report("decision") as done:
        state = states.with_names()
        cold = requests(states.names(), COLD)
        warm = _repeated(requests(states.names(), WARM_HOSTS, seed=2), WARM)
        first = requests(states.names(), _FEW, seed=3)
        ours, policy = _journey(state)
        found = {
            "dictionary": _measured(_dictionary(policy), first, cold, warm),
            "this gateway": _measured(ours.judge, first, cold, warm),
            "this gateway, with UT1's patterns as well": _measured(
                _journey(states.with_both())[0].judge, first, cold, warm
            ),
        }
        _print(done, found)
        done.table("Reading the address, before the decision (microseconds)", [_parsing(cold)])
        with_names = found["this gateway"]
        for what, times in with_names.items():
            line = _line(times)
            done.reach(f"decision, {what}, median", line["median"], MEDIAN_REACH, "us")
            done.reach(f"decision, {what}, p99", line["p99"], TAIL_REACH, "us")


def _journey(state: Path) -> tuple[Filtering, Policy]:
    loaded = assembly.load(configure(KEPT / "decision", state))
    lists = assembly.open_lists(loaded.settings)
    return assembly.filtering(loaded.settings, loaded.policy, lists), loaded.policy


def _dictionary(policy: Policy) -> Callable[[Request], object]:
    found = states.names()
    names = {name: category for category in CATEGORIES for name in of_category(found, category)}
    names |= {url.partition("/")[0]: "forums" for url in found.urls}
    acceptable = {
        group: {rule.category for rule in profile.rules.values() if rule.rating is Rating.ACCEPTABLE}
        for group, profile in policy.sets["westways"].profiles.items()
    }
    groups = {"127.0.0.1": "ks2", "127.0.0.2": "eyfs", "127.0.0.3": "ks1", "127.0.0.4": "staff"}

    def judge(request: Request) -> Action:
        host = request.url.host
        while host:
            category = names.get(host)
            if category is not None:
                allowed = category in acceptable[groups[request.client]]
                return Action.ALLOW if allowed else Action.BLOCK
            host = host.partition(".")[2]
        return Action.ALLOW

    return judge


def _repeated(asked: Sequence[Asked], count: int) -> list[Asked]:
    # A few hosts get most of the requests.
    dice = random.Random(4)
    return dice.choices(asked, [1 / rank for rank in range(1, len(asked) + 1)], k=count)


def _measured(
    judge: Callable[[Request], object], first: Iterable[Asked], cold: Iterable[Asked], warm: Sequence[Asked]
) -> dict[str, Times]:
    for each in itertools.chain(first, warm[: len(warm) // 10]):
        judge(each.request)
    gc.collect()
    found = {"warm": _timed(judge, warm)}
    gc.collect()
    return {"cold": _timed(judge, cold)} | found


def _timed(judge: Callable[[Request], object], asked: Iterable[Asked]) -> Times:
    clock, cpu = time.perf_counter_ns, time.thread_time_ns
    taken: Times = []
    for each in asked:
        request = each.request
        used, began = cpu(), clock()
        judge(request)
        ended = clock()
        taken.append((each.kind, ended - began, cpu() - used))
    return taken


def _line(times: Times) -> dict[str, Any]:
    micros = sorted(nanos / 1000 for _, nanos, _ in times)
    cpu = sorted(nanos / 1000 for _, _, nanos in times)
    return {
        "median": percentile(micros, 0.5),
        "p99": percentile(micros, 0.99),
        "p99.9": percentile(micros, 0.999),
        "median of CPU": percentile(cpu, 0.5),
        "p99 of CPU": percentile(cpu, 0.99),
        "decisions": len(micros),
    }


def _print(done: Report, found: dict[str, dict[str, Times]]) -> None:
    rows = []
    for who, measured in found.items():
        for what, times in measured.items():
            peer = _line(found["dictionary"][what])
            line = _line(times)
            ratios = {f"{key}, ratio": line[key] / peer[key] for key in ("median", "p99")}
            rows.append({"who": who, "hosts": what} | line | ratios)
    done.table(f"One decision, {states.NAMES:,} made names listed (microseconds)", rows)
    kinds = []
    for kind in sorted({kind for kind, *_ in found["this gateway"]["cold"]}):
        row: dict[str, Any] = {"kind of request": kind}
        for who in ("this gateway", "this gateway, with UT1's patterns as well"):
            for what in ("cold", "warm"):
                line = _line([each for each in found[who][what] if each[0] == kind])
                row[f"{what}{', UT1' if 'UT1' in who else ''}"] = line["median"]
        kinds.append(row)
    done.table("By kind of request, median (microseconds)", kinds)


def _parsing(asked: Sequence[Asked]) -> dict[str, Any]:
    texts = [str(each.request.url) for each in asked]
    clock, cpu = time.perf_counter_ns, time.thread_time_ns
    taken: Times = []
    for text in texts:
        used, began = cpu(), clock()
        parse_url(text)
        ended = clock()
        taken.append(("", ended - began, cpu() - used))
    return {"what": "parse_url"} | _line(taken)


if __name__ == "__main__":
    main()
