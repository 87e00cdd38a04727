"""Tests of WeasyPrint's own process: it fetches nothing, and says in one line why it cannot start."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.reports.press import WEASY

pytestmark = pytest.mark.slow


def test_nothing_is_fetched_whatever_a_page_asks_for(tmp_path: Path) -> None:
    """A name in a report that got past every escape could still reach no network and no file (DP-2)."""
    secret = tmp_path / "ca.key"
    secret.write_bytes(b"what nobody may read " * 50)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        to = f"http://127.0.0.1:{server.getsockname()[1]}/"
        page = (
            f'<html lang="en"><head><title>x</title><link rel="attachment" href="{secret.as_uri()}">'
            f'<link rel="stylesheet" href="{to}"></head><body><img src="{to}">'
            f'<p style="background:url({to})">x<object data="{secret.as_uri()}"></object></body></html>'
        )
        done = subprocess.run(WEASY, input=page.encode(), capture_output=True, check=True)
        with pytest.raises(TimeoutError):
            server.accept()
    assert done.stdout.startswith(b"WeasyPrint ")
    assert b"%PDF-" in done.stdout
    assert b"EmbeddedFile" not in done.stdout


def test_a_library_that_is_missing_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    """A school whose system lacks pango reads which command brings it."""
    (tmp_path / "weasyprint.py").write_text("raise OSError('cannot load library x\\nmore')", encoding="utf-8")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    code += "from appliance.reports.weasy import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr.decode() == "cannot load library x (deploy/bin/system-packages pdf)\n"
