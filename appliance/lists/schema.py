"""JSON Schemas of catalogue, help lines and pinned sites, so that an editor completes and checks them.

What lives only here: the schema files beside them. `python -m appliance.lists.schema` writes
them again; a test fails when they are old.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from appliance.config.schema import schema, schema_text
from appliance.lists.catalogue import Catalogue, HelpLines, load_categories
from appliance.lists.pinned import PinnedFile


def schemas(blocklists: Path) -> dict[str, str]:
    """Return the text of each schema file by its name; category ids are those of `blocklists`."""
    catalogue = schema(Catalogue)
    names = {"enum": sorted(load_categories(blocklists))}
    shapes: dict[str, Any] = catalogue["$defs"]
    for shape in ("ListEntry", "Folder", "Download"):
        shapes[shape]["properties"]["categories"]["items"] = names
    shapes["FloorEntry"]["properties"]["category"] = names
    return {
        "catalogue.schema.json": schema_text(catalogue),
        "help.schema.json": schema_text(schema(HelpLines)),
        "pinned.schema.json": schema_text(schema(PinnedFile)),
    }


def main(blocklists: Path) -> None:
    """Write the files into the folder of the catalogue."""
    for name, text in schemas(blocklists).items():
        (blocklists / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "blocklists"))
