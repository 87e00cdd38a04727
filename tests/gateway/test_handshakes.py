from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from appliance.gateway import handshakes as module
from appliance.gateway.handshakes import FILE, Handshakes, Suggestion, suggestions

TODAY, LATER = date(2026, 11, 20), date(2026, 11, 22)
WHY = "The client does not trust the proxy's certificate for app.example (OpenSSL Error)"


def test_hosts_that_fail_again_and_again_are_suggested(tmp_path: Path) -> None:
    """A technician hears of an app that pins, with how often and when, and of nobody's device."""
    noted = Handshakes(tmp_path)
    for day in (TODAY, TODAY, LATER):
        noted.failed("app.example", WHY, day)
    noted.failed("once.example", WHY, TODAY)
    assert suggestions(tmp_path) == [Suggestion("app.example", 3, TODAY, LATER)]
    assert [one.host for one in suggestions(tmp_path, 1)] == ["app.example", "once.example"]
    assert (tmp_path / FILE).read_text() == (
        "2026-11-20 app.example\n2026-11-20 app.example\n2026-11-22 app.example\n2026-11-20 once.example\n"
    )


def test_other_failures_suggest_nothing(tmp_path: Path) -> None:
    """A client with an old version of TLS is no app that pins."""
    Handshakes(tmp_path).failed("app.example", "Client and mitmproxy cannot agree on a TLS version", TODAY)
    Handshakes(tmp_path).failed("", WHY, TODAY)
    Handshakes(None).failed("app.example", WHY, TODAY)
    assert suggestions(tmp_path, 1) == []


@pytest.mark.slow
def test_the_file_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that tries a million times does not fill the disk, and the last failures are still known."""
    monkeypatch.setattr(module, "MOST_BYTES", 200)
    noted = Handshakes(tmp_path)
    for _ in range(1000):
        noted.failed("app.example", WHY, TODAY)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 500
    assert suggestions(tmp_path)[0].failures > 3


def test_damage_is_read_over(tmp_path: Path) -> None:
    """A line that was cut off by a power cut costs that line; a folder that is gone costs no lesson."""
    (tmp_path / FILE).write_bytes(b"2026-11-20 app.example\n2026-1\n\xff\xfe\n2026-11-20 \n")
    assert [one.host for one in suggestions(tmp_path, 1)] == ["app.example"]
    Handshakes(tmp_path / "gone").failed("app.example", WHY, TODAY)
