from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from appliance.gateway.handler import Handler
from appliance.gateway.heads import MALFORMED_MARK


class Addon:
    """Takes what the doors tell; `broken` makes it fail."""

    def __init__(self, *, broken: bool = False) -> None:
        self.told: list[tuple[str, str]] = []
        self.broken = broken

    def refused_head(self, _client: object, text: str) -> None:
        self._tell("refused_head", text)

    def crashed(self, _client: object, kind: str) -> None:
        self._tell("crashed", kind)

    def _tell(self, what: str, text: str) -> None:
        if self.broken:
            raise RuntimeError("secret text")
        self.told.append((what, text))


def handler_with(addon: Addon | None) -> tuple[Handler, list[str]]:
    """Return a handler without sockets, and the reasons for which its connections were cut."""
    handler = Handler.__new__(Handler)
    cuts: list[str] = []
    handler.master = SimpleNamespace(addons={"gateway": addon} if addon else {})  # type: ignore[assignment]  # enough
    handler.client = SimpleNamespace(id="1", peername=("10.20.0.5", 1))  # type: ignore[assignment]  # enough
    task: Any = SimpleNamespace(cancel=cuts.append)
    handler.transports = {1: SimpleNamespace(handler=task), 2: SimpleNamespace(handler=None)}  # type: ignore[dict-item]  # enough
    return handler, cuts


def test_a_refused_head_is_told_and_nothing_else_is() -> None:
    """Only what never became a request is told; mitmproxy's chatter is dropped with all it holds (H30)."""
    addon = Addon()
    handler, cuts = handler_with(addon)
    handler.log(f"{MALFORMED_MARK}This request is not valid HTTP.")
    handler.log("Unexpected data from server: b'secret'", 40)
    handler.log("client connect")
    assert addon.told == [("refused_head", "This request is not valid HTTP.")]
    assert cuts == []


def test_a_crash_is_told_by_its_kind_and_cuts_both_sides() -> None:
    """After a crash inside mitmproxy nothing more passes on this connection (H29)."""
    addon = Addon()
    handler, cuts = handler_with(addon)
    error = ValueError("secret body")
    handler.log("mitmproxy has crashed!", 40, (ValueError, error, None))
    try:
        crash()
    except OddError:
        handler.log("mitmproxy has crashed!", 40, exc_info=True)
    handler.log("connection handler has crashed: x", 40)
    assert addon.told == [("crashed", "ValueError"), ("crashed", "OddError"), ("crashed", "unknown error")]
    assert len(cuts) == 3


class OddError(Exception):
    """A crash."""


def crash() -> None:
    raise OddError("secret body")


@pytest.mark.parametrize("addon", [None, Addon(broken=True)])
def test_a_crash_cuts_even_when_it_cannot_be_told(
    addon: Addon | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a missing nor a failing addon keeps a broken connection open."""
    handler, cuts = handler_with(addon)
    handler.log("mitmproxy has crashed!", 40, (ValueError, ValueError(), None))
    assert len(cuts) == 1
    assert "secret" not in caplog.text
