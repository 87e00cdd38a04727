"""The way in to the pages of cases by the school's single sign-on.

What lives only here: that whoever comes back has just shown to the provider who they are. Being signed in
there already is not enough: whoever finds an unlocked laptop would read a child's case. So the provider is
asked to ask again, and has to say when it did (`auth_time`, OpenID Connect Core 1.0, 3.1.2.1); where the
school wants a code of an app as well, that is asked for instead, after the way back.
"""

from __future__ import annotations

import asyncio
import logging

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from appliance.identity.accounts import Account
from appliance.identity.names import IdentityError
from appliance.identity.outside import SINGLE, Single, UnreachableError
from appliance.identity.signing_in import RefusedError
from appliance.portal.case_desk import Desk, Visitor
from appliance.portal.elsewhere import COOKIE, SECONDS, Elsewhere

ASKING = 4
"""People at once for whom the provider is asked: each waits for the network."""

CLOCKS = 120.0
"""Seconds by which its clock and ours may differ."""

NOT_HERE = "This account does not come in here. Ask your technician."
NO_CODE = "The code does not fit. Try again."
_DOWN = "The school's sign-in does not work just now. Try again soon, or ask your technician."
_EXPIRED = "That took too long, or was begun elsewhere. Please begin once more."
_UNPROVED = "The school's sign-in did not say that you have just signed in there. Tell your technician."
_log = logging.getLogger(__name__)


class SingleWay:
    """Sends people to the single sign-on, and takes them back. `single` is None where there is none."""

    def __init__(self, desk: Desk, single: Single | None) -> None:
        self._desk = desk
        self._single = single
        self._sent = Elsewhere()
        self._asking = asyncio.Semaphore(ASKING)

    def routes(self) -> list[Route]:
        """Return the addresses of this way in."""
        return [
            Route("/sign-in/with", self.away, methods=["GET"]),
            Route("/sign-in/back", self.back, methods=["GET"]),
            Route("/sign-in/code", self.code, methods=["POST"]),
        ]

    async def away(self, request: Request) -> Response:
        """Send somebody to the provider, and to no other address."""
        visitor, wanted = await self._desk.visitor(request), request.query_params.get("wanted", "/")
        if self._single is None:
            return self._desk.ask(visitor, wanted)
        waiting, cookie = self._sent.begin(visitor.device.address, visitor.now, wanted[:64])
        try:
            async with self._asking:
                there = await asyncio.to_thread(self._single.begin, waiting, fresh=True)
        except UnreachableError as error:
            return self._down(visitor, wanted, error)
        answer = RedirectResponse(there, 302, headers={"cache-control": "no-store"})
        answer.set_cookie(
            COOKIE, cookie, max_age=SECONDS, path="/", secure=True, httponly=True, samesite="lax"
        )
        return answer

    async def back(self, request: Request) -> Response:
        """Take somebody back from the provider."""
        visitor, told = await self._desk.visitor(request), request.query_params
        cookie = request.cookies.get(COOKIE, "")
        waiting = self._sent.back(told.get("state", ""), cookie, visitor.device.address, visitor.now)
        code = told.get("code", "")[:4096]
        if self._single is None or waiting is None or not code:
            return self._desk.ask(visitor, waiting.wanted if waiting else "/", _EXPIRED, status=400)
        try:
            async with self._asking:
                found = await asyncio.to_thread(self._single.finish, code, waiting, told.get("iss", ""))
            vouched, lasts = self._desk.sign_in.vouched, self._single.lasts
            account = await asyncio.to_thread(vouched, found, SINGLE, lasts, visitor.device, visitor.now)
        except UnreachableError as error:
            return self._down(visitor, waiting.wanted, error)
        except IdentityError as error:
            return self._desk.ask(visitor, waiting.wanted, str(error), status=403)
        if not await self._desk.comes_in(account, visitor):
            return self._desk.ask(visitor, waiting.wanted, NOT_HERE, status=403)
        if self._desk.asks_for_code:
            return self._ask_code(visitor, account, waiting.wanted)
        if not waiting.begun - CLOCKS <= found.signed_in <= visitor.now + CLOCKS:
            _log.error(
                "%s came back from the single sign-on, which did not say that they have just signed in there "
                "(auth_time): have it sent, or set alerts.pages.second_factor to totp",
                account.name,
            )
            return self._desk.ask(visitor, waiting.wanted, _UNPROVED, status=403)
        return await self._desk.let_in(account, visitor, waiting.wanted, SINGLE)

    async def code(self, request: Request) -> Response:
        """Take the code of somebody who came back."""
        visitor = await self._desk.visitor(request)
        fields = await self._desk.form(request, visitor)
        account = await asyncio.to_thread(self._desk.whose, fields or {}, visitor)
        if fields is None or account is None:
            return self._desk.ask(visitor, "/", _EXPIRED, status=400)
        wanted = fields.get("wanted", "")
        try:
            if not await asyncio.to_thread(self._desk.second, account, fields.get("code", "")[:20], visitor):
                return self._ask_code(visitor, account, wanted, NO_CODE, status=403)
        except RefusedError as error:
            return self._desk.ask(visitor, wanted, str(error), status=403)
        self._desk.forget(fields)
        return await self._desk.let_in(account, visitor, wanted, SINGLE)

    def _ask_code(
        self, visitor: Visitor, account: Account, wanted: str, problem: str = "", *, status: int = 200
    ) -> Response:
        ticket = self._desk.ticket(account, visitor)
        return self._desk.show(
            visitor, "case_code.html", status=status, ticket=ticket, wanted=wanted, problem=problem
        )

    def _down(self, visitor: Visitor, wanted: str, error: UnreachableError) -> Response:
        _log.error("the single sign-on cannot be used: %s", error.detail)
        return self._desk.ask(visitor, wanted, _DOWN, status=503)
