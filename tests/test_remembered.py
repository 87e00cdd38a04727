from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance import remembered
from appliance.filtering import Filtering, Judgement
from appliance.model.decision import Action
from appliance.model.known import Floor, FloorState, Known
from appliance.model.person import Person
from appliance.model.profile import Policy
from appliance.model.request import Request
from appliance.model.url import Url, parse_host, parse_url
from appliance.remembered import Remembered
from tests.doubles.gateway import NAMED, Inside, MemoryLists, OnePerson, filtering, policy

NOON = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
CHILD = Person("ks2", "network Classrooms", name="a pupil")
POLICY = policy()
REQUEST = Request(parse_url("https://site.example/a"), client="10.0.0.5")


@dataclass
class SteadyLists(MemoryLists):
    """Lists that give the same value for as long as they say the same, as the real ones do."""

    given: dict[tuple[str, FloorState], Known] = field(default_factory=dict)

    def lookup(self, url: Url) -> Known:
        return self.given.setdefault((url.host, self.state), super().lookup(url))


def kept(lists: SteadyLists, request: Request = REQUEST) -> Remembered[str]:
    """Return a memory of one request that passed."""
    memory = Remembered[str](lists)
    memory.keep("passed", request, CHILD, POLICY, NOON, memory.look(request))
    return memory


def test_the_next_address_of_the_same_site_is_judged_alike() -> None:
    """Another path of a host of which no list names a page: nothing differs."""
    memory = kept(SteadyLists())
    again = replace(REQUEST, url=parse_url("https://site.example/b?c"))
    assert memory.again(again, CHILD, POLICY, NOON) == "passed"
    assert memory.again(again, CHILD, POLICY, NOON + timedelta(seconds=29)) == "passed"


OTHERWISE = {
    "another host": replace(REQUEST, url=parse_url("https://other.example/")),
    "another port": replace(REQUEST, url=parse_url("https://site.example:8443/")),
    "another name beside it": replace(REQUEST, names=(parse_host("bets.example"),)),
    "another destination": replace(REQUEST, destination=parse_host("192.0.2.1")),
    "what cannot be read": replace(REQUEST, refused="mismatch: two names"),
}


@pytest.mark.parametrize("what", OTHERWISE)
def test_whatever_differs_is_judged_anew(what: str) -> None:
    """Another name, port, way or an unreadable request is not let through by what came before (H24)."""
    assert kept(SteadyLists()).again(OTHERWISE[what], CHILD, POLICY, NOON) is None


@pytest.mark.parametrize(
    ("person", "in_force", "seconds"),
    [
        (replace(CHILD), POLICY, 0),
        (CHILD, policy(), 0),
        (CHILD, POLICY, 30),
        (CHILD, POLICY, -31),
    ],
)
def test_another_person_policy_or_minute_is_judged_anew(
    person: Person, in_force: Policy, seconds: int
) -> None:
    """A sign-in, a new policy and the bell count from the next request on, and a clock set back as well."""
    at = NOON + timedelta(seconds=seconds)
    assert kept(SteadyLists()).again(REQUEST, person, in_force, at) is None


def test_what_the_lists_say_now_counts() -> None:
    """A list that has changed, and a floor that has become stale, close at once (DFE-F2)."""
    lists = SteadyLists()
    memory = kept(lists, replace(REQUEST, names=(parse_host("cdn.example"),)))
    request = replace(REQUEST, names=(parse_host("cdn.example"),))
    assert memory.again(request, CHILD, POLICY, NOON) == "passed"
    lists.given[("cdn.example", FloorState.OK)] = Known(Floor(FloorState.OK), NAMED["bets.example"])
    assert memory.again(request, CHILD, POLICY, NOON) is None
    lists.state = FloorState.STALE
    assert kept(SteadyLists()).again(REQUEST, CHILD, POLICY, NOON) == "passed"
    assert memory.again(request, CHILD, POLICY, NOON) is None


@pytest.mark.parametrize(
    "url", ["https://192.0.2.7/", "https://translate.google.com/?u=x", "https://archive.ph/"]
)
def test_addresses_that_can_mean_something_else_are_never_kept(url: str) -> None:
    """A number can become the gateway's own, and a wrapper is judged by what it shows."""
    request = replace(REQUEST, url=parse_url(url))
    assert kept(SteadyLists(), request).again(request, CHILD, POLICY, NOON) is None


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for ever new names does not fill the memory (H36)."""
    monkeypatch.setattr(remembered, "MOST", 3)
    memory = Remembered[str](SteadyLists())
    for number in range(10):
        request = replace(REQUEST, url=parse_url(f"https://site-{number}.example/"))
        memory.keep("passed", request, CHILD, POLICY, NOON, memory.look(request))
    assert len(memory._kept) <= 3
    memory.forget()
    assert not memory._kept


HOSTS = (
    "site.example",
    "bets.example",
    "forum.example",
    "floor.example",
    "childline.example",
    "school.example",
)


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            st.sampled_from(HOSTS),
            st.sampled_from(["/", "/a", "/b?c"]),
            st.sampled_from([(), ("school.example",), ("bets.example",), ("floor.example",)]),
            st.sampled_from([443, 8080, 22]),
            st.sampled_from(["", "floor", "named", "stale", "policy", "person", "minute"]),
        ),
        max_size=25,
    )
)
@example(
    [("site.example", "/", (), 443, "floor"), *[("site.example", "/", (), p, "") for p in (8080, 443) * 6]]
)
def test_whoever_remembers_says_what_whoever_forgets_says(
    steps: list[tuple[str, str, tuple[str, ...], int, str]],
) -> None:
    """Whatever is asked, and whatever changes on the way: no judgement differs from a fresh one."""
    lists, who, now, in_force = SteadyLists(), OnePerson(CHILD), [NOON], [POLICY]

    def made() -> Filtering:
        journey = filtering(lists, who, Inside())
        journey._clock = lambda: now[0]
        journey.use(in_force[0])
        return journey

    remembering = made()
    for host, path, names, port, change in steps:
        if change == "floor":
            lists.floors ^= {"site.example"}
            lists.given.clear()
        elif change == "named":
            lists.named["site.example"] = NAMED["bets.example"]
            lists.given.clear()
        elif change == "stale":
            lists.state = FloorState.STALE if lists.state is FloorState.OK else FloorState.OK
        elif change == "policy":
            in_force[0] = policy("sha256:other")
            remembering.use(in_force[0])
        elif change == "person":
            who.person = Person("staff" if who.person.group == "ks2" else "ks2", "network")
        elif change == "minute":
            now[0] += timedelta(minutes=1)
        url = parse_url(f"https://{host}:{port}{path}")
        request = Request(url, tuple(parse_host(name) for name in names), client="10.0.0.5")
        found: Judgement = remembering.judge(request)
        forgetting = made()
        forgetting._repeated = remembering._repeated  # who met the floor too often waits, whoever is asked
        assert found == forgetting.judge(request)
        assert found.decision.action is Action.BLOCK or host not in lists.floors
