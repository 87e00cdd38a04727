from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.announcing import announce
from appliance.identity.accounts import Account, Accounts
from appliance.identity.announced import Announced, announced
from appliance.identity.database import Database
from appliance.identity.names import IdentityError
from appliance.identity.networks import Networks
from appliance.identity.radius import Outcome
from appliance.identity.resolver import Resolver, believe
from appliance.identity.snapshot import read
from appliance.metrics import RADIUS_OUTCOMES
from appliance.model.person import Kind
from appliance.settings import load_settings
from tests.doubles.radius import SECRET
from tests.doubles.running import free_port
from tests.doubles.school import ROOT, configuration, edit

PROXY = """\
libdir = /usr/lib/freeradius
logdir = {folder}
run_dir = {folder}
security {{ allow_vulnerable_openssl = yes }}
client switch {{ ipaddr = 127.0.0.1
  secret = {secret} }}
home_server gateway {{ type = acct
  ipaddr = 127.0.0.1
  port = {gateway}
  secret = {secret}
  response_window = 5 }}
home_server_pool gateway {{ home_server = gateway }}
realm gateway {{ acct_pool = gateway }}
modules {{ }}
server default {{
  listen {{ type = acct
    ipaddr = 127.0.0.1
    port = {proxy} }}
  preacct {{ update control {{ &Proxy-To-Realm := "gateway" }} }}
  accounting {{ }}
  pre-proxy {{
    update proxy-request {{
      &Event-Timestamp = "%l"
      &Message-Authenticator := 0x00
    }}
  }}
}}
"""


def test_a_school_without_network_log_ins_takes_none(tmp_path: Path) -> None:
    """The command says which key is missing."""
    with pytest.raises(IdentityError, match=r"identity\.radius is null"):
        announce(load_settings(configuration(tmp_path)).settings)


def test_the_numbers_know_every_outcome() -> None:
    """What becomes of a packet is a closed set, the same in both rooms."""
    assert set(RADIUS_OUTCOMES) == {each.value for each in Outcome}


@contextlib.contextmanager
def running(folder: Path, command: list[str], said: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends; it has started once its output holds `said`, or at once."""
    out = folder / f"{Path(command[0]).name}.out"
    with out.open("wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=file, stderr=file, cwd=ROOT)
    try:
        end = time.monotonic() + 30
        while said not in out.read_text(errors="replace"):
            assert process.poll() is None, out.read_text(errors="replace")
            assert time.monotonic() < end, out.read_text(errors="replace")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=20)


def _written(value: str | int) -> str:
    address = isinstance(value, int) or value[:3] in ("10.", "fd0")
    return str(value) if address else json.dumps(value, ensure_ascii=False)


def tell(port: int, *, signed: bool, **more: str | int) -> str:
    """Send one accounting packet with FreeRADIUS's own client, and return what it says."""
    values: dict[str, str | int] = {"Event-Timestamp": int(time.time())} if signed else {}
    values |= {name.replace("_", "-"): value for name, value in more.items()}
    lines = [f"{name} = {_written(value)}" for name, value in values.items()]
    if signed:
        lines.append("Message-Authenticator = 0x00")
    command = ["radclient", "-x", "-r", "2", "-t", "2", f"127.0.0.1:{port}", "acct", SECRET]
    return subprocess.run(
        command, input=", ".join(lines).encode(), capture_output=True, check=False
    ).stdout.decode()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_log_ins_of_a_real_radius_server_are_believed(tmp_path: Path) -> None:
    """802.1X: radclient to the gateway, and through a FreeRADIUS that adds what the switch leaves out."""
    port, proxy, secret = free_port(), free_port(), tmp_path / "secret"
    secret.write_text(SECRET, encoding="utf-8")
    secret.chmod(0o600)
    path = configuration(tmp_path)
    client = f"{{address: 127.0.0.1, secret_file: {secret}, name: Wi-Fi}}"
    edit(
        path, "identity:\n", f"identity:\n  radius:\n    listen: 127.0.0.1:{port}\n    clients: [{client}]\n"
    )
    database = Database(tmp_path / "state")
    (tmp_path / "state").mkdir()
    database.prepare()
    for name in ("amy", "zoë"):
        Accounts(database).add(Account(name, Kind.INDIVIDUAL, "ks2"))

    def believed() -> list[Announced]:
        with database.reading() as db:
            return list(announced(db, time.time()))

    conf = tmp_path / "raddb"
    conf.mkdir()
    (conf / "radiusd.conf").write_text(PROXY.format(folder=conf, secret=SECRET, gateway=port, proxy=proxy))
    ours = [sys.executable, "-m", "appliance", "run", "radius", "--config", str(path)]
    theirs = ["freeradius", "-X", "-d", str(conf)]
    with running(tmp_path, ours, "") as gateway, running(tmp_path, theirs, "Ready to process requests"):
        person: dict[str, str | int] = {
            "User_Name": "amy", "Acct_Session_Id": "S1", "NAS_Identifier": "ap1",
            "Calling_Station_Id": "3C-52-82-0A-1B-2C", "Framed_IP_Address": "10.20.0.14",
        }  # fmt: skip
        end = time.monotonic() + 30
        while "Accounting-Response" not in tell(port, signed=True, Acct_Status_Type="Start", **person):
            assert time.monotonic() < end
        assert [(each.key, each.mac) for each in believed()] == [("amy", "3c:52:82:0a:1b:2c")]
        assert "Accounting-Response" not in tell(port, signed=False, Acct_Status_Type="Start", **person)
        person |= {"User_Name": "zoë", "Acct_Session_Id": "S2", "Framed_IPv6_Address": "fd00:20::14"}
        time.sleep(1.1)
        assert "Accounting-Response" in tell(proxy, signed=False, Acct_Status_Type="Start", **person)
        known = read(database, time.time())
        who = Resolver(Networks([], "ks1"), "ks1", time.time)
        who.use(known, believe(known, {"fe80::1": "3c:52:82:0a:1b:2c"}, {}))
        for address in ("10.20.0.14", "fd00:20::14", "fe80::1"):
            assert (who.resolve(address).name, who.resolve(address).source) == (
                "zoë",
                "own sign-in, network log-in",
            )
        time.sleep(1.1)
        assert "Accounting-Response" in tell(proxy, signed=False, Acct_Status_Type="Stop", **person)
        assert believed() == []
        assert gateway.stdin is not None
        gateway.stdin.close()
        gateway.stdin = None
        assert gateway.wait(20) == 0
    assert list((tmp_path / "state" / "metrics").iterdir())
