from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from appliance.identity.options_oidc import OidcSettings

ENTRA = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0"


def of(folder: Path, **changes: Any) -> OidcSettings:
    secret = folder / "secret"
    secret.write_text("word", encoding="utf-8")
    secret.chmod(0o600)
    values = {"name": "Microsoft", "issuer": ENTRA, "client_id": "x", "client_secret_file": secret}
    groups = [{"value": "y4", "group": "ks2"}]
    return OidcSettings.model_validate(values | {"groups": groups} | changes)


def test_good_settings_have_nothing_wrong(tmp_path: Path) -> None:
    """A tenant, a secret and a group are enough; its hosts are open to whoever is signed out."""
    made = of(tmp_path, hosts=["aadcdn.msauth.net"])
    assert list(made.wrong()) == []
    assert made.reachable == {"login.microsoftonline.com", "aadcdn.msauth.net"}
    assert list(made.groups_named()) == [(("groups", 0, "group"), "ks2")]
    assert made.located(lambda path: Path("/etc") / path.name).client_secret_file == Path("/etc/secret")


@pytest.mark.parametrize(
    ("changes", "key", "said"),
    [
        ({"issuer": "https://login.microsoftonline.com/common/v2.0"}, ("issuer",), "anybody"),
        ({"issuer": "https://accounts.google.com"}, ("issuer",), "hosted_domain"),
        ({"groups": []}, ("issuer",), "nobody could come in"),
        ({"client_secret_file": "/nowhere"}, ("client_secret_file",), "cannot be read"),
        ({"ca_file": "/nowhere"}, ("ca_file",), "cannot be read"),
        ({"groups": [{"value": "a", "group": "b", "kind": "guest"}]}, ("groups", 0, "kind"), "individual"),
    ],
)
def test_settings_that_would_let_anybody_in_are_told(
    changes: dict[str, Any], key: tuple[str | int, ...], said: str, tmp_path: Path
) -> None:
    """A private Microsoft or Google account is nobody of the school's."""
    assert said in dict(of(tmp_path, **changes).wrong())[key]


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "http://accounts.google.com"},
        {"issuer": "accounts.google.com"},
        {"issuer": "https://x.example/?a=b"},
        {"hosts": ["https://aadcdn.msauth.net"]},
        {"hosts": ["*.msauth.net"]},
        {"clock_seconds": 3600},
    ],
)
def test_what_is_no_setting_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    """An issuer without encryption, a host that is none, a clock that is an hour off."""
    with pytest.raises(ValidationError):
        of(tmp_path, **changes)
