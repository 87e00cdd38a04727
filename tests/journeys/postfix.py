"""Debian's postfix with files of its own: TLS demanded, mailboxes in folders, nothing sent anywhere.

What lives only here: how it is set up and started. It needs root, as the other journeys do.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.policy import default
from pathlib import Path

import trustme

from tests.doubles.running import free_port
from tests.journeys.running import until

_MAIN = """compatibility_level = 3.6
maillog_file = /dev/stdout
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = mail.school.example
mydestination =
mynetworks_style = host
queue_directory = {folder}/queue
data_directory = {folder}/data
virtual_mailbox_domains = school.example
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{ {{dsl@school.example=dsl/}} }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
smtpd_tls_security_level = encrypt
smtpd_tls_chain_files = {folder}/key.pem
smtpd_recipient_restrictions = check_recipient_access inline:{{ {{busy@school.example=450 later}} }},
    reject_unlisted_recipient, reject_unauth_destination
default_transport = error:nothing is sent anywhere
"""
_MASTER = """{address} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True)
class Postfix:
    """One mail server that runs."""

    port: int
    folder: Path

    def mails(self) -> list[Message]:
        """Return what lies in the lead's mailbox."""
        files = sorted((self.folder / "mail" / "dsl").glob("new/*"))
        return [message_from_bytes(file.read_bytes(), policy=default) for file in files]


@contextmanager
def running(ca: trustme.CA) -> Iterator[Postfix]:
    """Start a postfix with a certificate by `ca`, and end it."""
    folder = Path(
        tempfile.mkdtemp(prefix="postfix-")
    )  # its own user must get there, unlike to pytest's folders
    folder.chmod(0o755)
    port = free_port()
    user = pwd.getpwnam("postfix")
    for name in ("queue", "data", "mail", "conf"):
        (folder / name).mkdir(mode=0o755)
    for name in ("data", "mail"):
        shutil.chown(folder / name, user.pw_uid, user.pw_gid)
    one = ca.issue_cert("127.0.0.1")
    (folder / "key.pem").write_bytes(one.private_key_and_cert_chain_pem.bytes())
    (folder / "key.pem").chmod(0o600)
    main = _MAIN.format(folder=folder, uid=user.pw_uid, gid=user.pw_gid)
    (folder / "conf" / "main.cf").write_text(main, encoding="ascii")
    (folder / "conf" / "master.cf").write_text(_MASTER.format(address=f"127.0.0.1:{port}"), encoding="ascii")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["postfix", "-c", str(folder / "conf"), "start-fg"],
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: _answers(port) or process.poll() is not None, "postfix answers")
        assert process.poll() is None, (folder / "log").read_text(encoding="utf-8", errors="replace")
        yield Postfix(port, folder)
    finally:
        # What was started is a script: the server that it began outlives it, unless it is told as well.
        pid = folder / "queue" / "pid" / "master.pid"
        master = int(pid.read_text(encoding="ascii")) if pid.exists() else None
        for each in filter(None, (process.pid, master)):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGTERM)
        process.wait(timeout=30)
        until(lambda: master is None or not Path(f"/proc/{master}").exists(), "postfix ends")
        shutil.rmtree(folder, ignore_errors=True)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as one:
            return one.recv(3) == b"220"
    except OSError:
        return False
