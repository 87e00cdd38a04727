"""The names of the metrics."""

from __future__ import annotations

import re

from appliance.metrics_specs import SPECS

UNITS = ("_seconds", "_bytes", "_total", "_length", "_entries")


def test_every_metric_is_named_as_prometheus_asks() -> None:
    """Whoever writes an alarm can guess a name: our prefix, small letters, and counters end in _total."""
    assert [name for name in SPECS if not re.fullmatch(r"gateway(_[a-z0-9]+)+", name)] == []
    counters = {name for name, spec in SPECS.items() if spec.mode == "counter"}
    assert counters == {name for name in SPECS if name.endswith("_total")}
    assert [
        name for name, spec in SPECS.items() if spec.mode == "histogram" and not name.endswith(UNITS)
    ] == []


def test_every_metric_says_what_it_counts() -> None:
    """A dashboard shows a sentence beside each number, and no label is asked for twice."""
    assert [name for name, spec in SPECS.items() if not spec.help.endswith(".")] == []
    assert [name for name, spec in SPECS.items() if len(set(spec.labels)) != len(spec.labels)] == []
