"""The schemas beside the catalogue and the help lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.lists.schema import main, schemas

BLOCKLISTS = Path(__file__).resolve().parents[2] / "blocklists"


@pytest.mark.slow
def test_checked_in_schemas_are_current() -> None:
    """What an editor checks against is what the loader takes (python -m appliance.lists.schema)."""
    for name, text in schemas(BLOCKLISTS).items():
        assert (BLOCKLISTS / name).read_text("utf-8") == text, name


def test_files_name_their_schema() -> None:
    """The first line of each file leads the editor to its schema."""
    for name in ("catalogue", "help"):
        first = (BLOCKLISTS / f"{name}.yaml").read_text("utf-8").splitlines()[0]
        assert first == f"# yaml-language-server: $schema={name}.schema.json"


@pytest.mark.slow
def test_main_writes_both(tmp_path: Path) -> None:
    """One command brings both up to date, with the category ids to choose from."""
    (tmp_path / "categories.yaml").write_text((BLOCKLISTS / "categories.yaml").read_text("utf-8"))
    main(tmp_path)
    shapes = json.loads((tmp_path / "catalogue.schema.json").read_text("utf-8"))["$defs"]
    assert "gambling" in shapes["ListEntry"]["properties"]["categories"]["items"]["enum"]
    assert (tmp_path / "help.schema.json").exists()
