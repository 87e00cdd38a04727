"""How long it takes to check an audit of a million records: at most 30 seconds, in one process.

Run it alone: `python tests/bench/bench_audit.py [RECORDS]`. Prints seconds on the clock and of CPU.
"""

from __future__ import annotations

import io
import sys
import time

from appliance.events.verify_audit import FIRST, canonical, line_hash, verify

REACH = 30.0


def made(count: int) -> bytes:
    """Return a trail of so many records, of the size that real ones have."""
    lines, before = [], FIRST
    for number in range(1, count + 1):
        moment = f"2026-11-22T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.000+00:00"
        entry = {
            "at": moment,
            "n": number,
            "before": before,
            "what": "sign-in",
            "by": f"teacher {number % 99}",
        }
        lines.append(canonical(entry | {"whom": f"teacher {number % 99}", "address": "10.20.0.14"}) + b"\n")
        before = line_hash(lines[-1])
    return b"".join(lines)


def main() -> int:
    """Measure, print, and return 1 where the reach was missed."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    began = time.process_time()
    data = made(count)
    print(f"made {count} records, {len(data) / 1e6:.0f} MB, {time.process_time() - began:.1f} s of CPU")
    clock, began = time.perf_counter(), time.process_time()
    report = verify(io.BytesIO(data))
    clock, cpu = time.perf_counter() - clock, time.process_time() - began
    print(f"verify: {clock:.1f} s on the clock, {cpu:.1f} s of CPU; at most {REACH:.0f} s")
    print(f"{report.records} records, {len(report.findings)} findings")
    return int(clock > REACH or bool(report.findings))


if __name__ == "__main__":
    sys.exit(main())
