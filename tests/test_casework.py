"""The pages of cases from the settings of a school."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import httpx
import pytest
import yaml

from appliance import assembly, casework, granting
from appliance.alerts import recipients
from appliance.casework import NoPagesError
from appliance.gateway.ca import ensure_authority
from appliance.identity.accounts import Account
from appliance.identity.options_oidc import OidcSettings
from appliance.model.person import Kind
from appliance.overrides.database import Database
from appliance.settings import Settings, load_settings
from tests.doubles.alerts import DSL
from tests.doubles.people import quick
from tests.doubles.provider import CLIENT, provider
from tests.doubles.school import configuration
from tests.overrides.making import wish


def settings(folder: Path) -> Settings:
    path = configuration(folder)
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    pages = {"listen": "127.0.0.1:8443", "people": {"dsl": ["M.Lead"]}}
    values["alerts"] = {"pages": pages, "roles": {"dsl": [DSL]}}
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return load_settings(path).settings


def test_without_an_address_there_are_no_pages(tmp_path: Path) -> None:
    """Whoever starts them by hand learns which key is missing."""
    with pytest.raises(NoPagesError, match=r"alerts\.pages is null"):
        casework.serve_cases(load_settings(configuration(tmp_path)).settings)


def test_what_keeps_the_pages_from_being_served_is_told_in_words(tmp_path: Path) -> None:
    """A port that is taken, or a CA that is not there yet, is no traceback."""
    made = settings(tmp_path)
    with pytest.raises(NoPagesError, match=r"ca\.pem"):
        casework.serve_cases(made)
    ensure_authority(made.state / "ca", "Hill")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert made.alerts.pages is not None
        pages = made.alerts.pages.model_copy(update={"listen": taken.getsockname()[:2]})
        alerts = made.alerts.model_copy(update={"pages": pages})
        with pytest.raises(NoPagesError, match=r"cannot listen on 127\.0\.0\.1 port \d+ \(Address already"):
            casework.serve_cases(made.model_copy(update={"alerts": alerts}))


@pytest.mark.slow
async def test_the_pages_work_with_the_real_things(tmp_path: Path) -> None:
    """A confirmation by its link, with the real book, policy and audit of a school."""
    made = settings(tmp_path)
    made.state.mkdir()
    assembly.snapshots(made).publish()
    assert made.alerts.pages is not None
    pages = casework.pages(made, made.alerts.pages, quick())
    book = pages._handling.book
    with book.writing() as db:
        recipients.ask(db, [DSL], "", time.time(), lambda: "q" * 26)
    pages._confirm("q" * 26)
    assert pages._category("self_harm").startswith("Self-harm")
    assert (pages._category("nothing"), pages._category("")) == ("nothing", "not in any category")
    entry = pages._handling.trail.entries()[-1]
    assert (entry["what"], entry["whom"]) == ("alert-confirm", DSL)
    assert "Refer to the Headteacher" in str(pages._handling._chosen().incidents.rows["pupil_illegal"])
    transport = httpx.ASGITransport(pages.app(), client=("10.21.0.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="https://127.0.0.1:8443") as browser:
        assert "Password" in (await browser.get("/cases")).text


@pytest.mark.slow
def test_who_may_open_something_or_has_comes_in_for_that(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """S-23: staff by their role in roles.yaml, or by what they granted; a broken database lets nobody in."""
    made = settings(tmp_path)
    made.state.mkdir()
    assembly.snapshots(made).publish()
    assert made.alerts.pages is not None
    grants = casework.pages(made, made.alerts.pages, quick())._desk._entry.grants
    assert grants(Account("t.teacher", Kind.STAFF, "staff"))
    cook = Account("c.cook", Kind.STAFF, "kitchen")
    assert not grants(cook)
    now = time.time()
    granting.store(made.state).request_and_grant(wish(now, now + 60), "x", by="C.Cook", now=now)
    assert grants(cook)
    Database(made.state).path.write_bytes(b"no database")
    assert not grants(cook)
    assert "not known just now" in caplog.text
    casework.pages(made, made.alerts.pages, quick())  # cases are served all the same
    assert "cannot be shown just now" in caplog.text


@pytest.mark.slow
async def test_the_single_sign_on_of_the_settings_leads_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """S-40: staff of a provider come back to the pages' own address; without its CA others still come in."""
    with provider(tmp_path) as there:
        made = settings(tmp_path)
        oidc = OidcSettings.model_validate(
            {
                "name": "Microsoft", "issuer": there.issuer, "client_id": CLIENT, "ca_file": there.ca,
                "client_secret_file": there.secret_file,
                "groups": [{"value": "s", "group": "staff", "kind": "staff"}],
            }
        )  # fmt: skip
        assert made.alerts.pages is not None
        plain = made.alerts.pages
        given = plain.model_copy(update={"single_sign_on": True})
        made = made.model_copy(update={"identity": made.identity.model_copy(update={"oidc": oidc})})
        made.state.mkdir()
        assembly.snapshots(made).publish()
        for chosen, leads in ((given, True), (plain, False)):
            app = casework.pages(made, chosen, quick()).app()
            transport = httpx.ASGITransport(app, client=("10.21.0.9", 1))
            async with httpx.AsyncClient(transport=transport, base_url="https://127.0.0.1:8443") as browser:
                assert ("Microsoft" in (await browser.get("/cases")).text) is leads
                answer = await browser.get("/sign-in/with")
                assert (answer.status_code == 302) is leads
                back = "redirect_uri=https%3A%2F%2F127.0.0.1%3A8443%2Fsign-in%2Fback"
                assert (back in answer.headers.get("location", "")) is leads
        there.ca.unlink()
        assert casework.pages(made, given, quick())._single._single is None
        assert "nobody comes in by the single sign-on just now" in caplog.text
