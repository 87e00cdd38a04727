"""Names that the school's directory is asked about, as credentials for the proxy."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from appliance.gateway import credentials as of
from appliance.gateway.credentials import Credentials
from appliance.gateway.translate import Tunnel
from appliance.identity.networks import ProxySignIn
from appliance.identity.signing_in import AwayError, RefusedError
from appliance.model.secret import Secret
from tests.gateway.test_credentials import CLIENT, basic

MS = basic("west\\ms.jones:Blue-kettle-42")
PUPIL = basic("amy:Blue-kettle-42")


@dataclass
class Directory:
    """A directory that knows ms.jones, beside an account `amy` that is kept here."""

    now: float = 0.0
    down: bool = False
    usable: bool = True
    password: str = "Blue-kettle-42"
    asked: list[str] = field(default_factory=list)
    holds: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.holds.set()
        self.made = Credentials(
            self.check,
            lambda name: "hash" if name == "amy" else "directory" * (self.usable and name == "ms.jones"),
            lambda _at: ProxySignIn.REQUIRED,
            there=lambda name: name != "amy",
            clock=lambda: self.now,
        )

    def check(self, name: str, password: Secret, _address: str) -> str:
        if name == "amy":
            return "amy"
        self.asked.append(name)
        assert self.holds.wait(5)
        if self.down:
            raise AwayError("cannot be asked")
        if name != "west\\ms.jones" or password.reveal() != self.password:
            raise RefusedError("no")
        return "ms.jones"

    async def shown(self, value: str = MS, client: str = CLIENT) -> Tunnel:
        tunnel = Tunnel(client, secure=True)
        await self.made.learn([value], tunnel)
        return tunnel


@pytest.fixture
async def there() -> AsyncIterator[Directory]:
    made = Directory()
    yield made
    made.holds.set()
    made.made.close()


async def test_what_fits_there_counts_for_a_stated_time(there: Directory) -> None:
    """A bind for each request would lock accounts: one in five minutes, under whatever spelling."""
    for _ in range(3):
        assert (await there.shown()).user == "ms.jones"
    there.now = of.THERE_SECONDS - 1
    assert (await there.shown()).user == "ms.jones"
    assert len(there.asked) == 1
    there.password, there.now = "changed", of.THERE_SECONDS
    assert (await there.shown()).wrong
    assert len(there.asked) == 2


async def test_while_it_is_down_who_fitted_goes_on_until_the_account_is_over(there: Directory) -> None:
    """Cached for the stated time, then strict; whoever never fitted is nobody and opens nothing."""
    assert (await there.shown()).user == "ms.jones"
    there.down = True
    for moment in (400.0, 40_000.0):
        there.now = moment
        assert (await there.shown()).user == "ms.jones"
        new = await there.shown(basic("west\\ms.jones:guess"))
        assert (new.user, new.wrong, new.due) == ("", False, True), "not wrong: a browser would forget it"
        other = await there.shown(client="10.20.0.6")
        assert (other.user, other.due) == ("", True)
    there.usable = False
    assert (await there.shown()).user == ""


async def test_a_directory_that_hangs_holds_up_nobody_else(
    there: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accounts kept here have a thread of their own; and who fitted before goes on while it is asked."""
    monkeypatch.setattr(of, "PATIENCE", 0.01)
    assert (await there.shown()).user == "ms.jones"
    there.holds.clear()
    there.now = of.THERE_SECONDS
    flood = [there.shown(basic(f"n{number}:x"), client=f"10.20.1.{number}") for number in range(40)]
    many = await asyncio.gather(*flood)
    assert {(each.user, each.due) for each in many} == {("", True)}
    assert (await there.shown(PUPIL)).user == "amy"
    assert (await there.shown()).user == "ms.jones"
    assert len(there.asked) <= 1 + of.ASKING


async def test_what_was_not_waited_for_is_found_afterwards(
    there: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow directory costs the first page, and not the sign-in."""
    monkeypatch.setattr(of, "PATIENCE", 0.01)
    there.holds.clear()
    assert (await there.shown()).due
    there.holds.set()
    await _until(lambda: not there.made._running)
    assert (await there.shown()).user == "ms.jones"
    assert len(there.asked) == 1


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - another thread tells, and no loop
            await asyncio.sleep(0.001)
