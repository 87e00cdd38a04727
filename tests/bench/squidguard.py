"""squidGuard from Debian, building and answering the same lists.

What lives only here: its configuration, and how it is asked (a line of a Squid redirector for each address).
It has the ten categories of the verdicts that were collected with it: it looks through its categories one
after the other, so that more of them would only make it slower.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from appliance.lists.unpack import members
from tests.bench.measure import give_up
from tests.bench.tables import Taken, watched

CATEGORIES = (
    *("adult", "gambling", "malware", "phishing", "redirector", "games", "shopping"),
    *("social_networks", "vpn", "drogue"),
)


def build(folder: Path, ut1: Path, big: Path) -> Taken:
    """Unpack the lists into a new `folder`, let squidGuard make its databases, and return what that took."""
    if not shutil.which("squidGuard"):
        give_up("squidGuard is missing: apt-get install --no-install-recommends squidguard")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "log").mkdir(parents=True)
    with tarfile.open(ut1) as archive:
        for info in archive:
            _, _, place = info.name.partition("/")
            if info.isreg() and place.partition("/")[0] in CATEGORIES and place.endswith(("domains", "urls")):
                target = folder / "db" / place
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.extractfile(info).read())  # type: ignore[union-attr]  # it is a file
    with (folder / "db" / "adult" / "domains").open("w", encoding="latin-1") as file:
        for member in members(big):
            file.writelines(f"{line}\n" for line in member.lines)
    (folder / "squidGuard.conf").write_text(_configuration(folder), encoding="ascii")
    return watched(["squidGuard", "-c", str(folder / "squidGuard.conf"), "-C", "all"], folder)


def size(folder: Path) -> int:
    """Return the bytes of its databases."""
    return sum(path.stat().st_size for path in (folder / "db").rglob("*.db"))


def ask(folder: Path, hosts: Sequence[str]) -> tuple[float, int]:
    """Return the CPU seconds that it needs for `hosts`, its start not counted, and how many it blocks."""
    nothing, _ = _asked(folder, [])
    taken, blocked = _asked(folder, hosts)
    return taken - nothing, blocked


def _asked(folder: Path, hosts: Iterable[str]) -> tuple[float, int]:
    lines = "".join(f"http://{host}/ 10.0.0.1/- - GET\n" for host in hosts)
    before = _children()
    done = subprocess.run(
        ["squidGuard", "-c", str(folder / "squidGuard.conf")],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
    )
    return _children() - before, done.stdout.count("blocked.invalid")


def _children() -> float:

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _configuration(folder: Path) -> str:
    text = [f"dbhome {folder / 'db'}", f"logdir {folder / 'log'}"]
    for name in CATEGORIES:
        urls = f" urllist {name}/urls" if (folder / "db" / name / "urls").is_file() else ""
        domains = f" domainlist {name}/domains\n" if (folder / "db" / name / "domains").is_file() else ""
        text.append(f"dest {name} {{\n{domains}{urls}\n}}")
    barred = " ".join(f"!{name}" for name in CATEGORIES)
    text.append(f"acl {{\n default {{\n  pass {barred} all\n  redirect http://blocked.invalid/%t\n }}\n}}")
    return "\n".join(text) + "\n"
