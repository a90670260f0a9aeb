"""Everything on a page of the console that a person can set going, and the test that goes through it.

The actions of ``pfgov_api.console.actions`` have rows of their own, in ``tests/browser/action_rows.py``.
"""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
CONSOLE = TESTS.parent / "api" / "pfgov_api" / "console"

SEEN = "browser/test_browser_console.py::"
VISITED = "browser/test_browser_visitors.py::"
FILTERED = (
    "api/test_api_console_acts.py::test_decisions_are_found_by_rule_member_packet_outcome_and_time"
)
TAKEN = "browser/test_browser_taking.py::"

DOORS = {
    "_record.html button verify": SEEN + "test_something_is_done_and_its_receipt_verified",
    "_record.html file proof": SEEN + "test_the_first_five_minutes",
    "_record.html file anchor": SEEN + "test_the_first_five_minutes",
    "_symbol.html button copy": TAKEN + "test_a_command_is_copied",
    "analytics.html get {{ visit.url }}": TAKEN + "test_a_filter_is_in_the_address",
    "assignments.html get {{ visit.url }}": FILTERED,
    "audit.html get {{ visit.url }}": FILTERED,
    "audit.html get /console/raw/export": TAKEN + "test_a_range_is_taken_out",
    "audit.html file export": TAKEN + "test_everything_is_taken_out",
    "base.html get /console/search": SEEN + "test_keys_lead_everywhere",
    "base.html dialog ": SEEN + "test_keys_lead_everywhere",
    "base.html button pause": SEEN + "test_a_pause_holds_and_ends",
    "base.html button toast-close": TAKEN + "test_a_receipt_is_closed",
    "capabilities.html get {{ visit.url }}": TAKEN + "test_a_filter_is_in_the_address",
    "decision.html link again": TAKEN + "test_a_decision_is_asked_again",
    "do.html post {{ target.url }}": "browser/test_browser_actions.py::test_an_action_is_done_by_whom_it_is_for",
    "do.html button true": TAKEN + "test_who_could_own_it_is_asked_first",
    "handoffs.html get /console/do/hand_off_packet": TAKEN + "test_a_handoff_begins_where_handoffs_are",
    "keys.html file anchor": TAKEN + "test_everything_is_taken_out",
    "members.html get {{ visit.url }}": TAKEN + "test_a_filter_is_in_the_address",
    "overview.html file anchor": TAKEN + "test_everything_is_taken_out",
    "packet.html file export": TAKEN + "test_everything_is_taken_out",
    "playground.html post /console/policies/try": SEEN + "test_a_set_is_weighed_in_the_page",
    "playground.html button ask": SEEN + "test_a_set_is_weighed_in_the_page",
    "playground.html button test": VISITED + "test_files_are_dropped_and_their_tests_run",
    "playground.html button weigh": SEEN + "test_a_set_is_weighed_in_the_page",
    "playground.html button propose": TAKEN + "test_a_set_is_proposed_and_made_binding",
    "playground.html button activate": TAKEN + "test_a_set_is_proposed_and_made_binding",
    "session.html post /console/sign-out": VISITED + "test_every_tab_is_closed_to_whoever_signed_out",
    "sign_in.html post /console/sign-in": SEEN + "test_signing_in_and_out",
    "simulator.html get ": SEEN + "test_runs_side_by_side_have_the_numbers_of_the_command_line",
    "simulator.html button sim-beside": SEEN + "test_runs_side_by_side_have_the_numbers_of_the_command_line",
    "simulator.html button sim-play": TAKEN + "test_a_run_is_paused_stepped_and_ended",
    "simulator.html button sim-step": TAKEN + "test_a_run_is_paused_stepped_and_ended",
    "verify.html get ": SEEN + "test_an_export_is_verified_in_the_page",
    "verify.html file verifier": TAKEN + "test_everything_is_taken_out",
    "verify.html file export": TAKEN + "test_everything_is_taken_out",
    "verify.html file anchor": TAKEN + "test_everything_is_taken_out",
    "workloads.html get {{ visit.url }}": TAKEN + "test_a_filter_is_in_the_address",
}  # fmt: skip


def attribute(tag: str, name: str) -> str:
    """A value in a tag; empty where there is none."""
    found = re.search(rf'\b{name}="([^"]*)"', tag)
    return found[1] if found else ""


def doors(text: str) -> set[str]:
    """What a template lets somebody send, press or take."""
    forms = re.findall("<form[^>]*>", text)
    found = {f"{attribute(one, 'method') or 'get'} {attribute(one, 'action')}" for one in forms}
    buttons = re.findall("<button[^>]*>", text)
    found |= {f"button {attribute(one, 'value')}" for one in buttons if attribute(one, "name")}
    scripted = [one for one in buttons if attribute(one, "type") == "button"]
    found |= {f"button {attribute(one, 'id') or attribute(one, 'class')}" for one in scripted}
    found |= {f"file {one}" for one in re.findall(r'href="/console/raw/(\w+)', text)}
    return found | {f"link {one}" for one in re.findall(r"visit\.link\((again)='true'\)", text)}


def test_whatever_can_be_set_going_is_gone_through() -> None:
    """A page has a form, a button or a file that no test goes through, or the table one that is not there."""
    there = {
        f"{one.name} {door}"
        for one in (CONSOLE / "templates").iterdir()
        for door in doors(one.read_text())
    }
    assert there == set(DOORS)


@pytest.mark.parametrize("named", sorted(set(DOORS.values())))
def test_the_test_of_a_door_is_there(named: str) -> None:
    """The table names a test that there is not."""
    file, _, function = named.partition("::")
    assert f"def {function}(" in (TESTS / file).read_text()
