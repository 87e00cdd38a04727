"""The JSON Schema of the configuration file, for editors.

`python -m appliance.settings_schema` writes deploy/appliance.schema.json again; a test fails when it is old.
"""

from __future__ import annotations

import sys
from pathlib import Path

from appliance.config.schema import schema, schema_text
from appliance.events.fields import FIELDS
from appliance.settings import Settings

NAME = "appliance.schema.json"


def text() -> str:
    """Return the text of the schema file; the fields of the log are keys that an editor can complete."""
    content = schema(Settings)
    days = content["$defs"]["EventSettings"]["properties"]["retention_days"]
    kinds = days.pop("additionalProperties")
    days["properties"] = {key: kinds | {"description": field.purpose} for key, field in FIELDS.items()}
    days["additionalProperties"] = False
    return schema_text(content)


def main(folder: Path) -> None:
    """Write the file into the folder of the configuration."""
    (folder / NAME).write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "deploy"))
