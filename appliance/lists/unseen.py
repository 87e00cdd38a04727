"""Keeps the memory of a process that holds a statutory list in the clear from being written down.

What lives only here: no core file, and no look from outside by others of the same user. Swap is the machine's
own affair: it should be off, or encrypted.
"""

from __future__ import annotations

import ctypes
import resource

_PR_SET_DUMPABLE = 4


def keep_unseen() -> None:
    """Let this process, and the core limit of its children, leave nothing behind; for its whole life."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A core that goes to a program instead of a file (systemd-coredump) does not care for the limit.
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
