from __future__ import annotations

from ipaddress import ip_network

import pytest

from appliance.model.grant import State, What, Whom
from appliance.overrides.written import override_of, what_text, whom_text

WHAT = What(frozenset({"a.example"}), frozenset({("b.example", "/x?y=1")}), frozenset({"drugs"}))
WHOM = Whom(
    frozenset({"amy"}), frozenset({"ks2"}), (ip_network("10.0.0.0/8"),), frozenset({"Trolley 3", "10.0.0.9"})
)
ROW = (
    *(4, "active", what_text(WHAT), whom_text(WHOM), "Because we must.", "Art", 1.0, 2.0, 1.0, "a", 0.5),
    *("b", "teacher", None, "7KQ4-M2XD", 1),
)


def test_what_is_written_is_read_back() -> None:
    """A grant says after a restart exactly what it said before."""
    found = override_of(ROW)
    assert (found.wish.what, found.wish.whom, found.state) == (WHAT, WHOM, State.ACTIVE)
    grant = found.grant("Opened.")
    assert (grant.number, grant.role, grant.starts, grant.ends, grant.words) == (
        4,
        "teacher",
        1.0,
        2.0,
        "Opened.",
    )


@pytest.mark.parametrize("broken", ["", "{}", "[]", '{"hosts": 3}', '{"hosts": [], "pages": [1]}'])
def test_a_row_that_cannot_be_read_is_told(broken: str) -> None:
    """A damaged row opens nothing, instead of something else."""
    with pytest.raises(ValueError, match=r"cannot be read|Expecting|unpack"):
        override_of((*ROW[:2], broken, *ROW[3:]))
