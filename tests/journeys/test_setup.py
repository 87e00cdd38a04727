"""The scripts that set the gateway up, on machines as bad as they come; the units, as systemd reads them."""

from __future__ import annotations

import hashlib
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "deploy" / "bin"
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
REAL = f"{sys.base_prefix}/bin/python{sys.version_info.major}.{sys.version_info.minor}"

pytestmark = pytest.mark.slow


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return a folder to put on PATH that has the usual small programs, and no Python at all."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "cat", "env", "head", "sed"):
        (programs / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    return programs


def program(path: Path, text: str) -> Path:
    """Write a small shell program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def find_python(path: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Look for a Python on a machine with this PATH and an empty home."""
    return subprocess.run(
        [str(SCRIPTS / "find-python")],
        env={"PATH": path, "HOME": "/nonexistent", **more},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_python_that_does_not_start_is_passed_over(machine: Path, tmp_path: Path) -> None:
    """A shim that points nowhere, first on PATH, must not end the set-up: the real one beside it is found."""
    shim = program(
        tmp_path / "pyenv" / "shims" / "python3.13", "echo 'pyenv: command not found' >&2; exit 127"
    )
    for version in ("3.13", "3.12"):
        folder = tmp_path / "pyenv" / "versions" / f"{version}.0" / "bin"
        program(folder / f"python{version}", f'exec "{REAL}" "$@"')
    found = find_python(f"{shim.parent}:{machine}")
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()).samefile(REAL)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo it is broken >&2; exit 1", "it is broken"),
        ("echo /no/such/file", "/no/such/file"),
        ("exit 0", ""),
    ],
)
def test_a_choice_that_will_not_do_is_named_with_the_reason(machine: Path, text: str, said: str) -> None:
    """A technician who names a Python learns what is wrong with that one, instead of getting another."""
    chosen = program(machine / "mine", text)
    found = find_python(str(machine), PYTHON=str(chosen))
    assert found.returncode == 1
    assert found.stdout == ""
    assert f"{chosen}: {said}" in found.stderr


def test_a_choice_that_is_not_there_is_said_to_be_missing(machine: Path) -> None:
    """A typing mistake in PYTHON is answered as one."""
    assert "there is no such program" in find_python(str(machine), PYTHON="/no/python").stderr


def test_the_environment_is_left_alone_when_nothing_changed(tmp_path: Path) -> None:
    """Every target calls the set-up, so a second call must cost next to nothing and need no network."""
    (tmp_path / "deploy" / "bin").mkdir(parents=True)
    whole = b""
    for name in ("requirements.lock", "pyproject.toml", "deploy/bin/install"):
        shutil.copy(ROOT / name, tmp_path / name)
        whole += (tmp_path / name).read_bytes()
    venv = tmp_path / ".venv"
    subprocess.run([REAL, "-m", "venv", "--without-pip", str(venv)], check=True)
    (venv / "installed").write_text(hashlib.sha256(whole).hexdigest() + "\n", encoding="utf-8")
    # The place is compared, because an environment that was moved is made anew; the option is the test's own.
    elsewhere = (venv / "pyvenv.cfg").read_text(encoding="utf-8")
    (venv / "pyvenv.cfg").write_text(re.sub(r"-m venv .*", f"-m venv {venv}", elsewhere), encoding="utf-8")
    begun = time.monotonic()
    done = subprocess.run([str(tmp_path / "deploy/bin/install")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - begun < 2


def test_missing_programs_are_named_and_not_skipped(machine: Path) -> None:
    """Whoever cannot install packages is told which are missing, and no journey is left out in silence."""
    copy = machine.parent / "system-packages"
    text = (SCRIPTS / "system-packages").read_text(encoding="utf-8")
    copy.write_text(text.replace("$PATH:/usr/sbin:/sbin", "$PATH"), encoding="utf-8")
    program(machine / "id", "echo 1000")
    done = subprocess.run(
        ["/bin/bash", str(copy)], env={"PATH": str(machine)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    for package in ("chromium", "curl", "iproute2", "nftables", "nginx-light"):
        assert package in done.stderr


def test_ctrl_c_ends_the_gateway_and_not_make(tmp_path: Path) -> None:
    """Ctrl-C at a terminal is the ordinary way to end the demo, so it is no error."""
    (tmp_path / "server.py").write_text(
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, lambda *_: (print('ended cleanly', flush=True), sys.exit(0)))\n"
        "print('serving', flush=True)\n"
        "signal.pause()\n",
        encoding="utf-8",
    )
    (tmp_path / "Makefile").write_text(
        f"run:\n\t@exec {SCRIPTS / 'foreground'} {sys.executable} server.py\n", encoding="utf-8"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execvp("make", ["make", "run"])  # noqa: S606 - the child of the fork becomes make
    shown = b""
    try:
        while b"serving" not in shown:
            shown += os.read(terminal, 1024)
        os.write(terminal, b"\x03")
        while chunk := _read(terminal):
            shown += chunk
    finally:
        os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, shown
    assert b"ended cleanly" in shown
    assert b"Interrupt" not in shown


def _read(terminal: int) -> bytes:
    """Read what comes; a terminal whose programs have all ended answers with an error."""
    try:
        return os.read(terminal, 1024)
    except OSError:
        return b""


def test_without_a_terminal_the_gateway_gets_the_signals_itself() -> None:
    """A service manager that ends what it started must reach the gateway, not a shell in front of it."""
    with subprocess.Popen(
        [str(SCRIPTS / "foreground"), "sleep", "60"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as started:
        started.send_signal(signal.SIGTERM)
        assert started.wait(timeout=60) == -signal.SIGTERM


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_what_systemd_accepts(unit: Path, tmp_path: Path) -> None:
    """A spelling mistake in a unit would be ignored by systemd, and its protection with it."""
    text = unit.read_text(encoding="utf-8")
    copy = tmp_path / unit.name
    copy.write_text(re.sub(r"^(Exec\w+)=\S+", r"\1=/bin/true", text, flags=re.MULTILINE), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
    )
    said = (done.stdout + done.stderr).splitlines()
    # It reads the machine's other units as well, and what it says of those is not about ours.
    ours = [line for line in said if not re.match(r"(/usr)?/lib/systemd/system/", line)]
    assert (done.returncode, ours) == (0, [])


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_leaves_the_gateway_few_rights(unit: Path) -> None:
    """Systemd's own measure of exposure: 0 is nothing, 10 is everything, an ordinary service has about 9."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_units_agree_on_what_may_never_be_done() -> None:
    """A right taken from one unit and left to the other is a hole."""
    marker = "# --- what it may never do ---"
    texts = [unit.read_text(encoding="utf-8").partition(marker)[2] for unit in UNITS]
    protections = {text.partition("[Install]")[0].strip() for text in texts}
    assert len(UNITS) > 1
    assert len(protections) == 1
