from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from appliance import welcoming
from appliance.identity.wire import ADDRESS, SCHEME
from tests.doubles.people import quick
from tests.doubles.school import configuration, load_once


@pytest.mark.slow
async def test_the_sign_in_speaks_to_each_network_in_its_own_words(tmp_path: Path) -> None:
    """A pupils' room gets the pupils' page, and whoever is nowhere the strictest profile's."""
    loaded = load_once(configuration(tmp_path))
    app = welcoming.portal(loaded.settings, loaded.policy, quick()).app()
    to = httpx.ASGITransport(app)
    browser = httpx.AsyncClient(transport=to, base_url="https://filter.internal", headers={SCHEME: "https"})
    assert 'class="ks2"' in (await browser.get("/sign-in", headers={ADDRESS: "10.20.0.9"})).text
    assert 'class="early"' in (await browser.get("/sign-in", headers={ADDRESS: "192.0.2.1"})).text
