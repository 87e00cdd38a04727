"""The school's single sign-on (OpenID Connect): where somebody is sent, and what comes back with them.

What lives only here: Authlib, and the questions that a token must answer: signed by a key of the issuer, for
us, for this very sign-in, now, by the school's own tenant.
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import quote

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from appliance.identity.accounts import Account
from appliance.identity.names import IdentityError, key
from appliance.identity.oidc_link import Channel, RefusedByError
from appliance.identity.options_oidc import GOOGLE, OidcSettings
from appliance.identity.outside import (
    Found,
    NotAdmittedError,
    NotAskedError,
    UnreachableError,
    Waiting,
    without_realm,
)
from appliance.identity.refreshing import Tokens
from appliance.identity.secret_files import read_secret
from appliance.model.secret import Secret

ALGORITHMS = ("RS256", "PS256", "ES256")
"""How a token may be signed: never not at all, and never with a secret that both sides know."""

KEPT_SECONDS = 3600.0
AGAIN_SECONDS = 60.0
"""How long the provider's document and keys count, and how soon they may be fetched anew for a new key."""

_GONE = frozenset({"invalid_grant", "interaction_required", "login_required", "consent_required"})
"""What a provider says where a person is disabled, gone, or is to sign in anew (RFC 6749, 5.2)."""

_log = logging.getLogger(__name__)

NO_PLACE = "Your account has no place here yet. Ask a member of staff."
NOT_OURS = "That is no account of this school. Use your school account."


class Oidc:
    """One provider, as the settings describe it. Each method may wait for the network."""

    def __init__(
        self,
        settings: OidcSettings,
        back: str,
        realms: Collection[str],
        channel: Channel,
        tokens: Tokens | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`back` is the one address that people come back to; with `tokens` they can be asked about again."""
        self.name = settings.name
        self.lasts = settings.cached_hours * 3600
        self._settings = settings
        self._back = back
        self._realms = realms
        self._channel = channel
        self._tokens = tokens
        self._clock = clock
        self._document: dict[str, Any] = {}
        self._keys = KeySet([])
        self._fetched = self._keyed = 0.0

    def begin(self, waiting: Waiting, *, fresh: bool = False) -> str:
        """Return where somebody is sent to sign in; UnreachableError.

        With `fresh` they are to prove anew who they are, also if they are signed in there. Google knows no
        such question, and is asked who it is alone.
        """
        chosen = self._settings
        more = {"hd": chosen.hosted_domain} if chosen.hosted_domain else {}
        address = self._endpoint("authorization_endpoint")
        if chosen.issuer == GOOGLE and self._tokens is not None:
            more["access_type"] = "offline"  # its own word for what others call a scope
        anew = fresh and chosen.asks_anew
        if anew:
            more["max_age"] = "0"  # and the token has to say when (OpenID Connect Core 1.0, 3.1.2.1)
        offline = self._tokens is not None and "offline_access" in (
            self._document.get("scopes_supported") or ()
        )
        there: str = prepare_grant_uri(
            address,
            chosen.client_id,
            "code",
            redirect_uri=self._back,
            scope="openid profile email offline_access" if offline else "openid profile email",
            state=waiting.state,
            nonce=waiting.nonce,
            code_challenge=create_s256_code_challenge(waiting.verifier),  # type: ignore[no-untyped-call] # its stubs leave it out
            code_challenge_method="S256",
            # On a shared device the one before may still be signed in there.
            prompt="login" if anew else "select_account",
            **more,
        )
        return there

    def finish(self, code: str, waiting: Waiting, issuer: str = "") -> Found:
        """Return who came back with `code`; UnreachableError or NotAdmittedError, in words for them.

        `issuer` is who says that they sent them (RFC 9207), if anybody does.
        """
        if issuer and issuer != self._settings.issuer:
            raise NotAdmittedError(NOT_OURS)
        answer = self._channel.post(
            self._endpoint("token_endpoint"),
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self._back,
                "code_verifier": waiting.verifier,
                **self._in_form(),
            },
            self._in_header(),
        )
        found = self._found(self._claims(str(answer.get("id_token", "")), waiting.nonce))
        self._keep(key(found.name), answer)
        return found

    def again(self, account: Account) -> Found | None:
        """Return what the provider says of somebody who signed in before; None where they may not go on.

        NotAskedError where it gave nothing to ask with, UnreachableError where it does not answer.
        """
        token = self._tokens.find(account.key) if self._tokens is not None else None
        if self._tokens is None or token is None:
            raise NotAskedError("The provider gave nothing to ask with.")
        form = {"grant_type": "refresh_token", "refresh_token": token.reveal()}
        address = self._endpoint("token_endpoint")
        try:
            answer = self._channel.post(address, form | self._in_form(), self._in_header())
        except RefusedByError as error:
            if error.code not in _GONE:
                raise
            self._tokens.forget(account.key)
            return None
        self._keep(account.key, answer)
        if not answer.get("id_token"):  # it need not send one (OpenID Connect Core, 12.2)
            return Found(account.name, account.group, account.kind)
        return self._found(self._claims(str(answer["id_token"])))

    def _keep(self, owner: str, answer: dict[str, Any]) -> None:
        # A provider may give a new one each time, or one for good at the first sign-in of all.
        token = answer.get("refresh_token")
        if self._tokens is None or not isinstance(token, str) or not token:
            return
        try:
            self._tokens.keep(owner, Secret(token))
        except (IdentityError, OSError) as error:  # they come in, and what was told counts until its time
            _log.warning("what the provider gave to ask again with was not kept: %s", error)

    def _claims(self, token: str, nonce: str = "") -> dict[str, Any]:
        chosen = self._settings
        options = {
            "iss": {"essential": True, "value": chosen.issuer},
            "aud": {"essential": True, "value": chosen.client_id},
        }
        try:
            opened = self._opened(token)
            known = {"client_id": chosen.client_id} | ({"nonce": nonce} if nonce else {})
            claims = CodeIDToken(opened.claims, opened.header, options, known)
            claims.validate(now=int(self._clock()), leeway=chosen.clock_seconds)
        except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnreachableError(f"the token of {chosen.issuer} does not count: {error}") from error
        return dict(claims)

    def _opened(self, token: str) -> jwt.Token:
        self._fetch_keys(KEPT_SECONDS)
        try:
            return jwt.decode(token, self._keys, algorithms=list(ALGORITHMS))
        except (JoseError, ValueError, KeyError):
            # Perhaps signed by a key that is newer than what we know; a provider changes them without notice.
            if not self._fetch_keys(AGAIN_SECONDS):
                raise
            return jwt.decode(token, self._keys, algorithms=list(ALGORITHMS))

    def _fetch_keys(self, age: float) -> bool:
        if self._keyed + age > self._clock() and self._keys.keys:
            return False
        found = self._channel.get(self._endpoint("jwks_uri"))
        try:
            fit = [
                key for key in found.get("keys", []) if key.get("use", "sig") == "sig" and key["kty"] != "oct"
            ]
            self._keys = KeySet.import_key_set({"keys": fit})
        except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnreachableError(f"the keys of {self._settings.issuer} cannot be read: {error}") from error
        self._keyed = self._clock()
        return True

    def _endpoint(self, name: str) -> str:
        if not self._document or self._fetched + KEPT_SECONDS <= self._clock():
            found = self._channel.get(f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self._settings.issuer:
                said = str(found.get("issuer", ""))[:200]
                raise UnreachableError(
                    f"{self._settings.issuer} calls itself {said!a}; identity.oidc.issuer must match"
                )
            self._document, self._fetched = found, self._clock()
        address = str(self._document.get(name, ""))
        if not address.startswith("https://"):
            raise UnreachableError(f"{self._settings.issuer} names no {name} with https")
        return address

    def _in_form(self) -> dict[str, str]:
        if self._basic():
            return {}
        return {"client_id": self._settings.client_id, "client_secret": self._secret()}

    def _in_header(self) -> dict[str, str]:
        if not self._basic():
            return {}
        pair = f"{quote(self._settings.client_id, safe='')}:{quote(self._secret(), safe='')}"
        return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

    def _basic(self) -> bool:
        ways = self._document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return "client_secret_basic" in ways

    def _secret(self) -> str:
        try:
            return read_secret(self._settings.client_secret_file).reveal()
        except IdentityError as error:
            raise UnreachableError(str(error)) from error

    def _found(self, claims: dict[str, Any]) -> Found:
        chosen = self._settings
        if chosen.hosted_domain and claims.get("hd") != chosen.hosted_domain:
            raise NotAdmittedError(NOT_OURS)
        name = claims.get(chosen.name_claim)
        if chosen.name_claim == "email" and claims.get("email_verified") is not True:
            name = None  # an address that nobody has proved is anybody's
        if not isinstance(name, str) or not name:
            raise NotAdmittedError(NO_PLACE)
        listed = claims.get(chosen.groups_claim)
        listed = listed if isinstance(listed, list) else [listed]
        values = {each for each in listed if isinstance(each, str)}
        plain, signed_in = without_realm(name, self._realms), _moment(claims.get("auth_time"))
        for rule in chosen.groups:
            if rule.value in values:
                return Found(plain, rule.group, rule.kind, signed_in)
        if chosen.otherwise is None:
            raise NotAdmittedError(NO_PLACE)
        return Found(plain, chosen.otherwise, signed_in=signed_in)


def _moment(said: object) -> float:
    # A number of seconds, and nothing that only looks like one.
    return float(said) if isinstance(said, int | float) and not isinstance(said, bool) else 0.0
