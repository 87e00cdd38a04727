"""The pages of cases over a school in a folder of its own, and a browser in front of them."""

from __future__ import annotations

import re
from base64 import b32decode
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from appliance import granting
from appliance.alerts import recipients
from appliance.alerts.ladder import Directory
from appliance.gateway.pages import TEMPLATES
from appliance.granted import Granted
from appliance.handling import Handling, Staff
from appliance.identity.outside import Single
from appliance.identity.second_factor import SecondFactors
from appliance.identity.signing_in import SignInRules
from appliance.identity.tries import Limits
from appliance.model.alerting import Alerting, Sighting
from appliance.model.incident import Incident, Incidents, Step
from appliance.model.person import Kind
from appliance.model.profile import ProfileSet
from appliance.portal.case_app import CasePages
from appliance.portal.case_desk import Desk, Entry
from appliance.portal.pages import Pages
from tests.doubles.alerts import DEPUTY, DSL, book, happen, rules, sighting
from tests.doubles.people import LAPTOP, NOW, TABLET, WORD, School, school

ROLES = {"dsl": ("m.lead",), "deputy": ("d.deputy",), "online_safety": ("o.online",)}
PARENTS = Step("parents", "Inform the parents", held=True)
HEAD = Step("head", "Refer to the Headteacher", "Room 3")
ROW = Incident("harm", "Harm", "W:1", "x:1", (HEAD, PARENTS), themes=frozenset({"self_harm"}))
OTHER = Incident("other", "Something <else>", "W:2", "x:2", (HEAD, Step("warning", "Give a warning")))
TABLE = Incidents({"harm": ROW, "other": OTHER}, frozenset({"dsl"}))
PAGES = Pages(TEMPLATES, "Westways <School>")
LEAD = Staff("m.lead", frozenset({"dsl"}))


@dataclass
class Office:
    """A school with a case, and everybody who may or may not see it."""

    made: School
    handling: Handling
    now: float = NOW
    alerting: Alerting = field(default_factory=rules)
    state: Path = Path()
    second: SecondFactors | None = None
    teachers: frozenset[str] = frozenset({"t.opens"})
    single: Single | None = None

    def see(self, *seen: Sighting) -> None:
        """Let something be seen, and told to whoever is to be told."""
        moved = [replace(one, at=datetime.fromtimestamp(self.now, UTC)) for one in seen]
        happen(self.handling.book, self.alerting, *moved, now=datetime.fromtimestamp(self.now, UTC))

    def with_second_factor(self, name: str) -> tuple[SecondFactors, str]:
        """Ask for a code from now on, and return what checks it and the secret of one account."""
        made = SecondFactors(self.made.database, self.state, Limits(tries=3), self.made.trail)
        self.second = made
        return made, made.enrol(name, name, "Hill", self.now).secret.reveal()

    def code(self, secret: str, later: float = 0.0) -> str:
        """Return what the app shows now, or so many seconds later."""
        totp = TOTP(b32decode(secret), 6, SHA1(), 30)  # noqa: S303 - the hash of the standard
        return totp.generate(int(self.now + later)).decode()

    def pages(self, limits: Limits | None = None) -> CasePages:
        """Return the pages of this office."""
        entry = Entry(
            self.made.sign_in(SignInRules(limits=limits or Limits(tries=3))),
            lambda name: frozenset(role for role, names in ROLES.items() if name in names),
            lambda: {TABLET.address: TABLET.mac, LAPTOP.address: LAPTOP.mac},
            900.0,
            lambda: self.now,
            self.second,
            lambda account: account.name in self.teachers,
            self.single.name if self.single else "",
        )

        def confirm(secret: str) -> None:
            with self.handling.book.writing() as db:
                recipients.confirm(db, [DSL, DEPUTY], secret, self.now)

        granted = Granted(granting.store(self.state), granting.reports(self.state), lambda: self.now)
        desk = Desk(entry, PAGES, self.handling)
        return CasePages(desk, lambda name: name.replace("_", " "), confirm, granted, self.single)


def office(state: Path) -> Office:
    """Make a school with a lead, a deputy, a pupil who was seen, and one case of hers."""
    made = school(state)
    for name in ("m.lead", "d.deputy", "o.online", "t.teacher"):
        made.add(name, Kind.STAFF, "staff")
    made.add("amy.smith")
    book(state, DSL, DEPUTY)
    there = Office(
        made,
        Handling(
            state,
            lambda: ProfileSet("hill", "Hill", "ks2", {}, alerts=there.alerting, incidents=TABLE),
            Directory({"dsl": (DSL,), "deputy": (DEPUTY,)}),
            lambda: there.now,
        ),
        state=state,
    )
    there.see(sighting(who="amy.smith"))
    return there


class Browser:
    """A browser on a device, in front of the pages."""

    def __init__(self, pages: CasePages, address: str = LAPTOP.address) -> None:
        transport = httpx.ASGITransport(pages.app(), raise_app_exceptions=False, client=(address, 4711))
        self.http = httpx.AsyncClient(
            transport=transport, base_url="https://cases.internal:8443", follow_redirects=True
        )
        self.status = 0

    async def get(self, path: str = "/cases") -> str:
        """Return a page."""
        return self._text(await self.http.get(path))

    async def send(self, page: str, path: str, **fields: str) -> str:
        """Send a form of a page as a browser would, and return what comes."""
        token = re.findall(r'name="token" value="([^"]*)"', page)
        names = {name.replace("__", "-"): value for name, value in fields.items()}
        return self._text(await self.http.post(path, data={"token": token[0], **names}))

    async def enter(
        self, name: str = "m.lead", wanted: str = "/cases", password: str = "", code: str = ""
    ) -> str:
        """Sign in, and return the page that follows."""
        page = await self.get(wanted)
        word = password or WORD.reveal()
        return await self.send(page, "/sign-in", name=name, password=word, wanted=wanted, code=code)

    async def look(self, case: str = "A-00001") -> str:
        """Say why, and return the page of a case."""
        page = await self.get(f"/cases/{case}")
        return await self.send(page, f"/cases/{case}/look", purpose="told by mail")

    def _text(self, answer: httpx.Response) -> str:
        self.status = answer.status_code
        return answer.text
