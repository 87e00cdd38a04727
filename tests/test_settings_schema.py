from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.settings_schema import NAME, main, text
from tests.doubles.school import ROOT


@pytest.mark.slow
def test_the_checked_in_schema_is_current(tmp_path: Path) -> None:
    """What an editor checks against is what the loader takes (python -m appliance.settings_schema)."""
    main(tmp_path)
    assert (tmp_path / NAME).read_text("utf-8") == (ROOT / "deploy" / NAME).read_text("utf-8") == text()


@pytest.mark.parametrize("name", ["appliance", "demo"])
def test_files_name_their_schema(name: str) -> None:
    """The first line of each file leads the editor to its schema."""
    first = (ROOT / "deploy" / f"{name}.yaml").read_text("utf-8").splitlines()[0]
    assert first == f"# yaml-language-server: $schema={NAME}"


@pytest.mark.slow
def test_addresses_are_texts_and_fields_can_be_completed() -> None:
    """An editor marks what the loader refuses, and nothing that it takes."""
    shapes = json.loads(text())["$defs"]
    assert shapes["ListenAddress"]["type"] == "string"
    days = shapes["EventSettings"]["properties"]["retention_days"]
    assert days["properties"]["url"]["description"].startswith("the full address")
    assert days["additionalProperties"] is False
