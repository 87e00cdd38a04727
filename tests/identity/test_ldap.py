from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.identity.ldap import NESTED, Ldap, dn_key, shut
from appliance.identity.ldap_link import Entry
from appliance.identity.options_directory import DirectorySettings
from appliance.identity.outside import Found, NotAdmittedError, NotKnownError, UnreachableError
from appliance.model.person import Kind
from appliance.model.secret import Secret
from tests.doubles.people import NOW
from tests.doubles.slapd import CHESS, GATEWAY, PEOPLE, PUPILS, STAFF, WORD, Slapd, directory

GROUPS = [
    {"dn": STAFF.replace("cn=Staff", "CN=staff"), "group": "staff", "kind": "staff"},
    {"dn": PUPILS, "group": "ks2"},
]
WRONG = Secret("Wrong-kettle-42")


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with directory(tmp_path_factory.mktemp("slapd")) as made:
        yield made


def of(slapd: Slapd, **changes: object) -> Ldap:
    """Return the directory by a template of names, with STARTTLS, unless `changes` say otherwise."""
    values: dict[str, object] = {
        "servers": [slapd.ldap],
        "ca_file": slapd.ca,
        "people": PEOPLE,
        "name_attribute": "uid",
        "bind": f"uid={{name}},{PEOPLE}",
        "groups": GROUPS,
        "timeout_seconds": 2,
    }
    return Ldap(DirectorySettings.model_validate(values | changes), ["westways.example", "WEST"])


def searching(slapd: Slapd, **changes: object) -> Ldap:
    """Return the directory by an account of the gateway's own, over LDAPS."""
    own = {"bind": "", "account": GATEWAY, "password_file": slapd.folder / "word", "servers": [slapd.ldaps]}
    return of(slapd, **(own | changes))


@pytest.mark.slow
def test_people_sign_in_with_their_own_password(slapd: Slapd) -> None:
    """Staff by LDAP: bound as themselves or found by the gateway, over LDAPS or STARTTLS, in their group."""
    for made in (of(slapd), searching(slapd), searching(slapd, membership="groups")):
        assert made.ask("MS.Jones", Secret(WORD)) == Found("ms.jones", "staff", Kind.STAFF)
        assert made.ask("amy.smith@westways.example", Secret(WORD)) == Found("amy.smith", "ks2")
        assert made.ask("WEST\\amy.smith", Secret(WORD)).name == "amy.smith"
        assert made.ask("zoë ñandú", Secret(WORD)).name == "Zoë Ñandú"
        with pytest.raises(NotKnownError):
            made.ask("ms.jones", WRONG)


@pytest.mark.slow
def test_a_posix_group_names_its_members_by_their_log_in(slapd: Slapd) -> None:
    """Groups in the manner of Unix count as well, and whoever is in none has no place, or the one for all."""
    chess = [{"dn": CHESS, "group": "ks1"}, {"dn": f"cn=missing,{PEOPLE}", "group": "ks2"}]
    made = searching(slapd, membership="groups", groups=chess)
    assert made.ask("lone", Secret(WORD)).group == "ks1"
    with pytest.raises(NotAdmittedError, match="no place"):
        made.ask("amy.smith", Secret(WORD))
    assert made.missing_groups() == [f"cn=missing,{PEOPLE}"]
    assert of(slapd, groups=chess, otherwise="guest").ask("amy.smith", Secret(WORD)).group == "guest"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "*",
        "amy*",
        "amy.smith)(uid=*",
        "*)(|(uid=*",
        "amy.smith,ou=People",
        "amy.smith\0",
        "a\\2a",
        "",
        "(&)",
        "#",
        "+",
    ],
)
def test_a_name_is_never_part_of_the_question(name: str, slapd: Slapd) -> None:
    """LDAP injection: what is typed is a name, whatever signs are in it (RFC 4514, RFC 4515)."""
    for made in (of(slapd), searching(slapd)):
        with pytest.raises(NotKnownError):
            made.ask(name, Secret(WORD))
    assert searching(slapd).look_up(name) is None


@pytest.mark.slow
def test_no_password_is_no_sign_in(slapd: Slapd) -> None:
    """RFC 4513 5.1.2: a server answers "success" to a bind without a password, and it means nobody."""
    for made in (of(slapd), searching(slapd)):
        with pytest.raises(NotKnownError):
            made.ask("ms.jones", Secret(""))


@pytest.mark.slow
def test_an_account_that_is_shut_there_is_shut_here(slapd: Slapd) -> None:
    """Whoever left the school is refused with the right password, and when looked up without one."""
    with pytest.raises(NotAdmittedError, match="does not let"):
        of(slapd).ask("gone", Secret(WORD))
    with pytest.raises(NotAdmittedError):
        searching(slapd).look_up("gone")


@pytest.mark.slow
def test_a_referral_leads_nowhere(slapd: Slapd) -> None:
    """A directory that names another server is not followed there, least of all with a password."""
    with pytest.raises((NotKnownError, UnreachableError)):
        of(slapd).ask("elsewhere", Secret(WORD))
    assert searching(slapd).look_up("elsewhere") is None


@pytest.mark.slow
def test_the_gateways_own_password_is_not_tried_again_and_again(slapd: Slapd, tmp_path: Path) -> None:
    """A wrong password in the file is told, and does not lock the gateway's account in the directory."""
    wrong = tmp_path / "word"
    wrong.write_text("not-it", encoding="utf-8")
    wrong.chmod(0o600)
    made = searching(slapd, password_file=wrong)
    for _ in range(2):
        with pytest.raises(UnreachableError) as error:
            made.ask("ms.jones", Secret(WORD))
        assert "not-it" not in error.value.detail
    assert made._rests > 0


@pytest.mark.slow
def test_active_directory_is_asked_to_follow_groups_within_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Year 4 is in Pupils: with `nested` the directory itself says so, by its own rule."""
    asked = []

    class Asked:
        def read(self, dn: str, condition: str, *_: object) -> Entry | None:
            asked.append((dn, condition))
            return Entry(dn) if "Pupils" in condition else None

        def one_below(self, dn: str, condition: str, *_: object) -> Entry | None:
            asked.append((dn, condition))
            return Entry("CN=Amy (4C),DC=x", {"samaccountname": ("amy",)})

    made = Ldap(
        DirectorySettings.model_validate(
            {
                "servers": ["ldaps://dc1.school.example"],
                "people": "DC=x",
                "bind": "{name}@school.example",
                "membership": "nested",
                "groups": [
                    {"dn": "CN=Staff,DC=x", "group": "staff"},
                    {"dn": "CN=Pupils,DC=x", "group": "ks2"},
                ],
            }
        )
    )

    class Servers:
        def bound(self, user: str, _password: Secret) -> Servers:
            asked.append((user, ""))
            return self

        def __enter__(self) -> Asked:
            return Asked()

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(made, "_servers", Servers())
    assert made.ask("amy", Secret("x")) == Found("amy", "ks2")
    assert asked == [
        ("amy@school.example", ""),
        ("DC=x", "(userPrincipalName=amy@school.example)"),
        ("CN=Amy (4C),DC=x", f"(memberOf:{NESTED}:=CN=Staff,DC=x)"),
        ("CN=Amy (4C),DC=x", f"(memberOf:{NESTED}:=CN=Pupils,DC=x)"),
    ]
    for name in ("amy@other.example", "other\\amy", "amy/x"):
        with pytest.raises(NotKnownError):
            made.ask(name, Secret("x"))


@pytest.mark.parametrize(
    ("name", "value", "is_shut"),
    [
        ("userAccountControl", "512", False),
        ("userAccountControl", "514", True),
        ("accountExpires", "0", False),
        ("accountExpires", "9223372036854775807", False),
        ("accountExpires", "133500000000000000", True),
        ("shadowExpire", "-1", False),
        ("shadowExpire", "1", True),
        ("shadowExpire", "99999", False),
        ("nsAccountLock", "TRUE", True),
        ("loginDisabled", "true", True),
        ("pwdAccountLockedTime", "000001010000Z", True),
        ("userAccountControl", "rubbish", False),
    ],
)
def test_each_directory_has_its_own_way_to_shut_an_account(name: str, value: str, is_shut: bool) -> None:
    """Disabled, expired, locked: in Active Directory, 389, eDirectory and OpenLDAP alike."""
    assert shut(Entry("x", {name.lower(): (value,)}), NOW) is is_shut


def test_a_group_has_one_key_however_it_is_written() -> None:
    """Capital letters, blanks and escapes of a distinguished name do not keep anybody out of their group."""
    same = ["CN=Staff\\, all,OU=Gr,DC=x", "cn=staff\\2c all , ou=gr,dc=X", "cn=STAFF\\2C all,ou=gr,dc=x"]
    assert len({dn_key(each) for each in same}) == 1
    assert dn_key("cn=Zoë,dc=x") == dn_key("cn=zo\\c3\\ab,dc=x")
    assert dn_key("cn=Staff,dc=x") != dn_key("cn=Staff,dc=y")
    assert dn_key("rubbish") == (("", "rubbish"),)
