"""The filter asked whether it filters: for every group, and the gateway that runs (DFE-V4, DFE-V5).

What lives only here: when a probe has passed. Blocked is not enough where a statutory list is tested: a gate
that is closed by a fault blocks everything and proves nothing. What would not be blocked is never asked for.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

from appliance import asking, assembly, granting
from appliance.assembly import Loaded
from appliance.events.errors import EventsError
from appliance.events.queries import open_reader
from appliance.events.record import Record
from appliance.filtering import Filtering
from appliance.model.decision import Decision
from appliance.model.person import Confidence, Person
from appliance.model.profile import ProfileSet
from appliance.model.request import Request
from appliance.model.url import parse_typed
from appliance.policy.overrides import Grants
from appliance.reports.options_tests import Probe
from appliance.settings import Settings

GATEWAY = "the gateway"
_SECONDS = 20.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - where to ask it from here


@dataclass(frozen=True, slots=True)
class Found:
    """What one probe came to: for `whom` (a group, or the gateway itself), and in words what happened."""

    probe: str
    whom: str
    good: bool
    words: str


def judged(loaded: Loaded) -> tuple[list[Found], list[Probe]]:
    """Ask the lists and the policy in force for every group of the school's set.

    Returns what was found, and the probes that everybody is refused: those that the gateway may be asked for.
    ProblemsError, OSError, EventsError, OverrideError; ValueError for a category that is not there.
    """
    settings, profiles = loaded.settings, loaded.policy.sets[loaded.settings.school.set]
    for probe in settings.selftest.probes:
        if probe.category and probe.category not in loaded.policy.categories:
            raise ValueError(f"selftest.probes: there is no category {probe.category!r} ({probe.title})")
    with asking.lists_to_ask(settings) as (lists, _notes):
        journey = assembly.filtering(settings, loaded.policy, lists, profiles.id)
        if settings.changes.approval == "two":
            assembly.stage(assembly.snapshots(settings), journey)
        journey.grant(Grants(granting.in_force(settings.state, profiles)))
        return _for_groups(journey, profiles, settings)


def _for_groups(
    journey: Filtering, profiles: ProfileSet, settings: Settings
) -> tuple[list[Found], list[Probe]]:
    found, closed = list[Found](), list[Probe]()
    for probe in settings.selftest.probes:
        decisions = {
            group: _decision(journey, probe, Person(group, "self-test", Confidence.GROUP))
            for group in profiles.profiles
        }
        found += [
            Found(probe.title, group, _fits(probe, one.blocked, floor=one.floor), _words(one))
            for group, one in decisions.items()
        ]
        if probe.address and probe.expect != "open" and all(one.blocked for one in decisions.values()):
            closed.append(probe)
    return found, closed


def _decision(journey: Filtering, probe: Probe, who: Person) -> Decision:
    if probe.address is None:
        return journey.judge_category(probe.category, who).decision
    return journey.judge(Request(parse_typed(probe.address)), who).decision


def _fits(probe: Probe, blocked: bool, *, floor: bool) -> bool:  # noqa: FBT001 - what was done
    match probe.expect:
        case "open":
            return not blocked
        case "statutory":
            return blocked and floor
        case _:
            return blocked


def _words(decision: Decision) -> str:
    done = "blocked" if decision.blocked else "open"
    return f"{done} ({decision.list or decision.reason.value})"


def asked(
    settings: Settings, probes: list[Probe], ask: Callable[[str], str] | None = None
) -> Iterator[Found]:
    """Ask the gateway that runs, from this machine, for addresses that are closed to everybody.

    `ask` takes an address and returns the reference that the answer shows; OSError or ValueError where none
    comes. Passed is what the log has as blocked, for the reason that was expected.
    """
    listen = settings.gateway.listen
    if ask is None and listen is None:
        return
    for probe in probes:
        address = probe.address or ""
        try:
            reference = ask(address) if ask else _reference(settings, address)
            row = asyncio.run(_row(settings.state, reference))
        except (OSError, ValueError, EventsError) as error:
            yield Found(probe.title, GATEWAY, good=False, words=f"{error}")
            continue
        if row is None:
            yield Found(probe.title, GATEWAY, good=False, words=f"blocked, and {reference} is not in the log")
            continue
        good = _fits(probe, row.action == "block", floor=bool(row.floor))
        words = f"{row.action} ({row.list or row.reason}), recorded as {reference}"
        yield Found(probe.title, GATEWAY, good, words)


async def _row(state: Path, reference: str) -> Record | None:
    async with open_reader(state) as reader:
        return next(iter(await reader.accesses(reference=reference, limit=1)), None)


def _reference(settings: Settings, address: str) -> str:
    site, (host, port) = urlsplit(address), settings.gateway.listen or ("", 0)
    proxy = _EVERYWHERE.get(host.strip("[]"), host.strip("[]"))
    # As a script of a page asks: the answer is small, and names its reference.
    heads = {"Host": site.netloc, "Accept": "application/json", "Sec-Fetch-Dest": "empty"}
    connection: HTTPConnection
    if site.scheme == "https":
        trust = ssl.create_default_context(cafile=str(settings.state / "ca" / "ca.pem"))
        connection = HTTPSConnection(proxy, port, timeout=_SECONDS, context=trust)
        connection.set_tunnel(site.hostname or "", site.port or 443)
        target = f"{site.path or '/'}{'?' if site.query else ''}{site.query}"
    else:
        connection, target = HTTPConnection(proxy, port, timeout=_SECONDS), address
    try:
        connection.request("GET", target, headers=heads)
        answer = connection.getresponse()
        body = answer.read(65_536)
    except (OSError, HTTPException) as error:
        raise OSError(f"no answer from {proxy}:{port} ({error}); does the gateway run?") from error
    finally:
        connection.close()
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    reference = told.get("reference") if isinstance(told, dict) else None
    if not isinstance(reference, str) or not reference:
        raise ValueError(f"an answer that is not the gateway's own (status {answer.status})")
    return reference
