from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from appliance.identity.accounts import Account
from appliance.identity.database import Database
from appliance.identity.oidc import Oidc
from appliance.identity.oidc_link import Link
from appliance.identity.options_oidc import OidcSettings
from appliance.identity.outside import Found, NotAdmittedError, NotAskedError, UnreachableError, Waiting
from appliance.identity.refreshing import Tokens
from appliance.model.person import Kind
from tests.doubles.people import school
from tests.doubles.provider import CLIENT, Provider, provider

pytestmark = pytest.mark.slow
BACK = "https://filter.internal/sign-in/back"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with provider(tmp_path_factory.mktemp("provider")) as made:
        yield made


@pytest.fixture
def there(running: Provider) -> Provider:
    """Return the provider with nothing wrong, and Ms Jones, of the group "staff-id", at its page."""
    running.claims = {"preferred_username": "ms.jones@west.example", "groups": ["x", "staff-id"]}
    running.header, running.published, running.down = {}, [], False
    running.asked.clear()
    running.refresh.clear()
    running.scopes, running.refused = ("openid", "offline_access"), "invalid_grant"
    running.rotates, running.silent = True, False
    return running


def of(
    there: Provider, clock: Callable[[], float] = time.time, tokens: Tokens | None = None, **changes: Any
) -> Oidc:
    values = {
        "name": "Microsoft", "issuer": there.issuer, "client_id": CLIENT, "ca_file": there.ca,
        "client_secret_file": there.secret_file,
        "groups": [{"value": "staff-id", "group": "staff", "kind": "staff"}],
    }  # fmt: skip
    chosen = OidcSettings.model_validate(values | changes)
    return Oidc(chosen, BACK, ["west.example"], Link(there.ca), tokens, clock)


def signed_in(made: Oidc, there: Provider, waiting: Waiting | None = None) -> Found:
    """Go to the provider and come back."""
    sent = Waiting()
    back = parse_qs(urlsplit(there.sign_in(made.begin(sent))).query)
    assert back["state"] == [sent.state]
    return made.finish(back["code"][0], waiting or sent)


def test_people_sign_in_as_at_entra_id(there: Provider) -> None:
    """Entra ID: a tenant's issuer, groups or roles, and the name before the school's own realm."""
    assert signed_in(of(there), there) == Found("ms.jones", "staff", Kind.STAFF)
    there.claims = {"preferred_username": "zoë@west.example", "roles": ["Pupil"]}
    roles: dict[str, Any] = {"groups_claim": "roles", "groups": [{"value": "Pupil", "group": "ks2"}]}
    assert signed_in(of(there, **roles), there) == Found("zoë", "ks2")


def test_people_sign_in_as_at_google(there: Provider) -> None:
    """Google: only the school's own domain, only an address that is proved, one group for all."""
    google: dict[str, Any] = {
        "hosted_domain": "west.example",
        "name_claim": "email",
        "groups": [],
        "otherwise": "ks2",
    }
    claims = {"email": "amy@west.example", "email_verified": True, "hd": "west.example"}
    there.claims = dict(claims)
    assert signed_in(of(there, **google), there) == Found("amy", "ks2")
    assert "hd=west.example" in of(there, **google).begin(Waiting())
    for wrong in ({"hd": None}, {"hd": "other.example"}, {"email_verified": False}, {"email": None}):
        there.claims = claims | wrong
        with pytest.raises(NotAdmittedError):
            signed_in(of(there, **google), there)


def test_where_somebody_is_sent_is_fixed(there: Provider) -> None:
    """Open redirect: the address to come back to is ours, and PKCE, state and nonce go along."""
    asked = parse_qs(urlsplit(of(there).begin(Waiting())).query)
    assert asked["redirect_uri"] == [BACK]
    assert asked["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge"} <= set(asked)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://login.example/other"},
        {"iss": None},
        {"aud": "another-client"},
        {"aud": [CLIENT, "another-client"]},
        {"aud": None},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"iat": int(time.time()) + 3600},
        {"nbf": int(time.time()) + 3600},
    ],
)
def test_a_token_that_is_not_for_this_sign_in_does_not_count(claims: dict[str, Any], there: Provider) -> None:
    """Another issuer, another client, another sign-in, another time: each alone is enough to refuse."""
    there.claims |= claims
    with pytest.raises(UnreachableError) as error:
        signed_in(of(there), there)
    assert "token" in error.value.detail


def test_a_clock_may_be_a_little_off(there: Provider) -> None:
    """Clock skew: two minutes are forgiven, and no more."""
    assert signed_in(of(there, lambda: time.time() + 400), there).name == "ms.jones"
    with pytest.raises(UnreachableError):
        signed_in(of(there, lambda: time.time() + 440), there)


def test_a_signature_must_be_the_issuers(there: Provider) -> None:
    """No signature, a secret in place of a key, another's key: a token that anybody could make is none."""
    made, sent = of(there), Waiting()
    other = RSAKey.generate_key(2048, {"kid": "one"}, private=True)
    claims = {"iss": there.issuer, "aud": CLIENT, "sub": "1", "iat": int(time.time()), "nonce": sent.nonce}
    claims |= {"exp": int(time.time()) + 60, "preferred_username": "eve", "groups": ["staff-id"]}
    forged = [
        jwt.encode({"alg": "RS256", "kid": "one"}, claims, other),
        _with_public_key_as_secret(claims, there.key.as_pem(private=False)),
        "eyJhbGciOiJub25lIn0." + there.token(sent.nonce).split(".")[1] + ".",
        "rubbish",
        "",
    ]
    for token in forged:
        with pytest.raises(UnreachableError):
            made._claims(token, sent.nonce)
    assert made._claims(there.token(sent.nonce), sent.nonce)["sub"] == "1"


def _with_public_key_as_secret(claims: dict[str, Any], public: bytes) -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "kid": "one"}, claims)]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    mark = base64.urlsafe_b64encode(hmac.digest(public, text, "sha256")).rstrip(b"=")
    return (text + b"." + mark).decode()


def test_keys_that_change_are_fetched_and_not_too_often(there: Provider) -> None:
    """A provider changes its keys without notice; forged tokens do not make us ask it for ever."""
    now = [time.time()]
    made = of(there, lambda: now[0])
    signed_in(made, there)
    there.key = RSAKey.generate_key(2048, {"kid": "two"}, private=True)
    with pytest.raises(UnreachableError):
        signed_in(made, there)
    now[0] += 61
    assert signed_in(made, there).name == "ms.jones"
    assert sum(path.endswith("/keys") for path in there.asked) == 2


def test_a_code_counts_once_and_with_its_proof(there: Provider) -> None:
    """PKCE: a code that was overheard is of no use to whoever did not begin the sign-in."""
    with pytest.raises(UnreachableError) as error:
        signed_in(of(there), there, Waiting())
    assert "invalid_grant" in error.value.detail
    with pytest.raises(NotAdmittedError):
        of(there).finish("code", Waiting(), "https://another.example")


def test_who_is_in_no_group_has_no_place(there: Provider) -> None:
    """An account of the school is not yet a place at the gateway; nor is a claim that is no list."""
    for groups in ([], ["y"], "y", {"staff-id": 1}, [1], 5, None):
        there.claims["groups"] = groups
        with pytest.raises(NotAdmittedError, match="no place"):
            signed_in(of(there), there)


def test_a_provider_that_is_down_or_another_opens_nothing(there: Provider, tmp_path: Path) -> None:
    """Back channel: refused, unverified or another issuer, the technician reads what, and nobody enters."""
    there.down = True
    with pytest.raises(UnreachableError) as error:
        of(there).begin(Waiting())
    assert "503" in error.value.detail
    there.down = False
    with pytest.raises(UnreachableError) as error:
        of(there, issuer=there.issuer + "/").begin(Waiting())
    assert "must match" in error.value.detail
    other = Oidc(of(there)._settings, BACK, [], Link(None))
    with pytest.raises(UnreachableError) as error:
        other.begin(Waiting())
    assert "CERTIFICATE_VERIFY_FAILED" in error.value.detail
    assert tmp_path.exists()


def again(there: Provider, state: Path, **changes: Any) -> tuple[Oidc, Account]:
    """Return a single sign-on at which somebody has signed in, and their account."""
    made = of(there, tokens=Tokens(school(state).database, state), **changes)
    found = signed_in(made, there)
    return made, Account(found.name, found.kind, found.group, source="single sign-on")


def test_who_is_still_there_is_asked_about_with_what_was_given(there: Provider, tmp_path: Path) -> None:
    """S-05: again and again, whether the provider gives a new token each time or one for good."""
    made, account = again(there, tmp_path)
    for _ in range(3):
        assert made.again(account) == Found("ms.jones", "staff", Kind.STAFF)
    there.rotates = False
    for _ in range(3):
        assert made.again(account) is not None
    there.claims["groups"] = ["y"]
    with pytest.raises(NotAdmittedError):
        made.again(account)  # in no group of ours any more
    there.silent = True
    assert made.again(account) == Found("ms.jones", "staff", Kind.STAFF)  # it says only that they may go on


def test_who_was_disabled_there_may_not_go_on(there: Provider, tmp_path: Path) -> None:
    """What was given counts no more: that is an answer, and not a provider that is down."""
    made, account = again(there, tmp_path)
    there.refresh.clear()
    assert made.again(account) is None
    with pytest.raises(NotAskedError):
        made.again(account)  # and it is not asked for ever


@pytest.mark.parametrize("refused", ["invalid_client", "temporarily_unavailable", ""])
def test_a_fault_of_ours_or_of_the_provider_ends_nobodys_session(
    there: Provider, tmp_path: Path, refused: str
) -> None:
    """A secret that ran out in the holidays must not look as if all the school had left."""
    made, account = again(there, tmp_path)
    there.refresh.clear()
    there.refused = refused
    with pytest.raises(UnreachableError):
        made.again(account)
    there.down = True
    with pytest.raises(UnreachableError):
        made.again(account)


def test_without_a_token_nobody_is_asked_about(there: Provider, tmp_path: Path) -> None:
    """A provider that gives none is not asked for one, and the rest is as it was."""
    there.scopes = ()
    made, account = again(there, tmp_path)
    assert "offline" not in made.begin(Waiting())
    for one in (made, of(there)):
        with pytest.raises(NotAskedError):
            one.again(account)


def test_google_has_its_own_word_for_it(there: Provider, tmp_path: Path) -> None:
    """Google gives a token for `access_type=offline`, knows no such scope, and cannot ask anew."""
    there.scopes = ()
    kept = Tokens(school(tmp_path).database, tmp_path)
    for tokens, words in ((kept, 1), (None, 0)):  # nobody is asked about again by whoever keeps no token
        made = of(there, tokens=tokens)
        made.begin(Waiting())
        made._settings = made._settings.model_copy(update={"issuer": "https://accounts.google.com"})
        sent = made.begin(Waiting(), fresh=True)
        assert sent.count("access_type=offline") == words
        assert "prompt=select_account" in sent
        assert "max_age" not in sent


def test_somebody_can_be_asked_anew_and_the_token_says_when_that_was(there: Provider) -> None:
    """S-40: whoever is signed in there already gives the password again; a silent token says nothing."""
    made = of(there)
    asked = parse_qs(urlsplit(made.begin(Waiting(), fresh=True)).query)
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
    there.claims["auth_time"] = 1_795_600_800
    assert signed_in(made, there).signed_in == 1_795_600_800.0
    for odd in (None, True):
        there.claims["auth_time"] = odd
        assert signed_in(made, there).signed_in == 0.0


def test_a_disk_that_is_full_keeps_nobody_out(there: Provider, tmp_path: Path) -> None:
    """Who signed in is in, also where nothing can be kept to ask again with."""
    made = of(there, tokens=Tokens(Database(tmp_path / "nowhere"), tmp_path))
    assert signed_in(made, there).name == "ms.jones"
