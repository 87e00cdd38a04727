"""The way to the school's directory: which server, encrypted and verified, as whom, with how much patience.

What lives only here: ldap3. Nothing is ever sent over a connection that is not encrypted with a certificate
that fits; no referral is followed; a server that does not answer is left alone for a moment.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, override

from ldap3 import BASE, NONE, SUBTREE, Connection, Server, Tls
from ldap3.core.exceptions import LDAPException, LDAPInvalidValueError, LDAPPasswordIsMandatoryError

from appliance.identity.options_directory import address_of
from appliance.identity.outside import NotAdmittedError, NotKnownError, UnreachableError
from appliance.model.secret import Secret

REST_SECONDS = 5.0
"""For how long a server that did not answer is not asked."""

_MOST = 2
"""Entries that one question may find: more than one is an answer that cannot be used."""

_SUCCESS, _SIZE_LIMIT, _NO_SUCH_OBJECT = 0, 4, 32
_REFUSED = frozenset({19, 32, 34, 48, 49, 50, 53})
"""Results of a bind that speak of the name or the password, and not of the server (RFC 4511, A.2)."""

_WHY = re.compile(r"\bdata ([0-9a-f]{3})\b")
_SHUT = {"532", "533", "701", "773", "775", "530", "531"}
"""What Active Directory says of a right password whose account is disabled, expired, locked and the like."""

SHUT = "The school's directory does not let this account in now. Ask a member of staff."


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the directory; `values` by the small letters of the attribute's name."""

    dn: str
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def first(self, name: str) -> str:
        """Return the first value of an attribute, or an empty text."""
        return next(iter(self.values.get(name.lower(), ())), "")


class Verified(Tls):
    """TLS whose certificate must be valid for the very name that was asked for."""

    def __init__(self, ca_file: Path | None) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2

    @override
    def wrap_socket(self, connection: Connection, do_handshake: bool = False) -> None:
        """Encrypt a connection, and compare the name as the standard library does."""
        plain: Any = connection.socket
        connection.socket = self._context.wrap_socket(plain, server_hostname=connection.server.host)


class Bound:
    """A connection on which somebody has shown who they are."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, dn: str, condition: str, attributes: Sequence[str] = ()) -> Entry | None:
        """Return the entry of this very name, if it fulfils a condition (RFC 4515); UnreachableError."""
        return next(iter(self._search(dn, condition, BASE, attributes)), None)

    def one_below(self, dn: str, condition: str, attributes: Sequence[str]) -> Entry | None:
        """Return the one entry below `dn` that fulfils a condition; None for none, and for more than one."""
        found = self._search(dn, condition, SUBTREE, attributes)
        return found[0] if len(found) == 1 else None

    def _search(self, dn: str, condition: str, scope: Any, attributes: Sequence[str]) -> list[Entry]:  # noqa: ANN401 - ldap3's own words
        connection = self._connection
        try:
            connection.search(dn, condition, scope, attributes=list(attributes) or None, size_limit=_MOST)
        except (LDAPException, OSError) as error:
            raise UnreachableError(f"{connection.server.host}: {error}") from error
        result = connection.result["result"]
        if result not in (_SUCCESS, _SIZE_LIMIT, _NO_SUCH_OBJECT):
            raise UnreachableError(f"{connection.server.host} refused a question ({connection.result})")
        found = connection.response or []
        # What leads elsewhere (a referral) is no entry, and is not followed.
        return [_entry(each) for each in found if each.get("type") == "searchResEntry"]


class Servers:
    """The servers of one directory, in the order in which they are asked."""

    def __init__(
        self,
        servers: Sequence[str],
        ca_file: Path | None,
        timeout: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._servers = tuple(servers)
        self._tls = Verified(ca_file)
        self._timeout = timeout
        self._clock = clock
        self._rests: dict[str, float] = {}

    @contextmanager
    def bound(self, user: str, password: Secret) -> Iterator[Bound]:
        """Bind as `user` on the first server that answers.

        NotKnownError or NotAdmittedError where a server refuses the pair: no other one is asked, or one wrong
        password would count several times there. UnreachableError where none answers.
        """
        if not user or not password.reveal():
            raise NotKnownError(
                "A password is needed."
            )  # or the server would call anybody "anonymous" a success
        connection = self._first(user, password)
        try:
            yield Bound(connection)
        finally:
            with suppress(LDAPException, OSError):
                connection.unbind()

    def _first(self, user: str, password: Secret) -> Connection:
        said = []
        for server in self._servers:
            if self._rests.get(server, 0.0) > self._clock():
                said.append(f"{server}: did not answer a moment ago")
                continue
            try:
                return self._bind(server, user, password)
            except (LDAPInvalidValueError, LDAPPasswordIsMandatoryError) as error:
                raise NotKnownError("No name or password can be like this.") from error
            except (LDAPException, OSError) as error:
                self._rests[server] = self._clock() + REST_SECONDS
                said.append(f"{server}: {error}")
        raise UnreachableError("; ".join(said))

    def _bind(self, server: str, user: str, password: Secret) -> Connection:
        host, port, encrypted = address_of(server)
        there = Server(host, port, encrypted, [], get_info=NONE, tls=self._tls, connect_timeout=self._timeout)
        connection = Connection(
            there,
            user,
            password.reveal(),
            auto_referrals=False,
            check_names=False,
            read_only=True,
            receive_timeout=self._timeout,
        )
        try:
            connection.open(read_server_info=False)
            if not encrypted:
                connection.start_tls(read_server_info=False)
            connection.bind(read_server_info=False)
            _judge(connection)
        except BaseException:
            with suppress(LDAPException, OSError):
                connection.unbind()
            raise
        return connection


def _judge(connection: Connection) -> None:
    result = connection.result
    code, why = result["result"], _WHY.search(str(result.get("message", "")))
    if code == _SUCCESS:
        return
    if why is not None and why[1] in _SHUT:
        raise NotAdmittedError(SHUT)
    if code in _REFUSED:
        raise NotKnownError("The directory refuses this name and password.")
    raise LDAPException(f"the server answers {result['description']}")


def _entry(found: dict[str, Any]) -> Entry:
    values = {
        name.lower(): tuple(value.decode("utf-8", "replace") for value in listed)
        for name, listed in found.get("raw_attributes", {}).items()
    }
    return Entry(str(found["dn"]), values)
