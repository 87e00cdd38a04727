"""The command line: `appliance VERB`, one file a verb.

For: people and scripts who run the gateway, ask it or keep its lists.
In -> out: arguments -> results on stdout, messages on stderr; 0 good, 1 found something, 2 cannot.
May touch: everything, through assembly.
Must not know: how a room does its work.
"""

from __future__ import annotations

from appliance.cli.main import main

__all__ = ["main"]
