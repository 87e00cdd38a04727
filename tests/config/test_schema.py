"""The JSON Schemas that are checked in for the editors."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from appliance.config.document import parse
from appliance.config.schema import main, schemas

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = schemas(ROOT / "blocklists" / "categories.yaml")
FILES = [*sorted((ROOT / "profiles").glob("*/*.yaml")), ROOT / "blocklists" / "categories.yaml"]
FIRST_LINE = re.compile(r"# yaml-language-server: \$schema=(\S+)\n")


def named_schema(file: Path) -> Path:
    found = FIRST_LINE.match(file.read_text(encoding="utf-8"))
    assert found, f"{file} must name its schema in its first line"
    return (file.parent / found[1]).resolve()


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_checked_in_schema_is_current(name: str) -> None:
    """An editor must not complete what the gateway refuses, or mark what it takes."""
    assert (ROOT / name).read_text(encoding="utf-8") == SCHEMAS[name], (
        "run: python -m appliance.config.schema"
    )


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_file_names_its_schema_and_fits_it(file: Path) -> None:
    """Opened in an editor, a shipped file shows no error."""
    schema = named_schema(file)
    assert schema.relative_to(ROOT).as_posix() in SCHEMAS
    own = {
        "set.yaml": "set.schema.json",
        "roles.yaml": "roles.schema.json",
        "alerts.yaml": "alerts.schema.json",
        "incidents.yaml": "incidents.schema.json",
    }
    expected = own.get(file.name, "profile.schema.json")
    assert schema.name == (expected if file.parent.parent.name == "profiles" else "categories.schema.json")
    jsonschema.validate(
        parse(file.read_bytes(), file.name).data, json.loads(schema.read_text(encoding="utf-8"))
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "profile",
    [
        {
            "profile": "x",
            "title": "X",
            "rules": {"gamblng": {"rating": "unacceptable", "because": "It is so."}},
        },
        {"profile": "x", "title": "X", "rules": {"gambling": {"rating": "never", "because": "It is so."}}},
        {"profile": "x", "title": "X", "rules": {"gambling": {"rating": "unacceptable"}}},
        {"profile": "x", "title": "X", "rules": {"csam": {"rating": "acceptable", "because": "It is so."}}},
        {"profile": "x", "title": "X", "audience": "toddlers"},
        {"profile": "X Y", "title": "X"},
        {"title": "X"},
    ],
)
def test_the_editor_marks_mistakes_while_they_are_typed(profile: dict[str, object]) -> None:
    """Unknown categories and ratings, missing reasons and a loosened floor are red before they are saved."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(profile, json.loads(SCHEMAS["profiles/profile.schema.json"]))


def test_every_key_is_explained() -> None:
    """Hovering over a key in the editor says what it is for."""
    for name, text in SCHEMAS.items():
        content = json.loads(text)
        for part in (content, *content["$defs"].values()):
            for key, field in part.get("properties", {}).items():
                assert field.get("description"), f"{name}: {key}"


@pytest.mark.slow
def test_the_command_writes_them(tmp_path: Path) -> None:
    """`python -m appliance.config.schema` makes the files that the test above compares."""
    for folder in ("profiles", "blocklists"):
        (tmp_path / folder).mkdir()
    source = ROOT / "blocklists" / "categories.yaml"
    (tmp_path / "blocklists" / "categories.yaml").write_bytes(source.read_bytes())
    main(tmp_path)
    assert {name: (tmp_path / name).read_text(encoding="utf-8") for name in SCHEMAS} == SCHEMAS
