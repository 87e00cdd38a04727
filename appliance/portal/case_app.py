"""The pages of cases: which address shows what, and what follows from each form.

What lives only here: those addresses. They hold a case's reference and nothing else; whatever is personal
is in the answers alone, which are kept nowhere. Looking at a case asks for its purpose once, and puts it
into the audit before anything is shown. Every form is a plain POST; nothing needs a script.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.alerts.book import AlertsError
from appliance.alerts.cases import NoCaseError
from appliance.config.problems import InWordsError
from appliance.events.errors import EventsError
from appliance.events.evidence import keep_evidence
from appliance.granted import Granted
from appliance.handling import Look, Staff
from appliance.identity.outside import Single
from appliance.model.words import said
from appliance.overrides.names import NoOverrideError
from appliance.portal.case_desk import Desk, Visitor, go
from appliance.portal.case_single import SingleWay
from appliance.portal.granted_pages import GrantedPages

_EXPIRED = "This page was open for too long. Please do it once more."
_NONE = "There is no such case, or it is not for you."
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Act:
    """One form of a case's page: who sends it, about which case, with what."""

    staff: Staff
    visitor: Visitor
    reference: str
    fields: Mapping[str, str]

    @property
    def task(self) -> int:
        """The number of a task; 0 for none, which no task has."""
        text = self.fields.get("task", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0  # noqa: PLR2004 - no case has a thousand


class CasePages:
    """The pages of cases of one school.

    `category` gives the title of a category; `confirm` takes the secret of a recipient's question,
    AlertsError for any other.
    """

    def __init__(
        self,
        desk: Desk,
        category: Callable[[str], str],
        confirm: Callable[[str], object],
        granted: Granted,
        single: Single | None = None,
    ) -> None:
        """`single` is the single sign-on that leads in here; None for none."""
        self._desk = desk
        self._single = SingleWay(desk, single)
        self._granted = GrantedPages(desk, granted)
        self._handling = desk.handling
        self._category = category
        self._confirm = confirm

    def app(self) -> Starlette:
        """Return the application, as a server runs it."""
        post = ["POST"]
        return Starlette(
            routes=[
                Route("/", self.start, methods=["GET"]),
                Route("/cases", self.list, methods=["GET"]),
                Route("/sign-in", self.start, methods=["GET"]),
                Route("/sign-in", self.enter, methods=post),
                Route("/sign-out", self.leave, methods=post),
                Route("/cases/{reference}", self.case, methods=["GET"]),
                Route("/cases/{reference}/{act}", self.act, methods=post),
                Route("/confirm/{secret}", self.question, methods=["GET"]),
                Route("/confirm/{secret}", self.answer, methods=post),
                *self._single.routes(),
                *self._granted.routes(),
            ],
            exception_handlers={
                HTTPException: self.nothing,
                NoCaseError: self.none,
                NoOverrideError: self._granted.none,
                InWordsError: self.told,
                Exception: self.fault,
            },
        )

    async def start(self, request: Request) -> Response:
        """Lead to the list that is theirs, or to the sign-in before it."""
        visitor = await self._desk.visitor(request)
        return go(visitor.home) if visitor.staff else self._desk.ask(visitor, "/")

    async def list(self, request: Request) -> Response:
        """Show the cases that are for whoever asks, without a name."""
        visitor = await self._desk.visitor(request)
        if visitor.staff is None:
            return self._desk.ask(visitor, "/cases")
        if visitor.home != "/cases":
            return go(visitor.home)
        everything = "all" in request.query_params
        found = await asyncio.to_thread(self._handling.all, visitor.staff, everything=everything)
        return self._desk.show(visitor, "cases.html", cases=found[::-1], everything=everything)

    async def enter(self, request: Request) -> Response:
        """Take a name and a password."""
        visitor = await self._desk.visitor(request)
        fields = await self._desk.form(request, visitor)
        if fields is None:
            return self._desk.ask(visitor, "/", _EXPIRED, status=400)
        return await self._desk.enter(visitor, fields)

    async def leave(self, request: Request) -> Response:
        """Sign out."""
        visitor = await self._desk.visitor(request)
        if await self._desk.form(request, visitor) is None:
            return go(visitor.home)
        return self._desk.leave(request)

    async def case(self, request: Request) -> Response:
        """Show one case; before that, once for each sign-in, ask why."""
        visitor, reference = await self._desk.visitor(request), request.path_params["reference"]
        if visitor.staff is None or visitor.sitting is None:
            return self._desk.ask(visitor, f"/cases/{reference}")
        case = await asyncio.to_thread(self._handling.find, visitor.staff, reference)
        if case.number not in visitor.sitting.purposes:
            return self._desk.show(visitor, "case_purpose.html", case=case, problem="")
        return await self._whole(visitor, visitor.staff, case.reference)

    async def act(self, request: Request) -> Response:
        """Do what a form of a case's page asks for."""
        visitor, reference = await self._desk.visitor(request), request.path_params["reference"]
        if visitor.staff is None or visitor.sitting is None:
            return self._desk.ask(visitor, f"/cases/{reference}")
        fields = await self._desk.form(request, visitor)
        if fields is None:
            return self._told(visitor, _EXPIRED, f"/cases/{reference}", status=400)
        # Whether they may is asked first, whatever the form says; then why, before anything else can be done.
        case = await asyncio.to_thread(self._handling.find, visitor.staff, reference)
        one, name = Act(visitor.staff, visitor, case.reference, fields), request.path_params["act"]
        if name == "look":
            return await self._look(one)
        if case.number not in visitor.sitting.purposes:
            return go(f"/cases/{case.reference}")
        if name == "log":
            return await self._log_of(one)
        if name not in self._ACTS:
            raise HTTPException(404)
        try:
            await self._ACTS[name](self, one)
        except NoCaseError:
            raise
        except InWordsError as error:
            return self._told(visitor, str(error), f"/cases/{case.reference}", status=409)
        return go(f"/cases/{case.reference}")

    async def question(self, request: Request) -> Response:
        """Show the button by which a recipient says that alerts arrive; looking confirms nothing."""
        return self._desk.show(await self._desk.visitor(request), "confirm.html", done="", problem="")

    async def answer(self, request: Request) -> Response:
        """Take the answer of a recipient."""
        visitor = await self._desk.visitor(request)
        if await self._desk.form(request, visitor) is None:
            return self._desk.show(visitor, "confirm.html", status=400, done="", problem=_EXPIRED)
        try:
            await asyncio.to_thread(self._confirm, request.path_params["secret"][:64])
        except AlertsError:
            words = "This link was used already, or is too old. A new one comes by mail within three days."
            return self._desk.show(visitor, "confirm.html", status=409, done="", problem=words)
        return self._desk.show(visitor, "confirm.html", done="yes", problem="")

    # --- what becomes of a failure ---------------------------------------------------------------

    async def none(self, request: Request, _error: Exception) -> Response:
        """Say that there is no such case, in the same words for one that is not for them."""
        visitor = await self._desk.visitor(request)
        return self._told(visitor, _NONE, visitor.home, status=404)

    async def nothing(self, request: Request, error: Exception) -> Response:
        """Say that there is no such page; to whoever is not signed in, the sign-in alone."""
        visitor = await self._desk.visitor(request)
        if visitor.staff is None:
            return self._desk.ask(visitor, "/")
        status = error.status_code if isinstance(error, HTTPException) else 404
        return self._told(visitor, "There is no such page.", visitor.home, status=status)

    async def told(self, request: Request, error: Exception) -> Response:
        """Say what kept something from being done; to whoever is not signed in, no more than that."""
        _log.error("a page of cases: %s", error)
        visitor = await self._desk.visitor(request)
        words = str(error) if visitor.staff else "This cannot be shown just now. Please try again."
        return self._told(visitor, words, visitor.home, status=503)

    async def fault(self, request: Request, error: Exception) -> Response:
        """Say that something failed, and nothing of what: it was not done."""
        _log.error("a page of cases failed", exc_info=error)
        words = "Something failed, and nothing was done. Please try again, or tell your technician."
        blank = Visitor((await self._desk.visitor(request)).device, 0.0, "", None, None)
        return self._told(blank, words, "/", status=500)

    def _told(self, visitor: Visitor, words: str, back: str, *, status: int) -> Response:
        return self._desk.show(visitor, "case_told.html", status=status, words_told=words, back=back)

    # --- parts -----------------------------------------------------------------------------------

    async def _whole(self, visitor: Visitor, staff: Staff, reference: str) -> Response:
        look = await asyncio.to_thread(self._handling.again, staff, reference)
        try:
            records, unread = await self._handling.seen(look), ""
        except EventsError as error:
            _log.error("a page of a case goes without the log: %s", error)
            records, unread = {}, "The log cannot be read just now: what was asked for is not shown."
        return self._desk.show(
            visitor,
            "case.html",
            look=look,
            case=look.case,
            records=records,
            unread=unread,
            category=self._category,
            kinds=await asyncio.to_thread(self._kinds, look),
            clears=self._handling.clears(staff),
            roles=self._handling.role_titles(),
        )

    def _kinds(self, look: Look) -> str:
        account = self._desk.sign_in.accounts.find(look.named) if look.named else None
        return account.kind.value if account is not None else ""

    async def _look(self, one: Act) -> Response:
        purpose = said(one.fields.get("purpose", ""))[:500]
        case = await asyncio.to_thread(self._handling.find, one.staff, one.reference)
        if not purpose:
            words = "Say in a few words why you look; it is kept."
            return self._desk.show(one.visitor, "case_purpose.html", status=400, case=case, problem=words)
        address = one.visitor.device.address
        await asyncio.to_thread(self._handling.look, one.staff, one.reference, purpose, address=address)
        if one.visitor.sitting is not None:
            one.visitor.sitting.purposes[case.number] = purpose
        return go(f"/cases/{case.reference}")

    async def _log_of(self, one: Act) -> Response:
        purpose = said(one.fields.get("purpose", ""))[:500]
        try:
            look, records = await self._handling.log_of(one.staff, one.reference, purpose)
        except InWordsError as error:
            return self._told(one.visitor, str(error), f"/cases/{one.reference}", status=409)
        return self._desk.show(
            one.visitor,
            "case_log.html",
            case=look.case,
            who=look.named,
            records=records[::-1],
            category=self._category,
        )

    async def _acknowledge(self, one: Act) -> None:
        await asyncio.to_thread(self._handling.acknowledge, one.staff, one.reference)

    async def _take(self, one: Act) -> None:
        await asyncio.to_thread(self._handling.take, one.staff, one.reference, one.fields.get("incident", ""))

    async def _note(self, one: Act) -> None:
        await asyncio.to_thread(self._handling.note, one.staff, one.reference, one.fields.get("text", ""))

    async def _useful(self, one: Act) -> None:
        useful = one.fields.get("useful") == "yes"
        await asyncio.to_thread(self._handling.judge, one.staff, one.reference, useful=useful)

    async def _hand_over(self, one: Act) -> None:
        await asyncio.to_thread(
            self._handling.hand_over, one.staff, one.reference, one.fields.get("role", "")
        )

    async def _done(self, one: Act) -> None:
        await asyncio.to_thread(self._handling.done, one.staff, one.reference, one.task)

    async def _not_needed(self, one: Act) -> None:
        reason = one.fields.get("reason", "")
        await asyncio.to_thread(self._handling.not_needed, one.staff, one.reference, one.task, reason)

    async def _clear(self, one: Act) -> None:
        await asyncio.to_thread(self._handling.clear, one.staff, one.reference, one.task)

    async def _close(self, one: Act) -> None:
        outcome = one.fields.get("outcome", "")
        await asyncio.to_thread(self._handling.close, one.staff, one.reference, outcome)

    async def _freeze(self, one: Act) -> None:
        look = await asyncio.to_thread(self._handling.again, one.staff, one.reference)
        reason = one.fields.get("reason", "").strip()[:500]
        if not look.named:
            raise AlertsError("this case names no account that could be frozen")
        if not reason:
            raise AlertsError("say why the account is frozen, for the record")
        account = await asyncio.to_thread(self._desk.sign_in.accounts.get, look.named)
        why, now = f"{reason} ({one.reference})", one.visitor.now
        # First the stop, which counts within a second; what is kept after it undoes nothing when it fails.
        await asyncio.to_thread(self._handling.stops.freeze, account.name, why, by=one.staff.name, now=now)
        try:
            await keep_evidence(self._handling.state, account.name, by=one.staff.name, now=now)
        except (EventsError, OSError) as error:
            words = f"the account is frozen, but what the log has could not be put on hold: {error}"
            raise AlertsError(words) from error

    _ACTS: ClassVar[Mapping[str, Callable[[CasePages, Act], Awaitable[None]]]] = {
        "acknowledge": _acknowledge,
        "take": _take,
        "note": _note,
        "useful": _useful,
        "hand-over": _hand_over,
        "done": _done,
        "not-needed": _not_needed,
        "clear": _clear,
        "close": _close,
        "freeze": _freeze,
    }
