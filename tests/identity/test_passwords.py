from __future__ import annotations

import os
import threading
from typing import Literal

import pytest
from argon2 import PasswordHasher

from appliance.identity import passwords
from appliance.identity.names import IdentityError
from appliance.identity.passwords import NICE, PICTURES, Passwords, Rules
from appliance.model.person import Kind
from appliance.model.secret import Secret
from tests.doubles.people import WORD, quick


def test_only_the_password_itself_fits() -> None:
    """S-10: a hash opens for its own password, and an account without one for none."""
    kept = quick().make(WORD)
    assert kept.startswith("$argon2id$")
    assert quick().fits(kept, WORD)
    assert not quick().fits(kept, Secret(WORD.reveal() + " "))
    assert not quick().fits("", WORD)
    assert not quick().fits("rubbish", WORD)
    assert not quick().fits(kept, Secret("x" * 100_000))
    assert not quick().fits(kept, Secret("\ud800"))


@pytest.mark.slow
def test_a_hash_of_another_cost_is_outdated() -> None:
    """When the recommended cost rises, the next sign-in brings a hash up to it."""
    assert Passwords().outdated(quick().make(WORD))
    assert not quick().outdated(quick().make(WORD))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("short1", Kind.INDIVIDUAL),
        ("longenough1", Kind.STAFF),
        ("onlysmallletters", Kind.INDIVIDUAL),
        ("Amy.Smith-2026", Kind.INDIVIDUAL),
        ("Password123", Kind.INDIVIDUAL),
        ("aA1aA1aA1", Kind.INDIVIDUAL),
        ("x1" * 200, Kind.INDIVIDUAL),
    ],
)
def test_a_weak_password_is_refused_in_words(text: str, kind: Kind) -> None:
    """S-10: too short, too plain, the own name, or one that everybody tries first."""
    with pytest.raises(IdentityError):
        passwords.check(Secret(text), "amy.smith", kind, Rules())


def test_a_good_password_is_taken() -> None:
    """Rules that nothing fits would be switched off."""
    passwords.check(WORD, "amy.smith", Kind.STAFF, Rules())
    passwords.check(passwords.first_password(), "amy.smith", Kind.STAFF, Rules())


def test_pictures_make_a_password_by_their_order() -> None:
    """S-02, S-03: a child who cannot write signs in with pictures, and nothing else fits them."""
    chosen = passwords.pictures()
    assert len(set(chosen)) == passwords.PICTURE_COUNT
    assert set(chosen) <= set(PICTURES)
    kept = quick().make(passwords.of_pictures(chosen))
    assert quick().fits(kept, passwords.of_pictures(chosen))
    assert not quick().fits(kept, passwords.of_pictures(chosen[::-1]))
    assert not quick().fits(kept, passwords.of_pictures(("?", *chosen[1:])))


def test_a_hash_goes_behind_everybody_who_is_at_work() -> None:
    """Lesson start: hundreds of hashes stand behind filtering, and the thread that asks does not."""
    found = []

    class Noting(PasswordHasher):
        def verify(self, *pair: str | bytes) -> Literal[True]:
            found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            return super().verify(*pair)

    passwords = Passwords(Noting(time_cost=1, memory_cost=8, parallelism=1))
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert passwords.fits(passwords.make(Secret("Blue-kettle-42")), Secret("Blue-kettle-42"))
    assert found == [min(19, before + NICE)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before
