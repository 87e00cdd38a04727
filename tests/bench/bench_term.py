"""A term of a school lived through by the real rules of alerts: what was missed, how many alerts there were.

    python tests/bench/bench_term.py        # 600 pupils, 12 weeks, every theme planted 20 times

What lives only here: the size. The term is made in `tests/doubles/term.py`, the same for the same seed.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path
from tempfile import mkdtemp

from tests.bench.measure import report
from tests.doubles.school import configuration, load_once
from tests.doubles.term import SLIPS, SLIPS_A_WEEK, live, make


def main() -> None:
    """Make a term, live through it, and say what became of it."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    asked.add_argument("--pupils", type=int, default=600)
    asked.add_argument("--weeks", type=int, default=12)
    asked.add_argument("--each", type=int, default=20, help="how often each theme is planted")
    size = asked.parse_args()
    folder = Path(mkdtemp())
    try:
        with report("term") as out:
            loaded = load_once(configuration(folder))
            chosen = loaded.policy.sets["westways"]
            term = make(loaded.policy, chosen, pupils=size.pupils, weeks=size.weeks, each=size.each)
            began = time.process_time()
            found = live(term, chosen, folder / "state")
            row = {
                "pupils": size.pupils, "weeks": size.weeks, "flagged accesses": len(term.records),
                "planted": len(term.planted), "missed": len(found.missed), "cases told": found.cases,
                "alerts": found.alerts, "per 100 pupils a week": found.per_100_a_week,
                "s of CPU": time.process_time() - began,
            }  # fmt: skip
            out.table("The term", [row])
            out.reach("planted themes that nobody was told of", len(found.missed), 0, "themes")
            out.note(
                f"beside what is planted, each pupil slips {SLIPS_A_WEEK:g} times a week (made up): {SLIPS}"
            )
            out.note(
                "alerts per 100 pupils a week follow from that mix; a school measures its own by its reports"
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
