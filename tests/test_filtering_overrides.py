from __future__ import annotations

from dataclasses import replace

from appliance.filtering import Filtering
from appliance.model.decision import Reason
from appliance.model.grant import Grant, What, Whom
from appliance.model.known import FloorState
from appliance.model.person import Person, Standing
from appliance.model.request import Request
from appliance.model.role import Grants as May
from appliance.model.role import Role
from appliance.model.url import parse_host, parse_url
from appliance.policy.overrides import Grants
from tests.doubles.gateway import MemoryLists, OnePerson, filtering, policy
from tests.test_filtering import ALLOW, BLOCK, CLIENT, ask


def opened_journey(
    *hosts: str, identity: OnePerson | None = None, lists: MemoryLists | None = None
) -> Filtering:
    """Return a journey in which an override names these hosts, by a role that may open everything."""
    journey = filtering(lists or MemoryLists(), identity or OnePerson())
    made = policy()
    everything = frozenset({"gambling", "forums", "learning", "ip_address", "csam"})
    role = Role("r", "R", "So.", "", May.AT_ONCE, 60, 1, frozenset({"ks2", "ks1"}), everything, True, True)
    sets = {name: replace(one, roles={"r": role}) for name, one in made.sets.items()}
    journey.use(replace(made, sets=sets))
    whom = Whom(groups=frozenset({"ks1", "ks2"}))
    journey.grant(Grants([Grant(5, What(frozenset(hosts)), whom, "r", 0.0, 9e9, "Opened.")]))
    return journey


def test_an_override_opens_one_site_and_leaves_all_that_stands_above_it() -> None:
    """S-23: help, the floor, ports, the own network, what is within an address and stops stay as they are."""
    hosts = ("bets.example", "floor.example", "printer.example", "translate.google.com")
    journey = opened_journey(*hosts)
    assert ask("https://bets.example/", journey) == (ALLOW, Reason.OVERRIDE)
    assert ask("https://floor.example/", journey) == (BLOCK, Reason.FLOOR)
    assert ask("http://printer.example/", journey) == (BLOCK, Reason.OWN_NETWORK)
    assert ask("https://bets.example:25/", journey) == (BLOCK, Reason.PORT)
    assert ask("https://childline.example/", journey) == (ALLOW, Reason.HELP)
    assert ask("https://bets.example/", journey, refused="two Hosts") == (BLOCK, Reason.MALFORMED)
    assert ask("https://web.archive.org/web/2020/https://floor.example/x", journey) == (BLOCK, Reason.FLOOR)
    assert ask("https://bets.example/", journey, names=(parse_host("192.0.2.7"),)) == (
        BLOCK,
        Reason.UNACCEPTABLE,
    )
    frozen = OnePerson(Person("ks2", "own sign-in", standing=Standing.FROZEN))
    assert ask("https://bets.example/", opened_journey("bets.example", identity=frozen)) == (
        BLOCK,
        Reason.FROZEN,
    )
    stale = MemoryLists(state=FloorState.STALE)
    assert ask("https://bets.example/", opened_journey("bets.example", lists=stale)) == (
        BLOCK,
        Reason.FLOOR_UNAVAILABLE,
    )


def test_whatever_lives_by_an_override_is_known_to() -> None:
    """A connection of which any name is open by an override ends with it."""
    journey = opened_journey("bets.example")
    bets = Request(parse_url("https://bets.example/"), client=CLIENT)
    assert journey.judge(bets).overrides == {5}
    named = Request(parse_url("https://school.example/"), names=(parse_host("bets.example"),), client=CLIENT)
    judgement = journey.judge(named)
    assert judgement.overrides == {5}
    assert judgement.decision.rule == "override 5"
    assert journey.judge(replace(named, url=parse_url("https://forum.example/"))).decision.flagged
    assert journey.judge(replace(bets, url=parse_url("https://bets.example:25/"))).overrides == set()
    before = journey.epoch
    journey.grant(Grants())
    assert journey.epoch == before + 1, "what passes spliced is judged again"
    assert ask("https://bets.example/", journey) == (BLOCK, Reason.UNACCEPTABLE)
