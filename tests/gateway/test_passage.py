from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from appliance.filtering import Filtering
from appliance.gateway import passage as module
from appliance.gateway.hello import Hello
from appliance.gateway.loop import Reached
from appliance.gateway.passage import BECAUSE_ASKED, Passage, Verdict, What
from appliance.gateway.translate import Tunnel, host_of
from appliance.model.decision import Action, Reason
from appliance.model.inspect import Inspect
from appliance.model.known import Match
from appliance.model.person import Person, Standing
from tests.doubles.gateway import MemoryLists, MemoryMetrics, MemoryRecorder, OnePerson, filtering, policy

PUSH = "push.example"


@dataclass
class Stand:
    """A passage over doubles; every site is the same socket pair."""

    lists: MemoryLists = field(default_factory=lambda: MemoryLists(pinned={PUSH: "Its app pins."}))
    recorder: MemoryRecorder = field(default_factory=MemoryRecorder)
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)
    asked: list[tuple[str, int]] = field(default_factory=list)
    error: OSError | None = None

    def __post_init__(self) -> None:
        self.identity = OnePerson()
        self.filtering: Filtering = filtering(self.lists, self.identity)
        self.passage = Passage(self.filtering, self.recorder, self.metrics, self.connect, "filter.internal")
        self.client, self.ours = socket.socketpair()
        self.theirs, self.site = socket.socketpair()
        for end in (self.client, self.ours, self.theirs, self.site):
            end.setblocking(False)

    async def connect(self, host: str, port: int) -> socket.socket:
        self.asked.append((host, port))
        if self.error is not None:
            raise self.error
        return self.theirs

    def judge(self, name: str | None = PUSH, *, ech: bool = False, **known: Any) -> Verdict:
        return self.passage.judge(Tunnel(client="10.20.0.5", **known), Hello(name, ech))

    def use(self, inspect: Inspect) -> None:
        """Let everybody's profile say how far is looked."""
        old = policy()
        profiles = {name: replace(one, inspect=inspect) for name, one in old.sets["school"].profiles.items()}
        self.filtering.use(replace(old, sets={"school": replace(old.sets["school"], profiles=profiles)}))

    async def settle(self) -> None:
        await asyncio.gather(*self.passage._tasks)

    def close(self) -> None:
        self.passage.cut_all()
        for end in (self.client, self.ours, self.theirs, self.site):
            end.close()


@pytest.fixture
def stand() -> Any:
    made = Stand()
    yield made
    for end in (made.client, made.ours, made.theirs, made.site):
        end.close()


def test_what_nobody_decrypts_passes_and_all_else_is_read(stand: Stand) -> None:
    """The policy decides what is decrypted, by the name in the hello."""
    assert stand.judge().what is What.SPLICE
    assert stand.judge("site.example").what is What.INSPECT
    assert len(stand.metrics.decisions) == 2


@pytest.mark.parametrize("name", ["bets.example", "floor.example", "printer.example"])
def test_what_is_blocked_never_passes(stand: Stand, name: str) -> None:
    """Being unread opens nothing: a block shows its page (A10, S-18)."""
    stand.lists.pinned[name] = "Its app pins."
    assert stand.judge(name).what is What.INSPECT
    assert stand.judge(PUSH, connect=host_of(name), port=443).what is What.INSPECT


def test_two_names_pass_only_when_both_may(stand: Stand) -> None:
    """A tunnel to one site with another's name in it is read (domain fronting)."""
    assert stand.judge(PUSH, connect=host_of("site.example"), port=443).what is What.INSPECT
    assert stand.judge(PUSH, connect=host_of(PUSH), port=443).what is What.SPLICE


def test_a_port_that_is_no_webs_does_not_pass(stand: Stand) -> None:
    """What is unread must at least go to a port of the web."""
    assert stand.judge(PUSH, connect=host_of(PUSH), port=25).what is What.INSPECT


@pytest.mark.parametrize("name", [None, "198.51.100.7", "a b"])
def test_without_a_name_nothing_passes(stand: Stand, name: str | None) -> None:
    """There is no address of ours to lead such a connection to."""
    known: dict[str, Any] = {"destination": host_of("198.51.100.7"), "port": 443}
    assert stand.judge(name, **known).what is What.INSPECT
    stand.use(Inspect.NEVER)
    verdict = stand.judge(name, **known)
    assert verdict.what is What.REFUSE
    assert verdict.judgement.decision.blocked


def test_who_cannot_be_shown_a_page_is_refused(stand: Stand) -> None:
    """A guest's device without the school's certificate gets an end, and no warning about certificates."""
    stand.use(Inspect.NEVER)
    assert stand.judge("bets.example").what is What.REFUSE
    assert stand.judge("site.example").what is What.SPLICE
    assert stand.judge("floor.example").what is What.INSPECT, "read in any case: a list names its pages"
    assert stand.judge("filter.internal").what is What.INSPECT, "the gateway's own page"


async def test_a_hidden_name_is_asked_for(stand: Stand) -> None:
    """Encrypted Client Hello is opened, so that the browser says the name; it never passes unread."""
    stand.lists.pinned["cloudflare-ech.com"] = "Its app pins."
    verdict = stand.judge("cloudflare-ech.com", ech=True)
    assert verdict.what is What.REFUSE or verdict.judgement.decision.blocked
    del stand.lists.pinned["cloudflare-ech.com"]
    verdict = stand.judge("cloudflare-ech.com", ech=True)
    assert verdict.what is What.INSPECT
    await stand.passage.note(verdict)
    assert [access.decision.because for access in stand.recorder.kept] == [BECAUSE_ASKED]
    stand.use(Inspect.NEVER)
    verdict = stand.judge("cloudflare-ech.com", ech=True)
    assert verdict.what is What.REFUSE
    assert "hides" in verdict.judgement.decision.because


def test_the_bait_that_browsers_send_is_no_hidden_name(stand: Stand) -> None:
    """Chrome sends something that looks like Encrypted Client Hello to every bank."""
    assert stand.judge(PUSH, ech=True).what is What.SPLICE


async def test_a_connection_passes_to_our_address_and_is_recorded_with_its_bytes(stand: Stand) -> None:
    """The log says who, where and how much; the address is the one that our resolver gives (H11)."""
    verdict = stand.judge(destination=host_of("203.0.113.66"), port=443)
    await stand.passage.splice(stand.ours, b"hello", verdict)
    loop = asyncio.get_running_loop()
    assert await loop.sock_recv(stand.site, 10) == b"hello"
    assert stand.asked == [(PUSH, 443)]
    assert len(stand.passage) == 1
    stand.client.shutdown(socket.SHUT_WR)
    stand.site.shutdown(socket.SHUT_WR)
    async with asyncio.timeout(5):
        while len(stand.passage):  # noqa: ASYNC110 - the sockets end it
            await asyncio.sleep(0.001)
    await stand.settle()
    (access,) = stand.recorder.kept
    assert (access.host, access.method, access.bytes_sent) == (PUSH, "TLS", 5)
    assert stand.metrics.unread == [("over", 5, 0)]
    assert access.decision.action is Action.ALLOW


async def test_what_is_watched_is_recorded_before_the_site_hears_of_it(stand: Stand) -> None:
    """A flagged access is in the log first; where it cannot be, nothing passes (S-40)."""
    stand.lists.pinned["forum.example"] = "Its app pins."
    verdict = stand.judge("forum.example")
    assert verdict.judgement.decision.flagged
    stand.recorder.broken = OSError("disk full")
    with pytest.raises(OSError, match="disk full"):
        await stand.passage.splice(stand.ours, b"hello", verdict)
    assert stand.asked == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [("leads only to internal addresses", Reason.OWN_NETWORK), ("gone", Reason.UPSTREAM_UNREACHABLE)],
)
async def test_a_site_that_is_not_reached_is_a_decision(stand: Stand, text: str, reason: Reason) -> None:
    """A name that leads inwards, or nowhere, ends the connection and is in the log (H27)."""
    stand.error = OSError(text)
    await stand.passage.splice(stand.ours, b"hello", stand.judge())
    assert [access.decision.reason for access in stand.recorder.kept] == [reason]
    assert stand.metrics.unread == [("failed", 0, 0)]
    assert await asyncio.get_running_loop().sock_recv(stand.client, 1) == b""


async def test_what_would_no_longer_pass_is_cut(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list, a policy or a timetable that closes a site ends what is under way, and says so."""
    monkeypatch.setattr(module, "WATCH_SECONDS", 0.001)
    await stand.passage.splice(stand.ours, b"hello", stand.judge())
    watch = asyncio.create_task(stand.passage.watch())
    await asyncio.sleep(0.01)
    assert len(stand.passage) == 1
    stand.lists.named[PUSH] = (Match("gambling-list", "8", PUSH, ("gambling",)),)
    stand.filtering.changed()
    await asyncio.sleep(0.01)
    watch.cancel()
    await stand.settle()
    assert len(stand.passage) == 0
    assert [end for end, _, _ in stand.metrics.unread] == ["cut"]
    assert {access.decision.reason for access in stand.recorder.kept} == {
        Reason.UNACCEPTABLE,
        Reason.UNLISTED,
    }


@pytest.mark.parametrize(("name", "left"), [(PUSH, 0), ("childline.example", 1)])
async def test_a_freeze_ends_what_passes_unread_but_help(stand: Stand, name: str, left: int) -> None:
    """S-60: nobody goes on behind an encryption that we do not open; a call to a help line goes on."""
    stand.lists.pinned[name] = "Its app pins."
    await stand.passage.splice(stand.ours, b"hello", stand.judge(name))
    stand.identity.person = Person("ks2", "own sign-in", standing=Standing.FROZEN)
    await stand.passage.judge_again()
    assert len(stand.passage) == left
    await stand.settle()
    assert (Reason.FROZEN in {access.decision.reason for access in stand.recorder.kept}) is (left == 0)
    stand.passage.cut_all()
    await stand.settle()


async def test_what_has_to_be_read_from_now_on_is_cut_as_well(stand: Stand) -> None:
    """A host whose first page is put on a statutory list is read at once."""
    await stand.passage.splice(stand.ours, b"hello", stand.judge())
    stand.lists.pages.add(PUSH)
    await stand.passage.judge_again()
    assert len(stand.passage) == 0
    await stand.settle()


async def test_a_fault_while_judging_again_cuts(stand: Stand) -> None:
    """What cannot be judged does not go on."""
    await stand.passage.splice(stand.ours, b"hello", stand.judge())
    stand.lists.broken = RuntimeError("secret")
    await stand.passage.judge_again()
    assert len(stand.passage) == 0
    assert stand.metrics.faults == [(Reason.FAULT, "splice")]
    stand.lists.broken = None
    await stand.settle()


async def test_a_change_while_the_site_is_looked_up_counts(stand: Stand) -> None:
    """Nothing begins to pass on a decision that has ended meanwhile."""
    verdict = stand.judge()
    stand.lists.pages.add(PUSH)
    stand.passage.filtering.changed()
    await stand.passage.splice(stand.ours, b"hello", verdict)
    assert len(stand.passage) == 0
    assert await asyncio.get_running_loop().sock_recv(stand.client, 1) == b""


async def test_silence_ends(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection on which nothing moves is not kept for ever."""
    monkeypatch.setattr(module, "WATCH_SECONDS", 0.001)
    stand.passage.idle = 0.01
    await stand.passage.splice(stand.ours, b"hello", stand.judge())
    watch = asyncio.create_task(stand.passage.watch())
    async with asyncio.timeout(5):
        while len(stand.passage):  # noqa: ASYNC110 - time ends it
            await asyncio.sleep(0.001)
    watch.cancel()
    await stand.settle()


async def test_what_speaks_nothing_is_recorded(stand: Stand) -> None:
    """Another protocol leaves a row with its reason."""
    await stand.passage.refuse_unread(Tunnel(client="10.20.0.5"), "It speaks SSH.")
    assert [(one.decision.reason, one.decision.because) for one in stand.recorder.kept] == [
        (Reason.MALFORMED, "It speaks SSH.")
    ]
    assert stand.metrics.unfinished == 1


class Known:
    """A site whose address is known: what is begun waits until it is said what came of it."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.begun: list[Reached] = []
        stand.passage.begin = self.begin

    def begin(self, host: str, port: int, done: Reached) -> bool:
        self.stand.asked.append((host, port))
        self.begun.append(done)
        return True

    def answer(self, error: OSError | None = None) -> None:
        self.begun.pop()(self.stand.theirs, error)


async def test_where_the_address_is_known_it_passes_as_soon_as_the_site_answers(stand: Stand) -> None:
    """The short way counts, records and ends a connection as the long one does."""
    known = Known(stand)
    assert stand.passage.splice_at_once(stand.ours, b"hello", stand.judge())
    assert stand.asked == [(PUSH, 443)]
    known.answer()
    assert await asyncio.get_running_loop().sock_recv(stand.site, 10) == b"hello"
    assert len(stand.passage) == 1
    stand.passage.cut_all()
    assert [(end, sent) for end, sent, _ in stand.metrics.unread] == [("cut", 5)]
    assert [access.host for access in stand.recorder.kept] == [PUSH]


async def test_what_is_watched_never_takes_the_short_way(stand: Stand) -> None:
    """Nothing is begun towards the site before a flagged access is in the log (S-40)."""
    known = Known(stand)
    stand.lists.pinned["forum.example"] = "Its app pins."
    assert not stand.passage.splice_at_once(stand.ours, b"hello", stand.judge("forum.example"))
    assert known.begun == []


@pytest.mark.parametrize("fault", [None, RuntimeError("secret")])
async def test_a_site_that_closes_meanwhile_gets_nothing(stand: Stand, fault: Exception | None) -> None:
    """What was allowed before the site answered is judged again if anything has changed since."""
    known = Known(stand)
    assert stand.passage.splice_at_once(stand.ours, b"hello", stand.judge())
    stand.lists.named[PUSH] = (Match("gambling-list", "8", PUSH, ("gambling",)),)
    stand.lists.broken = fault
    stand.filtering.changed()
    known.answer()
    loop = asyncio.get_running_loop()
    assert await loop.sock_recv(stand.site, 10) == b""
    assert await loop.sock_recv(stand.client, 10) == b""
    assert len(stand.passage) == 0
    assert bool(stand.metrics.faults) is bool(fault)
    stand.lists.broken = None


async def test_a_known_site_that_refuses_is_a_decision_as_well(stand: Stand) -> None:
    """The short way says in the log why there was no way to a site."""
    known = Known(stand)
    assert stand.passage.splice_at_once(stand.ours, b"hello", stand.judge())
    known.answer(OSError("refused"))
    await stand.settle()
    assert [access.decision.reason for access in stand.recorder.kept] == [Reason.UPSTREAM_UNREACHABLE]
    assert stand.metrics.unread == [("failed", 0, 0)]
    assert await asyncio.get_running_loop().sock_recv(stand.client, 1) == b""


async def test_a_record_that_fails_at_the_end_is_counted(stand: Stand) -> None:
    """What cannot be noted of a connection that is over is told as a fault, and stops nobody."""
    await stand.passage.splice(stand.ours, b"hello", stand.judge())
    stand.recorder.broken = RuntimeError("secret")
    stand.passage.cut_all()
    assert (Reason.FAULT, "record") in stand.metrics.faults
