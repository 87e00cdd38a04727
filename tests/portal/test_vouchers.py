from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from appliance.model.secret import Secret
from appliance.portal.vouchers import Voucher, link, voucher_sheet

WORD = Secret("abcd-efgh-jkmn")


def test_a_code_leads_to_our_own_sign_in_alone() -> None:
    """S-08: whatever a guest is called, the code leads to the gateway with the voucher filled in."""
    found = urlsplit(link("filter.internal", "A & B #1", WORD))
    assert (found.scheme, found.netloc, found.path) == ("https", "filter.internal", "/sign-in")
    assert parse_qs(found.query) == {"way": ["name"], "name": ["A & B #1"], "voucher": [WORD.reveal()]}


def test_a_paper_says_for_whom_until_when_and_who_answers_for_it() -> None:
    """S-08: the guest, the purpose, the sponsor and the end stand on the paper, and nothing runs in it."""
    paper = Voucher("Ann 1a2b", WORD, "Ann <b>", "Supply", "ms.jones", "", "2026-11-27 15:30")
    html = voucher_sheet("Westways", "filter.internal", [paper])
    for told in (
        "Ann 1a2b",
        WORD.reveal(),
        "Ann &lt;b&gt;",
        "Supply",
        "ms.jones",
        "2026-11-27 15:30",
        "<svg",
    ):
        assert told in html
    assert "From" not in html
    assert "<script" not in html
