from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from appliance.config.problems import ProblemsError
from appliance.lists.pinned import PINNED_FILE, Pinned, load_pinned

SHIPPED = Path(__file__).resolve().parents[2] / "blocklists"


def written(folder: Path, hosts: str) -> Path:
    text = f"apps:\n  - {{id: a, title: An app, because: It pins., since: 2026-11-01, hosts: [{hosts}]}}\n"
    (folder / PINNED_FILE).write_text(text)
    return folder


def test_a_host_covers_what_is_below_it(tmp_path: Path) -> None:
    """The hundred numbered hosts of a push service need one line, and say why and as of when."""
    pinned = Pinned(load_pinned(written(tmp_path, "push.app.example")))
    assert pinned.of("1-courier.push.app.example") == "It pins (An app; as of 2026-11-01)."
    assert pinned.of("app.example") == pinned.of("xpush.app.example") == ""
    assert len(pinned) == 1
    assert Pinned().of("push.app.example") == ""


@pytest.mark.parametrize("host", ["co.uk", "App.example", "a b", "192.0.2.1", "https://a.example/", ""])
def test_a_host_that_is_none_or_covers_too_much_is_refused(tmp_path: Path, host: str) -> None:
    """A slip in this file must not leave half of the web unread."""
    with pytest.raises(ProblemsError):
        load_pinned(written(tmp_path, f'"{host}"'))


def test_the_shipped_list_is_whole_and_dated() -> None:
    """What ships names each host once, with a date by which somebody can tell that it is old."""
    found = load_pinned(SHIPPED)
    hosts = [host for app in found.apps for host in app.hosts]
    assert len(hosts) == len(set(hosts)) > 50
    assert all(app.since >= date(2026, 1, 1) for app in found.apps)
