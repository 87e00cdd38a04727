"""The pages of cases, as staff use them, and as whoever finds the address tries them."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.alerts import recipients
from appliance.events.store import EventStore
from appliance.identity.tries import Limits
from appliance.model.category import Severity
from appliance.model.decision import Action, Decision, Reason
from appliance.model.event import Access
from appliance.model.person import Confidence, Kind, Person
from tests.doubles.alerts import DSL, MONDAY, sighting
from tests.doubles.casework import Browser, Office, office
from tests.doubles.events import access
from tests.doubles.people import NOW, TABLET

SECRET = "amy.smith"


@pytest.fixture
def there(tmp_path: Path) -> Office:
    return office(tmp_path)


@pytest.fixture
def browser(there: Office) -> Browser:
    return Browser(there.pages())


async def test_nothing_is_told_to_whoever_is_not_signed_in(there: Office, browser: Browser) -> None:
    """The pupil who finds the address finds a question for a password, whatever is there or not."""
    pages = [await browser.get(path) for path in ("/cases", "/cases/A-00001", "/cases/A-99999", "/nonsense")]
    plain = [re.sub(r'value="[^"]*"', "", page) for page in pages]
    assert len(set(plain)) == 1
    assert SECRET not in plain[0]
    assert "Self-harm" not in plain[0]
    for act in ("look", "close", "useful", "freeze", "log"):
        page = await browser.send(pages[0], f"/cases/A-00001/{act}", purpose="x", outcome="x", reason="x")
        assert "Password" in page
        assert SECRET not in page
    assert there.made.stops.in_force(NOW) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["amy.smith", "t.teacher", "nobody"])
async def test_an_account_that_is_not_named_meets_the_words_of_a_wrong_password(
    there: Office, browser: Browser, name: str
) -> None:
    """A pupil with the right password of her own learns nothing, and the attempt is in the audit."""
    page = await browser.enter(name)
    assert browser.status == 403
    assert "do not fit" in page
    assert "Self-harm" not in await browser.get("/cases")
    tried = [e["whom"] for e in there.made.trail.entries() if e["what"] == "case-sign-in-refused"]
    assert tried == ([] if name == "nobody" else [name])


async def test_guessing_waits(browser: Browser) -> None:
    """CY-2: the lock of the sign-in counts here as well."""
    for _ in range(3):
        assert "do not fit" in await browser.enter(password="Wrong-kettle-42")
    assert "Too many tries" in await browser.enter()


@pytest.mark.slow
async def test_a_case_is_looked_at_with_a_purpose_which_is_audited(there: Office, browser: Browser) -> None:
    """S-52: who it is about is shown after the reason is in the audit, and asked for once a session."""
    await browser.enter()
    page = await browser.get("/cases")
    assert "A-00001" in page
    assert SECRET not in page
    asked = await browser.get("/cases/A-00001")
    assert SECRET not in asked
    assert "Say in a few words" in await browser.send(asked, "/cases/A-00001/look", purpose="  ")
    page = await browser.look()
    assert SECRET in page
    assert SECRET in await browser.get("/cases/A-00001")
    looks = [e for e in there.made.trail.entries() if e["what"] == "alert-show"]
    assert [(e["by"], e["whom"], e["purpose"]) for e in looks] == [("m.lead", "A-00001", "told by mail")]
    there.see(sighting(1, who="Somebody Else"))
    assert "Why do you look" in await browser.get("/cases/A-00002")


@pytest.mark.slow
async def test_a_case_goes_its_whole_way_by_pages(there: Office, browser: Browser) -> None:
    """Looked after, judged with one tap, taken as a row of the table, tasks done, noted, closed."""
    await browser.enter()
    page = await browser.look()
    where = "/cases/A-00001"
    page = await browser.send(page, f"{where}/acknowledge")
    assert "acknowledged" in page
    page = await browser.send(page, f"{where}/useful", useful="yes")
    assert "You said: useful" in page
    page = await browser.send(page, f"{where}/take", incident="harm")
    assert "Refer to the Headteacher" in page
    assert "Held:" in page
    assert "open tasks" in await browser.send(page, f"{where}/close", outcome="x")
    assert "is held" in await browser.send(page, f"{where}/done", task="2")
    page = await browser.send(page, f"{where}/done", task="1")
    page = await browser.send(page, f"{where}/clear", task="2")
    assert "Held:" not in page
    page = await browser.send(page, f"{where}/not-needed", task="2", reason="home is not safe")
    page = await browser.send(page, f"{where}/note", text="spoke to her")
    page = await browser.send(page, f"{where}/close", outcome="with the nurse")
    assert "with the nurse" in page
    assert "Close the case" not in page
    assert "no case that is not closed" in await browser.get("/cases")
    assert "A-00001" in await browser.get("/cases?all")
    done = [e["what"] for e in there.made.trail.entries()]
    for what in (
        "case-sign-in",
        "alert-ack",
        "alert-useful",
        "alert-take",
        "alert-task",
        "alert-note",
        "alert-close",
    ):
        assert what in done


@pytest.mark.slow
async def test_who_is_handed_a_case_is_told_and_sees_it(there: Office, browser: Browser) -> None:
    """A lead who leaves for the day leaves nothing behind that nobody knows of."""
    await browser.enter()
    page = await browser.look()
    assert "not open to" not in page
    await browser.send(page, "/cases/A-00001/hand-over", role="deputy")
    with there.handling.book.reading() as db:
        ((what, address),) = db.execute("SELECT what, address FROM outbox ORDER BY id DESC LIMIT 1")
        assert (what, address) == ("handed", "deputy@school.example")
        assert db.execute("SELECT state FROM episode").fetchone() == ("open",)
    deputy = Browser(there.pages())
    await deputy.enter("d.deputy")
    assert SECRET in await deputy.look()


@pytest.mark.slow
async def test_a_case_is_for_the_roles_that_it_was_told_to(there: Office) -> None:
    """Who looks after filters reads nothing of self-harm; and the reference tells them nothing either."""
    there.alerting = replace(there.alerting, rules=(replace(there.alerting.rules[0], tell=("dsl",)),))
    there.see(sighting(1, who="Ben"))
    browser = Browser(there.pages())
    await browser.enter("o.online")
    assert "A-0000" not in await browser.get("/cases")
    page = await browser.get("/cases/A-00002")
    assert browser.status == 404
    assert re.sub("A-0+2", "", page) == re.sub("A-0+9", "", await browser.get("/cases/A-00009"))
    assert "no such case" in await browser.send(page, "/cases/A-00002/look", purpose="curious")


@pytest.mark.slow
async def test_nobody_sees_a_case_about_themselves(there: Office) -> None:
    """A lead whose own access was flagged must not be the one who closes it."""
    there.see(sighting(1, who="M.Lead"))
    browser = Browser(there.pages())
    await browser.enter()
    assert "A-00002" not in await browser.get("/cases")
    await browser.get("/cases/A-00002")
    assert browser.status == 404


@pytest.mark.slow
async def test_a_task_that_is_held_is_for_the_safeguarding_lead_alone(there: Office) -> None:
    """B2: no deputy by mistake, and no pupil with a deputy's laptop, has parents told."""
    browser = Browser(there.pages())
    await browser.enter("d.deputy")
    page = await browser.look()
    page = await browser.send(page, "/cases/A-00001/take", incident="harm")
    assert "May be done" not in page
    assert "only the safeguarding lead" in await browser.send(page, "/cases/A-00001/clear", task="2")


HOSTILE = [
    "<script>alert(1)</script>",
    "\u202eevil\u0000",
    "ДРУГ 你好 🫖",
    "x" * 60_000,
    "a\r\nSet-Cookie: b=1",
    "\udcff",
]


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE)
async def test_a_note_of_any_kind_is_kept_and_shown_as_text(browser: Browser, text: str) -> None:
    """Whatever is pasted into a note: no markup of it comes alive, and the page still works."""
    await browser.enter()
    page = await browser.look()
    page = await browser.send(page, "/cases/A-00001/note", text=text.encode("utf-8", "replace").decode())
    assert browser.status == 200
    assert "<script>" not in page
    assert "A-00001" in page


@pytest.mark.slow
async def test_a_form_from_elsewhere_or_too_long_does_nothing(there: Office, browser: Browser) -> None:
    """Another site, or a page that a pupil saved, cannot close a case in the lead's browser (CSRF)."""
    await browser.enter()
    page = await browser.look()
    fields = {"outcome": "nothing", "token": re.findall(r'name="token" value="([^"]*)"', page)[0]}
    where = "/cases/A-00001/close"
    for more, headers in (
        ({"token": "0" * 64}, {}),
        ({}, {"sec-fetch-site": "cross-site"}),
        ({"outcome": "x" * 70_000}, {}),
    ):
        answer = await browser.http.post(where, data=fields | more, headers=headers)
        assert answer.status_code == 400
    with there.handling.book.reading() as db:
        assert db.execute("SELECT state FROM episode").fetchone() == ("open",)


@pytest.mark.slow
async def test_a_session_is_bound_to_its_device_and_ends(there: Office) -> None:
    """A cookie that was copied, a laptop left alone, an account taken away: each meets the sign-in."""
    pages = there.pages()
    browser = Browser(pages)
    await browser.enter()
    await browser.look()
    thief = Browser(pages, TABLET.address)
    thief.http.cookies = browser.http.cookies
    assert "Password" in await thief.get("/cases/A-00001")
    there.now += 890
    assert SECRET in await browser.get("/cases/A-00001")
    there.now += 901
    assert "Password" in await browser.get("/cases/A-00001")
    await browser.enter()
    assert "Why do you look" in await browser.get("/cases/A-00001")
    there.made.accounts.change("m.lead", disabled=True)
    assert "Password" in await browser.get("/cases/A-00001")
    there.made.accounts.change("m.lead", disabled=False)
    assert "Password" in await browser.send(await browser.get("/cases"), "/sign-out")


@pytest.mark.slow
async def test_no_answer_is_kept_anywhere_and_no_script_runs(browser: Browser) -> None:
    """What is personal lies in no cache, no frame, no address and no log of another site."""
    await browser.enter()
    await browser.look()
    for path in ("/cases", "/cases/A-00001", "/cases/A-9", "/nonsense", "/confirm/x"):
        answer = await browser.http.get(path)
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "<script" not in answer.text
        assert not re.search(r'(?:href|action)="[^"]*(?:amy|smith)', answer.text)


@pytest.mark.slow
@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example/", "/cases/A-00001/close", "/\\evil.example", ""]
)
async def test_the_sign_in_leads_to_pages_of_ours_alone(browser: Browser, wanted: str) -> None:
    """A link that somebody made must not send the lead's browser anywhere else."""
    page = await browser.get("/cases")
    await browser.send(page, "/sign-in", name="m.lead", password="Blue-kettle-42", wanted=wanted)
    browser.http.follow_redirects = False
    page = await browser.get("/cases/A-00001")
    token = re.findall(r'name="token" value="([^"]*)"', page)[0]
    form = {"name": "m.lead", "password": "Blue-kettle-42", "wanted": wanted, "token": token}
    answer = await browser.http.post("/sign-in", data=form)
    assert answer.headers["location"] == "/"  # which leads to the list that is theirs


def seen(reference: str, **person: object) -> Access:
    """Return the log's own row of something that the case holds."""
    decision = Decision(
        Action.BLOCK, Reason.UNACCEPTABLE, "B.", "ks2", "self_harm", severity=Severity.HIGH, flagged=True
    )
    who = Person(**{"group": "ks1", "source": "class login, portal", **person})  # type: ignore[arg-type] # fields of Person
    return replace(access(1, decision, person=who), reference=reference, url="https://harm.example/<b>x")


@pytest.mark.slow
async def test_a_class_and_a_device_are_named_as_such_and_never_as_a_child(
    there: Office, tmp_path: Path
) -> None:
    """S-06: the page says "Class 1B, device 14" and how sure that is."""
    there.made.add("Class 1B", Kind.CLASS, "ks1")
    there.see(sighting(7, who="Class 1B"), replace(sighting(8), subject="device 14"))
    store = await EventStore.open(tmp_path)
    first = seen(
        "REF-00007", name="Class 1B", device="device 14", kind=Kind.CLASS, confidence=Confidence.GROUP
    )
    await store.commit(replace(first, at=MONDAY.fromtimestamp(there.now, MONDAY.tzinfo)))
    await store.close()
    browser = Browser(there.pages())
    await browser.enter()
    page = await browser.look("A-00002")
    assert "Class 1B" in page
    assert "never one child" in page
    assert "device 14" in page
    assert "the group alone is known" in page
    assert "https://harm.example/&lt;b&gt;x" in page
    other = await browser.look("A-00003")
    assert "who used it is not known" in other
    assert "Freeze" not in other
    page = await browser.send(page, "/cases/A-00002/log", purpose="to see how it began")
    assert "harm.example" in page
    (looked,) = [e for e in there.made.trail.entries() if e["what"] == "log-look-up"]
    assert (looked["whom"], looked["purpose"], looked["by"]) == ("Class 1B", "to see how it began", "m.lead")


@pytest.mark.slow
async def test_the_account_of_a_case_is_frozen_from_its_page(
    there: Office, browser: Browser, tmp_path: Path
) -> None:
    """S-60: one button stops all access, holds the log and seals a copy, with the reason in the audit."""
    await (await EventStore.open(tmp_path)).close()
    await browser.enter()
    page = await browser.look()
    assert "say why" in await browser.send(page, "/cases/A-00001/freeze", reason=" ")
    await browser.send(page, "/cases/A-00001/freeze", reason="illegal material")
    (stop,) = there.made.stops.in_force(there.now)
    assert (stop.name, stop.by, stop.reason) == ("amy.smith", "m.lead", "illegal material (A-00001)")
    assert [e["what"] for e in there.made.trail.entries()][-2:] == ["freeze", "bundle"]


@pytest.mark.slow
async def test_looking_at_a_confirmation_confirms_nothing_and_the_button_does(
    there: Office, browser: Browser
) -> None:
    """GAI-4: a mail scanner that follows every link must not confirm in the lead's place."""
    with there.handling.book.writing() as db:
        db.execute("DELETE FROM recipient")
        recipients.ask(db, [DSL], "", there.now, lambda: "q" * 26)
    page = ""
    for _ in range(3):
        page = await browser.get(f"/confirm/{'q' * 26}")
    with there.handling.book.reading() as db:
        assert recipients.confirmed(db) == frozenset()
    assert "used already" in await browser.send(page, f"/confirm/{'z' * 26}")
    assert "Thank you" in await browser.send(page, f"/confirm/{'q' * 26}")
    assert "used already" in await browser.send(page, f"/confirm/{'q' * 26}")
    with there.handling.book.reading() as db:
        assert recipients.confirmed(db) == {DSL}


@pytest.mark.slow
async def test_a_book_that_is_locked_or_an_audit_that_cannot_be_written_shows_nothing_personal(
    there: Office, browser: Browser
) -> None:
    """What cannot be put into the audit is not shown; what cannot be written is said in words."""
    await browser.enter()
    asked = await browser.get("/cases/A-00001")
    trail = there.made.trail.path
    trail.rename(trail.with_suffix(".away"))
    trail.mkdir()
    page = await browser.send(asked, "/cases/A-00001/look", purpose="x")
    assert browser.status in (500, 503)
    assert SECRET not in page
    trail.rmdir()
    trail.with_suffix(".away").rename(trail)
    page = await browser.look()
    there.handling.book.patience = 0.05
    lock = sqlite3.connect(there.handling.book.path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    page = await browser.send(page, "/cases/A-00001/note", text="while it is locked")
    assert browser.status == 409
    assert "cannot be used" in page
    lock.execute("ROLLBACK")
    lock.close()
    assert "while it is locked" not in await browser.get("/cases/A-00001")


@pytest.mark.slow
async def test_two_people_who_close_a_case_at_once_are_told_of_each_other(there: Office) -> None:
    """The second one learns what the first one wrote, and nothing is overwritten."""
    first, second = Browser(there.pages()), Browser(there.pages(Limits()))
    await first.enter()
    await second.enter("d.deputy")
    one, other = await first.look(), await second.look()
    await first.send(one, "/cases/A-00001/close", outcome="spoken to")
    page = await second.send(other, "/cases/A-00001/close", outcome="nothing")
    assert second.status == 409
    assert "closed already, by m.lead: spoken to" in page
