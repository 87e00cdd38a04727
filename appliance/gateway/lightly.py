"""Loads mitmproxy without what a gateway has no use for.

What lives only here: the way round `mitmproxy/addons/__init__.py`, which imports all forty addons, and
with them a web server, a directory client and two parser generators: a third of the time and an eighth of
the memory of a worker. Nothing in mitmproxy needs that file; each addon is a module of its own. And
stand-ins for what mitmproxy imports and a worker never calls, a tenth of the memory once more.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Never, override

_PACKAGE = "mitmproxy.addons"

ABSENT = (
    "aioquic",
    "mitmproxy.proxy.layers.quic",
    "mitmproxy.proxy.layers.http._http3",
    "mitmproxy.command_lexer",
    "pyparsing",
    "ruamel",
)
"""What a worker does without, with all that is inside: QUIC (no port takes it), the words of mitmproxy's own
command line, and its option files."""


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


def leave_out_unused_libraries() -> None:
    """Let stand-ins take the place of what is in `ABSENT`, if nothing has loaded mitmproxy yet."""
    if "mitmproxy" not in sys.modules:
        sys.meta_path.insert(0, _Finder())


class LeftOutError(RuntimeError):
    """Something was called that a worker does without: whoever called it fails, and so closes."""


class _Kind(type):
    """The kind of all names of a stand-in: they may be named and inherited from, and not be called."""

    def __getattr__(cls, name: str) -> _Kind:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Kind(name, (), {})

    @override
    def __call__(cls, *_: Any, **__: Any) -> Never:
        raise LeftOutError(f"{cls.__name__} is left out of workers (see appliance.gateway.lightly)")


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> _Kind:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Kind(name, (), {})


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    @override
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not any(name == absent or name.startswith(f"{absent}.") for absent in ABSENT):
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    @override
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    @override
    def exec_module(self, module: ModuleType) -> None:
        """Leave it empty."""
