"""The pages of what staff have opened for lessons: what is open still, and the report of what has ended.

What lives only here: those addresses, which hold a number and nothing else. A report is the answer to a form
that says why; it is noted in the audit each time, and nothing of it is kept by the browser.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.granted import Granted, Reader
from appliance.identity.sessions import SCHOOL_ZONE
from appliance.overrides.names import NoOverrideError, OverrideError
from appliance.overrides.report import Visit
from appliance.overrides.shown import minutes_left, opens, people
from appliance.overrides.times import at_school
from appliance.portal.case_desk import Desk, Visitor

MOST = 2_000
"""Lines of a report on one page; the whole of a longer one is shown on the gateway."""

_NONE = "There is no such override, or it is not for you."
_EXPIRED = "This page was open for too long. Please do it once more."
_LONGEST_NUMBER = 9


class GrantedPages:
    """The pages of what was opened, at the desk of the pages of cases."""

    def __init__(self, desk: Desk, granted: Granted) -> None:
        self._desk = desk
        self._granted = granted

    def routes(self) -> list[Route]:
        """Return the addresses."""
        return [
            Route("/overrides", self.overview, methods=["GET"]),
            Route("/overrides/{number}", self.one, methods=["GET"]),
            Route("/overrides/{number}/look", self.look, methods=["POST"]),
        ]

    async def overview(self, request: Request) -> Response:
        """Show what they have opened, the safeguarding lead what everybody has."""
        visitor = await self._desk.visitor(request)
        if visitor.staff is None:
            return self._desk.ask(visitor, "/overrides")
        reader = self._reader(visitor)
        found = await asyncio.to_thread(self._granted.all, reader)
        running = [one for one in found if not one.override.state.over]
        ended = [one for one in found if one.override.state.over]
        return self._show(visitor, "granted.html", running=running, ended=ended, everybody=reader.everybody)

    async def one(self, request: Request) -> Response:
        """Show one with its steps, and the question why its report is looked at."""
        visitor, number = await self._desk.visitor(request), _number(request)
        if visitor.staff is None:
            return self._desk.ask(visitor, f"/overrides/{number}")
        return await self._one(visitor, number)

    async def look(self, request: Request) -> Response:
        """Show the report to whoever says why."""
        visitor, number = await self._desk.visitor(request), _number(request)
        if visitor.staff is None:
            return self._desk.ask(visitor, f"/overrides/{number}")
        fields = await self._desk.form(request, visitor)
        if fields is None:
            return await self._one(visitor, number, _EXPIRED, status=400)
        reader, purpose, address = self._reader(visitor), fields.get("purpose", ""), visitor.device.address
        try:
            found = await asyncio.to_thread(self._granted.look, reader, number, purpose, address=address)
        except NoOverrideError:
            raise
        except OverrideError as error:
            return await self._one(visitor, number, str(error), status=400)
        parts = {need.host: need.page for need in found.needs}
        people_, cut = _by_person(found.visits[:MOST]), max(0, len(found.visits) - MOST)
        return self._show(
            visitor, "granted_report.html", one=found.standing, visits=people_, parts=parts, cut=cut
        )

    async def none(self, request: Request, _error: Exception) -> Response:
        """Say that there is no such override, in the same words for one that is not theirs."""
        visitor = await self._desk.visitor(request)
        if visitor.staff is None:
            return self._desk.ask(visitor, "/")
        return self._desk.show(visitor, "case_told.html", status=404, words_told=_NONE, back="/overrides")

    async def _one(self, visitor: Visitor, number: int, problem: str = "", *, status: int = 200) -> Response:
        one = await asyncio.to_thread(self._granted.find, self._reader(visitor), number)
        return self._show(visitor, "granted_one.html", status=status, one=one, problem=problem)

    def _reader(self, visitor: Visitor) -> Reader:
        staff = visitor.staff
        if staff is None:
            raise NoOverrideError("nobody is signed in")
        return Reader(staff.name, visitor.since, bool(staff.roles) and self._desk.handling.clears(staff))

    def _show(self, visitor: Visitor, template: str, *, status: int = 200, **values: object) -> Response:
        return self._desk.show(
            visitor,
            template,
            status=status,
            now=visitor.now,
            left=minutes_left,
            opens=opens,
            people=people,
            when=lambda moment: at_school(moment, SCHOOL_ZONE),
            **values,
        )


def _by_person(visits: Sequence[Visit]) -> list[tuple[str, list[Visit]]]:
    # They come in the order of names: one heading for each person or device, and their sites below it.
    return [(who, list(found)) for who, found in groupby(visits, key=lambda visit: visit.who)]


def _number(request: Request) -> int:
    text = request.path_params["number"]
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise NoOverrideError("no number")
    return int(text)
