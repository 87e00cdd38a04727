"""People of the school's directory: whether name and password are theirs, and which group they are in.

What lives only here: the questions that a directory is asked, LDAP and Active Directory alike, and what its
answers mean. Whatever somebody typed is escaped before it becomes part of a question (RFC 4514, RFC 4515).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager

from ldap3.core.exceptions import LDAPException
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import escape_rdn, parse_dn

from appliance.identity.ldap_link import SHUT, Bound, Entry, Servers
from appliance.identity.names import IdentityError, key, neat
from appliance.identity.options_directory import DirectorySettings, GroupSettings, Membership
from appliance.identity.outside import (
    Found,
    NotAdmittedError,
    NotKnownError,
    UnreachableError,
    without_realm,
)
from appliance.identity.secret_files import read_secret
from appliance.model.secret import Secret

NESTED = "1.2.840.113556.1.4.1941"
"""LDAP_MATCHING_RULE_IN_CHAIN: Active Directory itself follows groups within groups ([MS-ADTS])."""

REST_SECONDS = 60.0
"""For how long the gateway's own account there is not tried again after it was refused."""

NO_PLACE = "Your account has no place here yet. Ask a member of staff."

_DISABLED = 0x2  # ACCOUNTDISABLE in userAccountControl
_NEVER = (0, 0x7FFF_FFFF_FFFF_FFFF)
_FILETIME_EPOCH, _FILETIME_SECOND, _DAY = 11_644_473_600, 10_000_000, 86_400
_STATES = (
    "userAccountControl", "accountExpires", "nsAccountLock", "shadowExpire", "pwdAccountLockedTime",
    "loginDisabled",
)  # fmt: skip
_FOR_GOOD = "000001010000Z"
_ESCAPED = re.compile(r"\\([0-9a-fA-F]{2}|.)", re.DOTALL)
_UNFIT = re.compile(r"[\\@/\"]")


class Ldap:
    """The school's directory, as its settings describe it."""

    def __init__(
        self,
        settings: DirectorySettings,
        realms: Collection[str] = (),
        *,
        servers: Servers | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.lasts = settings.cached_hours * 3600
        self.looks_up = bool(settings.account)
        self._settings = settings
        self._realms = realms
        self._servers = servers or Servers(settings.servers, settings.ca_file, settings.timeout_seconds)
        self._clock = clock
        self._rests = 0.0
        self._why = ""

    def plain(self, name: str) -> str:
        """Return a name without a realm of the school's."""
        return without_realm(name, self._realms)

    def ask(self, name: str, password: Secret) -> Found:
        """Return whose name and password these are; NotKnownError, NotAdmittedError or UnreachableError."""
        name = _fit(self.plain(name))
        if not password.reveal():
            raise NotKnownError("A password is needed.")
        if not self.looks_up:
            with self._servers.bound(self._bound_as(name), password) as own:
                return self._judged(own, self._own_entry(own, name))
        with self._as_gateway() as gateway:
            entry = self._named(gateway, name)
            if entry is None:
                raise NotKnownError("Nobody of this name is there.")
            with self._servers.bound(entry.dn, password):
                return self._judged(gateway, entry)

    def look_up(self, name: str) -> Found | None:
        """Return what the directory says of a name, or None; NotAdmittedError or UnreachableError.

        Always None where the gateway has no account of its own there.
        """
        if not self.looks_up:
            return None
        try:
            name = _fit(self.plain(name))
        except NotKnownError:
            return None
        with self._as_gateway() as gateway:
            entry = self._named(gateway, name)
            return None if entry is None else self._judged(gateway, entry)

    def missing_groups(self) -> list[str]:
        """Return which of the groups in the settings the directory does not have; UnreachableError."""
        with self._as_gateway() as gateway:
            return [
                each.dn for each in self._settings.groups if gateway.read(each.dn, "(objectClass=*)") is None
            ]

    @contextmanager
    def _as_gateway(self) -> Iterator[Bound]:
        settings = self._settings
        if self._clock() < self._rests:
            raise UnreachableError(self._why)
        with ExitStack() as stack:
            try:
                password = read_secret(settings.password_file) if settings.password_file else Secret("")
                gateway = stack.enter_context(self._servers.bound(settings.account, password))
            except UnreachableError:
                raise
            except IdentityError as error:  # its password is refused, or the file of it is not fit
                # Not tried again at once: a directory locks an account whose password is wrong ten times.
                self._rests, self._why = self._clock() + REST_SECONDS, f"as {settings.account}: {error}"
                raise UnreachableError(self._why) from error
            yield gateway

    def _bound_as(self, name: str) -> str:
        template = self._settings.bind
        if "=" in template:
            return template.replace("{name}", escape_rdn(name))
        if _UNFIT.search(name):
            raise NotKnownError("A name like this would be another's.")
        return template.replace("{name}", name)

    def _own_entry(self, own: Bound, name: str) -> Entry | None:
        # The entry must be that of the very name that was bound: in Active Directory one person's
        # principal name may be what another's account is called.
        user, settings = self._bound_as(name), self._settings
        if "=" in settings.bind:
            return own.read(user, "(objectClass=*)", self._attributes())
        which = "userPrincipalName" if "@" in settings.bind else "sAMAccountName"
        value = user if "@" in settings.bind else name
        condition = f"({which}={escape_filter_chars(value)})"
        return own.one_below(settings.people, condition, self._attributes())

    def _named(self, gateway: Bound, name: str) -> Entry | None:
        condition = f"({self._settings.name_attribute}={escape_filter_chars(name)})"
        return gateway.one_below(self._settings.people, condition, self._attributes())

    def _attributes(self) -> tuple[str, ...]:
        of = ("memberOf",) if self._settings.membership is Membership.MEMBER_OF else ()
        return (self._settings.name_attribute, *_STATES, *of)

    def _judged(self, asking: Bound, entry: Entry | None) -> Found:
        name = entry.first(self._settings.name_attribute) if entry else ""
        if entry is None or not name:
            raise NotAdmittedError(NO_PLACE)
        if shut(entry, self._clock()):
            raise NotAdmittedError(SHUT)
        for rule in self._settings.groups:
            if self._is_in(asking, entry, name, rule):
                return Found(name, rule.group, rule.kind)
        if self._settings.otherwise is None:
            raise NotAdmittedError(NO_PLACE)
        return Found(name, self._settings.otherwise)

    def _is_in(self, asking: Bound, entry: Entry, name: str, rule: GroupSettings) -> bool:
        how = self._settings.membership
        if how is Membership.MEMBER_OF:
            return dn_key(rule.dn) in {dn_key(each) for each in entry.values.get("memberof", ())}
        if how is Membership.NESTED:
            condition = f"(memberOf:{NESTED}:={escape_filter_chars(rule.dn)})"
            return asking.read(entry.dn, condition) is not None
        dn = escape_filter_chars(entry.dn)
        condition = f"(|(member={dn})(uniqueMember={dn})(memberUid={escape_filter_chars(name)}))"
        return asking.read(rule.dn, condition) is not None


def shut(entry: Entry, now: float) -> bool:
    """Return whether an entry is that of an account that is disabled, expired or locked for good."""
    expires, days = _number(entry.first("accountExpires")), _number(entry.first("shadowExpire"), -1)
    return (
        bool(_number(entry.first("userAccountControl")) & _DISABLED)
        or (expires not in _NEVER and expires / _FILETIME_SECOND - _FILETIME_EPOCH <= now)
        or (days >= 0 and days * _DAY <= now)
        or entry.first("nsAccountLock").casefold() == "true"
        or entry.first("loginDisabled").casefold() == "true"
        or entry.first("pwdAccountLockedTime") == _FOR_GOOD
    )


def dn_key(dn: str) -> tuple[tuple[str, str], ...]:
    """Return what is the same for every spelling of one distinguished name (RFC 4514)."""
    try:
        parts = parse_dn(dn, strip=True)
    except LDAPException:
        return (("", dn),)
    return tuple((kind.lower(), key(_unescaped(value))) for kind, value, _ in parts)


def _unescaped(value: str) -> str:
    raw = bytearray()
    at = 0
    for found in _ESCAPED.finditer(value):
        raw += value[at : found.start()].encode()
        raw += bytes.fromhex(found[1]) if len(found[1]) > 1 else found[1].encode()
        at = found.end()
    return (raw + value[at:].encode()).decode("utf-8", "replace")


def _fit(name: str) -> str:
    try:
        return neat(name)
    except IdentityError as error:
        raise NotKnownError("No name can be like this.") from error


def _number(text: str, otherwise: int = 0) -> int:
    try:
        return int(text)
    except ValueError:
        return otherwise
