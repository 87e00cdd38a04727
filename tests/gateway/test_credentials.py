from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.filtering import Judgement
from appliance.gateway.credentials import (
    ASK,
    GOOD_SECONDS,
    LONGEST,
    MOST_OF_ONE,
    MOST_WAITING,
    NOTHING,
    UNKNOWN,
    WRONG,
    Credentials,
    Shown,
    pair_of,
    refused,
)
from appliance.gateway.translate import Tunnel
from appliance.identity.networks import ProxySignIn
from appliance.identity.signing_in import DueError, RefusedError, WaitError
from appliance.model.decision import Reason
from appliance.model.person import Person, Standing
from appliance.model.request import Request
from appliance.model.secret import Secret
from appliance.model.url import parse_url
from tests.doubles.gateway import OnePerson, filtering
from tests.doubles.people import NOW, quick, school
from tests.reflex import dice

CLIENT = "10.20.0.5"
GOOD = ("amy", "Zoë:1")


@dataclass
class School:
    """One account, whose comparisons are counted, and a clock that stands still."""

    rule: ProxySignIn = ProxySignIn.REQUIRED
    plain: bool = False
    kept: str = "hash"
    now: float = 0.0
    error: Exception | None = None
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.credentials = Credentials(
            self.check,
            lambda _name: self.kept,
            lambda _at: self.rule,
            plain=self.plain,
            clock=lambda: self.now,
        )

    def check(self, name: str, password: Secret, address: str) -> str:
        self.asked.append(f"{name} at {address}")
        if self.error is not None:
            raise self.error
        if (name.lower(), password.reveal()) != GOOD:
            raise RefusedError("no")
        return "amy"

    async def shown(self, *values: str, **tunnel: Any) -> Tunnel:
        """Return what is known of a connection that has shown these."""
        known: dict[str, Any] = {"client": CLIENT, "secure": True} | tunnel
        made = Tunnel(**known)
        await self.credentials.learn(values, made)
        return made


def basic(text: str | bytes) -> str:
    raw = text if isinstance(text, bytes) else text.encode()
    return "Basic " + base64.b64encode(raw).decode()


AMY = basic(":".join(GOOD))


@pytest.fixture
async def one() -> AsyncIterator[School]:
    made = School()
    yield made
    made.credentials.close()


async def test_what_fits_is_compared_once_and_while_the_account_stays_as_it_was(one: School) -> None:
    """Many connections cost one hash; a new password, a lost account, or ten minutes cost another."""
    assert {(await each).user for each in [one.shown(AMY) for _ in range(5)]} == {"amy"}
    many = await asyncio.gather(*(one.shown(AMY, client="10.20.0.6") for _ in range(9)))
    assert {each.user for each in many} == {"amy"}
    assert one.asked == [f"amy at {CLIENT}", "amy at 10.20.0.6"]
    one.kept = "another"
    assert one.credentials.look([AMY], Tunnel(CLIENT, secure=True)) is None
    await one.shown(AMY)
    one.now += GOOD_SECONDS
    assert one.credentials.look([AMY], Tunnel(CLIENT, secure=True)) is None


async def test_a_wrong_pair_is_one_try_however_often_it_comes(one: School) -> None:
    """A device with last term's password does not lock its owner out by asking for pages."""
    for _ in range(20):
        assert (await one.shown(basic("amy:old"))).wrong
    assert len(one.asked) == 1
    assert (await one.shown(basic("amy:old"), client="10.20.0.6")).wrong
    assert len(one.asked) == 2  # another device's tries are its own


@pytest.mark.parametrize(
    "values",
    [
        ("Basic !!",), ("Basic",), ("Bearer " + AMY.partition(" ")[2],), ("",), (AMY, AMY), (AMY, "Basic x"),
        (basic("amy"),), (basic(":Zoë:1"),), (basic("amy\0:x"),), (basic("amy:x\r\nhost: y"),),
        (basic(b"amy:\xff"),), (AMY + "\x00",), (AMY + "é",), (basic("x" * LONGEST),), ("Basic amy:Zoë:1",),
        (f"{AMY}, {AMY}",), ("Basic\t" + AMY.partition(" ")[2],), ("Basic \ud800",),
    ],
)  # fmt: skip
async def test_what_two_readers_could_read_differently_is_nobodys(
    one: School, values: tuple[str, ...]
) -> None:
    """Twice the header, rubbish, control characters, too long: nobody is believed, and no hash is spent."""
    found = await one.shown(*values)
    assert (found.user, found.wrong) == ("", True)
    assert one.asked == []


@pytest.mark.parametrize(
    ("school_of", "tunnel"),
    [
        ({}, {"secure": False}),
        ({"rule": ProxySignIn.NEVER}, {}),
        ({}, {"destination": parse_url("https://192.0.2.1/")}),
        ({}, {"connect": parse_url("https://site.example/")}),
    ],
)
async def test_they_are_read_only_where_they_are_meant_for_us(
    school_of: dict[str, Any], tunnel: dict[str, Any]
) -> None:
    """In the clear, on other networks, within a tunnel or a redirected connection they are dropped unread."""
    made = School(**school_of)
    found = await made.shown(AMY, **tunnel)
    assert (found.user, found.wrong, made.asked) == ("", False, [])
    made.credentials.close()


async def test_a_technician_can_allow_them_in_the_clear() -> None:
    """`allow_plain` is for old devices, and said aloud; without any network that asks, nothing is read."""
    made = School(plain=True)
    assert (await made.shown(AMY, secure=False)).user == "amy"
    made.credentials.close()
    assert Credentials().look([AMY], Tunnel(CLIENT, secure=True)) is NOTHING


async def test_each_request_counts_by_its_own_and_a_tunnel_by_what_opened_it(one: School) -> None:
    """Nobody stays somebody by having been it a request ago; what comes inside a tunnel changes nothing."""
    tunnel = await one.shown(AMY)
    await one.credentials.learn((), tunnel)
    assert tunnel.user == ""
    await one.credentials.learn([AMY], tunnel)
    tunnel.connect, tunnel.port = parse_url("https://site.example/"), 443
    await one.credentials.learn([basic("bob:x")], tunnel)
    assert (tunnel.user, tunnel.wrong) == ("amy", False)


async def test_who_must_do_something_first_is_not_asked_again_and_again(one: School) -> None:
    """S-09, S-10: the page that says what is to be done is shown, and not the browser's own question."""
    one.error = DueError("agree first")
    tunnel = await one.shown(AMY)
    assert (tunnel.user, tunnel.wrong, tunnel.due) == ("", False, True)
    assert not one.credentials.asks(judged(), request(), tunnel)


async def test_a_fault_is_nobody_and_makes_no_browser_forget(one: School) -> None:
    """Fail closed: an unreadable database lets nobody in, and is asked anew for the next request."""
    one.error = OSError("Zoë:1")
    assert (await one.shown(AMY)).due
    one.error = None
    assert (await one.shown(AMY)).user == "amy"


async def test_others_guesses_do_not_lock_out_who_was_in(one: School) -> None:
    """While an account is locked, the very pair that was right before goes on; no other does."""
    await one.shown(AMY)
    one.now, one.error = GOOD_SECONDS, WaitError(60.0)
    assert (await one.shown(AMY)).user == "amy"
    assert (await one.shown(basic("amy:Zoë:2"))).wrong
    assert (await one.shown(AMY, client="10.20.0.6")).wrong
    one.now, one.kept = 3 * GOOD_SECONDS, "changed"
    assert (await one.shown(AMY)).wrong


async def test_only_so_many_wait_for_their_comparison(one: School) -> None:
    """A flood of names fills no memory and holds up no hook, and one device's not the others."""
    many = [one.shown(basic(f"n{n}:x"), client=f"10.20.0.{n}") for n in range(MOST_WAITING + 3)]
    assert [each.due for each in await asyncio.gather(*many)].count(True) == 3
    assert len(one.asked) == MOST_WAITING
    flood = [one.shown(basic(f"m{n}:x")) for n in range(MOST_OF_ONE + 3)]
    *found, other = await asyncio.gather(*flood, one.shown(AMY, client="10.20.0.6"))
    assert [each.due for each in found].count(True) == 3
    assert other.user == "amy"


@pytest.mark.slow
async def test_ten_thousand_tries_are_ten(tmp_path: Path) -> None:
    """CY-2: after ten wrong pairs the device and the account wait, whoever is named, and no hash is made."""
    made = school(tmp_path)
    made.add("amy")
    counted = SimpleNamespace(hashes=0)
    passwords = quick()
    fits = passwords.fits

    class Counting:
        outdated = passwords.outdated

        def prepare(self) -> Counting:
            return self

        def fits(self, kept: str, password: Secret) -> bool:
            counted.hashes += 1
            return fits(kept, password)

    entry = made.sign_in()
    entry._passwords = Counting()  # type: ignore[assignment]  # counts, and does the same
    credentials = Credentials(
        lambda name, word, at: entry.shown(name, word, at, NOW).name,
        lambda _name: "hash",
        lambda _at: ProxySignIn.REQUIRED,
    )
    tunnel = Tunnel(CLIENT, secure=True)
    for number in range(40):
        name = "amy" if number % 2 else f"nobody{number}"
        assert (await credentials.learn([basic(f"{name}:{number}")], tunnel)).shown is Shown.WRONG
    assert counted.hashes == 10
    assert (await credentials.learn([basic("amy:Blue-kettle-42")], tunnel)).shown is Shown.WRONG
    assert counted.hashes == 10
    assert made.trail.entries()[-1]["what"] == "locked"
    credentials.close()


def judged(standing: Standing = Standing.SIGNED_OUT, url: str = "http://site.example/") -> Judgement:
    journey = filtering(identity=OnePerson(Person("ks2", "network Room", standing=standing)))
    return journey.judge(request(url))


def request(url: str = "http://site.example/", method: str = "GET") -> Request:
    return Request(parse_url(url), method=method, client=CLIENT)


@pytest.mark.parametrize(
    ("rule", "standing", "url", "wrong", "asked"),
    [
        ("required", Standing.SIGNED_OUT, "http://site.example/", False, True),
        ("required", Standing.SIGNED_OUT, "http://site.example/", True, True),
        ("required", Standing.OPEN, "http://site.example/", False, False),
        ("required", Standing.FROZEN, "http://site.example/", False, False),
        ("required", Standing.SIGNED_OUT, "https://childline.example/", True, False),
        ("required", Standing.SIGNED_OUT, "https://filter.internal/sign-in", True, False),
        ("required", Standing.SIGNED_OUT, "http://captive.apple.com/hotspot-detect.html", True, False),
        ("required", Standing.SIGNED_OUT, "http://floor.example/", True, False),
        ("offered", Standing.SIGNED_OUT, "http://site.example/", False, False),
        ("offered", Standing.OPEN, "http://site.example/", True, True),
        ("offered", Standing.OPEN, "http://bets.example/", True, False),
        ("never", Standing.SIGNED_OUT, "http://site.example/", False, False),
    ],
)
def test_who_is_asked(rule: str, standing: Standing, url: str, *, wrong: bool, asked: bool) -> None:
    """407 for whoever must sign in or shows what does not fit; never for help, our pages and probes."""
    made = School(rule=ProxySignIn(rule))
    tunnel = Tunnel(CLIENT, secure=True, wrong=wrong)
    assert made.credentials.asks(judged(standing, url), request(url), tunnel) is asked
    tunnel.secure = False
    assert not made.credentials.asks(judged(standing, url), request(url), tunnel)
    made.credentials.close()


def test_what_is_answered_with_a_question_is_on_record_as_stopped() -> None:
    """The log never says that something was allowed which the client did not get."""
    stopped = refused(judged(Standing.OPEN))
    assert (stopped.decision.blocked, stopped.decision.reason) == (True, Reason.SIGNED_OUT)
    assert refused(judged()) == judged()
    assert dict(ASK.headers)["proxy-authenticate"] == 'Basic realm="School", charset="UTF-8"'
    assert WRONG != UNKNOWN


@pytest.mark.slow
@settings(max_examples=dice(40))
@given(st.lists(st.text(max_size=60) | st.binary(max_size=60).map(basic), max_size=3))
def test_whatever_is_shown_is_a_pair_or_nobodys(values: list[str]) -> None:
    """No header is too odd to be read, and none smuggles control characters or an empty name in."""
    pair = pair_of(values)
    if pair is not None:
        assert (len(values), bool(pair[0]), ":" in pair[0]) == (1, True, False)
        assert min(pair[0] + pair[1].reveal()) >= " "
