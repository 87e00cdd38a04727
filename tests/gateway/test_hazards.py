from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from mitmproxy import addons, hooks

from appliance import reporting
from appliance.gateway.addon import GatewayAddon
from appliance.gateway.closed import MARK

ROOT = Path(__file__).resolve().parents[2]
GATEWAY = ROOT / "appliance" / "gateway"
HERE = "tests/gateway"

# What bites in mitmproxy, and which test holds it off; a sentence says why it cannot arise here.
HAZARDS: dict[str, tuple[str, ...] | str] = {
    "H1 an exception lets the flow pass": (
        f"{HERE}/test_closed.py::test_an_exception_closes_and_is_told",
        f"{HERE}/test_closed.py::test_where_closing_fails_the_hook_never_completes",
        f"{HERE}/test_closing.py::test_a_judgement_that_fails_closes",
        f"{HERE}/test_worker.py::test_even_a_failure_to_close_opens_nothing",
        f"{HERE}/test_hazards.py::test_every_hook_of_ours_fails_closed",
    ),
    "H2 a client provokes the exception": (
        f"{HERE}/test_translate.py::test_no_bytes_make_the_translation_fail",
        f"{HERE}/test_hazards.py::test_no_body_is_decoded",
    ),
    "H3 a script that is reloaded or removed": (
        f"{HERE}/test_worker.py::test_the_worker_runs_with_what_is_needed_and_no_more",
        f"{HERE}/test_worker.py::test_a_worker_without_the_filter_does_not_start",
    ),
    "H4 a streamed body goes out before the request hook": (
        f"{HERE}/test_layers.py::test_a_refused_upload_is_answered_once_and_goes_nowhere",
        f"{HERE}/test_layers.py::test_http2_refuses_an_upload_the_same_way",
    ),
    "H5 a response set while streaming crashes the layer": (
        f"{HERE}/test_layers.py::test_a_refused_upload_is_answered_once_and_goes_nowhere",
        f"{HERE}/test_worker.py::test_the_worker_runs_with_what_is_needed_and_no_more",
    ),
    "H6 body_size_limit refuses allowed uploads": (
        f"{HERE}/test_layers.py::test_a_refused_upload_without_end_is_cut_off",
        f"{HERE}/test_worker.py::test_the_worker_runs_with_what_is_needed_and_no_more",
    ),
    "H7 socket messages are kept for ever": (f"{HERE}/test_addon.py::test_socket_messages_are_not_kept",),
    "H8 bodies are buffered whole": (
        f"{HERE}/test_actions.py::test_bodies_are_counted_and_not_kept",
        f"{HERE}/test_layers.py::test_an_allowed_upload_streams_to_its_site",
        f"{HERE}/test_site.py::test_a_form_without_a_sensible_length_is_refused_at_once",
    ),
    "H9 a small body unpacks to a huge one": (f"{HERE}/test_hazards.py::test_no_body_is_decoded",),
    "H10 killing a raw connection does nothing": (
        f"{HERE}/test_layers.py::test_whatever_comes_is_read",
        f"{HERE}/test_closing.py::test_a_socket_whose_message_cannot_be_handled_is_cut",
    ),
    "H11 ignored hosts are matched by the client's word": (
        f"{HERE}/test_layers.py::test_whatever_comes_is_read",
        f"{HERE}/test_addon.py::test_any_blocked_or_unreadable_name_keeps_the_site_uncontacted",
    ),
    "H12 ignored connections leave no trace": "No connection is ever ignored: each is opened and judged.",
    "H13 the blocked site is contacted before the policy": (
        f"{HERE}/test_addon.py::test_a_blocked_site_gets_its_tunnel_so_that_a_page_can_be_shown",
        f"{HERE}/test_worker.py::test_an_encrypted_block_shows_its_page_and_contacts_nobody",
    ),
    "H14 a lazy connection breaks sites": (
        f"{HERE}/test_addon.py::test_an_allowed_site_is_contacted_under_the_name_that_was_judged",
    ),
    "H15 another addon has the last word": (
        f"{HERE}/test_worker.py::test_the_worker_runs_with_what_is_needed_and_no_more",
        f"{HERE}/test_tls.py::test_the_order_of_handshakes_is_left_to_the_filter",
    ),
    "H16 the page for a bad certificate is mitmproxy's": (
        f"{HERE}/test_worker.py::test_a_forged_certificate_is_our_page_and_no_way_through",
        f"{HERE}/test_layers.py::test_a_site_that_cannot_be_reached_gets_our_page",
        f"{HERE}/test_tls.py::test_roots_are_the_system_s_and_the_technician_s",
    ),
    "H17 sites that ask for a client certificate": "They get the page of a site that cannot be reached.",
    "H18 HTTP/3 passes by": (
        f"{HERE}/test_actions.py::test_bodies_are_counted_and_not_kept",
        "tests/journeys/test_firewall.py::test_http3_is_refused_at_once",
    ),
    "H19 one slow hook stalls everybody": (
        f"{HERE}/test_closed.py::test_a_hook_that_computes_too_long_closes_afterwards",
        f"{HERE}/test_worker.py::test_the_lag_of_the_loop_is_told",
    ),
    "H20 one process, one listener": (f"{HERE}/test_door.py::test_workers_share_one_port",),
    "H21 what one process can carry": "A matter of size, which `make bench` measures; workers are a setting.",
    "H22 site certificates use the CA's key": (
        f"{HERE}/test_ca.py::test_the_key_of_a_site_is_never_the_key_of_the_ca",
        f"{HERE}/test_ca.py::test_certificates_live_as_long_as_browsers_allow",
        f"{HERE}/test_tls.py::test_no_ca_of_mitmproxy_is_made",
    ),
    "H23 block_global turns public clients away": (
        f"{HERE}/test_worker.py::test_the_worker_runs_with_what_is_needed_and_no_more",
    ),
    "H24 keep_host_header acts in reverse mode alone": (
        f"{HERE}/test_actions.py::test_the_site_is_told_the_name_that_was_judged",
    ),
    "H25 the Host header can be forged": (
        f"{HERE}/test_translate.py::test_what_two_parties_could_read_differently_is_refused",
        f"{HERE}/test_layers.py::test_an_absolute_address_within_a_tunnel_reaches_no_site",
        f"{HERE}/test_addon.py::test_a_domain_front_is_refused",
    ),
    "H26 the transparent port called directly": (
        f"{HERE}/test_door.py::test_only_redirected_connections_are_taken",
        f"{HERE}/test_worker.py::test_nobody_connects_to_the_transparent_port_itself",
    ),
    "H27 a way inwards": (
        f"{HERE}/test_reach.py::test_no_spelling_of_an_internal_address_is_the_web",
        f"{HERE}/test_loop.py::test_no_connection_is_opened_to_a_name_that_leads_inwards",
        f"{HERE}/test_upstream.py::test_a_worker_connects_only_to_what_was_judged",
    ),
    "H28 proxyauth": "mitmproxy's sign-in addon is not loaded; who asks is identity's matter.",
    "H29 trailers crash the layer and hang both sides": (
        f"{HERE}/test_heads.py::test_trailers_are_dropped_on_both_sides",
        f"{HERE}/test_worker.py::test_a_crash_cuts_the_connection",
    ),
    "H30 a crash prints whole bodies": (
        f"{HERE}/test_worker.py::test_libraries_that_print_what_passes_are_silenced",
        f"{HERE}/test_handler.py::test_a_crash_is_told_by_its_kind_and_cuts_both_sides",
    ),
    "H31 header validation breaks some sites": (
        f"{HERE}/test_layers.py::test_what_contradicts_itself_is_refused_and_not_passed_on",
        f"{HERE}/test_layers.py::test_a_site_that_answers_nonsense_gets_our_page",
    ),
    "H32 lax headers are forwarded": (
        f"{HERE}/test_translate.py::test_what_two_parties_could_read_differently_is_refused",
        f"{HERE}/test_actions.py::test_the_site_is_told_the_name_that_was_judged",
    ),
    "H33 streams interleave at every await": (
        "tests/test_filtering.py::test_a_policy_is_swapped_whole",
        f"{HERE}/test_closed.py::test_a_hook_that_waits_too_long_is_ended_and_closes",
    ),
    "H34 onboarding page and magic paths": (
        f"{HERE}/test_tls.py::test_no_magic_path_of_other_sites_is_answered",
        f"{HERE}/test_worker.py::test_the_worker_runs_with_what_is_needed_and_no_more",
    ),
    "H35 no pooling across clients": "Accepted: it costs connections, and never lets anything pass.",
    "H36 too many open files": (f"{HERE}/test_hazards.py::test_the_units_allow_enough_open_files",),
    "H37 known vulnerabilities of mitmproxy": (
        f"{HERE}/test_layers.py::test_mitmproxy_is_the_one_that_was_looked_at",
        f"{HERE}/test_layers.py::test_what_contradicts_itself_is_refused_and_not_passed_on",
    ),
}  # fmt: skip


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_no_hazard_is_left_out() -> None:
    """Each of the thirty-seven known ways in which mitmproxy bites has its line here."""
    assert [hazard.split()[0] for hazard in HAZARDS] == [f"H{number}" for number in range(1, 38)]


@pytest.mark.slow
@pytest.mark.parametrize("hazard", HAZARDS)
def test_each_hazard_has_its_test_or_its_reason(hazard: str) -> None:
    """A test that is renamed or removed does not silently leave a hazard uncovered."""
    held = HAZARDS[hazard]
    if isinstance(held, str):
        assert held.endswith(".")
        return
    missing = [name for name in held if name.split("::")[1] not in names_in(name.split("::")[0])]
    assert held
    assert missing == []


def hook_names() -> set[str]:
    addons.default_addons()  # importing them registers every hook that mitmproxy has
    return set(hooks.all_hooks)


def our_hooks() -> set[str]:
    return {name for name in hook_names() if hasattr(GatewayAddon, name)}


def test_every_hook_of_ours_fails_closed() -> None:
    """A hook without the guard would pass everything on at its first fault (H1)."""
    assert {"requestheaders", "tls_clienthello", "server_connect", "websocket_message"} <= our_hooks()
    assert [name for name in our_hooks() if not getattr(getattr(GatewayAddon, name), MARK, False)] == []


def test_every_stage_has_its_number() -> None:
    """A fault in any hook is counted under its own name, and not as "other"."""
    assert our_hooks() - set(reporting.STAGES) == set()
    named = re.compile(r'(?<!de)fault\((?:[\w.]+, )?"([a-z_]+)"')
    counted = {
        stage for file in GATEWAY.glob("*.py") for stage in named.findall(file.read_text(encoding="utf-8"))
    }
    assert {"connection", "lane"} <= counted
    assert counted | {"refused_head", "lane_failed", "door", "splice", "record"} <= set(reporting.STAGES)


def test_no_body_is_decoded() -> None:
    """No body is unpacked: junk cannot provoke a fault, nor a bomb fill the memory (H2, H9)."""
    decoding = re.compile(r"\.(?:text|content|get_text|get_content|multipart_form|urlencoded_form)\b(?!\w)")
    found = [
        f"{file.name}:{number}"
        for file in sorted(GATEWAY.glob("*.py"))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if decoding.search(line)
    ]
    assert found == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "word", ["ignore_connection", "pretty_host", "pretty_url", "ssl_insecure=True", "uvloop"]
)
def test_what_opens_a_hole_is_not_used(word: str) -> None:
    """Nothing is relayed unread, judged by a name that can be forged, or connected to unverified (H11)."""
    assert [file.name for file in GATEWAY.glob("*.py") if word in file.read_text(encoding="utf-8")] == []


def test_the_units_allow_enough_open_files() -> None:
    """A gateway that runs for months does not come to the end of its file numbers (H36)."""
    units = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
    assert units
    limits = [
        re.search(r"^LimitNOFILE=(\d+)$", unit.read_text(encoding="utf-8"), re.MULTILINE) for unit in units
    ]
    assert all(limit is not None and int(limit[1]) >= 65_536 for limit in limits)
