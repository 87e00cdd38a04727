"""The sign-in: which address shows what, and what follows from each form.

What lives only here: the way from the name to the session, step by step. Every answer is made anew for this
device and kept nowhere; no address of another site is ever gone to, whatever a request asks for.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from appliance.identity.accounts import Account
from appliance.identity.names import IdentityError
from appliance.identity.outside import SINGLE, Single, UnreachableError
from appliance.identity.passwords import PICTURE_COUNT, PICTURES, of_pictures
from appliance.identity.resolver import Belief
from appliance.identity.sessions import SCHOOL_ZONE, Device
from appliance.identity.signing_in import RefusedError, SignIn
from appliance.identity.wire import ADDRESS, SCHEME
from appliance.model.person import Person, Standing
from appliance.model.profile import Audience
from appliance.model.secret import Secret
from appliance.portal.elsewhere import COOKIE, SECONDS, Elsewhere
from appliance.portal.guard import FORM_COOKIE, SESSION_COOKIE, Guard, fields_of
from appliance.portal.pages import Pages

AT_ONCE, WAITING = 2, 200
"""Passwords compared at once (each takes 64 MB for a moment), and how many may wait."""

ASKING = 8
"""How many may ask the school's directory at once: that takes time, and hardly anything else."""

_log = logging.getLogger(__name__)


class Visit:
    """One request to the sign-in: from which device, for which age, when."""

    def __init__(
        self,
        device: Device,
        expected: Person,
        audience: Audience,
        now: float,
        cookie: str,
        token: str,
        pages: Pages,
    ) -> None:
        self.device = device
        self.expected = expected
        self.audience = audience
        self.now = now
        self._cookie = cookie
        self._token = token
        self._pages = pages

    @property
    def words(self) -> dict[str, str]:
        """The words for this reader."""
        return self._pages.words(self.audience)

    def show(self, template: str, **values: object) -> Response:
        """Return a page for this device, with the cookie that its forms need."""
        html = self._pages.draw(template, self.audience, token=self._token, **values)
        answer = Response(html, media_type="text/html", headers=self._pages.headers)
        answer.set_cookie(FORM_COOKIE, self._cookie, path="/", secure=True, httponly=True, samesite="strict")
        return answer


class Portal:
    """The sign-in of one school."""

    def __init__(
        self,
        sign_in: SignIn,
        pages: Pages,
        *,
        expected: Callable[[str], Person],
        audience: Callable[[str], Audience],
        macs: Callable[[], dict[str, str]],
        agreements: Mapping[str, tuple[str, ...]],
        own_name: str,
        known: Callable[[str], Belief | None] = lambda _address: None,
        single: Single | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sign_in = sign_in
        self._single = single
        self._elsewhere = Elsewhere()
        self._pages = pages
        self._expected = expected
        self._audience = audience
        self._macs = macs
        self._known_there = known
        self._agreements = agreements
        self._own_name = own_name
        self._clock = clock
        self._guard = Guard()
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._asking = asyncio.Semaphore(ASKING)
        self._waiting = 0

    def app(self) -> Starlette:
        """Return the application, as a server runs it."""
        post = ["POST"]
        return Starlette(
            routes=[
                Route("/sign-in", self.start, methods=["GET"]),
                Route("/sign-in", self.with_name, methods=post),
                Route("/sign-in/class", self.cards, methods=["GET"]),
                Route("/sign-in/class", self.with_pictures, methods=post),
                Route("/sign-in/with", self.go_elsewhere, methods=["GET"]),
                Route("/sign-in/back", self.come_back, methods=["GET"]),
                Route("/sign-in/change", self.change, methods=post),
                Route("/sign-in/agree", self.agree, methods=post),
                Route("/sign-out", self.sign_out, methods=post),
                Route("/captive-portal/api", self.captive, methods=["GET"]),
            ]
        )

    async def start(self, request: Request) -> Response:
        """Show who is signed in here, or the sign-in that fits the age of this network."""
        visit = self._visit(request)
        if request.headers.get(SCHEME) == "http":
            return RedirectResponse(f"https://{self._own_name}/sign-in", 302)  # no password in the clear
        session = await asyncio.to_thread(self._sign_in.sessions.on, visit.device, visit.now)
        if session is not None:
            return await self._signed_in(visit, session.key, session.ends)
        asked = request.query_params
        belief = self._known_there(visit.device.address)
        if belief is not None and belief.use is not None and not asked:
            # Known by a network log-in: nothing is to be done, and nothing of it ends here.
            return await self._signed_in(visit, belief.use.key, belief.until, leaves=False)
        # A voucher's code fills in the form; entering is still a form of ours, sent by whoever holds it.
        filled = {"name": asked.get("name", "")[:64], "password": asked.get("voucher", "")[:64]}
        return await self._ask(visit, way=asked.get("way", ""), **filled)

    async def with_name(self, request: Request) -> Response:
        """Take a name and a password."""
        return await self._form(request, self._with_name)

    async def cards(self, request: Request) -> Response:
        """Show the pictures of a class card."""
        visit = self._visit(request)
        name = request.query_params.get("name", "")
        if name not in await self._classes(visit):
            return await self._ask(visit)
        return visit.show("pictures.html", name=name, chosen=())

    async def with_pictures(self, request: Request) -> Response:
        """Take one picture more, or with the last one the whole picture password."""
        return await self._form(request, self._with_pictures)

    async def go_elsewhere(self, request: Request) -> Response:
        """Send somebody to the school's single sign-on, and to no other address."""
        visit = self._visit(request)
        if self._single is None or request.headers.get(SCHEME) == "http":
            return RedirectResponse(f"https://{self._own_name}/sign-in", 302)
        waiting, cookie = self._elsewhere.begin(visit.device.address, visit.now)
        try:
            async with self._asking:
                there = await asyncio.to_thread(self._single.begin, waiting)
        except UnreachableError as error:
            return await self._unreachable(visit, error)
        answer = RedirectResponse(there, 302)
        answer.headers["cache-control"] = "no-store"
        answer.set_cookie(
            COOKIE, cookie, max_age=SECONDS, path="/", secure=True, httponly=True, samesite="lax"
        )
        return answer

    async def come_back(self, request: Request) -> Response:
        """Take somebody back from the single sign-on."""
        visit, told = self._visit(request), request.query_params
        cookie, address = request.cookies.get(COOKIE, ""), visit.device.address
        waiting = self._elsewhere.back(told.get("state", ""), cookie, address, visit.now)
        if self._single is None or waiting is None or request.headers.get(SCHEME) == "http":
            return await self._ask(visit, problem=visit.words["expired"])
        if not told.get("code"):
            return await self._ask(visit, problem=visit.words["not_done"])
        single, code = self._single, told.get("code", "")[:4096]
        try:
            async with self._asking:
                found = await asyncio.to_thread(single.finish, code, waiting, told.get("iss", ""))
            vouched = self._sign_in.vouched
            account = await asyncio.to_thread(vouched, found, SINGLE, single.lasts, visit.device, visit.now)
        except UnreachableError as error:
            return await self._unreachable(visit, error)
        except IdentityError as error:
            return await self._ask(visit, problem=str(error))
        return await self._next(visit, account)

    async def _unreachable(self, visit: Visit, error: UnreachableError) -> Response:
        _log.error("the single sign-on cannot be used: %s", error.detail)
        return await self._ask(visit, problem=visit.words["elsewhere_down"])

    async def change(self, request: Request) -> Response:
        """Take a new password."""
        return await self._form(request, self._change)

    async def agree(self, request: Request) -> Response:
        """Take the acceptance of the agreement."""
        return await self._form(request, self._agree)

    async def sign_out(self, request: Request) -> Response:
        """End the session of this device."""
        return await self._form(request, self._sign_out)

    async def captive(self, request: Request) -> Response:
        """Answer the captive-portal API (RFC 8908) for this device."""
        visit = self._visit(request)
        session = await asyncio.to_thread(self._sign_in.sessions.on, visit.device, visit.now)
        # Whoever is known in another way, by the network or as a registered device, needs no sign-in.
        belief = self._known_there(visit.device.address)
        asked = session is None and belief is None
        state: dict[str, object] = {
            "captive": asked and visit.expected.standing is Standing.SIGNED_OUT,
            "user-portal-url": f"https://{self._own_name}/sign-in",
        }
        ends = session.ends if session is not None else belief.until if belief is not None else math.inf
        if ends < math.inf:
            state["seconds-remaining"] = max(0, int(ends - visit.now))
        headers = {"cache-control": "private, no-store"}
        return Response(json.dumps(state), media_type="application/captive+json", headers=headers)

    # --- the steps -------------------------------------------------------------------------------

    async def _with_name(self, visit: Visit, fields: dict[str, str]) -> Response:
        name, password = fields.get("name", "")[:200], Secret(fields.get("password", ""))
        try:
            account = await self._known(visit, name, password)
        except RefusedError as error:
            return await self._ask(visit, way="name", problem=str(error), name=name[:64])
        return await self._next(visit, account)

    async def _with_pictures(self, visit: Visit, fields: dict[str, str]) -> Response:
        name = fields.get("name", "")
        taps = (*fields.get("chosen", "").split(), fields.get("tap", ""))
        chosen = tuple(tap for tap in taps if tap in PICTURES)
        if name not in await self._classes(visit):
            return await self._ask(visit)
        if len(chosen) < PICTURE_COUNT:
            return visit.show("pictures.html", name=name, chosen=chosen)
        try:
            account = await self._known(visit, name, of_pictures(chosen[:PICTURE_COUNT]))
        except RefusedError as error:
            return await self._ask(visit, problem=str(error))
        return await self._next(visit, account)

    async def _change(self, visit: Visit, fields: dict[str, str]) -> Response:
        ticket = fields.get("ticket", "")
        account = await self._whose(visit, ticket)
        if account is None:
            return await self._ask(visit, problem=visit.words["expired"])
        password = Secret(fields.get("password", ""))
        if password != Secret(fields.get("again", "")):
            return visit.show("change.html", ticket=ticket, problem=visit.words["different"])
        try:
            async with self._turn:
                account = await asyncio.to_thread(self._sign_in.change, account, password, visit.now)
        except IdentityError as error:
            return visit.show("change.html", ticket=ticket, problem=str(error))
        self._guard.end(ticket)
        return await self._next(visit, account)

    async def _agree(self, visit: Visit, fields: dict[str, str]) -> Response:
        ticket = fields.get("ticket", "")
        account = await self._whose(visit, ticket)
        if account is None:
            return await self._ask(visit, problem=visit.words["expired"])
        version = await asyncio.to_thread(self._sign_in.agreement, account)
        if version:
            accept = self._sign_in.accounts.accept
            await asyncio.to_thread(accept, account, version, visit.device.address, visit.now)
        self._guard.end(ticket)
        return await self._next(visit, account)

    async def _sign_out(self, visit: Visit, _fields: dict[str, str]) -> Response:
        session = await asyncio.to_thread(self._sign_in.sessions.on, visit.device, visit.now)
        # Whoever is stopped stays so on this device: signing out would give back the network's access.
        if session is not None and not await asyncio.to_thread(self._sign_in.stopped, session.key, visit.now):
            await asyncio.to_thread(self._sign_in.sessions.end_on, visit.device)
        answer = await self._ask(visit, problem=visit.words["gone"])
        answer.delete_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="strict")
        return answer

    async def _next(self, visit: Visit, account: Account) -> Response:
        """Ask for whatever is still to be done, and then begin the session."""
        if self._sign_in.must_change(account, visit.now):
            ticket = self._guard.begin(account.key, visit.device.address, visit.now)
            return visit.show("change.html", ticket=ticket, problem="")
        if await asyncio.to_thread(self._sign_in.agreement, account):
            ticket = self._guard.begin(account.key, visit.device.address, visit.now)
            return visit.show("agree.html", ticket=ticket, text=self._agreements.get(account.group, ()))
        try:
            enter = self._sign_in.enter
            token = await asyncio.to_thread(enter, account, visit.device, visit.now)
        except IdentityError as error:
            return await self._ask(visit, way="name", problem=str(error))
        answer = RedirectResponse("/sign-in", 303)
        answer.headers["cache-control"] = "no-store"
        # A new one for each sign-in, never one that the browser brought: nothing to be fixed beforehand.
        answer.set_cookie(SESSION_COOKIE, token, path="/", secure=True, httponly=True, samesite="strict")
        return answer

    # --- parts -----------------------------------------------------------------------------------

    async def _form(
        self, request: Request, then: Callable[[Visit, dict[str, str]], Awaitable[Response]]
    ) -> Response:
        visit = self._visit(request)
        fields = fields_of(await request.body())
        cookie = request.cookies.get(FORM_COOKIE, "")
        site = request.headers.get("sec-fetch-site", "")
        if not self._guard.accepts(fields, cookie, visit.device.address, site):
            return await self._ask(visit, problem=visit.words["expired"])
        return await then(visit, fields)

    async def _known(self, visit: Visit, name: str, password: Secret) -> Account:
        if self._waiting >= WAITING:
            raise RefusedError(visit.words["busy"])
        self._waiting += 1
        try:
            # A directory that does not answer must hold up nobody whose account is kept here.
            asks = await asyncio.to_thread(self._sign_in.waits_for_directory, name)
            async with self._asking if asks else self._turn:
                known = self._sign_in.known
                return await asyncio.to_thread(known, name, password, visit.device.address, visit.now)
        finally:
            self._waiting -= 1

    async def _whose(self, visit: Visit, ticket: str) -> Account | None:
        owner = self._guard.whose(ticket, visit.device.address, visit.now)
        account = await asyncio.to_thread(self._sign_in.accounts.find, owner) if owner else None
        return account if account is not None and account.usable(visit.now) else None

    async def _classes(self, visit: Visit) -> list[str]:
        accounts = await asyncio.to_thread(self._sign_in.accounts.all)
        return [
            each.name
            for each in accounts
            if each.pictures and each.group == visit.expected.group and each.usable(visit.now)
        ]

    async def _ask(
        self, visit: Visit, *, way: str = "", problem: str = "", name: str = "", password: str = ""
    ) -> Response:
        classes = await self._classes(visit)
        young = visit.audience is Audience.EARLY
        if classes and (way == "class" or (young and way != "name")):
            return visit.show("classes.html", classes=classes, problem=problem)
        shown = {"name": name, "password": password, "elsewhere": self._single.name if self._single else ""}
        return visit.show("sign_in.html", classes=classes, problem=problem, **shown)

    async def _signed_in(self, visit: Visit, key: str, ends: float, *, leaves: bool = True) -> Response:
        account = await asyncio.to_thread(self._sign_in.accounts.find, key)
        return visit.show(
            "signed_in.html",
            name=account.name if account else key,
            shared=bool(account and account.kind.shared),
            until=f"{datetime.fromtimestamp(ends, SCHOOL_ZONE):%H:%M}" if leaves else "",
        )

    def _visit(self, request: Request) -> Visit:
        address = request.headers.get(ADDRESS, "")
        expected = self._expected(address)
        try:
            mac = self._macs().get(address, "")
        except OSError:
            mac = ""
        cookie = request.cookies.get(FORM_COOKIE, "") or secrets.token_urlsafe(24)
        return Visit(
            Device(address, mac),
            expected,
            self._audience(expected.group),
            self._clock(),
            cookie,
            self._guard.token(cookie, address),
            self._pages,
        )
