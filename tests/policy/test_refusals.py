from __future__ import annotations

import pytest

from appliance.model.decision import Action, Reason
from appliance.model.url import parse_url
from appliance.policy.refusals import NUMBERED, numbered, own_page, refusal
from tests.doubles.gateway import policy

POLICY = policy()
_PROFILE = next(iter(next(iter(POLICY.sets.values())).profiles.values()))


@pytest.mark.parametrize("reason", [Reason.FAULT, Reason.MALFORMED, Reason.UPSTREAM_UNREACHABLE])
def test_what_failed_is_closed_and_says_so(reason: Reason) -> None:
    """A fault blocks; a site that is down is nobody's attempt, everything else may be one (H1)."""
    found = refusal(reason, "because", _PROFILE, POLICY)
    assert (found.action, found.reason, found.because) == (Action.BLOCK, reason, "because")
    assert found.flagged is (reason is not Reason.UPSTREAM_UNREACHABLE)
    assert (found.profile, found.policy_version) == (_PROFILE.id, POLICY.version)


def test_our_own_page_is_open_to_everybody() -> None:
    """There is no site behind it that could be judged."""
    found = own_page(_PROFILE, POLICY)
    assert (found.action, found.reason, found.flagged) == (Action.ALLOW, Reason.OWN_PAGE, False)


def test_a_site_that_is_called_by_number_has_a_category() -> None:
    """Most ways round a filter begin with a number in place of a name."""
    assert numbered(parse_url("http://198.51.100.7/")).categories == (NUMBERED,)
