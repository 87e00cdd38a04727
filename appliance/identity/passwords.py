"""Passwords: what a good one is, and how it is kept.

What lives only here: argon2id (RFC 9106) at the cost that its authors recommend for machines with little
memory, the rules for a new password, and picture passwords for children who cannot write yet. A password
is a Secret from the moment it is read, and only its hash is kept.
"""

from __future__ import annotations

import os
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from appliance.identity.names import IdentityError, key
from appliance.model.person import Kind
from appliance.model.secret import Secret

AT_ONCE, NICE = 2, 5
"""Hashes that one process computes at once, and by how much their threads stand behind all others."""

LONGEST = 256
"""Most characters of a password: enough for any sentence, too few to keep a processor busy."""

PICTURES = (
    "sun", "moon", "star", "tree", "flower", "apple", "fish", "bird", "boat", "house", "ball", "key",
)  # fmt: skip
"""The pictures of class cards, in the order in which they are shown: always the same, for small children."""

PICTURE_COUNT = 3
"""How many pictures, in order, make a picture password."""

_EASY = frozenset(("password", "letmein", "welcome", "qwerty", "abc123", "football", "school", "changeme"))
_KINDS = (str.islower, str.isupper, str.isdigit, lambda c: not c.isalnum())
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # without those that look alike on paper


@dataclass(frozen=True, slots=True)
class Rules:
    """What a new password must be: lengths in characters, and of how many kinds of character."""

    pupil_length: int = 8
    staff_length: int = 12
    kinds: int = 2


def _let_others_go_first() -> None:
    # Of this thread alone, on Linux. Where that is forbidden, hashes are computed as anything else.
    thread = threading.get_native_id()
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICE)


class Passwords:
    """Makes and compares hashes; the cost is an argument, so that tests can be quick."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()  # argon2id, 64 MiB, 3 passes (RFC 9106, 4)
        # A lesson that begins is hundreds of hashes, each some tenths of a second of a processor: whoever is
        # at work already goes first, and no lock is held meanwhile.
        self._threads = ThreadPoolExecutor(AT_ONCE, "hash", initializer=_let_others_go_first)

    @cached_property
    def _nobody(self) -> str:
        # What a name that nobody has is compared with, so that the answer takes as long (no oracle).
        return self._hasher.hash(secrets.token_hex(16))

    def prepare(self) -> Passwords:
        """Make now what the first comparison would otherwise have to wait for; return this."""
        _ = self._nobody
        return self

    def make(self, password: Secret) -> str:
        """Return the hash of a password, to be kept."""
        return self._threads.submit(self._hasher.hash, password.reveal()).result()

    def fits(self, kept: str, password: Secret) -> bool:
        """Return whether `password` is the one that `kept` was made of; takes as long if `kept` is empty."""
        if len(password.reveal()) > LONGEST:
            return False
        try:
            self._threads.submit(self._hasher.verify, kept or self._nobody, password.reveal()).result()
        except (VerificationError, InvalidHashError, UnicodeError):
            return False
        return bool(kept)

    def outdated(self, kept: str) -> bool:
        """Return whether a hash was made at another cost and should be made anew at the next sign-in."""
        return self._hasher.check_needs_rehash(kept)


def check(password: Secret, name: str, kind: Kind, rules: Rules) -> None:
    """Raise IdentityError, in words for the one who chose it, where a new password is too weak (S-10)."""
    text = password.reveal()
    least = rules.staff_length if kind is Kind.STAFF else rules.pupil_length
    if not least <= len(text) <= LONGEST:
        raise IdentityError(f"The password needs at least {least} characters, and at most {LONGEST}.")
    if sum(any(map(kind_of, text)) for kind_of in _KINDS) < rules.kinds:
        raise IdentityError(
            f"The password needs at least {rules.kinds} of: small letters, capital letters, numbers, signs."
        )
    plain = key(text)
    if key(name) in plain or any(word in plain for word in key(name).split(".") if len(word) > len("ann")):
        raise IdentityError("The password must not contain the name.")
    if any(plain.strip("0123456789!?. ") == word for word in _EASY) or len(set(plain)) <= len("abc"):
        raise IdentityError("This password is one of the first that anybody would try. Think of another.")


def first_password() -> Secret:
    """Return a password for the first sign-in, easy to copy from paper; it must be changed then."""
    parts = ["".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3)]
    return Secret("-".join(parts))


def pictures() -> tuple[str, ...]:
    """Return a new picture password, in its order; no picture twice, so that it can be told in words."""
    return tuple(secrets.SystemRandom().sample(PICTURES, PICTURE_COUNT))


def of_pictures(chosen: tuple[str, ...]) -> Secret:
    """Return pictures as the password that they stand for; a name that is no picture makes none that fits."""
    return Secret("pictures:" + ",".join(name if name in PICTURES else "?" for name in chosen))
