from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from appliance.gateway.pages import TEMPLATES
from appliance.identity.announced import AnnouncedStore, Report, Status
from appliance.identity.networks import Networks
from appliance.identity.outside import Found, NotAdmittedError, Single, UnreachableError, Waiting
from appliance.identity.passwords import of_pictures
from appliance.identity.resolver import Resolver, believe
from appliance.identity.signing_in import SignInRules
from appliance.identity.snapshot import read
from appliance.identity.tries import Limits
from appliance.identity.wire import ADDRESS, SCHEME
from appliance.model.person import Kind, Person, Standing
from appliance.model.profile import Audience
from appliance.portal.app import Portal
from appliance.portal.guard import FORM_COOKIE, SESSION_COOKIE
from appliance.portal.pages import Pages
from tests.doubles.people import LAPTOP, NOW, TABLET, WORD, School, quick, school

PAGES = Pages(TEMPLATES, "Westways <School>")
AUDIENCES = {"ks1": Audience.EARLY, "ks2": Audience.KS2, "staff": Audience.ADULT}
FISH = ("fish", "moon", "apple")


class Visitor:
    """A browser on a device, in front of the sign-in of a school."""

    def __init__(
        self,
        made: School,
        group: str = "ks2",
        rules: SignInRules | None = None,
        single: Single | None = None,
    ) -> None:
        self.made = made
        self.who = Resolver(Networks([], "ks1"), "ks1", lambda: self.now)
        self.now = NOW
        self.portal = Portal(
            made.sign_in(rules or SignInRules(limits=Limits(tries=3))),
            PAGES,
            expected=lambda _address: Person(group, "network Room", standing=Standing.SIGNED_OUT),
            audience=lambda name: AUDIENCES[name],
            macs=lambda: {TABLET.address: TABLET.mac, LAPTOP.address: LAPTOP.mac},
            agreements={"ks2": ("Be kind.",)},
            own_name="filter.internal",
            known=self.who.look,
            single=single,
            clock=lambda: self.now,
        )
        self.browser = self.another()

    def another(self, address: str = TABLET.address) -> httpx.AsyncClient:
        """Return another browser, perhaps on another device."""
        told = {ADDRESS: address, SCHEME: "https"}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.portal.app()),
            base_url="https://filter.internal",
            headers=told,
            follow_redirects=True,
        )

    async def get(self, path: str = "/sign-in") -> str:
        return (await self.browser.get(path)).text

    async def send(self, page: str, path: str = "/sign-in", **fields: str) -> str:
        """Send the form of a page as a browser would, and return what comes."""
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))
        return (await self.browser.post(path, data=hidden | fields)).text

    def look(self) -> None:
        """Let the sign-in know what the database says, as it does several times a second."""
        known = read(self.made.database, self.now)
        self.who.use(known, believe(known, {TABLET.address: TABLET.mac}, {}, now=self.now))

    def signed_in(self) -> list[str]:
        return [each.key for each in self.made.sessions.open(self.now)]


@pytest.fixture
def visitor(tmp_path: Path) -> Visitor:
    made = school(tmp_path)
    made.add("amy.smith")
    return Visitor(made)


@pytest.mark.slow
async def test_a_pupil_signs_in_and_out(visitor: Visitor) -> None:
    """S-04, S-12: name, password, and out again when the work is done."""
    page = await visitor.send(await visitor.get(), name="Amy.Smith", password=WORD.reveal())
    assert "amy.smith" in page
    assert "18:00" in page
    assert visitor.signed_in() == ["amy.smith"]
    page = await visitor.send(await visitor.get(), "/sign-out")
    assert "You are signed out." in page
    assert visitor.signed_in() == []


@pytest.mark.slow
async def test_a_wrong_password_says_so_and_guessing_waits(visitor: Visitor) -> None:
    """CY-2: a flood of tries meets a wait, and what was typed is never shown."""
    for _ in range(3):
        page = await visitor.send(await visitor.get(), name="amy.smith", password="Wrong-kettle-42")
        assert "do not fit" in page
        assert "Wrong-kettle-42" not in page
    page = await visitor.send(await visitor.get(), name="amy.smith", password=WORD.reveal())
    assert "Too many tries. Wait 5 minutes" in page
    assert visitor.signed_in() == []


@pytest.mark.slow
async def test_the_first_password_and_the_agreement_come_before_the_session(tmp_path: Path) -> None:
    """S-09, S-10: a new password, then the rules, then the web; no step can be left out."""
    made = school(tmp_path)
    made.add("ben", must_change=True)
    visitor = Visitor(made, rules=SignInRules(agreements={"ks2": "2026-09"}))
    change = await visitor.send(await visitor.get(), name="ben", password=WORD.reveal())
    assert "Make a new password" in change
    assert visitor.signed_in() == []
    differ = await visitor.send(change, "/sign-in/change", password="Red-lantern-77", again="x")
    assert "not the same" in differ
    assert "at least 8" in await visitor.send(change, "/sign-in/change", password="short", again="short")
    agree = await visitor.send(change, "/sign-in/change", password="Red-lantern-77", again="Red-lantern-77")
    assert "Be kind." in agree
    assert visitor.signed_in() == []
    assert "ben" in await visitor.send(agree, "/sign-in/agree")
    assert visitor.signed_in() == ["ben"]
    assert made.accounts.agreed("ben")[0].version == "2026-09"
    assert "Please start again" in await visitor.send(change, "/sign-in/change", password="x", again="x")


@pytest.mark.slow
async def test_a_step_is_nobody_elses_and_ends(tmp_path: Path) -> None:
    """A ticket that is copied to another device, or comes after ten minutes, is worth nothing."""
    made = school(tmp_path)
    made.add("ben", must_change=True)
    visitor = Visitor(made)
    change = await visitor.send(await visitor.get(), name="ben", password=WORD.reveal())
    ticket = re.findall(r'name="ticket" value="([^"]+)"', change)[0]
    thief = Visitor(made)
    thief.portal = visitor.portal
    thief.browser = visitor.another(LAPTOP.address)
    stolen = await thief.send(
        await thief.get(), "/sign-in/change", ticket=ticket, password="Red-lantern-77", again="Red-lantern-77"
    )
    assert "Please start again" in stolen
    visitor.now += 601
    late = await visitor.send(change, "/sign-in/change", password="Red-lantern-77", again="Red-lantern-77")
    assert "Please start again" in late


@pytest.mark.slow
async def test_children_sign_in_with_pictures(tmp_path: Path) -> None:
    """S-02, S-03: the class, then three pictures; it is recorded as the class, and said so."""
    made = school(tmp_path)
    account = made.add("Class 1B", Kind.CLASS, "ks1", pictures=True)
    made.add("Class 4C", Kind.CLASS, "ks2", pictures=True)
    made.accounts.own_password(account, quick().make(of_pictures(FISH)), NOW)
    visitor = Visitor(made, "ks1")
    page = await visitor.get()
    assert "Class 1B" in page
    assert "Class 4C" not in page
    for right in (False, True):
        page = await visitor.get("/sign-in/class?name=Class+1B")
        for tap in FISH if right else FISH[::-1]:
            assert page.count('aria-label="') >= 13
            page = await visitor.send(page, "/sign-in/class", tap=tap)
        assert visitor.signed_in() == (["class 1b"] if right else [])
    assert "sees the class, and not you" in page
    assert "Tap" not in await visitor.get("/sign-in/class?name=nobody")


@pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "cross-site"}])
async def test_no_other_site_can_send_our_forms(headers: dict[str, str], visitor: Visitor) -> None:
    """CSRF: without the page's token and cookie a form does nothing, nor does one that another site sends."""
    fields = {"name": "amy.smith", "password": WORD.reveal(), "token": "0" * 64}
    if headers:
        fields["token"] = re.findall(r'name="token" value="(\w+)"', await visitor.get())[0]
    assert "start again" in (await visitor.browser.post("/sign-in", data=fields, headers=headers)).text
    bare = visitor.another()
    assert "start again" in (await bare.post("/sign-in", data=fields)).text
    assert visitor.signed_in() == []


@pytest.mark.slow
async def test_a_session_cannot_be_fixed_beforehand_nor_carried_off(visitor: Visitor) -> None:
    """Session fixation and cookie theft: each sign-in has a new cookie, of no use on another device."""
    visitor.browser.cookies.set(SESSION_COOKIE, "chosen-by-an-attacker", domain="filter.internal")
    await visitor.send(await visitor.get(), name="amy.smith", password=WORD.reveal())
    kept = {cookie.value for cookie in visitor.browser.cookies.jar if cookie.name == SESSION_COOKIE}
    (token,) = kept - {"chosen-by-an-attacker"}
    assert visitor.made.sessions.find(token or "", TABLET, NOW) is not None
    assert visitor.made.sessions.find(token or "", LAPTOP, NOW) is None
    answer = await visitor.browser.get("/sign-in")
    cookie = answer.headers["set-cookie"]
    assert FORM_COOKIE in cookie
    assert {"HttpOnly", "SameSite=strict", "Secure"} <= {part.strip() for part in cookie.split(";")}
    assert "Sign out" not in (await visitor.another(LAPTOP.address).get("/sign-in")).text


async def test_no_address_leads_away_from_the_sign_in(visitor: Visitor) -> None:
    """Open redirect: whatever a link asks for, nobody is sent to another site."""
    for query in ("?next=https://evil.example/", "?way=//evil.example", "?url=javascript:x"):
        page = await visitor.browser.get(f"/sign-in{query}", follow_redirects=False)
        assert page.status_code == 200
        assert "evil.example" not in page.text
    told = {SCHEME: "http", "host": "evil.example"}
    plain = await visitor.browser.get("/sign-in", headers=told, follow_redirects=False)
    assert plain.headers["location"] == "https://filter.internal/sign-in"


@pytest.mark.slow
async def test_a_frozen_person_cannot_sign_out_of_it(visitor: Visitor) -> None:
    """S-60: the device stays the frozen person's, and the frozen person signs in nowhere else."""
    await visitor.send(await visitor.get(), name="amy.smith", password=WORD.reveal())
    visitor.made.stops.freeze("amy.smith", "x", by="head", now=NOW)
    await visitor.send(await visitor.get(), "/sign-out")
    assert visitor.signed_in() == ["amy.smith"]
    other = Visitor(visitor.made)
    other.browser = other.another(LAPTOP.address)
    assert "stopped for now" in await other.send(await other.get(), name="amy.smith", password=WORD.reveal())


async def test_the_captive_portal_api_tells_the_device_how_it_stands(visitor: Visitor) -> None:
    """RFC 8908: captive until signed in, then free, and for how long."""
    before = await visitor.browser.get("/captive-portal/api")
    assert before.headers["content-type"] == "application/captive+json"
    assert before.json() == {"captive": True, "user-portal-url": "https://filter.internal/sign-in"}
    await visitor.send(await visitor.get(), name="amy.smith", password=WORD.reveal())
    after = (await visitor.browser.get("/captive-portal/api")).json()
    assert (after["captive"], after["seconds-remaining"]) == (False, 8 * 3600)


async def test_whoever_logged_in_to_the_network_is_not_asked_to_sign_in(visitor: Visitor) -> None:
    """RFC 8908: a laptop known by RADIUS is not captive; its browser is told who it is, and no more."""
    store = AnnouncedStore(visitor.made.database, 600)
    report = Report(Status.START, "sw", "ap", "s", NOW, "amy.smith", TABLET.mac, (TABLET.address,))
    store.take(report, NOW, NOW + 1500)
    visitor.look()
    assert (await visitor.browser.get("/captive-portal/api")).json()["captive"] is True, (
        "it is not settled yet"
    )
    store.settle("amy.smith", counts=True)
    visitor.look()
    told = (await visitor.browser.get("/captive-portal/api")).json()
    assert (told["captive"], told["seconds-remaining"]) == (False, 1500)
    page = await visitor.get()
    assert "amy.smith" in page
    assert "<form" not in page, "nothing here ends a network log-in"
    assert 'name="password"' in await visitor.get("/sign-in?way=name")
    visitor.now = NOW + 1500
    assert (await visitor.browser.get("/captive-portal/api")).json()["captive"] is True
    assert 'name="password"' in await visitor.get()


@pytest.mark.slow
async def test_a_frozen_pupil_gets_out_of_it_by_no_page(visitor: Visitor) -> None:
    """S-60: signing out, another browser and cleared cookies leave the device as it is."""
    await visitor.send(await visitor.get(), name="amy.smith", password=WORD.reveal())
    visitor.made.stops.freeze("amy.smith", "x", by="head", now=NOW)
    await visitor.send(await visitor.get(), "/sign-out")
    assert visitor.signed_in() == ["amy.smith"]
    cleared = Visitor(visitor.made)
    assert "amy.smith" in await cleared.get(), "it is the device's, and no cookie's"
    page = await cleared.get("/sign-in?way=name")
    await cleared.send(page, name="amy.smith", password=WORD.reveal())
    await cleared.send(page, "/sign-out")
    assert cleared.signed_in() == ["amy.smith"]
    known = read(visitor.made.database, NOW)
    cleared.who.use(known, believe(known, {TABLET.address: TABLET.mac}, {}, now=NOW))
    assert cleared.who.resolve(TABLET.address).standing is Standing.FROZEN


async def test_a_flood_of_sign_ins_is_told_to_wait(visitor: Visitor) -> None:
    """A thousand forms at once do not fill the memory: beyond the queue each is answered at once."""
    visitor.portal._waiting = 200
    assert "people are here" in await visitor.send(
        await visitor.get(), name="amy.smith", password=WORD.reveal()
    )


@pytest.mark.slow
async def test_nothing_that_is_typed_becomes_part_of_a_page(visitor: Visitor) -> None:
    """A hostile name is text, on our page and in the log."""
    page = await visitor.send(await visitor.get(), name='"><script>x</script>', password="x")
    assert "<script" not in page
    assert "Westways &lt;School&gt;" in page
    headers = (await visitor.browser.get("/sign-in")).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"


async def test_a_vouchers_code_fills_in_the_form_and_no_more(tmp_path: Path) -> None:
    """S-08: a guest scans and presses once; opening the address alone signs nobody in."""
    made = school(tmp_path)
    made.add("Ann 1a2b", Kind.GUEST, "ks2", expires=NOW + 60, devices=1)
    visitor = Visitor(made)
    page = await visitor.get(f"/sign-in?way=name&name=Ann+1a2b&voucher={WORD.reveal()}")
    assert f'value="{WORD.reveal()}"' in page
    assert visitor.signed_in() == []
    page = await visitor.send(page, name="Ann 1a2b", password=WORD.reveal())
    assert "Ann 1a2b" in page
    assert made.sessions.open(NOW)[0].ends == NOW + 60


class Login:
    """A single sign-on in memory; `fault` is raised where somebody comes back."""

    name, lasts = "Micro<soft>", 3600.0

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.sent = Waiting()

    def begin(self, waiting: Waiting, *, fresh: bool = False) -> str:
        self.sent = waiting if not fresh else Waiting()
        return f"https://login.example/authorize?state={waiting.state}"

    def finish(self, code: str, waiting: Waiting, issuer: str = "") -> Found:
        assert (code, waiting, issuer) == ("c", self.sent, "")
        if self.fault is not None:
            raise self.fault
        return Found("zoë ñandú", "ks2")


async def go(visitor: Visitor, single: Login) -> str:
    """Go to the single sign-on and come back, as a browser does."""
    page = await visitor.get()
    assert "Micro&lt;soft&gt;" in page
    away = await visitor.browser.get("/sign-in/with", follow_redirects=False)
    assert away.headers["location"].startswith("https://login.example/authorize")
    assert "samesite=lax" in away.headers["set-cookie"].lower()
    return await visitor.get(f"/sign-in/back?code=c&state={single.sent.state}")


@pytest.mark.slow
async def test_people_sign_in_with_the_schools_single_sign_on(tmp_path: Path) -> None:
    """Entra ID or Google: there, back, the agreement, the web; names in any script."""
    made, single = school(tmp_path), Login()
    visitor = Visitor(made, rules=SignInRules(agreements={"ks2": "2026-09"}), single=single)
    page = await go(visitor, single)
    assert "Be kind." in page
    assert visitor.signed_in() == []
    assert "zoë ñandú" in await visitor.send(page, "/sign-in/agree")
    assert visitor.signed_in() == ["zoë ñandú"]
    assert made.accounts.get("zoë ñandú").expires == NOW + 3600
    again = await visitor.browser.get(f"/sign-in/back?code=c&state={single.sent.state}")
    assert "That took too long" in again.text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (UnreachableError("https://login.example is down"), "does not work just now"),
        (NotAdmittedError("Use your school account."), "Use your school account."),
    ],
)
async def test_what_goes_wrong_there_is_told_in_words(fault: Exception, said: str, tmp_path: Path) -> None:
    """Back channel: the page says what to do, the journal says why, and nobody enters."""
    single = Login(fault)
    visitor = Visitor(school(tmp_path), single=single)
    page = await go(visitor, single)
    assert said in page
    assert "login.example" not in page
    assert visitor.signed_in() == []
    await visitor.browser.get("/sign-in/with", follow_redirects=False)
    denied = await visitor.get(f"/sign-in/back?error=access_denied&state={single.sent.state}")
    assert "did not finish" in denied


@pytest.mark.slow
async def test_the_single_sign_on_opens_no_account_that_is_kept_here(tmp_path: Path) -> None:
    """Duplicate accounts and freeze: the local account counts, and a frozen person stays so."""
    made, single = school(tmp_path), Login()
    made.add("Zoë Ñandú", group="staff")
    visitor = Visitor(made, single=single)
    assert "that one counts" in await go(visitor, single)
    assert [entry["what"] for entry in made.trail.entries()] == ["duplicate"]
    made.accounts.remove("Zoë Ñandú")
    made.stops.freeze("zoë ñandú", "x", by="head", now=NOW)
    assert "stopped for now" in await go(visitor, single)
    assert visitor.signed_in() == []


async def test_nobody_is_sent_anywhere_without_a_single_sign_on(visitor: Visitor) -> None:
    """Open redirect: both addresses lead to the sign-in and to nowhere else."""
    for path in ("/sign-in/with?next=https://evil.example", "/sign-in/back?code=c&state=x"):
        answer = await visitor.browser.get(path, follow_redirects=False)
        assert (
            answer.headers.get("location", "https://filter.internal/sign-in")
            == "https://filter.internal/sign-in"
        )
        assert "evil.example" not in answer.text
