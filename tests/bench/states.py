"""State folders with lists of the size that schools have, compiled once and kept for the next run.

What lives only here: how such a folder is made (as a technician makes it: import and compile) and when a kept
one is still good. The folders lie in `var/bench/state`.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from appliance.lists.catalogue import load_catalogue
from appliance.lists.compiler import ensure_compiled
from appliance.lists.formats import Format
from appliance.lists.importer import Wanted, import_list, import_tree, survey_of
from appliance.lists.paths import Paths
from tests.bench.made import CATEGORIES, CLINICS, URL_CATEGORY, Made, made, of_category
from tests.bench.measure import KEPT, ROOT, SHARED, give_up

NAMES = int(os.environ.get("BENCH_NAMES", "1000000"))
"""How many made names are listed; fewer for a quick look."""
UT1 = SHARED / "blocklists" / "ut1" / "blacklists.tar.gz"
BLOCKLISTS = ROOT / "blocklists"

_STAMP = "bench.json"


@functools.cache
def names() -> Made:
    """Return the made names, as the states hold them."""
    return made(NAMES)


def with_names() -> Path:
    """Return a state with the shipped lists and the made names."""
    return _kept(f"names-{NAMES}", _import_names)


def with_ut1() -> Path:
    """Return a state with the shipped lists and UT1; give up where UT1 is missing."""
    return _kept("ut1", _import_ut1, UT1)


def with_both() -> Path:
    """Return a state with the shipped lists, UT1 and the made names."""

    def fill(state: Path) -> None:
        shutil.copytree(with_ut1() / "lists", state / "lists")
        _import_names(state)

    return _kept(f"both-{NAMES}", fill, UT1)


def _kept(name: str, fill: Callable[[Path], None], *sources: Path) -> Path:
    for source in sources:
        if not source.is_file():
            give_up(f"{source} is missing; the folder `shared` belongs beside the repository")
    state = KEPT / "state" / name
    stamp = _fingerprint(sources)
    if not _is(state, stamp):
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir(parents=True)
        began = time.monotonic()
        print(f"  making lists ({name}) ...", end=" ", file=sys.stderr, flush=True)
        fill(state)
        ensure_compiled(BLOCKLISTS, state)
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        (state / _STAMP).write_text(json.dumps(stamp), encoding="utf-8")
    # Also where it was kept: the development floor has aged meanwhile, and would close the gate.
    ensure_compiled(BLOCKLISTS, state)
    return state


def _is(state: Path, stamp: str) -> bool:
    try:
        return bool(json.loads((state / _STAMP).read_text(encoding="utf-8")) == stamp)
    except (OSError, ValueError):
        return False


def _fingerprint(sources: Iterable[Path]) -> str:
    # Whatever reads lists may have changed since the folder was made.
    code = [*(ROOT / "appliance" / "lists").glob("*.py"), *Path(__file__).parent.glob("made.py")]
    digest = hashlib.sha256()
    for path in (*sorted(code), BLOCKLISTS / "catalogue.yaml", *sources):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _nothing() -> None:
    """Compile later, once for all lists."""


def _import_names(state: Path) -> None:
    found = names()
    parts: list[tuple[str, Iterable[str], Format]] = [
        (category, of_category(found, category), Format.DOMAINS) for category in CATEGORIES
    ]
    parts += [(URL_CATEGORY, found.urls, Format.URLS), ("health", CLINICS, Format.DOMAINS)]
    for category, lines, kind in parts:
        source = state / "made.txt"
        source.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
        wanted = Wanted(f"made-{category.replace('_', '-')}", f"Made: {category}", (category,), format=kind)
        import_list(source, wanted, Paths(state), now=datetime.now(UTC), compile_all=_nothing)
        source.unlink()


def _import_ut1(state: Path) -> None:
    catalogue = load_catalogue(BLOCKLISTS)
    found = survey_of(UT1)
    import_tree(UT1, found, catalogue, Paths(state), now=datetime.now(UTC), compile_all=_nothing)
