from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import click
import pytest

from appliance.cli.overrides_wish import MOST, Typed, wish_of
from appliance.identity.accounts import Account
from appliance.model.grant import What
from appliance.model.person import Kind
from appliance.overrides.names import OverrideError
from appliance.overrides.written import Wish
from tests.doubles.school import configuration, load_once
from tests.overrides.making import NOW

WHY = {"reason": "We watch a film together.", "subject": "Art", "minutes": 30, "groups": ("ks2",)}
PEOPLE = (Account("Class 1B", Kind.CLASS, "ks1", ""), Account("amy", Kind.INDIVIDUAL, "ks2", ""))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return configuration(tmp_path_factory.mktemp("wish"))


def wish(config: Path, *addresses: str, **more: object) -> Wish:
    return wish_of(Typed(addresses, **{**WHY, **more}), load_once(config), PEOPLE, NOW)  # type: ignore[arg-type]  # fields


def test_addresses_are_read_as_a_browser_reads_them(config: Path) -> None:
    """What is granted is what is judged later, in every spelling."""
    found = wish(
        config, "*.Example.ORG", "https://a.example/", "b.example/x/../y?q=1", "HTTP://192.0.2.7"
    ).what
    pages = frozenset({("b.example", "/y?q=1")})
    assert found == What(frozenset({"example.org", "a.example", "192.0.2.7"}), pages)


@pytest.mark.parametrize("text", ["co.uk", "com", "*.ac.uk", "intranet", "a b", "ftp://a.example/", ""])
def test_what_is_no_single_site_is_refused(config: Path, text: str) -> None:
    """A grant for a public suffix would open half of the web."""
    with pytest.raises(OverrideError):
        wish(config, text)


def test_a_list_of_sites_belongs_into_a_profile(config: Path) -> None:
    """An override with a thousand sites is a policy that nobody has checked (W:320)."""
    with pytest.raises(OverrideError, match="belongs into a profile"):
        wish(config, *(f"a{number}.example" for number in range(MOST + 1)))


def test_people_and_places_are_kept_under_their_own_names(config: Path) -> None:
    """However somebody spells a name, exactly the person that the gateway knows is meant."""
    whom = wish(config, "a.example", persons=("CLASS 1b",), networks=("Classrooms", "10.9.0.0/24")).whom
    assert whom.persons == {"Class 1B"}
    assert whom.networks == (ip_network("10.20.0.0/16"), ip_network("10.9.0.0/24"))
    assert wish(config, "a.example", devices=("::ffff:10.20.0.9",)).whom.devices == {"10.20.0.9"}


def test_a_room_is_all_its_networks(tmp_path: Path) -> None:
    """A lesson is opened for tablets that speak IPv6 as for those that do not."""
    config = configuration(tmp_path)
    text = config.read_text(encoding="utf-8")
    more = "    - {network: fd20::/64, group: ks2, name: Classrooms}\n"
    head, found, tail = text.partition("  networks:\n")
    assert found
    config.write_text(head + found + more + tail, encoding="utf-8")
    whom = wish(config, "a.example", networks=("Classrooms",)).whom
    assert set(whom.networks) == {ip_network("10.20.0.0/16"), ip_network("fd20::/64")}


def test_how_long_is_said_in_one_way(config: Path) -> None:
    """Two ends that contradict each other are none."""
    assert wish(config, "a.example").ends == NOW + 1800
    assert wish(config, "a.example", minutes=0, until="10:50").ends == NOW + 3000
    for wrong in ({"minutes": 0}, {"until": "10:50"}):
        with pytest.raises(click.UsageError, match="how long"):
            wish(config, "a.example", **wrong)
