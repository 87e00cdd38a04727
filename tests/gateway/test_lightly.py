from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from appliance.gateway.lightly import (
    LeftOutError,
    leave_out_unused_addons,
    leave_out_unused_libraries,
)

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


@pytest.mark.slow
def test_a_worker_loads_without_quic_and_command_line() -> None:
    """A small machine's memory is for connections; a stand-in may be named, and never be called."""
    said = in_a_new_process(
        "import sys, appliance.loaded\n"
        "from mitmproxy.proxy.layers import http, quic\n"
        "print(sorted({'pyparsing.core', 'aioquic._crypto', 'ruamel.yaml.main'} & set(sys.modules)))\n"
        "print(isinstance(b'', quic.QuicStreamEvent), http.Http3Client.__name__)\n"
        "try:\n    quic.ClientQuicLayer(None)\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    assert said == (
        "[]\nFalse Http3Client\n"
        "LeftOutError ClientQuicLayer is left out of workers (see appliance.gateway.lightly)\n"
    )


def test_nothing_is_left_out_where_mitmproxy_is_loaded() -> None:
    """Whoever uses mitmproxy beside us (a test, a tool) has all of it."""
    import mitmproxy.command_lexer  # noqa: PLC0415 - loaded by this test on purpose

    before = list(sys.meta_path)
    leave_out_unused_libraries()
    assert sys.meta_path == before
    assert mitmproxy.command_lexer.unquote("'a'") == "a"
    assert issubclass(LeftOutError, RuntimeError)
