from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.model.category import Severity
from appliance.model.decision import Action, Decision, Reason
from appliance.model.grant import Grant, What, Whom
from appliance.model.known import Floor, FloorState, Known, Match, Use
from appliance.model.need import Need
from appliance.model.person import Confidence, Person
from appliance.model.profile import Profile, Rating
from appliance.model.request import Load
from appliance.model.role import Grants as May
from appliance.model.role import Role
from appliance.model.url import parse_url
from appliance.policy.decide import decide
from appliance.policy.needs import (
    METHODS,
    NEVER,
    PARTS,
    Named,
    carried,
    closed_because,
    is_part,
    limit_of,
    may_answer,
)
from appliance.policy.overrides import Asked, covers, needed, permits
from tests.doubles.gateway import CATEGORIES, category, profile, rule
from tests.policy import strategies
from tests.reflex import dice

NOW = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)
AMY = Person("ks2", "own sign-in", Confidence.CERTAIN, "amy")
KS2 = frozenset({"ks2"})
URL = parse_url("https://parts.example/files/a.css")
GAMBLING = (Match("l", "1", "parts.example", ("gambling",)),)
IMAGE = Load("image", "no-cors", "cross-site", "lesson.example", document=False, sends=False)
FONT = Load("font", "cors", "cross-site", "parts.example", "lesson.example", document=False, sends=False)
OLD = Load(referer="lesson.example", document=False, sends=False)


def role(**changes: object) -> Role:
    values: dict[str, object] = {"opens_for": KS2, "categories": frozenset({"gambling", "forums"}), **changes}
    return Role("teacher", "Teachers", "So.", "roles.yaml:1", May.AT_ONCE, 120, 14, **values)  # type: ignore[arg-type]  # fields


def grant(number: int = 1, *, learns: bool = True) -> Grant:
    start = NOW.timestamp() - 60
    what = What(frozenset({"lesson.example"}))
    return Grant(number, what, Whom(groups=KS2), "teacher", start, start + 3600, "Opened.", learns)


def named(limit: Severity = Severity.MEDIUM, **changes: object) -> Named:
    need = Need("parts.example", "www.lesson.example", limit, **changes)  # type: ignore[arg-type]  # fields
    return Named({need.host: need}, frozenset({need.page}))


def ask(
    load: Load = IMAGE,
    *,
    method: str = "GET",
    one: Grant | None = None,
    what: Named | None = None,
    matches: tuple[Match, ...] = GAMBLING,
    person: Person = AMY,
    now: datetime = NOW,
    in_role: Role | None = None,
    who: Profile | None = None,
    host: str = "parts.example",
) -> Decision:
    rules, url = who or profile("ks2"), parse_url(f"https://{host}/files/a.css")
    decision = decide(Known(Floor(FloorState.OK), matches), person, now, rules, CATEGORIES)
    asked, may = Asked(url, person, "10.20.0.5"), [(one or grant(), in_role or role(), what or named())]
    return carried(decision, matches, asked, (method, load), now, rules, CATEGORIES, may)


def test_a_part_of_a_page_comes_with_it_and_says_so() -> None:
    """S-23: the log names the override, and the page that needs it."""
    decision = ask()
    assert (decision.action, decision.reason, decision.override) == (Action.ALLOW, Reason.OVERRIDE, 1)
    assert (decision.rule, decision.page) == ("override 1", "www.lesson.example")
    assert decision.because.startswith("A part of a page of www.lesson.example. Opened. Otherwise: Because")


@pytest.mark.parametrize("load", [IMAGE, FONT, OLD, replace(IMAGE, referer=""), replace(FONT, dest="empty")])
def test_what_browsers_send_for_parts_is_taken_for_one(load: Load) -> None:
    """Pictures, fonts of style sheets, old browsers, and pages that hide where a request comes from."""
    assert not ask(load).blocked
    assert not ask(load, method="HEAD").blocked


@pytest.mark.parametrize(
    "load",
    [
        *(replace(IMAGE, dest=dest) for dest in ("document", "iframe", "frame", "object", "embed", "", "x")),
        *(replace(IMAGE, dest=dest) for dest in ("worker", "serviceworker", "websocket", "image, document")),
        *(replace(IMAGE, mode=mode) for mode in ("navigate", "websocket", "same-origin", "")),
        *(replace(IMAGE, site=site) for site in ("none", "same-origin", "")),
        *(replace(IMAGE, referer=host) for host in ("elsewhere.example", "notlesson.example", "?")),
        *(replace(FONT, origin=host) for host in ("parts.example", "elsewhere.example", "?")),
        replace(IMAGE, document=True),
        replace(IMAGE, sends=True),
        replace(OLD, referer=""),
        replace(OLD, document=True),
        Load(),
    ],
)
def test_what_is_no_part_of_a_page_stays_closed(load: Load) -> None:
    """An address typed in, a frame, a plug-in, a socket, an upload, or another site's page."""
    assert ask(load).blocked


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "CONNECT", "TLS", "get", ""])
def test_a_part_only_ever_fetches(method: str) -> None:
    """What a page shows comes by GET: a chat, an upload or a tunnel does not."""
    assert ask(method=method).blocked


def test_only_the_host_that_was_named_for_those_people_in_that_time() -> None:
    """No other host, person or time; nothing once staff have taken it out, or wanted nothing along."""
    assert ask(host="www.parts.example").blocked
    assert ask(host="other.example").blocked
    assert ask(person=Person("ks1", "x")).blocked
    assert ask(person=replace(AMY, confidence=Confidence.UNKNOWN)).blocked
    assert ask(now=NOW + timedelta(hours=1)).blocked
    assert not ask(now=NOW + timedelta(minutes=58, seconds=59)).blocked
    assert ask(now=NOW - timedelta(minutes=2)).blocked
    assert ask(now=NOW.replace(tzinfo=None)).blocked
    assert ask(one=grant(learns=False)).blocked
    assert ask(what=named(dropped=True)).blocked
    assert ask(what=named(refused="it is worse")).blocked


def test_what_is_worse_than_what_was_opened_stays_closed() -> None:
    """A page of a blog that names a gambling site brings no gambling site."""
    assert ask(what=named(Severity.LOW)).blocked
    assert not ask(what=named(Severity.HIGH)).blocked
    assert ask(in_role=role(categories=frozenset({"forums"}))).blocked
    assert ask(in_role=role(opens_for=frozenset({"staff"}))).blocked
    both = (*GAMBLING, Match("l", "2", "parts.example", ("dating",)))
    assert ask(matches=both).blocked


@pytest.mark.parametrize("name", sorted(NEVER))
def test_what_shows_whatever_it_is_asked_for_comes_with_no_page(name: str) -> None:
    """DFE-F9: a proxy, a search engine or a translator that a page names would be a way to everything."""
    everything = role(categories=frozenset({"gambling", *NEVER}), unlisted=True, own_blocks=True)
    matches = (*GAMBLING, Match("l", "2", "parts.example", (name,)))
    assert ask(matches=matches, in_role=everything, what=named(Severity.CRITICAL)).blocked


def test_illegal_material_comes_with_nothing() -> None:
    """UKF-I3: neither the floor, nor what a profile rates illegal, whatever a page names."""
    everything = role(categories=frozenset({"gambling", "csam"}), unlisted=True, own_blocks=True)
    worst, limit = (Match("l", "1", "parts.example", ("csam",)),), named(Severity.CRITICAL)
    assert ask(matches=worst, in_role=everything, what=limit).blocked
    illegal = profile("ks2", rules={"gambling": rule("gambling", Rating.ILLEGAL)})
    assert ask(who=illegal, in_role=everything, what=limit).blocked
    assert closed_because(None, worst, illegal, everything, Severity.CRITICAL, CATEGORIES) is None


def test_a_school_s_own_block_and_the_unlisted_need_a_role_that_says_so() -> None:
    """What the head closed by hand does not come along, unless the role may open such."""
    closed = (Match("local", "1", "parts.example", (), Use.BLOCK, "Closed by the head."),)
    assert ask(matches=closed).blocked
    assert not ask(matches=closed, in_role=role(own_blocks=True)).blocked
    garden = profile("ks2", unknown=False)
    assert ask(matches=(), who=garden).blocked
    assert not ask(matches=(), who=garden, in_role=role(unlisted=True), what=named(Severity.LOW)).blocked


def test_the_granter_reads_why_something_stays_closed() -> None:
    """The reason is enough to name the host, or to ask somebody whose role may."""
    rules = profile("ks2")
    block = decide(Known(Floor(FloorState.OK), GAMBLING), AMY, NOW, rules, CATEGORIES)
    needs = needed(block, GAMBLING, AMY, NOW, rules, CATEGORIES)
    why = closed_because(needs, GAMBLING, rules, role(), Severity.LOW, CATEGORIES)
    assert why == "it is more severe than what was opened (gambling)"
    why = closed_because(needs, GAMBLING, rules, role(categories=frozenset()), Severity.LOW, CATEGORIES)
    assert why == "the role that granted this may not open it (gambling)"
    assert limit_of(block, CATEGORIES) is Severity.MEDIUM
    assert limit_of(replace(block, category=""), CATEGORIES) is Severity.LOW


@pytest.mark.parametrize(
    ("status", "kind", "passes"),
    [
        (200, "text/css; charset=utf-8", True),
        (206, "video/mp4", True),
        (200, "IMAGE/SVG+XML", True),
        (200, "font/woff2", True),
        (200, "application/json", True),
        (404, "image/png", True),
        (302, "text/html", True),
        (304, "", True),
        (200, "text/html", False),
        (200, "text/html; charset=utf-8", False),
        (404, "text/html", False),
        (200, "application/xhtml+xml", False),
        (200, "application/pdf", False),
        (200, "text/plain", False),
        (200, "application/xml", False),
        (200, "image/png, text/html", False),
        (200, "multipart/x-mixed-replace", False),
        (200, "", False),
    ],
)
def test_no_page_is_carried_as_a_part(status: int, kind: str, passes: bool) -> None:
    """Whatever the request said of itself, what comes back must be nothing that a browser shows as a page."""
    assert may_answer(status, kind) is passes


def test_it_is_enough_that_the_site_is_the_grant_s() -> None:
    """A page below the granted host counts as one, even before it has named anything itself."""
    assert is_part("GET", replace(IMAGE, referer="sub.lesson.example"), grant(), named())
    page = replace(grant(), what=What(pages=frozenset({("site.example", "/a")})))
    assert is_part("GET", replace(IMAGE, referer="site.example"), page, named())
    assert not is_part("GET", replace(IMAGE, referer="www.site.example"), page, named())


_hosts = ("parts.example", "www.example.org", "lesson.example", "", "?")


def _some_load(dice: Random) -> Load:
    if dice.random() < 0.6:
        return dice.choice((IMAGE, FONT, OLD))  # else hardly anything would come
    return Load(
        dice.choice((*sorted(PARTS), "document", "iframe", "", "x")),
        dice.choice(("no-cors", "cors", "navigate", "")),
        dice.choice(("cross-site", "same-site", "none", "")),
        dice.choice(_hosts),
        dice.choice(_hosts),
        document=dice.random() < 0.2,
        sends=dice.random() < 0.2,
    )


def _some_grant(dice: Random, number: int) -> tuple[Grant, Role, Named]:
    starts = NOW.timestamp() + dice.choice((-7200, -60, 0, 60))
    whom = Whom(
        frozenset(dice.sample(strategies.NAMES, dice.randint(0, 2))),
        frozenset(dice.sample(("group", "others"), dice.randint(0, 2))),
    )
    what = What(frozenset({"lesson.example"}))
    ends = starts + dice.choice((60, 3600))
    made = Grant(number, what, whom, "r", starts, ends, learns=dice.random() < 0.8)
    opens = frozenset(dice.sample(strategies.IDS, dice.randint(0, len(strategies.IDS))))
    flags = dice.random() < 0.5, dice.random() < 0.5
    groups = frozenset({"group", "others"})
    of = Role("r", "R", "So.", "roles.yaml:1", May.AT_ONCE, 60, 1, groups, opens, *flags)
    host, limit = dice.choice(("parts.example", "other.example")), dice.choice(list(Severity))
    need = Need(host, "lesson.example", limit, dropped=dice.random() < 0.2)
    return made, of, Named({host: need}, frozenset({"lesson.example"}))


@pytest.mark.slow
@settings(max_examples=dice(150), deadline=None)
@given(
    strategies.knowns, strategies.people, strategies.profiles, strategies.categories, st.integers(0, 2**32)
)
def test_nothing_but_parts_of_named_hosts_for_those_people_ever_comes(
    known: Known, person: Person, rules: Profile, categories: dict[str, object], seed: int
) -> None:
    """Over random grants, people, moments, requests: no floor, other host or person, and no document."""
    dice = Random(seed)
    asked, now = Asked(URL, person, "10.1.2.3"), NOW + timedelta(seconds=dice.choice((-61, 0, 59, 3600)))
    may = [_some_grant(dice, number) for number in range(1, dice.randint(1, 6))]
    method, load = dice.choice(("GET", "GET", "HEAD", "OPTIONS", "POST")), _some_load(dice)
    before = decide(known, person, now, rules, categories)  # type: ignore[arg-type]  # as the strategy makes them
    after = carried(before, known.matches, asked, (method, load), now, rules, categories, may)  # type: ignore[arg-type]  # as above
    if after == before:
        return
    assert before.blocked
    assert not before.floor
    assert not known.floor.hit
    assert known.floor.state is FloorState.OK
    ((one, of, names),) = [each for each in may if each[0].number == after.override]
    need = names.hosts["parts.example"]
    assert need.open
    assert one.learns
    assert covers(one.whom, asked)
    assert one.starts <= now.timestamp() < one.ends
    wants = needed(before, known.matches, person, now, rules, categories)  # type: ignore[arg-type]  # as above
    assert wants is not None
    assert permits(of, wants, rules.id)
    worst = [categories.get(name, category("x")) for name in wants.categories]
    assert all(getattr(each, "severity", Severity.MEDIUM) <= need.limit for each in worst)
    assert not any(getattr(each, "floor", False) for each in worst)
    assert method in METHODS
    assert not load.document
    assert not load.sends
    assert load.dest in PARTS or (not load.dest and not load.mode and not load.site and load.referer)
    assert load.mode != "navigate"
