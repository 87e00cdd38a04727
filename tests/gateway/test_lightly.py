from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from appliance.gateway.lightly import leave_out_unused_addons

ROOT = Path(__file__).resolve().parents[2]


def in_a_new_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout


@pytest.mark.slow
def test_addons_load_without_the_forty_others() -> None:
    """A worker needs three of mitmproxy's addons; the web server and the directory client stay out."""
    said = in_a_new_process(
        "import sys\n"
        "from appliance.gateway.lightly import leave_out_unused_addons\n"
        "leave_out_unused_addons()\n"
        "from mitmproxy.addons import next_layer\n"
        "print(next_layer.NextLayer.__name__, sorted({'flask', 'ldap3', 'pyparsing'} & set(sys.modules)))\n"
    )
    assert said == "NextLayer []\n"


def test_what_is_loaded_already_stays() -> None:
    """Where mitmproxy was imported before, nothing is swapped under it."""
    import mitmproxy.addons  # noqa: PLC0415 - loaded by this test on purpose

    before = sys.modules["mitmproxy.addons"]
    leave_out_unused_addons()
    assert sys.modules["mitmproxy.addons"] is before is mitmproxy.addons
