"""Every policy that was ever in force, kept by the hash of its files.

What lives only here: the folder STATE/policy. The supervisor checks the technician's files and
publishes a copy; workers read only published copies. So a broken edit changes nothing, not even for a
worker that starts again in the middle of it, and each logged decision's policy version can be opened.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Sequence
from ipaddress import ip_network
from pathlib import Path

from appliance.config.problems import Problem, ProblemsError
from appliance.config.profiles import load_policy
from appliance.model.profile import Policy
from appliance.model.stage import Stage
from appliance.owners import give
from appliance.transactions import keep_names

_CURRENT = "current"
_ASIDE = "set-aside"
_STAGE = "stage"
_CATEGORIES = "categories.yaml"
_MOST = 4096


class HeldError(ProblemsError):
    """The technician's files are right, and may all the same not be put in force now."""


class Snapshots:
    """Publishes and opens policies. `profiles` and `categories` are the technician's files.

    `unfit` says what makes a policy that is right in itself useless for this gateway, such as a missing
    profile that a client network counts on; such a policy is not published. `record` is told of each change
    of what is in force, from which version to which; what it cannot record does not happen. `held` says
    why a version may not take the place of another now.
    """

    def __init__(
        self,
        store: Path,
        profiles: Path,
        categories: Path,
        groups: Collection[str] = (),
        unfit: Callable[[Policy], Sequence[Problem]] = lambda _: (),
        record: Callable[[str, str], None] = lambda _old, _new: None,
        held: Callable[[str], str] = lambda _: "",
    ) -> None:
        self._store = store
        self._pointer = os.fspath(store / _CURRENT)
        self._profiles = profiles
        self._categories = categories
        self._groups = groups
        self._unfit = unfit
        self._record = record
        self._held = held

    def publish(self) -> Policy:
        """Check the technician's files and put them in force; ProblemsError (and no change) if they are bad.

        HeldError if they are good, but wait to be released; OSError if the state folder cannot be written.
        """
        policy = self.keep()
        current = self.current()
        if self._known(current) and policy.version != current and (why := self._waits(policy.version)):
            raise HeldError([Problem(str(self._profiles), 1, 1, why)])
        self._point(policy.version)
        return policy

    def keep(self) -> Policy:
        """Check the technician's files and keep a copy, without putting it in force; errors as `publish`."""
        while True:
            policy = load_policy(self._profiles, self._categories, groups=self._groups)
            if problems := self._unfit(policy):
                raise ProblemsError(problems)
            folder = self._folder(policy.version)
            if self._whole(policy.version) or self._copy(policy, folder):
                return policy

    def put_in_force(self, version: str) -> Policy:
        """Put a kept version in force; ProblemsError if its copy is gone, changed, or unfit here."""
        policy = self.open(version)
        if problems := self._unfit(policy):
            raise ProblemsError(problems)
        self._point(version)
        return policy

    def put_back(self, version: str) -> None:
        """Put in force again what was until just now; ProblemsError if its copy is gone or was changed."""
        self._point(self.open(version).version)

    def kept(self) -> list[tuple[str, float]]:
        """Return every version that is kept, with the moment its copy was made, the oldest first."""
        folders = [path for path in self._store.glob("sha256-*") if path.is_dir()]
        found = [(path.name.replace("-", ":", 1), path.stat().st_mtime) for path in folders]
        return sorted(found, key=lambda one: one[1])

    def files(self, version: str) -> dict[str, str]:
        """Return the text of each file of a kept version, by its name; empty where there is none."""
        folder = self._folder(version)
        paths = sorted(path for path in folder.rglob("*.yaml") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_text("utf-8", "replace") for path in paths}

    def current(self) -> str:
        """Return the version in force, or an empty text if none was ever published."""
        # Each process asks ten times a second: by the plainest means that there are.
        try:
            file = os.open(self._pointer, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return ""
        try:
            return os.read(file, _MOST).decode("ascii", "replace").strip()
        finally:
            os.close(file)

    def open(self, version: str) -> Policy:
        """Return a published policy; ProblemsError if its copy is gone or was tampered with."""
        folder = self._folder(version)
        policy = load_policy(folder / self._profiles.name, folder / _CATEGORIES, groups=self._groups)
        if policy.version != version:
            message = f"this copy of the policy {version} has been changed; start the gateway again"
            raise ProblemsError([Problem(str(folder), 1, 1, message)])
        return policy

    def signature(self) -> tuple[tuple[str, int, int], ...]:
        """Return what changes when the technician's files change; cheap enough to ask ten times a second."""
        # What is named otherwise is not read, and a technician is told so: it is looked at as well.
        found = [path for folder in _entries(self._profiles) for path in _entries(folder)]
        named = sorted(path for path in found if path.lower().endswith((".yaml", ".yml")))
        return tuple(_stamp(path) for path in (os.fspath(self._categories), *named))

    def put_stage_back(self, text: str) -> None:
        """Let count for some people first what `stage_text` once said; OSError."""
        self._write(_STAGE, text)

    def set_aside(self, version: str) -> None:
        """Keep `publish` from this version, which was rolled back; an empty text for none."""
        self._write(_ASIDE, version)

    def stage_text(self) -> str:
        """Return what changes whenever another policy counts for some people first; cheap to ask."""
        try:
            return (self._store / _STAGE).read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return ""

    def staged(self) -> tuple[Stage, Policy] | None:
        """Return the policy that counts for some people first; None for none. ProblemsError if damaged."""
        if not (text := self.stage_text()):
            return None
        try:
            found = json.loads(text)
            stage = Stage(
                str(found["version"]),
                int(found["number"]),
                str(found["shown"]),
                frozenset(found["groups"]),
                frozenset(found["names"]),
                tuple(ip_network(each) for each in found["networks"]),
                found["until"] if found["until"] is None else float(found["until"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            message = f"damaged ({error}); `appliance changes return` or `widen` makes it whole again"
            raise ProblemsError([Problem(str(self._store / _STAGE), 1, 1, message)]) from None
        return stage, self.open(stage.version)

    def set_stage(self, stage: Stage | None) -> None:
        """Let a kept version count for some people first; None: for nobody. ProblemsError, OSError."""
        if stage is None:
            self.put_stage_back("")
            return
        policy = self.open(stage.version)
        if problems := self._unfit(policy):
            raise ProblemsError(problems)
        said = {
            "version": stage.version,
            "number": stage.number,
            "shown": stage.shown,
            "groups": sorted(stage.groups),
            "names": sorted(stage.names),
            "networks": [str(each) for each in stage.networks],
            "until": stage.until,
        }
        self._write(_STAGE, json.dumps(said))

    def _waits(self, version: str) -> str:
        try:
            aside = (self._store / _ASIDE).read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            aside = ""
        if version == aside:
            return "this version was rolled back; edit the files, or `appliance changes rollback` to it"
        return self._held(version)

    def _known(self, version: str) -> bool:
        # A pointer that a crash spoiled holds up nobody: there is nothing in force that could be kept.
        return bool(version) and self._folder(version).parent == self._store and self._whole(version)

    def _whole(self, version: str) -> bool:
        try:
            return self._folder(version).is_dir() and bool(self.open(version))
        except ProblemsError:
            return False

    def _folder(self, version: str) -> Path:
        return self._store / version.replace(":", "-")

    def _copy(self, policy: Policy, folder: Path) -> bool:
        # The copy is checked, not trusted: a file saved between reading and copying gives another hash.
        temporary = self._store / f".new-{os.getpid()}"
        shutil.rmtree(temporary, ignore_errors=True)
        (temporary / self._profiles.name).mkdir(parents=True)
        for file in sorted(self._profiles.glob("*/*.yaml")):
            target = temporary / self._profiles.name / file.parent.name
            target.mkdir(exist_ok=True)
            shutil.copyfile(file, target / file.name)
        shutil.copyfile(self._categories, temporary / _CATEGORIES)
        copied = load_policy(temporary / self._profiles.name, temporary / _CATEGORIES, groups=self._groups)
        for path in (temporary, *temporary.rglob("*")):
            give(path, self._store)
        if copied.version != policy.version:
            shutil.rmtree(temporary, ignore_errors=True)
            return False
        if folder.exists():
            shutil.rmtree(folder)  # a copy that was changed: it is not what its name says
        try:
            temporary.rename(folder)
        except OSError:
            shutil.rmtree(temporary, ignore_errors=True)
            if not folder.exists():
                raise  # otherwise another process published the same version in this moment
        return True

    def _point(self, version: str) -> None:
        if (before := self.current()) == version:
            return
        self._record(before, version)
        self._write(_CURRENT, version)

    def _write(self, name: str, text: str) -> None:
        temporary = self._store / f".{name}-{os.getpid()}"
        with temporary.open("w", encoding="ascii") as file:
            give(file.fileno(), self._store)
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._store / name)
        keep_names(self._store)  # a decision that is on the disk is in force after a power cut as well


def _entries(folder: str | Path) -> list[str]:
    try:
        with os.scandir(folder) as found:
            return [each.path for each in found]
    except OSError:  # gone, or no folder at all
        return []


def _stamp(file: str) -> tuple[str, int, int]:
    try:
        status = os.stat(file)  # noqa: PTH116 - hundreds of times a second, and a Path costs more than the call
    except OSError:
        return file, 0, 0
    return file, status.st_mtime_ns, status.st_size
