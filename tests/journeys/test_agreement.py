"""What the gateway did is what `appliance explain` says it would do: 2,000 requests of every kind."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.journeys.device import Answer, NoAnswerError, ask
from tests.journeys.lab import SETS, Lab, Via
from tests.journeys.origin import CLOSED, HELLO
from tests.journeys.running import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

REQUESTS, AT_ONCE = 2_000, 8
FIELDS = ("action", "reason", "category", "rule", "list", "list_version", "profile", "floor", "because")

OPEN = (
    "education.example",
    "www.education.example",
    "children.example",
    "news.example",
    "search.example",
    "unlisted.example",
    "www.bbc.co.uk",
    "h1.education.example",
)
HELP = ("childline.org.uk", "www.childline.org.uk", "samaritans.org")
SPELLINGS = (
    "GAMBLING.example",
    "gambling.example.",
    "casino.example:443",
    "Education.Example",
    "education.example.",
    "xn--bcher-kva.example",
    "gambling.example",
)
NUMBERS = (
    "192.0.2.66",
    "198.51.100.7",
    "8.8.8.8",
    "203.0.113.10",
    "134744072",
    "0x08080808",
    "010.8.8.8",
    "8.526344",
    "[2606:4700::1111]",
    "[::ffff:8.8.8.8]",
)
INWARD = (
    "127.0.0.1",
    "127.1",
    "0x7f000001",
    "2130706433",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "localhost",
    "10.77.0.1",
    "169.254.169.254",
    "[fe80::1]",
    "printer.local",
    "0.0.0.0",  # noqa: S104 - what a pupil may try
    "[fd77::1]",
)
PATHS = (
    "/",
    "/a/b",
    "/listed/page.html",
    "/listed-folder/x",
    "/%6cisted/./page.html",
    "/x//y",
    "/news",
    "/bitesize/z",
)
PORTS = (22, 25, 3389, 6667, 9999)


@dataclass(frozen=True)
class Case:
    """One request: who asks for what, in which spelling, and how the traffic gets to the gateway."""

    who: str
    scheme: str
    authority: str
    path: str
    via: Via
    url: str
    """What `explain` is asked, and, where the log keeps an address, what it begins with."""
    mark: str
    """Stands in the query, so that each request can be found in the log."""


def cases(seed: int) -> list[Case]:
    """Return the requests: every kind many times, in an order that is the same each time."""
    dice = random.Random(seed)
    return [_case(dice, number) for number in range(REQUESTS)]


def _case(dice: random.Random, number: int) -> Case:
    kinds = (
        (OPEN, 5),
        (CLOSED, 5),
        (("floor-test.example",), 2),
        (HELP, 2),
        (SPELLINGS, 3),
        (NUMBERS, 2),
        (INWARD, 2),
        (("education.example", "gambling.example"), 1),
    )
    kind = dice.choices(range(len(kinds)), [weight for _, weight in kinds])[0]
    authority = dice.choice(kinds[kind][0])
    scheme, via = dice.choice(["http", "https"]), dice.choice([Via.PROXY, Via.WIRE, Via.WIRE6])
    if kind == len(kinds) - 1:
        authority, via = f"{authority}:{dice.choice(PORTS)}", Via.PROXY  # on the wire the firewall refuses it
    if authority == "casino.example:443":
        scheme = "https"
    if kind in (5, 6):
        via = Via.PROXY  # on the wire there is no such thing as the name of a number
    mark = f"n={number:05}"
    path = f"{dice.choice(PATHS)}?{mark}"
    who = dice.choice([*SETS["westways"], "eyfs", "ks2"])
    return Case(who, scheme, authority, path, via, f"{scheme}://{authority}{path}", mark)


def test_every_decision_is_the_one_that_explain_names(lab: Lab) -> None:
    """A technician who asks why gets the reason that the pupil got, whatever was asked for and however."""
    begun = time.monotonic()
    wanted = cases(2026)
    known = {row["reference"] for row in lab.gateway.log()}
    with ThreadPoolExecutor(AT_ONCE) as pupils:
        answers = list(pupils.map(lambda case: _answer(lab, case), wanted))
    asked = time.monotonic() - begun
    rows = until(lambda: _rows(lab, known, len(wanted)), "every request is on record")
    by_reference = {row["reference"]: row for row in rows}
    by_mark = {mark[0]: row for row in rows if (mark := re.search(r"n=\d{5}", row["url"] or ""))}
    said = _explained(lab, wanted)
    wrong: list[str] = []
    for case, answer in zip(wanted, answers, strict=True):
        row = by_reference.get(answer.reference) or by_mark.get(case.mark)
        wrong += _differences(case, answer, row, said[case])
    print(f"{len(wanted)} requests in {asked:.1f} s; {Counter(row['reason'] for row in rows)}")
    assert not wrong, f"{len(wrong)} differences:\n" + "\n".join(wrong[:40])
    assert len(rows) == len(wanted)
    assert lab.origin.packets_to_blocked() == 0


def _answer(lab: Lab, case: Case) -> Answer:
    try:
        return ask(lab, case.scheme, case.authority, case.path, who=case.who, via=case.via)
    except NoAnswerError as error:
        return Answer(0, str(error).encode())


def _rows(lab: Lab, known: set[str], count: int) -> list[dict[str, Any]]:
    rows = [row for row in lab.gateway.log() if row["reference"] not in known]
    return rows if len(rows) >= count else []


def _explained(lab: Lab, wanted: list[Case]) -> dict[Case, dict[str, Any]]:
    found: dict[Case, dict[str, Any]] = {}
    for who in SETS["westways"]:
        mine = [case for case in wanted if case.who == who]
        found |= zip(mine, lab.gateway.explain(who, *(case.url for case in mine)), strict=True)
    return found


def _differences(case: Case, answer: Answer, row: dict[str, Any] | None, said: dict[str, Any]) -> list[str]:
    name = f"{case.who} {case.via.name} {case.url}"
    if row is None:
        return [
            f"{name}: not in the log; got {answer.status} {answer.body[:120]!r}; explain: {said['reason']}"
        ]
    found = [
        f"{name}: {key}: the gateway {row[key]!r}, explain {said[key]!r} ({row['because']})"
        for key in FIELDS
        if row[key] != said[key]
    ][:1]
    shown = HELLO.encode() in answer.body
    if shown != (said["action"] == "allow"):
        found.append(
            f"{name}: explain says {said['action']}, and the pupil got {answer.status} {answer.body[:80]!r}"
        )
    return found
