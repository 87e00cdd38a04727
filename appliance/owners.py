"""Whose the files about people are: what a command makes as root belongs to the gateway's own user.

What lives only here: that giving. A trail that root made first could not be written by the gateway, and
nobody could sign in any more.
"""

from __future__ import annotations

import os
from pathlib import Path


def give(made: int | Path, folder: Path) -> None:
    """Give what root has made, a path or an open descriptor, to the owner of `folder`; OSError if refused."""
    if os.geteuid() == 0 and (owner := folder.stat()).st_uid != 0:
        os.chown(made, owner.st_uid, owner.st_gid)


def make_folder(path: Path) -> None:
    """Make a folder that its owner alone can open: the owner of the folder that it is in."""
    if not path.is_dir():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        give(path, path.parent)


def open_private(path: Path, flags: int) -> int:
    """Open a file, made where it is missing, that only the owner of its folder can read; OSError.

    A symbolic link in its place is an error: whoever owns the folder must not choose what root writes.
    """
    handle = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    give(handle, path.parent)
    return handle
