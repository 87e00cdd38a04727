"""A past decision of an override, made again: from its record, the override, the policy of that day.

What lives only here: how both are put together. What a browser said of a request is not kept: that it was a
part of a page is taken from the record, and whether such a part was open is judged anew.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from appliance import granting
from appliance.events.record import Record
from appliance.model.decision import Decision
from appliance.model.grant import Grant
from appliance.model.known import Floor, FloorState, Known, Match, Use
from appliance.model.need import Need
from appliance.model.person import Confidence, Person
from appliance.model.profile import Policy, ProfileSet
from appliance.model.request import Load
from appliance.model.url import parse_host, parse_url
from appliance.overrides.following import words
from appliance.overrides.names import OverrideError
from appliance.overrides.store import ALL_CLOSED, ONLY_NAMED
from appliance.overrides.written import Override, Step
from appliance.policy.decide import decide
from appliance.policy.needs import Named, carried
from appliance.policy.overrides import Asked, Grants, opened

_PAGE = re.compile(r"A part of a page of (\S+)\. ")
_NUMBER = re.compile(r"override ([0-9]{1,18})")
_RECORDED_SECONDS = 5.0
"""A transfer is recorded when it has ended: so soon after its override's end at most."""


def made_again(state: Path, record: Record, policy: Policy, school: ProfileSet) -> Decision:
    """Return what the override of a record makes of it; OverrideError where either is past its days."""
    number = _NUMBER.fullmatch(record.rule)
    if number is None or not record.host:
        raise OverrideError("the address, or the number of the override, is past its days")
    store = granting.store(state, asks=True)
    one = store.get(int(number[1]))
    steps, needs = store.steps(one.number), store.needs(one.number)
    grant = replace(one.grant(words(one, school.zone)), learns=_learnt(one, steps, record))
    page = _PAGE.match(record.because)
    known = _known(record, record.because.partition(f"{grant.words} Otherwise: ")[2])
    profile = school.profiles.get(record.profile) or school.profiles[school.strictest]
    person = Person(
        record.group, record.source, Confidence(record.confidence), record.name, device=record.device
    )
    asked = Asked(parse_url(record.url) if record.url else parse_host(record.host), person, record.client)
    at = _moment(grant, record)
    decision = decide(known, person, at, profile, policy.categories, policy.version)
    if page is None:
        return opened(
            *(decision, known.matches, asked, at, profile, policy.categories, Grants([grant]), school.roles)
        )
    role = school.roles.get(grant.role)
    found = {need.host: _as_it_was(need, steps, record) for need in needs}
    named = Named(found, frozenset(need.page for need in needs))
    may = [(grant, role, named)] if role is not None else []
    load = Load("image", "no-cors", "cross-site", page[1], document=False, sends=False)
    part = record.method, load
    return carried(decision, known.matches, asked, part, at, profile, policy.categories, may)


def _known(record: Record, otherwise: str) -> Known:
    """Return what the lists said: `otherwise` is what would have been decided without the override."""
    floor, own = Floor(FloorState.OK), f" ({record.list}: "
    categories = (record.category,) if record.category else ()
    if record.list and otherwise.endswith(")") and own in otherwise:
        because, _, entry = otherwise[:-1].rpartition(own)
        block = Match(record.list, record.list_version, entry, (), Use.BLOCK, because)
        return Known(floor, (block, *([Match("", "", "", categories)] if categories else [])))
    if not record.list and not categories:
        return Known(floor)
    return Known(floor, (Match(record.list, record.list_version, "", categories),))


def _moment(grant: Grant, record: Record) -> datetime:
    late = record.at.timestamp() - grant.ends
    return datetime.fromtimestamp(grant.ends - 0.001, UTC) if 0 <= late <= _RECORDED_SECONDS else record.at


def _learnt(one: Override, steps: Sequence[Step], record: Record) -> bool:
    # What staff closed later was open then.
    return one.wish.learns or any(step.note == f"{ONLY_NAMED}{ALL_CLOSED}" for step in _later(steps, record))


def _as_it_was(need: Need, steps: Sequence[Step], record: Record) -> Need:
    closed = (step.note.removeprefix(ONLY_NAMED).split(", ") for step in _later(steps, record))
    reopened = any(need.host in hosts or ALL_CLOSED in hosts for hosts in closed)
    return replace(need, dropped=False) if reopened else need


def _later(steps: Sequence[Step], record: Record) -> list[Step]:
    moment = record.at.timestamp()
    return [step for step in steps if step.at > moment and step.note.startswith(ONLY_NAMED)]
