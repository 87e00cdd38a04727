"""Somebody at the pages of cases: who they are, what they may, and how they are shown a page.

What lives only here: the way in. Whoever is not signed in is shown the sign-in, whatever they ask for, and
it tells nothing: not whether there is such a case, nor whose name may come in. An account that is not named
in the settings meets the same words as a wrong password, and the attempt is in the audit.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from appliance.handling import Handling, Staff
from appliance.identity.accounts import Account
from appliance.identity.second_factor import SecondFactors
from appliance.identity.sessions import SCHOOL_ZONE, Device
from appliance.identity.signing_in import RefusedError, SignIn
from appliance.model.person import Kind
from appliance.model.profile import Audience
from appliance.model.secret import Secret
from appliance.portal.guard import FORM_COOKIE, Guard, fields_of
from appliance.portal.pages import Pages
from appliance.portal.sittings import Sitting, Sittings

CASES_COOKIE = "__Host-cases"
LONGEST_FORM = 65_536
AT_ONCE, WAITING = 2, 50
"""Passwords compared at once (each takes 64 MB for a moment), and how many may wait."""

NOT_THEM = "The name and the password do not fit. Try again."
"""The words of `SignIn` for a wrong password, which whoever may not come in hears as well."""

NOT_ALL = "The name, the password and the code do not fit. Try again."
"""The same where a code is asked for: nobody learns which of them was right."""

_HOUR = 3_600.0
_INSIDE = re.compile(r"/cases(?:/A-[0-9]{5,12})?|/overrides(?:/[1-9][0-9]{0,8})?")


@dataclass(frozen=True, slots=True)
class Entry:
    """What the way in works with. `roles_of` gives the roles of an account by name, none for most.

    `second` asks for a code beside the password; None where the school wants none. `grants` says whether
    somebody without such a role comes in for what they have opened for a lesson. `elsewhere` is what people
    call the single sign-on that leads in here; empty for none.
    """

    sign_in: SignIn
    roles_of: Callable[[str], frozenset[str]]
    macs: Callable[[], dict[str, str]]
    idle: float
    clock: Callable[[], float] = time.time
    second: SecondFactors | None = None
    grants: Callable[[Account], bool] = lambda _account: False
    elsewhere: str = ""


@dataclass(frozen=True, slots=True)
class Visitor:
    """One request: from which device, when, and who is signed in there, if anybody, since when known here."""

    device: Device
    now: float
    cookie: str
    sitting: Sitting | None
    staff: Staff | None
    since: float = 0.0

    @property
    def home(self) -> str:
        """Where they begin: with the cases, or with what they have opened where no case can be for them."""
        return "/overrides" if self.staff and not self.staff.roles else "/cases"


class Desk:
    """Lets people in, or not, and shows them pages."""

    def __init__(self, entry: Entry, pages: Pages, handling: Handling) -> None:
        self.handling = handling
        self.sign_in = entry.sign_in
        self._entry = entry
        self._pages = pages
        self._guard = Guard()
        self._sittings = Sittings(entry.idle)
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._refused: dict[tuple[str, str], float] = {}

    async def visitor(self, request: Request) -> Visitor:
        """Return who asks; nobody who was disabled, stopped or taken out of the settings meanwhile."""
        now, address = self._entry.clock(), request.client.host if request.client else ""
        try:
            mac = self._entry.macs().get(address, "")
        except OSError:
            mac = ""
        device = Device(address, mac)
        sitting = self._sittings.find(request.cookies.get(CASES_COOKIE, ""), device, now)
        account = await asyncio.to_thread(self._sitting_of, sitting, now) if sitting else None
        staff = Staff(account.name, self._entry.roles_of(account.name)) if account else None
        cookie = request.cookies.get(FORM_COOKIE, "") or secrets.token_urlsafe(24)
        since = account.created if account else 0.0
        return Visitor(device, now, cookie, sitting if staff else None, staff, since)

    async def form(self, request: Request, visitor: Visitor) -> dict[str, str] | None:
        """Return the fields of a form of a page of ours; None for what is too long, or from elsewhere."""
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > LONGEST_FORM:
                return None
        fields = fields_of(bytes(body))
        site = request.headers.get("sec-fetch-site", "")
        fits = self._guard.accepts(fields, visitor.cookie, visitor.device.address, site)
        return fields if fits else None

    def show(self, visitor: Visitor, template: str, *, status: int = 200, **values: object) -> Response:
        """Return a page for this device, with the cookie that its forms need."""
        html = self._pages.draw(
            template,
            Audience.ADULT,
            token=self._guard.token(visitor.cookie, visitor.device.address),
            me=visitor.staff.name if visitor.staff else "",
            home=visitor.home,
            zone=SCHOOL_ZONE,
            **values,
        )
        answer = Response(html, status, media_type="text/html", headers=self._pages.headers)
        answer.set_cookie(
            FORM_COOKIE, visitor.cookie, path="/", secure=True, httponly=True, samesite="strict"
        )
        return answer

    def ask(self, visitor: Visitor, wanted: str, problem: str = "", *, status: int = 200) -> Response:
        """Return the sign-in; `wanted` is where it leads, if that is a page of ours."""
        there = wanted if _INSIDE.fullmatch(wanted) else "/"
        code = self._entry.second is not None
        problem = NOT_ALL if code and problem == NOT_THEM else problem
        shown = {"wanted": there, "problem": problem, "code": code, "elsewhere": self._entry.elsewhere}
        return self.show(visitor, "case_sign_in.html", status=status, **shown)

    async def enter(self, visitor: Visitor, fields: dict[str, str]) -> Response:
        """Take a name and a password, and a code where one is asked for."""
        wanted, name = fields.get("wanted", ""), fields.get("name", "")[:200]
        try:
            account = await self._known(name, Secret(fields.get("password", "")), visitor)
        except RefusedError as error:
            return self.ask(visitor, wanted, str(error), status=403)
        if not await self.comes_in(account, visitor):
            return self.ask(visitor, wanted, NOT_THEM, status=403)
        try:
            if not await asyncio.to_thread(self.second, account, fields.get("code", "")[:20], visitor):
                return self.ask(visitor, wanted, NOT_THEM, status=403)
        except RefusedError as error:
            return self.ask(visitor, wanted, str(error), status=403)
        if self.sign_in.must_change(account, visitor.now):
            words = "Choose a new password at the school's sign-in page first, then come back."
            return self.ask(visitor, wanted, words, status=403)
        return await self.let_in(account, visitor, wanted)

    async def let_in(self, account: Account, visitor: Visitor, wanted: str, way: str = "") -> Response:
        """Begin a session of somebody who has proved who they are, and lead them to what they wanted.

        `way` is what vouched for them, where it was not a password of ours.
        """
        more = {"way": way} if way else {}
        await asyncio.to_thread(self._trail, account.name, "case-sign-in", visitor, **more)
        token = self._sittings.begin(account.name, visitor.device, visitor.now)
        answer = go(wanted if _INSIDE.fullmatch(wanted) else "/")
        # Lax, and not strict: a link in a mail that is read in the browser leads from another site to here.
        answer.set_cookie(CASES_COOKIE, token, path="/", secure=True, httponly=True, samesite="lax")
        return answer

    async def comes_in(self, account: Account, visitor: Visitor) -> bool:
        """Tell whether this account may come in here; who may not is in the audit."""
        if await asyncio.to_thread(self._account, account.name, visitor.now) is not None:
            return True
        await asyncio.to_thread(self._refuse, account, visitor)
        return False

    @property
    def asks_for_code(self) -> bool:
        """Whether the school wants a code of an app from everybody."""
        return self._entry.second is not None

    def ticket(self, account: Account, visitor: Visitor) -> str:
        """Return what a form carries of somebody who has done the first step, on this device."""
        return self._guard.begin(account.key, visitor.device.address, visitor.now)

    def whose(self, fields: Mapping[str, str], visitor: Visitor) -> Account | None:
        """Return whose ticket a form carries, if they may come in still."""
        key = self._guard.whose(fields.get("ticket", ""), visitor.device.address, visitor.now)
        return self._account(key, visitor.now) if key else None

    def forget(self, fields: Mapping[str, str]) -> None:
        """Take a ticket that was used: it counts once."""
        self._guard.end(fields.get("ticket", ""))

    def leave(self, request: Request) -> Response:
        """Sign out."""
        self._sittings.end(request.cookies.get(CASES_COOKIE, ""))
        answer = go("/")
        answer.delete_cookie(CASES_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
        return answer

    async def _known(self, name: str, password: Secret, visitor: Visitor) -> Account:
        if self._waiting >= WAITING:
            raise RefusedError("Too many people are signing in just now. Wait a moment, then try again.")
        self._waiting += 1
        try:
            async with self._turn:
                known = self.sign_in.known
                return await asyncio.to_thread(known, name, password, visitor.device.address, visitor.now)
        finally:
            self._waiting -= 1

    def _account(self, name: str, now: float) -> Account | None:
        # Asked for each request: who is taken off the list, disabled or frozen is out at once.
        account = self.sign_in.accounts.find(name)
        if account is None or account.kind is not Kind.STAFF or not account.usable(now):
            return None
        if self.sign_in.stopped(account.key, now) or not (
            self._entry.roles_of(account.name) or self._entry.grants(account)
        ):
            return None
        return account

    def _sitting_of(self, sitting: Sitting, now: float) -> Account | None:
        account = self._account(sitting.name, now)
        if account is None or self._entry.second is None:
            return account
        # Whoever's factor was taken away or replaced meanwhile (a lost phone) signs in anew.
        since = self._entry.second.since(account.key)
        return account if since is not None and since <= sitting.began else None

    def second(self, account: Account, code: str, visitor: Visitor) -> bool:
        """Tell whether a code is theirs, where one is asked for; RefusedError in words where it is locked."""
        if (second := self._entry.second) is None:
            return True
        if second.accepts(account.key, code, visitor.device.address, visitor.now):
            return True
        # The password was right: somebody should know, also where nobody has set a code up yet.
        none = second.since(account.key) is None
        self._refuse(account, visitor, "case-sign-in-no-factor" if none else "case-sign-in-wrong-code")
        return False

    def _refuse(self, account: Account, visitor: Visitor, what: str = "case-sign-in-refused") -> None:
        # Once an hour for each account: whoever tries on and on must not fill the audit.
        if visitor.now - self._refused.get((account.key, what), 0.0) < _HOUR:
            return
        self._refused[account.key, what] = visitor.now
        self._trail(account.name, what, visitor)

    def _trail(self, name: str, what: str, visitor: Visitor, **more: str) -> None:
        self.handling.trail.add(what, name, by=name, at=visitor.now, address=visitor.device.address, **more)


def go(there: str) -> Response:
    """Return the way to another page of ours, kept nowhere."""
    return RedirectResponse(there, 303, headers={"cache-control": "no-store"})
