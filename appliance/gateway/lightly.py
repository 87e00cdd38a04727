"""Loads mitmproxy without the addons that a gateway has no use for.

What lives only here: the way round `mitmproxy/addons/__init__.py`, which imports all forty addons, and
with them a web server, a directory client and two parser generators: a third of the time and an eighth of
the memory of a worker. Nothing in mitmproxy needs that file; each addon is a module of its own.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

_PACKAGE = "mitmproxy.addons"


def leave_out_unused_addons() -> None:
    """Let `mitmproxy.addons` be a package without contents of its own, if nothing has loaded it yet."""
    if _PACKAGE in sys.modules:
        return
    # Looking for a module inside loads nothing but the packages above, and mitmproxy's own is small.
    found = importlib.util.find_spec("mitmproxy")
    if found is None or not found.submodule_search_locations:
        return  # the import that follows says what is wrong
    package = ModuleType(_PACKAGE)
    package.__path__ = [f"{folder}/addons" for folder in found.submodule_search_locations]
    sys.modules[_PACKAGE] = package
