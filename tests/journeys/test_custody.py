"""A statutory list on its whole way, from the supplier's server to the keyed hashes: never on the disk."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pyrage
import pytest
import pyzipper
import yaml

from tests.doubles.feeds import FeedServer
from tests.journeys.running import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

MARK = "unspeakable"
PLAIN = "".join(f"http://{MARK}-{number}.example/page\n" for number in range(5000)).encode()
PASSWORD = "correct horse"


def _age(_: Path) -> bytes:
    return bytes(pyrage.passphrase.encrypt(PLAIN, PASSWORD))


def _zip(_: Path) -> bytes:
    raw = io.BytesIO()
    with pyzipper.AESZipFile(raw, "w", encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(PASSWORD.encode())
        archive.writestr("list.txt", PLAIN)
    return raw.getvalue()


def _gpg(folder: Path) -> bytes:
    home = folder / "gpg"
    home.mkdir(mode=0o700)
    command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback"]
    command += ["--passphrase", PASSWORD, "--symmetric", "--output", "-"]
    raw = subprocess.run(command, input=PLAIN, capture_output=True, check=True).stdout
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    shutil.rmtree(home)
    return raw


class Watch:
    """Looks through all files of some folders, again and again, for text that must not be there."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders
        self.found: list[str] = []
        self.looks = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._go_on)
        self._thread.start()

    def stop(self) -> None:
        """Look a last time, and end."""
        self._end.set()
        self._thread.join()
        self._look()

    def _go_on(self) -> None:
        while not self._end.wait(0.005):
            self._look()

    def _look(self) -> None:
        self.looks += 1
        for folder in self._folders:
            for path in folder.rglob("*"):
                try:
                    if path.is_file() and MARK.encode() in path.read_bytes():
                        self.found.append(str(path))
                except OSError:
                    continue  # it went while we looked


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FeedServer]:
    made = FeedServer(tmp_path)
    yield made
    made.close()


def _school(folder: Path, feed: dict[str, object]) -> Path:
    shutil.copytree(ROOT / "blocklists", folder / "blocklists")
    catalogue = folder / "blocklists" / "catalogue.yaml"
    known = yaml.safe_load(catalogue.read_text("utf-8"))
    known["floor"][0] = feed
    catalogue.write_text(yaml.safe_dump(known), "utf-8")
    settings = {
        "school": {"name": "Hill School", "set": "westways"},
        "paths": {"state": "state", "profiles": str(ROOT / "profiles"), "blocklists": "blocklists"},
        "gateway": {"listen": "127.0.0.1:18080"},
        "metrics": {"listen": "127.0.0.1:18081"},
        "identity": {"networks": [{"network": "127.0.0.0/8", "group": "staff", "name": "Here"}]},
    }
    config = folder / "appliance.yaml"
    config.write_text(yaml.safe_dump(settings), "utf-8")
    secrets = folder / "state" / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "supplier").write_text(PASSWORD, "utf-8")
    (secrets / "supplier").chmod(0o600)
    return config


@pytest.mark.parametrize(("kind", "locked"), [("age", _age), ("zip", _zip), ("gpg", _gpg), (None, None)])
def test_the_list_is_in_force_and_its_text_was_never_on_the_disk(
    tmp_path: Path, server: FeedServer, kind: str | None, locked: Callable[[Path], bytes] | None
) -> None:
    """Fetched over TLS, opened, hashed and in force; no file ever held an entry, not even for a moment."""
    server.serve("/list", locked(tmp_path) if locked else PLAIN)
    feed: dict[str, object] = {"id": "supplied", "title": "T", "category": "csam", "mode": "supplied"}
    feed |= {"url": server.url("/list"), "ca_file": str(server.ca_file), "minimum_entries": 5000}
    config = _school(tmp_path, feed | ({"container": {"kind": kind, "secret": "supplier"}} if kind else {}))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {name: text for name, text in os.environ.items() if name != "APPLIANCE_STATE"}
    environment |= {"PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}
    command = [sys.executable, "-m", "appliance"]
    watch = Watch(tmp_path / "state", temporary)
    try:
        done = subprocess.run(
            [*command, "lists", "update", "supplied", "--config", str(config)],
            env=environment,
            cwd=temporary,  # where a program that thinks nothing of it would leave a file
            check=False,
            capture_output=True,
            text=True,
        )
    finally:
        watch.stop()
    assert done.returncode == 0, done.stderr
    assert not watch.found, watch.found
    assert watch.looks > 1
    assert MARK not in done.stdout + done.stderr
    assert not list(temporary.iterdir())
    told = subprocess.run(
        [
            *command,
            "explain",
            f"http://{MARK}-4999.example/page",
            "--as",
            "staff",
            "--json",
            "--config",
            str(config),
        ],
        env=environment,
        cwd=temporary,
        check=False,
        capture_output=True,
        text=True,
    )
    assert '"reason": "floor"' in told.stdout, told.stdout + told.stderr
    assert MARK not in told.stdout
