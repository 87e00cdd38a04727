"""What a process that opens a statutory list leaves behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """\
import ctypes, resource
from appliance.lists.unseen import keep_unseen
keep_unseen()
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


@pytest.mark.slow
def test_no_core_and_no_look_from_outside() -> None:
    """A crash amid an update writes no list to the disk, and a debugger of the same user sees nothing."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == "(0, 0) 0\n"
