"""JSON Schemas for the editors, made from the very classes that read the files.

What lives only here: the schema files that are checked in beside the YAML. Each YAML file names its
schema in its first line, so that VS Code completes keys and categories and marks what is wrong while
it is being typed. `python -m appliance.config.schema` writes them again; a test fails when they are old.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from appliance.config.alerts import AlertsFile
from appliance.config.categories import read_categories
from appliance.config.incidents import IncidentsFile
from appliance.config.roles import RolesFile
from appliance.config.shapes import CategoriesFile, ProfileFile, SetFile
from appliance.config.typed import open_document
from appliance.model.category import Category
from appliance.model.profile import Rating

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a file's model, with the descriptions and examples of its fields."""
    return {"$schema": _DIALECT, **model.model_json_schema(by_alias=True)}


def schema_text(content: Mapping[str, Any]) -> str:
    """Return a schema as the text of its file."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def profile_schema(categories: Mapping[str, Category]) -> dict[str, Any]:
    """Return the schema of a profile, in which every category is a key that an editor can complete."""
    content = schema(ProfileFile)
    rules = content["properties"]["rules"]
    rules.pop("additionalProperties", None)
    rules.pop("propertyNames", None)
    rules["properties"] = {name: _rule_schema(category) for name, category in sorted(categories.items())}
    rules["additionalProperties"] = False
    return content


def schemas(categories_file: Path) -> dict[str, str]:
    """Return the text of each schema file under its path within the repository."""
    categories = read_categories(open_document(categories_file))
    names = schema(CategoriesFile)
    names["$defs"]["CategoryShape"]["properties"]["lifts"]["items"] = {"enum": sorted(categories)}
    roles = schema(RolesFile)
    open_to_roles = sorted(name for name, category in categories.items() if not category.floor)
    roles["$defs"]["RoleShape"]["properties"]["categories"]["items"] = {"enum": open_to_roles}
    return {
        "profiles/roles.schema.json": schema_text(roles),
        "profiles/profile.schema.json": schema_text(profile_schema(categories)),
        "profiles/set.schema.json": schema_text(schema(SetFile)),
        "profiles/alerts.schema.json": schema_text(schema(AlertsFile)),
        "profiles/incidents.schema.json": schema_text(schema(IncidentsFile)),
        "blocklists/categories.schema.json": schema_text(names),
    }


def main(root: Path) -> None:
    """Write the schema files of the repository at `root`."""
    for name, text in schemas(root / "blocklists" / "categories.yaml").items():
        (root / name).write_text(text, encoding="utf-8")


def _rule_schema(category: Category) -> dict[str, Any]:
    rule: dict[str, Any] = {"$ref": "#/$defs/RuleShape", "description": category.title}
    if category.floor:
        rule["properties"] = {"rating": {"const": str(Rating.ILLEGAL)}}
    return rule


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
