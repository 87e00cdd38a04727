from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from appliance.identity.options_directory import DirectorySettings, address_of

GOOD = {
    "servers": ["ldaps://dc1.school.example"],
    "people": "OU=People,DC=school,DC=example",
    "bind": "{name}@school.example",
    "groups": [{"dn": "CN=Staff,DC=school,DC=example", "group": "staff", "kind": "staff"}],
}


def of(**changes: object) -> DirectorySettings:
    return DirectorySettings.model_validate(GOOD | changes)


def test_good_settings_have_nothing_wrong() -> None:
    """What the commented file shows can be used as it stands."""
    assert list(of().wrong()) == []
    assert list(of().groups_named()) == [(("groups", 0, "group"), "staff")]


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("ldaps://dc1.school.example", ("dc1.school.example", 636, True)),
        ("ldap://dc1.school.example/", ("dc1.school.example", 389, False)),
        ("ldaps://[fd00::1]:3269", ("fd00::1", 3269, True)),
    ],
)
def test_a_server_is_an_address_and_a_way(server: str, address: tuple[str, int, bool]) -> None:
    """Both ways in are encrypted: from the first byte on, or by STARTTLS."""
    assert address_of(of(servers=[server]).servers[0]) == address


@pytest.mark.parametrize(
    "changes",
    [
        {"servers": []},
        {"servers": ["dc1.school.example"]},
        {"servers": ["http://dc1.school.example"]},
        {"servers": ["ldap://dc1:99999"]},
        {"servers": ["ldap://dc1/ou=People"]},
        {"people": "People"},
        {"name_attribute": "uid)(x"},
        {"timeout_seconds": 0},
        {"membership": "magic"},
    ],
)
def test_what_is_no_directory_is_refused(changes: dict[str, object]) -> None:
    """A wrong address or name is told when the file is read, and not at eight in the morning."""
    with pytest.raises(ValidationError):
        of(**changes)


@pytest.mark.parametrize(
    ("changes", "place", "said"),
    [
        ({"account": "x"}, ("bind",), "not both"),
        ({"bind": ""}, ("people",), "either 'bind' or 'account'"),
        ({"bind": "uid=x,dc=y"}, ("bind",), "{name} once"),
        ({"bind": "uid={name},{x}"}, ("bind",), "{name} once"),
        ({"bind": "", "account": "x"}, ("account",), "belong together"),
        ({"groups": []}, ("people",), "nobody could come in"),
        ({"groups": [{"dn": "cn=x", "group": "a", "kind": "class"}]}, ("groups", 0, "kind"), "individual"),
        ({"ca_file": "/nowhere.pem"}, ("ca_file",), "cannot be read"),
        ({"password_file": "/nowhere"}, ("password_file",), "cannot be read"),
    ],
)
def test_settings_that_cannot_be_meant_are_told_at_their_key(
    changes: dict[str, object], place: tuple[str | int, ...], said: str
) -> None:
    """`check` shows the line, and what is wrong with it."""
    found = dict(of(**changes).wrong())
    assert said in found[place]


def test_files_lie_where_the_settings_are() -> None:
    """A relative path counts from the folder of its file."""
    found = of(ca_file="ca.pem").located(lambda path: Path("/etc/x") / path)
    assert (found.ca_file, found.password_file) == (Path("/etc/x/ca.pem"), None)
