"""What we stand on: pyproject.toml and requirements.lock agree, by hash, and every entry has its reason.

What lives only here: how the two files are read. What is in them is theirs.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.test_house import complain, read

LOCKS = ("requirements.lock", "deploy/pdf.lock")


def project() -> dict[str, Any]:
    """Return what pyproject.toml says of the project."""
    found: dict[str, Any] = tomllib.loads(read("pyproject.toml"))["project"]
    return found


def dependencies() -> dict[str, Requirement]:
    """Return every dependency that pyproject.toml asks for, by its normalised name."""
    listed = project()["dependencies"] + project()["optional-dependencies"]["dev"]
    asked = [Requirement(text) for text in listed]
    return {re.sub(r"[-_.]+", "-", requirement.name).lower(): requirement for requirement in asked}


def locked(lock: str = "requirements.lock") -> dict[str, list[str]]:
    """Return each entry of a lock: `name==version` to its further lines."""
    entries: dict[str, list[str]] = {}
    name = ""
    for line in read(lock).splitlines():
        if not line.startswith((" ", "#")):
            name = line.split(" ")[0]
            entries[name] = []
        elif name:
            entries[name].append(line.strip())
    return entries


@pytest.mark.slow
@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_holds_a_hash_for_everything_and_names_no_source(lock: str) -> None:
    """What is installed is what was looked at, wherever it is fetched from."""
    hashed = re.compile(r"--hash=sha256:[0-9a-f]{64}( \\)?")
    findings = [
        name for name, lines in locked(lock).items() if not lines or not all(map(hashed.fullmatch, lines))
    ]
    findings += [name for name in locked(lock) if not re.fullmatch(r"[a-z0-9-]+==[0-9a-z.]+", name)]
    findings += re.findall(r".*(?://|@ |--(?!hash=)).*", read(lock))
    assert locked(lock), "the lock is empty"
    complain(findings, "each entry of the lock is exact and has its hashes, and no address is in it")


def test_the_lock_holds_what_pyproject_asks_for() -> None:
    """A dependency that was added or raised without `make lock` fails here and not on a school's machine."""
    versions = {name: Version(version) for name, _, version in (entry.partition("==") for entry in locked())}
    findings = [
        str(requirement)
        for name, requirement in dependencies().items()
        if name not in versions or not requirement.specifier.contains(versions[name])
    ]
    complain(findings, "not in requirements.lock in a fitting version (make lock)")


def test_an_extra_changes_nothing_that_the_gateway_runs_on() -> None:
    """Whoever wants nicer paper gets the very versions of everything else that were tested."""
    names = [{entry.partition("==")[0] for entry in locked(lock)} for lock in LOCKS]
    complain(sorted(names[0] & names[1]), "in both locks (make lock)")
    versions = dict(entry.split("==") for entry in locked("deploy/pdf.lock"))
    for asked in map(Requirement, project()["optional-dependencies"]["pdf"]):
        assert asked.specifier.contains(versions[asked.name]), (
            f"{asked} is not in deploy/pdf.lock (make lock)"
        )


def test_every_dependency_and_every_setting_switched_off_has_its_reason() -> None:
    """Whoever wants to remove a line can read what it is for."""
    listed = re.compile(r'^\s+"[^"]+",?\s*(#\s*\S.*)?$')
    findings, wanted = [], False
    for number, line in enumerate(read("pyproject.toml").splitlines(), 1):
        if re.match(
            r'(dependencies|dev|pdf|ignore|filterwarnings|override-dependencies|"tests/\*\*") = \[$', line
        ):
            wanted = True
        elif line.startswith("]"):
            wanted = False
        elif wanted and (match := listed.match(line)) and not match[1] and '"error"' not in line:
            findings.append(f"pyproject.toml:{number}: {line.strip()}")
    complain(findings, "each dependency and each rule switched off has its reason on the line")
