from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from appliance.identity.options_radius import RadiusSettings


def of(tmp_path: Path, word: str = "0123456789abcdef", **changes: Any) -> RadiusSettings:
    secret = tmp_path / "secret"
    secret.write_text(word, encoding="utf-8")
    secret.chmod(0o600)
    client = {"address": "10.0.0.5", "secret_file": str(secret), "name": "Wi-Fi"}
    return RadiusSettings.model_validate({"clients": [client]} | changes)


def test_good_settings_have_nothing_wrong(tmp_path: Path) -> None:
    """One client with a long secret is enough."""
    made = of(tmp_path, classes=[{"value": "year4", "group": "ks2"}])
    assert list(made.wrong()) == []
    assert made.listen == ("::", 1813)
    assert list(made.groups_named()) == [(("classes", 0, "group"), "ks2")]
    assert made.model_dump(mode="json")["listen"] == "[::]:1813"


@pytest.mark.parametrize(
    "changes",
    [
        {"listen": "1813"},
        {"listen": "0.0.0.0:0"},
        {"listen": "999.0.0.1:1813"},
        {"clients": []},
        {"clients": [{"address": "switch-1", "secret_file": "x", "name": "y"}]},
        {"window_seconds": 7200},
        {"silence_minutes": 0},
    ],
)
def test_what_is_no_setting_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    """A window of hours or a client without address would make forging easy."""
    with pytest.raises(ValidationError):
        of(tmp_path, **changes)


def test_settings_that_cannot_be_meant_are_told_at_their_key(tmp_path: Path) -> None:
    """RFC 2865: a secret of eight letters is guessed in an afternoon; the message does not show it."""
    made = of(tmp_path, "shortword", classes=[{"value": "a", "group": "b", "kind": "class"}])
    found = dict(made.wrong())
    assert "fewer than 16" in found["clients", 0, "secret_file"]
    assert "shortword" not in str(found)
    assert "individual" in found["classes", 0, "kind"]
    client = made.clients[0].model_copy(update={"secret_file": tmp_path / "missing"})
    found = dict(made.model_copy(update={"clients": (client, client)}).wrong())
    assert "cannot be read" in found["clients", 1, "secret_file"]
    assert "stands here already" in found["clients", 1, "address"]


def test_files_lie_where_the_settings_are(tmp_path: Path) -> None:
    """A relative path counts from the folder of its file."""
    made = of(tmp_path).located(lambda path: Path("/etc/x") / path.name)
    assert made.clients[0].secret_file == Path("/etc/x/secret")
