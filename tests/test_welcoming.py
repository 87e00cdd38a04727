from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from appliance import welcoming
from appliance.identity.wire import ADDRESS, SCHEME
from tests.doubles.people import quick
from tests.doubles.provider import CLIENT, provider
from tests.doubles.school import configuration, edit, load_once


@pytest.mark.slow
async def test_the_sign_in_speaks_to_each_network_in_its_own_words(tmp_path: Path) -> None:
    """A pupils' room gets the pupils' page, and whoever is nowhere the strictest profile's."""
    loaded = load_once(configuration(tmp_path))
    app = welcoming.portal(loaded.settings, loaded.policy, quick()).app()
    to = httpx.ASGITransport(app)
    browser = httpx.AsyncClient(transport=to, base_url="https://filter.internal", headers={SCHEME: "https"})
    assert 'class="ks2"' in (await browser.get("/sign-in", headers={ADDRESS: "10.20.0.9"})).text
    assert 'class="early"' in (await browser.get("/sign-in", headers={ADDRESS: "192.0.2.1"})).text


@pytest.mark.slow
async def test_somebody_signs_in_at_a_provider_that_really_runs(tmp_path: Path) -> None:
    """Single sign-on: from our page over a real back channel to a session, by nothing but the settings."""
    with provider(tmp_path) as there:
        there.claims = {"preferred_username": "zoë@west.example", "groups": ["y4"]}
        path = configuration(tmp_path)
        chosen = (
            f"    name: School account\n    issuer: {there.issuer}\n    client_id: {CLIENT}\n"
            f"    ca_file: {there.ca}\n    client_secret_file: {there.secret_file}\n"
            "    groups: [{value: y4, group: ks2}]\n"
        )
        edit(path, "identity:\n", f"identity:\n  portal: true\n  realms: [west.example]\n  oidc:\n{chosen}")
        loaded = load_once(path)
        app = welcoming.portal(loaded.settings, loaded.policy, quick()).app()
        told = {SCHEME: "https", ADDRESS: "10.20.0.9"}
        browser = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="https://filter.internal", headers=told
        )
        assert "School account" in (await browser.get("/sign-in")).text
        away = await browser.get("/sign-in/with")
        back = await browser.get(there.sign_in(away.headers["location"]))
        assert back.headers["location"] == "/sign-in"
        assert "zoë" in (await browser.get("/sign-in")).text
