from __future__ import annotations

import logging

from appliance import reporting


def test_messages_go_to_stderr() -> None:
    """What systemd keeps of the gateway begins at warnings."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers.clear()
    try:
        reporting.log_to_stderr()
        assert root.level == logging.WARNING
        assert len(root.handlers) == 1
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
