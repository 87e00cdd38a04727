from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.events.hits import Hits
from appliance.filtering import Filtering, Rules
from appliance.model.decision import FAULTS, Action, Reason
from appliance.model.inspect import Inspect, Traits
from appliance.model.known import FloorState, Known, Match, Use
from appliance.model.person import Person, Standing
from appliance.model.profile import Policy, Profile, ProfileSet, Rating
from appliance.model.request import Request
from appliance.model.stage import Stage
from appliance.model.url import Url, parse_host, parse_url
from appliance.policy import refusals
from tests.doubles.gateway import (
    HELP,
    STRANGER,
    Inside,
    MemoryLists,
    OnePerson,
    filtering,
    policy,
    rule,
)
from tests.policy import strategies

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
CLIENT = "10.20.0.5"


def ask(url: str, journey: Filtering | None = None, **changes: object) -> tuple[Action, Reason]:
    request = replace(Request(parse_url(url), client=CLIENT), **changes)  # type: ignore[arg-type]  # fields
    decision = (journey or filtering()).judge(request).decision
    return decision.action, decision.reason


ALLOW, BLOCK = Action.ALLOW, Action.BLOCK


@pytest.mark.parametrize(
    ("url", "outcome"),
    [
        ("https://school.example/", (ALLOW, Reason.ACCEPTABLE)),
        ("https://nobody.example/", (ALLOW, Reason.UNLISTED)),
        ("https://bets.example/", (BLOCK, Reason.UNACCEPTABLE)),
        ("https://floor.example/", (BLOCK, Reason.FLOOR)),
        ("https://childline.example/", (ALLOW, Reason.HELP)),
        ("https://childline.example:25/", (ALLOW, Reason.HELP)),
        ("https://school.example:25/", (BLOCK, Reason.PORT)),
        ("https://floor.example:25/", (BLOCK, Reason.FLOOR)),
        ("http://printer.example/", (BLOCK, Reason.OWN_NETWORK)),
        ("http://192.0.2.7/", (BLOCK, Reason.UNACCEPTABLE)),
        ("https://filter.internal/", (ALLOW, Reason.OWN_PAGE)),
        ("https://bets.example/.well-known/school-gateway/review", (BLOCK, Reason.UNACCEPTABLE)),
        ("https://translate.google.com/translate?u=https://bets.example", (BLOCK, Reason.UNACCEPTABLE)),
        ("https://bets-example.translate.goog/", (BLOCK, Reason.UNACCEPTABLE)),
        ("https://web.archive.org/web/2020/https://floor.example/x", (BLOCK, Reason.FLOOR)),
        ("https://www.google.com/search?q=bets.example", (ALLOW, Reason.UNLISTED)),
    ],
)  # fmt: skip
def test_one_request_has_one_outcome(url: str, outcome: tuple[Action, Reason]) -> None:
    """The journey of a request ends where the lists, the surroundings and the ports lead it."""
    assert ask(url) == outcome


def test_any_name_that_is_blocked_blocks() -> None:
    """A blocked SNI or CONNECT target counts although the request names an allowed site."""
    assert ask("https://school.example/", names=(parse_host("bets.example"),)) == (BLOCK, Reason.UNACCEPTABLE)
    assert ask("https://school.example/", names=(parse_host("floor.example"),)) == (BLOCK, Reason.FLOOR)
    assert ask("https://school.example/", names=(parse_host("printer.example"),)) == (
        BLOCK,
        Reason.OWN_NETWORK,
    )


def test_the_judgement_names_what_was_decisive() -> None:
    """The record of a blocked tunnel names the tunnel, not whatever was asked for inside it (F8)."""
    bets = parse_host("bets.example")
    request = Request(parse_url("http://school.example/"), names=(bets,), client=CLIENT)
    assert filtering().judge(request).about == bets
    printer = parse_host("printer.example")
    assert filtering().judge(replace(request, names=(printer,))).about == printer
    assert filtering().judge(Request(bets, names=(request.url,), client=CLIENT)).about is None


def test_an_address_with_too_many_inside_is_refused_but_a_floor_hit_stays_one() -> None:
    """What cannot be judged to its end does not pass (fail closed)."""
    deep = "https://archive.ph/" * 40
    assert ask(f"{deep}http://school.example/") == (BLOCK, Reason.MALFORMED)
    lists = MemoryLists(floors={"archive.ph"})
    assert ask(f"{deep}http://school.example/", filtering(lists)) == (BLOCK, Reason.FLOOR)


def test_a_site_called_by_number_is_in_the_category_of_such_sites() -> None:
    """Most ways round a filter begin with a bare address; what a list says of it comes first."""
    journey = filtering()
    numbered = journey.judge(Request(parse_url("http://192.0.2.7/"))).decision
    assert (numbered.category, numbered.list) == (refusals.NUMBERED, "built-in")
    staff = filtering(identity=OnePerson(Person("staff", "network Staff")))
    assert ask("http://192.0.2.7/", staff) == (ALLOW, Reason.ACCEPTABLE)
    lists = MemoryLists()
    lists.named["192.0.2.7"] = (Match("l", "1", "192.0.2.7", ("gambling",)),)
    staff = filtering(lists, OnePerson(Person("staff", "network Staff")))
    assert staff.judge(Request(parse_url("http://0xC0000207/"))).decision.category == "gambling"


def test_a_destination_counts_only_when_a_list_names_it() -> None:
    """Nobody lists the addresses of good sites, so an unlisted one is no news and no bare address."""
    lists = MemoryLists()
    lists.named["198.51.100.8"] = (Match("l", "1", "198.51.100.8", ("gambling",)),)
    lists.floors.add("198.51.100.9")
    journey = filtering(lists)
    targets = [parse_host(f"198.51.100.{last}") for last in (7, 8, 9)]
    outcomes = [ask("https://school.example/", journey, destination=target) for target in targets]
    assert outcomes == [(ALLOW, Reason.ACCEPTABLE), (BLOCK, Reason.UNACCEPTABLE), (BLOCK, Reason.FLOOR)]


@pytest.mark.parametrize(
    ("refused", "reason"),
    [("there is more than one Host header", Reason.MALFORMED), ("mismatch: names differ", Reason.MISMATCH)],
)
def test_what_cannot_be_read_is_blocked_and_not_looked_up(refused: str, reason: Reason) -> None:
    """A refused request has no address that could be judged, not even one of a help line."""
    lists = MemoryLists()
    assert ask("https://childline.example/", filtering(lists), refused=refused) == (BLOCK, reason)
    assert lists.asked == []


def test_a_floor_that_cannot_be_relied_upon_closes_all_but_help() -> None:
    """Missing statutory lists close the gate; a child still reaches help (S-54)."""
    for state in (FloorState.MISSING, FloorState.UNREADABLE, FloorState.STALE):
        journey = filtering(MemoryLists(state=state))
        assert ask("https://school.example/", journey) == (BLOCK, Reason.FLOOR_UNAVAILABLE)
        assert ask("https://childline.example/", journey) == (ALLOW, Reason.HELP)


def test_guessing_at_the_floor_ends_in_a_pause() -> None:
    """Who keeps meeting the statutory lists gets one answer for every address for a while, but help."""
    journey = filtering()
    paths = [f"https://floor.example/{number}" for number in range(12)]
    outcomes = [ask(path, journey)[1] for path in paths]
    assert outcomes == [Reason.FLOOR] * 10 + [Reason.FLOOR_REPEATED] * 2
    request = Request(parse_url("https://school.example/"), client=CLIENT)
    decision = journey.judge(request).decision
    assert (decision.reason, decision.floor, decision.flagged) == (Reason.FLOOR_REPEATED, True, True)
    assert ask("https://childline.example/", journey) == (ALLOW, Reason.HELP)
    assert ask("https://school.example/", journey, client="10.20.0.6") == (ALLOW, Reason.ACCEPTABLE)
    explained = journey.judge(request, Person("ks2", "command line")).decision
    assert explained.reason is Reason.ACCEPTABLE


def test_two_workers_count_as_one(tmp_path: Path) -> None:
    """Connections that are spread over workers give no more guesses than those to one of them (S-18)."""
    workers = [filtering(told=Hits(tmp_path / "hits")) for _ in range(2)]
    outcomes = [ask(f"https://floor.example/{number}", workers[number % 2])[1] for number in range(16)]
    # Now and then two addresses in a row have the same mark, and count as one.
    assert outcomes.count(Reason.FLOOR) in range(10, 15)
    assert [ask("https://school.example/", worker)[1] for worker in workers] == [Reason.FLOOR_REPEATED] * 2


def test_an_unknown_group_gets_the_strictest_profile() -> None:
    """Whoever is not recognised falls to the narrowest rules, never to none (S-01)."""
    judgement = filtering(identity=OnePerson(STRANGER)).judge(Request(parse_url("https://nobody.example/")))
    assert judgement.profile.id == judgement.decision.profile == "ks1"
    assert judgement.decision.reason is Reason.UNLISTED_BLOCKED


def test_a_judgement_names_the_category_it_is_about() -> None:
    """The page and the record can say what kind of site it was."""
    judgement = filtering().judge(Request(parse_url("https://bets.example/")))
    assert judgement.category is not None
    assert judgement.category.id == "gambling"
    assert filtering().judge(Request(parse_url("https://nobody.example/"))).category is None


@pytest.mark.parametrize(
    "reason", [*sorted(FAULTS), Reason.UPSTREAM_CERTIFICATE, Reason.UPSTREAM_UNREACHABLE]
)
def test_a_failure_is_a_decision_too(reason: Reason) -> None:
    """What failed is blocked with its own reason; only a site that is merely down is nobody's concern."""
    judgement = filtering().judge_failure(reason, "It failed.", CLIENT)
    decision = judgement.decision
    assert (decision.action, decision.reason, decision.because) == (BLOCK, reason, "It failed.")
    assert decision.flagged is (reason is not Reason.UPSTREAM_UNREACHABLE)
    assert judgement.profile.id == "ks2"


def test_a_policy_is_swapped_whole() -> None:
    """An edit is in force for the next request, and no request is judged by parts of two policies (H33)."""
    journey = filtering()
    journey.use(policy("sha256:new", gambling=rule("gambling", Rating.ACCEPTABLE)))
    judgement = journey.judge(Request(parse_url("https://bets.example/")))
    assert judgement.decision.action is ALLOW
    assert judgement.decision.policy_version == journey.policy.version == "sha256:new"


def test_a_policy_counts_for_some_first() -> None:
    """S-25: a staged policy decides for whom it is meant, failures as well; for others the old one."""
    journey, request = filtering(), Request(parse_url("https://bets.example/"), client=CLIENT)
    opened = policy("new", gambling=rule("gambling", Rating.ACCEPTABLE))
    old = journey.policy.version
    journey.stage((Stage("new", 1, "Room", networks=(ip_network("10.20.0.0/24"),)), opened))
    found = journey.judge(request).decision
    assert (found.action, found.policy_version) == (ALLOW, "new")
    assert journey.judge_failure(Reason.FAULT, "x", CLIENT).decision.policy_version == "new"
    other = journey.judge(replace(request, client="10.20.1.5")).decision
    assert (other.action, other.policy_version) == (BLOCK, old)
    before = journey.epoch
    journey.stage(None)
    assert journey.epoch > before
    assert journey.judge(request).decision.policy_version == old


def test_a_category_is_judged_by_the_policy_alone() -> None:
    """Explaining a category asks no list, and gives the same reason as a site of that category."""
    lists = MemoryLists(broken=RuntimeError("not asked"))
    journey = filtering(lists)
    judgement = journey.judge_category("gambling", Person("ks2", "command line"), NOW)
    assert judgement.decision.reason is Reason.UNACCEPTABLE
    assert judgement.category is not None
    assert journey.judge_category("csam", Person("staff", "command line")).decision.floor


def test_the_person_comes_from_the_address_unless_explain_brings_one() -> None:
    """A live request is judged by who stands behind its address; explain may ask for somebody else."""
    journey = filtering()
    assert journey.identify(CLIENT).group == "ks2"
    request = Request(parse_url("http://192.0.2.7/"), client=CLIENT)
    assert journey.judge(request).decision.blocked
    assert not journey.judge(request, Person("staff", "command line"), NOW).decision.blocked


# --- whatever the lists, the policy and the request are ---

HOSTS = ("a.example", "b.example", "192.0.2.7", "a-example.translate.goog", "web.archive.org")
urls = st.builds(
    lambda host, port, path: parse_url(f"https://{host}:{port}{path}"),
    st.sampled_from(HOSTS),
    st.sampled_from((443, 80, 25, 8443)),
    st.sampled_from(("/", "/web/2020/https://b.example/x", "/a?u=b.example")),
)
optional_urls = st.none() | urls


@dataclass
class RandomLists:
    """Lists that say anything of any host, and the same twice."""

    known: dict[str, Known]

    def traits(self, url: Url) -> Traits:
        return Traits(pages=len(url.host) % 2 == 0)

    def lookup(self, url: Url) -> Known:
        return self.known[url.host]


journeys = st.builds(
    lambda known, profile, categories, inside, group: Filtering(
        identity=OnePerson(Person(group, "test")),
        lists=RandomLists(known),
        reach=Inside(inside),
        policy=Policy("v", {"s": ProfileSet("s", "S", "group", {"group": profile})}, categories),
        rules=Rules("s", frozenset({80, 443})),
        clock=lambda: NOW,
    ),
    st.fixed_dictionaries(dict.fromkeys(HOSTS, strategies.knowns)),
    strategies.profiles,
    strategies.categories,
    st.sets(st.sampled_from(HOSTS), max_size=2),
    st.sampled_from(("group", "no-such-group")),
)
requests = st.builds(
    Request,
    urls,
    st.lists(urls, max_size=2).map(tuple),
    destination=optional_urls,
    refused=st.sampled_from(("", "", "", "mismatch: x", "folded")),
)


def known_of(journey: Filtering, url: Url) -> Known:
    return journey._lists.lookup(url)


@pytest.mark.slow
@settings(max_examples=60)
@given(journeys, requests)
def test_the_laws_hold_for_any_lists_and_any_policy(journey: Filtering, request: Request) -> None:
    """A floor hit and a refused request never pass, help never stops, and every answer has its reason."""
    judgement = journey.judge(request)
    decision, known = judgement.decision, known_of(journey, request.url)
    helps = any(match.use is Use.HELP for match in known.matches)
    assert isinstance(judgement.profile, Profile)
    assert judgement.profile.id == decision.profile == "group"
    assert decision.because
    assert decision.policy_version == "v"
    if decision.blocked:
        assert decision.flagged
    if request.refused:
        assert decision.reason in (Reason.MALFORMED, Reason.MISMATCH)
        return
    if known.floor.hit:
        assert (decision.action, decision.reason, decision.floor) == (BLOCK, Reason.FLOOR, True)
        assert decision.entry == ""
    elif helps:
        assert (decision.action, decision.reason) == (ALLOW, Reason.HELP)
    else:
        others = [*request.names, *([request.destination] if request.destination else [])]
        if any(known_of(journey, url).floor.hit for url in others):
            assert decision.reason is Reason.FLOOR
        if request.url.port not in {80, 443} or any(
            journey._reach.refuses(url) for url in (request.url, *request.names)
        ):
            assert decision.blocked
        if known.floor.state is not FloorState.OK:
            assert decision.blocked


@pytest.mark.slow
@settings(max_examples=25)
@given(journeys, requests)
def test_more_names_never_open_what_fewer_closed(journey: Filtering, request: Request) -> None:
    """Nobody gets through by presenting a further name: all of them can only close more."""
    alone = replace(request, names=(), destination=None)
    if journey.judge(alone).decision.blocked:
        assert journey.judge(request).decision.blocked


def test_help_of_the_small_policy_is_help() -> None:
    """The double's help line is one, so that the tests above test what they say."""
    assert HELP.use is Use.HELP


def test_a_connection_with_several_names_is_looked_into_for_the_neediest() -> None:
    """A name that may pass unread is no cover for one that has to be read (domain fronting)."""
    lists = MemoryLists(pinned={"push.example": "Its app pins."})
    journey = filtering(lists)
    push, other = parse_host("push.example"), parse_host("site.example")
    assert journey.inspection(Request(push)).level is Inspect.NEVER
    assert journey.inspection(Request(push, names=(other,))).level is Inspect.ADDRESSES
    assert journey.inspection(Request(other, names=(push,))).level is Inspect.ADDRESSES
    assert journey.inspection(Request(push), named=False).level is Inspect.ADDRESSES


def test_help_lines_are_known_by_name() -> None:
    """Look-ups for help lines have a way of their own; a name that is none opens nothing."""
    journey = filtering()
    assert journey.helps("childline.example")
    assert not journey.helps("site.example")
    assert not journey.helps("a b")


@pytest.mark.parametrize("standing", [Standing.FROZEN, Standing.REMOVED, Standing.SIGNED_OUT])
def test_who_may_not_be_here_finds_help_and_nothing_else(standing: Standing) -> None:
    """S-60, S-54: a stopped person reaches help lines alone, and a floor hit is recorded as one."""
    journey = filtering(identity=OnePerson(Person("ks2", "own sign-in", standing=standing)))
    assert ask("https://childline.example/", journey) == (ALLOW, Reason.HELP)
    for url in ("https://school.example/", "https://bets.example/", "https://unknown.example/"):
        assert ask(url, journey) == (BLOCK, Reason(standing.value))
    assert ask("https://floor.example/", journey) == (BLOCK, Reason.FLOOR)


def test_whoever_is_signed_out_reaches_the_single_sign_on_and_nothing_through_it() -> None:
    """The provider's page opens before the sign-in, under its own name alone, as far as lists allow."""
    journey = filtering(identity=OnePerson(Person("ks2", "network", standing=Standing.SIGNED_OUT)))
    hosts = frozenset({"login.example", "bets.example", "floor.example"})
    journey._rules = replace(journey._rules, sign_in_hosts=hosts)
    assert ask("https://login.example/authorize?x=1", journey) == (ALLOW, Reason.UNLISTED)
    assert ask("https://bets.example/", journey) == (BLOCK, Reason.UNACCEPTABLE)
    assert ask("https://floor.example/", journey) == (BLOCK, Reason.FLOOR)
    for url, name in (
        ("https://login.example/", "school.example"),
        ("https://school.example/", "login.example"),
    ):
        fronted = ask(url, journey, names=(parse_host(name),))
        assert fronted == (BLOCK, Reason.SIGNED_OUT)
    assert ask("https://sub.login.example/", journey) == (BLOCK, Reason.SIGNED_OUT)
    frozen = filtering(identity=OnePerson(Person("ks2", "own sign-in", standing=Standing.FROZEN)))
    frozen._rules = replace(frozen._rules, sign_in_hosts=hosts)
    assert ask("https://login.example/", frozen) == (BLOCK, Reason.FROZEN)
