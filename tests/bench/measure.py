"""Figures: taking them, comparing them with what was to be reached, printing and keeping them.

What lives only here: how a percentile is taken, how a table looks, what is said of the machine, and how
much of it others used meanwhile. Nothing here asserts a time: a figure that was not reached is printed so.
"""

from __future__ import annotations

import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
KEPT = ROOT / "var" / "bench"
"""Where results and compiled lists are kept; git does not."""

_TICKS = os.sysconf("SC_CLK_TCK")
_BUSY = (0, 1, 2, 5, 6)  # user, nice, system, irq, softirq in /proc/stat
_QUIET = 0.1


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0 to 1) of the values lie; they must be sorted, and some."""
    return sorted_values[max(0, math.ceil(share * len(sorted_values)) - 1)]


def give_up(text: str) -> NoReturn:
    """End the benchmark because something that it needs is not there."""
    sys.stderr.write(f"{Path(sys.argv[0]).name}: {text}\n")
    sys.exit(2)


@dataclass(frozen=True, slots=True)
class Reach:
    """A figure that was to be reached: `value` must lie at or below `limit`, or above where `least`."""

    name: str
    value: float
    limit: float
    unit: str
    least: bool = False

    @property
    def reached(self) -> bool:
        """True when the figure is as good as it was to be."""
        return self.value >= self.limit if self.least else self.value <= self.limit


@dataclass(slots=True)
class Report:
    """One benchmark's figures, printed as they come and kept as JSON at the end."""

    name: str
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    reaches: list[Reach] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)

    def table(self, title: str, rows: Sequence[dict[str, Any]]) -> None:
        """Print a table; the keys of the first row are its columns."""
        self.rows[title] = list(rows)
        if not rows:
            return
        columns = list(rows[0])
        cells = [columns, *([_cell(row.get(column)) for column in columns] for row in rows)]
        widths = [max(len(line[at]) for line in cells) for at in range(len(columns))]
        print(f"\n{title}")
        for line in cells:
            first, *others = [text.ljust(width) for text, width in zip(line, widths, strict=True)]
            others = [text.strip().rjust(width) for text, width in zip(others, widths[1:], strict=True)]
            print("  " + "  ".join([first, *others]).rstrip())
        sys.stdout.flush()

    def reach(self, name: str, value: float, limit: float, unit: str, *, least: bool = False) -> None:
        """Note a figure that was to be reached, for the last table."""
        self.reaches.append(Reach(name, value, limit, unit, least))

    def note(self, text: str) -> None:
        """Say something that a reader of the figures must know."""
        self.notes.append(text)

    def close(self) -> None:
        """Print what was to be reached and on which machine, and write `var/bench/NAME.json`."""
        self.table(
            "Reach",
            [
                {
                    "figure": each.name,
                    "measured": each.value,
                    "unit": each.unit,
                    "reach": f"{'>=' if each.least else '<='} {each.limit:g}",
                    "reached": "yes" if each.reached else "NO",
                }
                for each in self.reaches
            ],
        )
        print()
        for note in self.notes:
            print(f"  note: {note}")
        print("  " + ", ".join(f"{name} {value}" for name, value in self.machine.items()))
        KEPT.mkdir(parents=True, exist_ok=True)
        target = KEPT / f"{self.name}.json"
        found = {"machine": self.machine, "tables": self.rows, "notes": self.notes}
        target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"  kept in {target.relative_to(ROOT)}\n", flush=True)


@contextmanager
def report(name: str, mine: Callable[[], float] = lambda: 0.0) -> Iterator[Report]:
    """Hand out a report, and close it with what the machine is and what others did on it meanwhile.

    `mine` returns the CPU seconds that processes of this benchmark have used which still run at the end.
    """
    # What is measured writes where its configuration says, whatever the caller's own gateway is told.
    os.environ.pop("APPLIANCE_STATE", None)
    # A start that compiles each module anew is nobody's start but the first.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    done = Report(name)
    began, busy, own = time.monotonic(), _busy(), _own() + mine()
    before = os.getloadavg()[0]
    yield done
    seconds = time.monotonic() - began
    foreign = max(0.0, (_busy() - busy) - (_own() + mine() - own)) / seconds
    done.machine = machine() | {
        "seconds": round(seconds, 1),
        "load before": round(before, 2),
        "load after": round(os.getloadavg()[0], 2),
        "others' CPU (cores)": round(foreign, 2),
    }
    if foreign > _QUIET:
        done.note(f"others used {foreign:.2f} of {os.cpu_count()} cores meanwhile: times are upper bounds")
    done.close()


def machine() -> dict[str, Any]:
    """Return what a reader needs to know of this machine, and when it was."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "CPU": _processor(),
        "cores": os.cpu_count(),
        "memory (GB)": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": platform.python_version(),
        "mitmproxy": version("mitmproxy"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {name.strip(): value.strip() for name, value in found.items()}
    return named.get("model name") or named.get("Model") or platform.processor() or "unknown"


def _busy() -> float:
    numbers = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    return sum(int(numbers[at]) for at in _BUSY) / _TICKS


def _own() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
    return "-" if value is None else str(value)
