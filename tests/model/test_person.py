from __future__ import annotations

from appliance.model.person import Kind, Person, Standing


def test_only_logins_that_many_use_are_shared() -> None:
    """S-06: a class and the early years share a login, and nobody else does."""
    assert [kind for kind in Kind if kind.shared] == [Kind.CLASS, Kind.GENERIC]


def test_a_person_is_open_and_nameless_until_something_says_otherwise() -> None:
    """No child is named by a network, and nobody is stopped without a reason."""
    person = Person("ks2", "network Classrooms")
    assert (person.name, person.kind, person.standing) == ("", None, Standing.OPEN)
