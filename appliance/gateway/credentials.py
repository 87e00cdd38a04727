"""Names and passwords that a device gives to the proxy itself (Basic, RFC 7617), where it can show no page.

What lives only here: reading them, remembering for a short while what they led to, and asking for them
(407, RFC 9110 11.7). They are compared once, in a thread; afterwards the look-up is in memory, by a hash
with a key of this process, and counts for as long as the account stays as it was. A wrong pair that is
tried again and again, as devices do with an old password, is compared and counted as one try. Names that
the school's directory is asked about have threads of their own: while it does not answer, nobody whose
account is kept here waits for it, and who fitted before goes on for as long as the account counts.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
import re
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import Enum, auto

from appliance.filtering import Judgement
from appliance.gateway.answers import Answer
from appliance.gateway.captive import is_probe
from appliance.gateway.closed import place_of
from appliance.gateway.translate import Tunnel
from appliance.identity.networks import ProxySignIn
from appliance.identity.signing_in import AwayError, DueError, RefusedError, WaitError
from appliance.model.decision import Action, Reason
from appliance.model.request import Request
from appliance.model.secret import Secret

logger = logging.getLogger(__name__)

HEADER = "proxy-authorization"
LONGEST = 1_024
"""Most characters of the header's value: a name of 64 and a password of 256 fit, whatever their script."""

GOOD_SECONDS = 600.0
WRONG_SECONDS = 300.0
SHORTLY_SECONDS = 10.0
"""For how long it is remembered what a pair led to: that it fits, that it does not, and all else."""

THERE_SECONDS, AWAY_SECONDS = 300.0, 30.0
"""For how long it counts that a pair fits in the directory, and how soon one that is down is asked again."""

ASKING = 4
"""How many may ask the directory at once."""

PATIENCE = 2.0
"""Seconds that a request waits for the directory; who asks again finds what it has said meanwhile."""

MOST_KEPT = 4_096
MOST_WAITING, MOST_OF_ONE = 32, 8
"""Pairs that may wait for their comparison: as many as one thread does within a hook's deadline, and of them
those of one device, so that a flood of guesses does not stand in everybody's way."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NEVER_ASKED = (Reason.HELP, Reason.OWN_PAGE)

ASK = Answer(
    407,
    (
        ("proxy-authenticate", 'Basic realm="School", charset="UTF-8"'),
        ("content-type", "text/plain; charset=utf-8"),
        ("cache-control", "no-store"),
    ),
    b"Sign in with your name and password. Help lines are open without it.\n",
)
"""What a device is told that has to say who it is."""

BECAUSE = "The name and the password that were given to the proxy do not fit."

type Check = Callable[[str, Secret, str], str]
"""Name, password, address -> the account's name. May wait for disk and hash; RefusedError if nobody's."""


class Shown(Enum):
    """What became of the credentials of a request."""

    NOTHING = auto()  # none, or none that are read here
    FITS = auto()
    WRONG = auto()
    DUE = auto()  # they fit, and something is to be done on a page first
    UNKNOWN = auto()  # too much to do, or a fault: asked to try again, a browser would forget a good password


@dataclass(frozen=True, slots=True)
class Found:
    """What credentials led to: the account's name where they fit, else an empty text."""

    shown: Shown
    user: str = ""

    def note(self, tunnel: Tunnel) -> None:
        """Write into `tunnel` what its client has shown."""
        tunnel.user, tunnel.wrong = self.user, self.shown is Shown.WRONG
        tunnel.due = self.shown in (Shown.DUE, Shown.UNKNOWN)


NOTHING, WRONG, UNKNOWN = Found(Shown.NOTHING), Found(Shown.WRONG), Found(Shown.UNKNOWN)


@dataclass(frozen=True, slots=True)
class _Kept:
    found: Found
    name: str
    password: str
    until: float


class Credentials:
    """What devices have shown to this worker.

    `check` is None where no network uses them. `kept` returns what a name's password is compared with now, an
    empty text where no such account is in use; `rule` what a client's network makes of them. `plain` says
    that they are read on connections to the proxy that are not encrypted. `there` tells whether the directory
    is asked about a name.
    """

    def __init__(
        self,
        check: Check | None = None,
        kept: Callable[[str], str] = lambda _name: "",
        rule: Callable[[str], ProxySignIn] = lambda _address: ProxySignIn.NEVER,
        *,
        plain: bool = False,
        there: Callable[[str], bool] = lambda _name: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._check, self._kept, self._rule, self._plain = check, kept, rule, plain
        self._there = there
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, _Kept] = OrderedDict()
        self._running: dict[bytes, asyncio.Task[Found]] = {}
        self._waiting: Counter[str | bool] = Counter()
        # One thread: a hash takes 64 MB and a core for a moment, and there are other workers.
        self._thread = ThreadPoolExecutor(1, "credentials")
        self._asking = ThreadPoolExecutor(ASKING, "directory")

    def close(self) -> None:
        """End the threads; what waits for them never comes."""
        for threads in (self._thread, self._asking):
            threads.shutdown(wait=False, cancel_futures=True)

    def look(self, values: Sequence[str], tunnel: Tunnel) -> Found | None:
        """Return what the header's `values` lead to as far as it is known; None if they must be compared.

        They are read only in what is said to the proxy itself, never within a tunnel.
        """
        if not values or not tunnel.to_proxy or not self._listens(tunnel):
            return NOTHING
        pair = pair_of(values)
        return WRONG if pair is None else self._remembered(self._mark(pair, tunnel))

    def knows(self, values: Sequence[str], tunnel: Tunnel) -> bool:
        """Note in `tunnel` what the header's `values` lead to; False if `learn` must compare them first."""
        # Each request to the proxy itself counts by its own credentials; those within a tunnel, by what was
        # shown when it was opened. Who shows nothing, and has shown nothing, is who they were.
        if not tunnel.to_proxy or not (values or tunnel.user or tunnel.wrong or tunnel.due):
            return True
        found = self.look(values, tunnel)
        if found is not None:
            found.note(tunnel)
        return found is not None

    async def learn(self, values: Sequence[str], tunnel: Tunnel) -> Found:
        """Return what the header's `values` lead to, compared if they must be, and note it in `tunnel`.

        What comes within a tunnel changes nothing: there, what was shown when it was opened counts.
        """
        if not tunnel.to_proxy:
            return NOTHING
        found = self.look(values, tunnel)
        if found is None:
            found = await self._compared(values, tunnel)
        found.note(tunnel)
        return found

    def asks(self, judgement: Judgement, request: Request, tunnel: Tunnel) -> bool:
        """Tell whether a request is to be answered with `ASK`.

        Never for help lines, our own pages, and the addresses by which a device looks for a sign-in's page.
        """
        decision = judgement.decision
        to_proxy = tunnel.to_proxy or request.method == "CONNECT"
        if decision.reason in _NEVER_ASKED or not to_proxy or not self._listens(tunnel):
            return False
        if request.method != "CONNECT" and is_probe(request.url.host, request.url.path):
            return False
        if decision.reason is not Reason.SIGNED_OUT:
            return tunnel.wrong and not decision.blocked
        required = self._rule(tunnel.client) is ProxySignIn.REQUIRED
        return tunnel.wrong or (required and not tunnel.due)

    def _listens(self, tunnel: Tunnel) -> bool:
        if self._check is None or not (tunnel.secure or self._plain):
            return False
        return self._rule(tunnel.client) is not ProxySignIn.NEVER

    def _mark(self, pair: tuple[str, Secret], tunnel: Tunnel) -> bytes:
        # The address as well: what one device has tried tells nothing to another.
        text = f"{tunnel.client}\n{pair[0]}:{pair[1].reveal()}"
        return hashlib.blake2b(text.encode(), key=self._secret, digest_size=32).digest()

    def _remembered(self, mark: bytes) -> Found | None:
        known = self._known.get(mark)
        if known is None or known.until <= self._clock() or self._kept(known.name) != known.password:
            return None
        return known.found

    def _fitted(self, mark: bytes) -> Found:
        # What this very pair led to before, where it fitted and the account is as it was then.
        known = self._known.get(mark)
        fits = known is not None and known.found.user and self._kept(known.name) == known.password
        return known.found if known is not None and fits else UNKNOWN

    async def _compared(self, values: Sequence[str], tunnel: Tunnel) -> Found:
        pair = pair_of(values)
        assert pair is not None  # noqa: S101 - `look` has read them
        mark = self._mark(pair, tunnel)
        # A browser opens many connections at once: the hash is computed for all of them together, and goes
        # on where one of them does not wait for it.
        task, there = self._running.get(mark), self._there(pair[0])
        if task is None:
            if self._waiting[there] >= MOST_WAITING or self._waiting[tunnel.client] >= MOST_OF_ONE:
                return self._fitted(mark)
            self._waiting.update((there, tunnel.client))
            made = self._compare(mark, pair, tunnel.client, there=there)
            task = self._running[mark] = asyncio.create_task(made)
        await asyncio.wait({task}, timeout=PATIENCE if there else None)
        return task.result() if task.done() else self._fitted(mark)

    async def _compare(self, mark: bytes, pair: tuple[str, Secret], address: str, *, there: bool) -> Found:
        name, password = pair
        threads = self._asking if there else self._thread
        try:
            user = await asyncio.get_running_loop().run_in_executor(
                threads, self._ask, name, password, address
            )
            found, seconds = Found(Shown.FITS, user), THERE_SECONDS if there else GOOD_SECONDS
        except DueError:
            found, seconds = Found(Shown.DUE), SHORTLY_SECONDS
        except AwayError:
            found = self._fitted(mark)
            seconds = AWAY_SECONDS if found.user else SHORTLY_SECONDS
        except WaitError as error:
            # Somebody else's guesses may have locked the account, while this very pair was right before.
            found, seconds = self._fitted(mark), min(error.seconds, SHORTLY_SECONDS)
            found = found if found.user else WRONG
        except RefusedError:
            found, seconds = WRONG, WRONG_SECONDS
        except Exception as error:  # noqa: BLE001 - whatever failed, nobody is believed
            logger.error("credentials could not be compared: %s%s", type(error).__name__, place_of(error))  # noqa: TRY400 - its text can hold what was shown
            found, seconds = UNKNOWN, 0.0
        finally:
            self._running.pop(mark, None)
            self._waiting -= Counter((there, address))  # those at nothing are forgotten
        name = found.user or name
        self._known[mark] = _Kept(found, name, self._kept(name), self._clock() + seconds)
        self._known.move_to_end(mark)
        if len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)
        return found

    def _ask(self, name: str, password: Secret, address: str) -> str:
        assert self._check is not None  # noqa: S101 - nothing is read otherwise
        return self._check(name, password, address)


def refused(judgement: Judgement) -> Judgement:
    """Return what is decided of a request that is answered with `ASK`: nothing of it goes on."""
    decision = judgement.decision
    if decision.blocked:
        return judgement
    told = replace(decision, action=Action.BLOCK, reason=Reason.SIGNED_OUT, because=BECAUSE, flagged=False)
    return replace(judgement, decision=told)


def pair_of(values: Sequence[str]) -> tuple[str, Secret] | None:
    """Return the name and the password; None for whatever two readers could read differently."""
    if len(values) != 1 or len(values[0]) > LONGEST:
        return None
    scheme, _, coded = values[0].partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(coded.strip(" ").encode("ascii"), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    name, colon, password = text.partition(":")
    if not colon or not name or _CONTROL.search(text):  # RFC 7617 2: no control characters
        return None
    return name, Secret(password)
