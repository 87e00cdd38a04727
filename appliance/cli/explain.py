"""`appliance explain`: the decision for an address, with its whole reason.

It asks the same `filtering.py` that the gateway asks, with the same lists and profiles.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

from appliance import asking, assembly, granting
from appliance.cli.explain_part import Part, part_notes, part_of, with_part
from appliance.cli.setup import Setup
from appliance.config.problems import unknown
from appliance.filtering import Filtering, Judgement
from appliance.identity.database import Database
from appliance.identity.snapshot import known_person
from appliance.lists.lists import Lists
from appliance.model.decision import Decision, Reason
from appliance.model.inspect import Inspect, Inspection
from appliance.model.person import Confidence, Person
from appliance.model.profile import Policy, ProfileSet
from appliance.model.request import Request
from appliance.model.url import UrlRefusedError, parse_host, parse_typed
from appliance.policy.overrides import Grants

_NOWHERE = parse_host("invalid")
_ASCII_END = 128
_SCHOOL_ZONE = ZoneInfo("Europe/London")


_DECRYPTED = {Inspect.NEVER: "no", Inspect.ADDRESSES: "yes, addresses", Inspect.CONTENT: "yes, content"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of one address; `looked` is how far its encrypted connection is looked into."""

    text: str
    judgement: Judgement
    looked: Inspection | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Asker:
    """Who asks, when (None: now), from which network address, and for a part of which page, if of any."""

    who: Person
    when: datetime | None
    client: str
    part: Part | None = None


@click.command()
@click.argument("urls", nargs=-1, metavar="URL...")
@click.option("--as", "group", default="", metavar="PROFILE", help="Whose profile: ks2, staff, ...")
@click.option("--set", "set_id", default="", metavar="SET", help="Whose set (default: the configuration's).")
@click.option(
    "--person", default="", metavar="NAME", help="Whose account, as it stands now; or any name, with --as."
)
@click.option(
    "--at",
    "at",
    default="",
    metavar="TIME",
    help="When: 2026-11-23T10:15. Time on the clocks of London, summer time included, wherever this machine"
    " stands; with an offset (2026-11-23T10:15Z, ...+01:00) exactly that. Default: now.",
)
@click.option(
    "--category", default="", metavar="ID", help="Ask the policy alone, about a category such as gambling."
)
@click.option("--decision", default="", metavar="ID", help="A past decision, by its reference, made again.")
@click.option("--client", default="", metavar="ADDRESS", help="On a device with this network address.")
@with_part
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
    decision: str,
    client: str,
    page: str,
    kind: str | None,
    as_json: bool,
) -> int:
    r"""Say what would be decided for each URL, by which rule and list, and why.

    The profiles are read from their files, as they would be in force now (with changes.approval: two, as
    they were released); the lists are those that are compiled. Nothing is changed, no site is asked. Such as:

    \b
        appliance explain --as ks2 https://www.bbc.co.uk/ gambling.example
        appliance explain --as ks2 --at 2026-11-23T12:30 --category games_educational

    With --page, each URL is a part of that page, of that --kind: what an override for it brings along.

    With `-` in place of URLs, reads one URL a line from standard input and answers one JSON object a line,
    in order. Exit status 0 whatever the decision; 2 if a name, a time or a file is wrong.

    With --decision, a decision of the log is made again by the policy of that day, with what the list said
    that its record names. Exit status 1 if it is not there, or comes out differently.
    """
    if decision:
        from appliance.cli.explain_past import explain_past  # noqa: PLC0415 - needs the log, and no other answer does

        return explain_past(setup, decision, as_json=as_json)
    if bool(urls) == bool(category) or (page and category):
        raise click.UsageError("give URLs (or - for standard input), or --category ID, and not both")
    loaded = setup.counting
    profiles = _profiles(loaded.policy, set_id or loaded.settings.school.set)
    who = _who(setup, group, person, profiles)
    when = _moment(at)
    if category and category not in loaded.policy.categories:
        raise click.UsageError(unknown("category", category, loaded.policy.categories))
    asker = _Asker(who, when, client, part_of(page, kind))
    with asking.lists_to_ask(loaded.settings) as (lists, notes):
        journey = _journey(setup, lists, profiles)
        if urls == ("-",):
            _tell(notes)
            _stream(journey, asker, profiles.id)
            return 0
        if category:
            answers = [Answer("", journey.judge_category(category, who, when))]
        else:
            answers = [_answer(journey, *_read(os.fsencode(url)), asker) for url in urls]
    _show(answers, profiles.id, as_json=as_json)
    named = _notes(answers, sign_in=loaded.settings.identity.learns_names)
    _tell([*(() if category else notes), *named])  # the policy alone asks no list
    return 0


def _journey(setup: Setup, lists: Lists, profiles: ProfileSet) -> Filtering:
    loaded, grants = setup.counting, granting.in_force(setup.state, profiles)
    learnt = granting.seen(setup.state, grants)
    journey = assembly.filtering(loaded.settings, loaded.policy, lists, profiles.id, learnt=learnt)
    if setup.approval_of_two:
        assembly.stage(assembly.snapshots(loaded.settings), journey)
    journey.grant(Grants(grants))
    return journey


def _who(setup: Setup, group: str, name: str, profiles: ProfileSet) -> Person:
    """Return whom to ask for: an account as it stands now, or whoever `--as` says."""
    known = known_person(Database(setup.state, asks=True), name, time.time()) if name else None
    if known is None and not group:
        near = f"there is no account {name!a}; " if name else ""
        raise click.UsageError(f"{near}say whose profile: --as PROFILE, or --person with an account's name")
    if group and group not in profiles.profiles:
        raise click.UsageError(unknown("profile", group, profiles.profiles))
    if known is not None:
        return replace(known, group=group or known.group)
    return Person(group, "command line", Confidence.CERTAIN if name else Confidence.GROUP, name)


def _tell(notes: Iterable[str]) -> None:
    for note in notes:
        click.echo(f"note: {note}", err=True)


def _notes(answers: Sequence[Answer], *, sign_in: bool) -> list[str]:
    return [*_about_names(answers, sign_in=sign_in), *(note for answer in answers for note in answer.notes)]


def _about_names(answers: Iterable[Answer], *, sign_in: bool) -> list[str]:
    reasons = {answer.judgement.decision.reason for answer in answers}
    if not reasons & {Reason.NOMINATED, Reason.NOT_NOMINATED}:
        return []
    if sign_in:
        return [f"a rule for named users decided: {assembly.WHO_SIGNED_IN}"]
    if Reason.NOMINATED in reasons:
        return [
            f"the gateway itself would block this as {Reason.NOT_NOMINATED.value}: {assembly.NOBODY_NAMED}"
        ]
    return [f"a rule for named users decided: {assembly.NOBODY_NAMED}"]


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


def _answer(journey: Filtering, text: str, address: str, asker: _Asker) -> Answer:
    who = asker.who
    try:
        load = asker.part.load if asker.part else None
        request = Request(parse_typed(address), client=asker.client, load=load)
        if journey.is_own(request.url):
            return Answer(text, journey.own_page(who))  # where the gateway does not judge, but answers
    except UrlRefusedError as error:
        request = Request(_NOWHERE, refused=f"This is {error}.")
    encrypted = request.url.scheme in ("https", "wss") and not request.refused
    looked = journey.inspection(request, who, named=request.url.ip is None) if encrypted else None
    judgement = journey.judge(request, who, asker.when)
    said = part_notes(journey, asker.part, request, who, asker.when, judgement.decision)
    return Answer(text, judgement, looked, tuple(said))


def _read(raw: bytes) -> tuple[str, str]:
    # What to show and what to judge. Bytes that are no text stand for themselves, as in a live request.
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return raw.decode(errors="replace"), "".join(chr(c) if c < _ASCII_END else f"%{c:02X}" for c in raw)
    return text, text


def _stream(journey: Filtering, asker: _Asker, set_id: str) -> None:
    # Bytes, split at newlines only: an address may hold every other kind of line end.
    write = sys.stdout.write
    for raw in sys.stdin.buffer:
        text, address = _read(raw.rstrip(b"\r\n"))
        answer = _answer(journey, text, address, asker)
        write(json.dumps(_as_dict(answer, set_id)) + "\n")
        sys.stdout.flush()  # a program that asks one address at a time waits for each answer


def _as_dict(answer: Answer, set_id: str) -> dict[str, Any]:
    text, decision, looked = answer.text, answer.judgement.decision, answer.looked
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
        "override": decision.override or None,
        # The page as a part of which alone it is open.
        "page": decision.page or None,
        # How far an encrypted connection to the site would be looked into; null where it is not encrypted.
        "inspect": looked.level.value if looked else None,
        "inspect_because": looked.because if looked else None,
        "inspect_rule": looked.rule if looked else None,
    }


def _show(answers: Iterable[Answer], set_id: str, *, as_json: bool) -> None:
    for answer in answers:
        click.echo(json.dumps(_as_dict(answer, set_id)) if as_json else _in_words(answer, set_id))


def _in_words(answer: Answer, set_id: str) -> str:
    text, judgement = answer.text, answer.judgement
    decision = judgement.decision
    title = "(an address that is not repeated)" if decision.floor and text else ascii(text)[1:-1]
    lines = [
        f"{decision.action.value.upper()}  {title}".rstrip(),
        f"  as        {decision.profile} ({judgement.profile.title}), set {set_id}",
        f"  reason    {decision.reason.value}",
        f"  because   {decision.because}",
    ]
    lines += [f"  {name:<9} {value}" for name, value in _details(decision) if value]
    if (looked := answer.looked) is not None and not decision.blocked:
        rule = f" ({looked.rule})" if looked.rule else ""
        lines.append(f"  decrypted {_DECRYPTED[looked.level]}: {looked.because}{rule}")
    return "\n".join(lines)


def _details(decision: Decision) -> list[tuple[str, str]]:
    version = f" (version {decision.list_version})" if decision.list_version else ""
    return [
        ("part of", f"a page of {decision.page}, and as nothing else" if decision.page else ""),
        ("category", decision.category),
        ("rule", decision.rule),
        ("list", f"{decision.list}{version}" if decision.list else ""),
        ("entry", ascii(decision.entry)[1:-1]),
        ("floor", "a statutory list: nothing can turn it off" if decision.floor else ""),
        ("flagged", "yes, in the log before the answer" if decision.flagged else ""),
        ("policy", decision.policy_version),
    ]
