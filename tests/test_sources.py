from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from appliance import sources
from appliance.identity.outside import SINGLE, Waiting, admit
from appliance.settings import load_settings
from tests.doubles.people import NOW, TABLET, school
from tests.doubles.provider import CLIENT, provider
from tests.doubles.school import configuration, edit


def test_a_school_that_names_nobody_asks_nobody(tmp_path: Path) -> None:
    """Without a directory and a single sign-on, accounts are kept here and nowhere else."""
    settings = load_settings(configuration(tmp_path)).settings
    assert sources.directory(settings) is None
    assert sources.single(settings) is None
    assert sources.rechecks(settings) == []


@pytest.mark.slow
def test_no_worker_carries_what_asks_others() -> None:
    """Memory: what speaks to directories and providers is loaded by the processes that do."""
    code = "import sys, appliance.loaded; print({'pyrad', 'authlib', 'joserfc', 'ldap3'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "set()"


@pytest.mark.slow
def test_whoever_knows_people_is_asked_again_in_their_time(tmp_path: Path) -> None:
    """S-05: the single sign-on of the settings is asked about its people, with what it gave for that."""
    with provider(tmp_path) as there:
        path = configuration(tmp_path)
        chosen = (
            f"    name: School account\n    issuer: {there.issuer}\n    client_id: {CLIENT}\n"
            f"    ca_file: {there.ca}\n    client_secret_file: {there.secret_file}\n"
            "    groups: [{value: y4, group: ks2}]\n    recheck_minutes: 5\n"
        )
        edit(path, "identity:\n", f"identity:\n  portal: true\n  oidc:\n{chosen}")
        settings = load_settings(path).settings
        made = school(settings.state)
        there.scopes, there.claims = ("offline_access",), {"preferred_username": "amy", "groups": ["y4"]}
        one = sources.single(settings)
        assert one is not None
        waiting = Waiting()
        sent = there.sign_in(one.begin(waiting))
        found = one.finish(parse_qs(urlsplit(sent).query)["code"][0], waiting)
        made.sessions.begin(admit(made.accounts, found, SINGLE, NOW, one.lasts), TABLET, NOW, NOW + 9_999)
        (recheck,) = sources.rechecks(settings)
        recheck.once(NOW + 299)
        assert made.accounts.get("amy").changed == NOW
        recheck.once(NOW + 300)
        assert made.accounts.get("amy").changed == NOW + 300
        there.refresh.clear()  # disabled at the provider
        recheck.once(NOW + 600)
        assert made.sessions.open(NOW + 600) == []
        assert [entry["by"] for entry in made.trail.entries()] == ["the single sign-on"]
