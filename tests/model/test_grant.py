from __future__ import annotations

from appliance.model.grant import State, What, Whom


def test_only_ends_are_ends() -> None:
    """Nothing leads back from an end, so that nothing that waits or is in force may count as one."""
    assert [state for state in State if state.over] == [State.REFUSED, State.EXPIRED, State.REVOKED]


def test_nothing_for_nobody_is_told_apart() -> None:
    """An override that names nothing, or nobody, is none."""
    assert not What()
    assert not Whom()
    assert What(hosts=frozenset({"a.example"}))
    assert Whom(groups=frozenset({"ks2"}))
