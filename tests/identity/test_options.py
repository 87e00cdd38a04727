from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from appliance.identity.options import SignInSettings
from tests.doubles.people import TABLET


def test_the_settings_become_the_rules_of_the_sign_in() -> None:
    """What a technician writes is what counts, and without it the safe defaults do."""
    settings = SignInSettings.model_validate(
        {
            "day_ends": "16:30",
            "idle_minutes": 20,
            "agreements": {"ks2": {"version": "2026-09", "text": ["Be kind."]}},
            "devices": [{"mac": "3C-52-82-0A-1B-2C", "group": "ks1", "name": "Tablet 14"}],
        }
    )
    rules = settings.rules
    assert (rules.day_ends, rules.idle, rules.agreements) == (time(16, 30), 1200, {"ks2": "2026-09"})
    assert settings.registered[TABLET.mac].name == "Tablet 14"
    assert SignInSettings().rules.limits.tries == 10


@pytest.mark.parametrize(
    "wrong",
    [
        {"tries": {"tries": 11}},
        {"tries": {"window_seconds": 60}},
        {"devices": [{"mac": "x", "group": "a", "name": "b"}]},
    ],
)
def test_the_settings_cannot_be_laxer_than_the_standard(wrong: dict[str, object]) -> None:
    """CY-2: more than ten tries in five minutes is nothing that a file can ask for."""
    with pytest.raises(ValidationError):
        SignInSettings.model_validate(wrong)


def test_a_provider_that_nobody_could_sign_in_by_is_told_and_pages_of_their_own_are_a_way(
    tmp_path: Path,
) -> None:
    """A sign-in that is served to pupils is no condition for staff who come in to their own pages."""
    secret = tmp_path / "secret"
    secret.write_text("word", encoding="utf-8")
    secret.chmod(0o600)
    oidc = {
        "name": "Microsoft", "issuer": "https://login.example/t", "client_id": "x",
        "client_secret_file": str(secret), "otherwise": "staff",
    }  # fmt: skip
    found = SignInSettings.model_validate({"oidc": oidc})
    nobody = "nobody could sign in by it: set identity.portal to true"
    assert list(found.wrong()) == [(("oidc",), nobody)]
    assert list(found.wrong(pages=True)) == [(("oidc",), nobody)]
    assert list(found.wrong(pages=True, single=True)) == []
    assert list(SignInSettings.model_validate({"oidc": oidc, "portal": True}).wrong()) == []
