"""`appliance explain`: the decision for an address, with its whole reason.

It asks the same `filtering.py` that the gateway asks, with the same lists and profiles.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

from appliance import assembly
from appliance.cli.setup import Setup
from appliance.config.problems import unknown
from appliance.filtering import Filtering, Judgement
from appliance.identity.audit import Trail
from appliance.identity.database import Database
from appliance.identity.snapshot import known_person
from appliance.model.decision import Decision
from appliance.model.person import Confidence, Person
from appliance.model.profile import Policy, ProfileSet
from appliance.model.request import Request
from appliance.model.url import UrlRefusedError, parse_host, parse_typed

_NOWHERE = parse_host("invalid")
_ASCII_END = 128
_SCHOOL_ZONE = ZoneInfo("Europe/London")


@click.command()
@click.argument("urls", nargs=-1, metavar="URL...")
@click.option("--as", "group", default="", metavar="PROFILE", help="Whose profile: ks2, staff, ...")
@click.option("--set", "set_id", default="", metavar="SET", help="Whose set (default: the configuration's).")
@click.option("--person", default="", metavar="NAME", help="Whose account; or any name, with --as.")
@click.option("--at", "at", default="", metavar="TIME", help="When: 2026-11-23T10:15, local time.")
@click.option("--category", default="", metavar="ID", help="Ask the policy alone about a category.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_obj
def explain(
    setup: Setup,
    *,
    urls: tuple[str, ...],
    group: str,
    set_id: str,
    person: str,
    at: str,
    category: str,
    as_json: bool,
) -> int:
    """Say what would be decided for each URL, by which rule and list, and why.

    With `-` in place of URLs, reads one URL a line from standard input and answers one JSON object a line,
    in order. Exit status 0 whatever the decision; 2 if a name, a time or a file is wrong.
    """
    if bool(urls) == bool(category):
        raise click.UsageError("give URLs (or - for standard input), or --category ID, and not both")
    loaded = setup.loaded
    profiles = _profiles(loaded.policy, set_id or loaded.settings.school.set)
    who = _who(setup, group, person, profiles)
    when = _moment(at)
    assembly.compile_lists(loaded.settings, child=False)
    lists = assembly.open_lists(loaded.settings)
    journey = assembly.filtering(loaded.settings, loaded.policy, lists, profiles.id)
    if category:
        if category not in loaded.policy.categories:
            raise click.UsageError(unknown("category", category, loaded.policy.categories))
        judgement = journey.judge_category(category, who, when)
        _show([("", judgement)], profiles.id, as_json=as_json)
        return 0
    if urls == ("-",):
        _stream(journey, who, when, profiles.id)
        return 0
    addresses = [_read(os.fsencode(url)) for url in urls]
    answers = [(text, _judge(journey, address, who, when)) for text, address in addresses]
    _show(answers, profiles.id, as_json=as_json)
    return 0


def _who(setup: Setup, group: str, name: str, profiles: ProfileSet) -> Person:
    """Return whom to ask for: an account as it stands now, or whoever `--as` says."""
    known = known_person(Database(setup.state), Trail(setup.state), name, time.time()) if name else None
    if known is None and not group:
        near = f"there is no account {name!a}; " if name else ""
        raise click.UsageError(f"{near}say whose profile: --as PROFILE, or --person with an account's name")
    if group and group not in profiles.profiles:
        raise click.UsageError(unknown("profile", group, profiles.profiles))
    if known is not None:
        return replace(known, group=group or known.group)
    return Person(group, "command line", Confidence.CERTAIN if name else Confidence.GROUP, name)


def _profiles(policy: Policy, set_id: str) -> ProfileSet:
    if set_id not in policy.sets:
        raise click.UsageError(unknown("set", set_id, policy.sets))
    return policy.sets[set_id]


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"{text!r} is not a time; write it as 2026-11-23T10:15") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=_SCHOOL_ZONE)


def _judge(journey: Filtering, text: str, who: Person, when: datetime | None) -> Judgement:
    try:
        request = Request(parse_typed(text))
    except UrlRefusedError as error:
        request = Request(_NOWHERE, refused=f"This is {error}.")
    return journey.judge(request, who, when)


def _read(raw: bytes) -> tuple[str, str]:
    # What to show and what to judge. Bytes that are no text stand for themselves, as in a live request.
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return raw.decode(errors="replace"), "".join(chr(c) if c < _ASCII_END else f"%{c:02X}" for c in raw)
    return text, text


def _stream(journey: Filtering, who: Person, when: datetime | None, set_id: str) -> None:
    # Bytes, split at newlines only: an address may hold every other kind of line end.
    write = sys.stdout.write
    for raw in sys.stdin.buffer:
        text, address = _read(raw.rstrip(b"\r\n"))
        judgement = _judge(journey, address, who, when)
        write(json.dumps(_as_dict(text, judgement, set_id)) + "\n")
        sys.stdout.flush()  # a program that asks one address at a time waits for each answer


def _as_dict(text: str, judgement: Judgement, set_id: str) -> dict[str, Any]:
    decision = judgement.decision
    return {
        # The address of a floor hit is repeated nowhere, not even to the one who typed it.
        "url": None if decision.floor or not text else text,
        "set": set_id,
        "profile": decision.profile,
        "action": decision.action.value,
        "reason": decision.reason.value,
        "category": decision.category,
        "rule": decision.rule,
        "list": decision.list,
        "list_version": decision.list_version,
        "entry": decision.entry,
        "floor": decision.floor,
        "severity": decision.severity.name.lower(),
        "flagged": decision.flagged,
        "because": decision.because,
        "policy_version": decision.policy_version,
    }


def _show(answers: Iterable[tuple[str, Judgement]], set_id: str, *, as_json: bool) -> None:
    for text, judgement in answers:
        if as_json:
            click.echo(json.dumps(_as_dict(text, judgement, set_id)))
        else:
            click.echo(_in_words(text, judgement, set_id))


def _in_words(text: str, judgement: Judgement, set_id: str) -> str:
    decision = judgement.decision
    title = "(an address that is not repeated)" if decision.floor and text else ascii(text)[1:-1]
    lines = [
        f"{decision.action.value.upper()}  {title}".rstrip(),
        f"  as        {decision.profile} ({judgement.profile.title}), set {set_id}",
        f"  reason    {decision.reason.value}",
        f"  because   {decision.because}",
    ]
    lines += [f"  {name:<9} {value}" for name, value in _details(decision) if value]
    return "\n".join(lines)


def _details(decision: Decision) -> list[tuple[str, str]]:
    version = f" (version {decision.list_version})" if decision.list_version else ""
    return [
        ("category", decision.category),
        ("rule", decision.rule),
        ("list", f"{decision.list}{version}" if decision.list else ""),
        ("entry", ascii(decision.entry)[1:-1]),
        ("floor", "a statutory list: nothing can turn it off" if decision.floor else ""),
        ("flagged", "yes, in the log before the answer" if decision.flagged else ""),
        ("policy", decision.policy_version),
    ]
