"""The section `alerts` of the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from appliance.alerts.options import AlertSettings, needs, single_needs
from appliance.model.alerting import Alerting
from tests.doubles.alerts import rules

MAIL = {"server": "smtp.school.example", "sender": "gateway@school.example"}
ROLES = {"dsl": ["dsl@school.example"], "deputy": ["a@school.example"], "head": ["b@school.example"]}


def said(**values: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        AlertSettings.model_validate(values)
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"roles": {"dsl": ["Mrs Lead <dsl@school.example>"]}}, "is no mail address"),
        ({"roles": {"dsl": ["dsl@school.example\nBcc: x@y.example"]}}, "is no mail address"),
        ({"mail": {**MAIL, "security": "none"}}, "only leads to this machine itself"),
        ({"mail": {**MAIL, "user": "gateway"}}, "belong together"),
        ({"mail": {**MAIL, "server": "a b"}}, "is no host name"),
        ({"webhooks": [{"name": "x", "url": "http://hooks.example/a"}]}, "must begin with https"),
        ({"webhooks": [{"name": "x", "url": "https://"}]}, "is no web address"),
        ({"heartbeat": "25:00"}, "never occurs"),
        ({"link": "https://school.example/cases?case="}, "no address that a reference can be put behind"),
        ({"link": "https://me:secret@school.example/cases"}, "no address that a reference can be put behind"),
        ({"link": f"https://school.example/{'a' * 200}"}, "no address that a reference can be put behind"),
        (
            {"webhooks": [{"name": "x", "url": f"https://a.example/{n}"} for n in "ab"]},
            "two webhooks are named",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(values: dict[str, Any], problem: str) -> None:
    """A case that goes out unencrypted, or to a mistyped address, is found out before the first alert."""
    assert problem in said(**values)


def test_a_role_that_rules_tell_and_nobody_has_is_a_problem() -> None:
    """No alerting without a recipient (GAI-4); and switching it off is a word in the settings."""
    on = AlertSettings.model_validate(
        {"deliver": True, "mail": MAIL, "roles": {"dsl": ["dsl@school.example"]}}
    )
    found = needs(on, rules())
    assert [text.partition(",")[0] for _, text in found] == [
        "rules tell the role 'deputy' (Deputy)",
        "rules tell the role 'head' (Head)",
    ]
    assert needs(AlertSettings(), rules()) == []
    whole = AlertSettings.model_validate({"deliver": True, "mail": MAIL, "roles": ROLES})
    assert needs(whole, rules()) == []


def test_what_is_missing_to_tell_anybody_is_a_problem() -> None:
    """Alerts that are switched on and lead nowhere would be the worst of both."""
    on = AlertSettings.model_validate({"deliver": True, "roles": ROLES})
    assert [key for key, _ in needs(on, rules())] == [("alerts", "deliver")]
    assert "no alerts.yaml" in needs(on, Alerting())[0][1]
    (wrong,) = needs(AlertSettings.model_validate({"roles": {"dls": ["a@b.example"]}}), rules())
    assert wrong == (
        ("alerts", "roles", "dls"),
        "unknown role 'dls'; did you mean 'dsl'? Also possible: deputy, head",
    )
    files = {"deliver": True, "roles": ROLES, "mail": {**MAIL, "roots": "/nowhere/ca.pem"}}
    ((key, text),) = needs(AlertSettings.model_validate(files), rules())
    assert (key, text) == (("alerts", "mail", "roots"), "there is no file /nowhere/ca.pem")


def test_files_count_from_the_folder_of_the_settings() -> None:
    """A command works from anywhere."""
    hooks = [{"name": "x", "url": "https://hooks.example/a", "secret_file": "s"}]
    plain = AlertSettings.model_validate({"mail": {**MAIL, "roots": "ca.pem"}, "webhooks": hooks})
    found = plain.located(lambda file: Path("/etc/appliance") / file)
    assert found.mail is not None
    assert (found.mail.roots, found.mail.password_file) == (Path("/etc/appliance/ca.pem"), None)
    assert found.webhooks[0].secret_file == Path("/etc/appliance/s")


PAGES = {"listen": "10.21.0.1:8443", "people": {"dsl": ["M.Lead", "h.head"], "head": ["h.head"]}}


def test_the_pages_of_cases_are_for_whom_the_settings_name() -> None:
    """However a name is spelled, it is that account, and no other; links lead where the pages are served."""
    pages = AlertSettings.model_validate({"pages": PAGES}).pages
    assert pages is not None
    assert pages.roles_of(" m.LEAD") == {"dsl"}
    assert pages.roles_of("h.head") == {"dsl", "head"}
    assert pages.roles_of("m.lead2") == pages.roles_of("") == frozenset()
    assert (pages.address, pages.host) == ("https://10.21.0.1:8443", "10.21.0.1")
    named = AlertSettings.model_validate(
        {"pages": {**PAGES, "listen": "[::]:8443", "name": "Cases.School.example"}}
    )
    assert named.pages is not None
    assert named.pages.address == "https://cases.school.example:8443"


@pytest.mark.parametrize("listen", ["0.0.0.0:8443", "[::]:8443"])
def test_pages_at_every_address_need_a_name(listen: str) -> None:
    """A link to 0.0.0.0 leads nowhere."""
    assert "give 'name' the name of this machine" in said(pages={**PAGES, "listen": listen})


def test_a_single_sign_on_that_leads_nowhere_or_asks_nobody_is_a_problem() -> None:
    """A technician learns from `check` what the provider cannot do, and what would be right."""
    chosen = AlertSettings.model_validate({"pages": {**PAGES, "single_sign_on": True}})
    assert chosen.pages is not None
    assert chosen.pages.back == "https://10.21.0.1:8443/sign-in/back"
    ((key, text),) = single_needs(chosen, known=False, asks_anew=False)
    assert (key, text[:13]) == (("alerts", "pages", "single_sign_on"), "there is none")
    ((_, text),) = single_needs(chosen, known=True, asks_anew=False)
    assert "second_factor to totp" in text
    assert single_needs(chosen, known=True, asks_anew=True) == []
    coded = AlertSettings.model_validate(
        {"pages": {**PAGES, "single_sign_on": True, "second_factor": "totp"}}
    )
    assert single_needs(coded, known=True, asks_anew=False) == []
    assert single_needs(AlertSettings.model_validate({"pages": PAGES}), known=False, asks_anew=False) == []


def test_pages_that_nobody_could_open_and_roles_that_are_none_are_problems() -> None:
    """A technician learns it from `check`, and not from a safeguarding lead who cannot sign in."""
    none = AlertSettings.model_validate({"pages": {**PAGES, "people": {}}})
    assert [text for _, text in needs(none, rules())] == [
        "nobody could open a page of a case: name staff accounts in alerts.pages.people"
    ]
    wrong = AlertSettings.model_validate({"pages": {**PAGES, "people": {"dls": ["m.lead"]}}})
    ((key, text),) = needs(wrong, rules())
    assert key == ("alerts", "pages", "people", "dls")
    assert "did you mean 'dsl'" in text
