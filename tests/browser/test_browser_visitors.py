"""What visitors do that nobody told them to: back after an action, twice, by keyboard, too much at once, too late.

Needs Playwright (PyPI) and a Chromium on the machine; skipped with the reason where one is missing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support.api_process import Server
from support.chromium import chromium
from support.console_look import Look, register, wait, wait_for_keys
from support.console_tests import FIXTURES, SET, run_the_tests

from pfgov_api.keyring import FILE, KeyRing

pytestmark = [pytest.mark.browser, pytest.mark.process]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    with chromium() as found:
        yield found


@pytest.fixture
def look(browser: Any, tmp_path: Path) -> Iterator[Look]:
    """A page of a server of its own, with a member; nothing may go wrong with it."""
    server = Server(tmp_path / "ledger")
    server.start()
    found = Look(browser, server, viewport={"width": 1280, "height": 800})
    try:
        register(server, "m1", trust_score=0.9, lease_seconds=3_600)
        yield found
    finally:
        found.close()
        server.stop()


def signed_in(look: Look, path: str) -> tuple[Any, str]:
    """A page of the console, for a key that may nearly everything."""
    scopes = ("admin", "auditor", "operator")
    _, key = KeyRing(look.server.directory / FILE).create(scopes, now=1)
    wait_for_keys(look.server)
    page = look.go(path)
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**/console/{path}")
    look.wrong.clear()  # Chromium notes that nobody was signed in
    return page, key


def entries(look: Look, kind: str) -> int:
    """How many entries of a type there are."""
    answer = httpx2.get(f"{look.server.url}/api/ledger/entries?type={kind}&limit=100")
    return len(answer.json()["items"])


def test_what_is_recorded_while_a_page_loads_is_shown(look: Look) -> None:
    """An entry between the drawing of a page and the first word of its stream is not shown until the next one."""
    other = look.context.new_page()
    other.goto(f"{look.server.url}/api/health/live")
    lock = (
        "navigator.locks.request('pfgov-live', () => new Promise(go => { window.release = go; }))"
    )
    other.evaluate(f"() => {{ {lock}; }}")  # whoever holds it holds the stream
    page = look.go("members")
    register(look.server, "between-01")
    other.evaluate("() => { window.release(); }")
    page.wait_for_selector("#m-between-01", state="attached")


def test_back_leads_away_from_what_was_done(look: Look) -> None:
    """Going back after an action leads to its form, or to the same page again, or says once more that it was done."""
    look.go("members")
    page = look.go("members/m1")
    page.get_by_role("link", name="Quarantine").click()
    page.locator("#ask[open]").get_by_role("button", name="Quarantine").click()
    page.locator("#toast").wait_for()
    page.reload()
    assert page.locator("#toast").count() == 0
    page.go_back()
    assert page.url.endswith("/console/members")
    page = look.go("do/release_member/m1")
    page.get_by_role("button", name="Release").click()
    page.wait_for_url("**/members/m1**")
    page.go_back()
    assert page.url.endswith("/console/members")


def test_pressing_twice_does_it_once(look: Look) -> None:
    """A button that is pressed again, by mouse or by Enter, does it again."""
    page = look.go("members")
    page.get_by_role("link", name="Register a member").click()
    dialog = page.locator("#ask[open]")
    dialog.get_by_label("Id").fill("twice-01")
    dialog.locator("button.primary").dblclick()
    page.wait_for_url("**/members/twice-01**")
    page = look.go("members/twice-01")
    page.get_by_role("link", name="Quarantine").click()
    page.locator("#ask[open]").get_by_label("Reason").fill("drift")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.locator(".verdict .chip", has_text="quarantined").wait_for()
    assert entries(look, "member_registered") == 2
    assert entries(look, "member_quarantined") == 1


def test_it_is_done_by_keyboard_alone(look: Look) -> None:
    """A form is not reached, not filled in, not left or not sent without a mouse, or its focus is nowhere."""
    page = look.go("members/m1")
    button = page.get_by_role("link", name="Quarantine")
    for _ in range(60):
        page.keyboard.press("Tab")
        if button.evaluate("one => one === document.activeElement"):
            break
    assert button.evaluate("one => getComputedStyle(one).outlineStyle") != "none"
    page.keyboard.press("Enter")
    page.locator("#ask[open]").wait_for()
    assert page.evaluate("document.activeElement.name") == "reason"
    page.keyboard.press("Escape")
    page.locator("#ask[open]").wait_for(state="detached")
    assert button.evaluate("one => one === document.activeElement")
    page.keyboard.press("Enter")
    page.locator("#ask[open]").wait_for()
    page.keyboard.type("drift")
    page.keyboard.press("Enter")
    page.locator("#toast").wait_for()
    assert entries(look, "member_quarantined") == 1


def test_too_much_text_stays_where_it_was_put(look: Look) -> None:
    """A megabyte that is pasted into a form is sent, cut without a word, or lost."""
    much = "x" * 1_000_000
    page = look.go("policies/try?set=pack:starter")
    page.get_by_label("The set").fill(much)
    page.get_by_role("button", name="Ask").click()
    page.locator("form.play [role=alert]", has_text="too large").wait_for()
    assert page.get_by_label("The set").input_value() == much
    page.get_by_label("The set").fill("")
    page = look.go("members/m1")
    page.get_by_role("link", name="Quarantine").click()
    dialog = page.locator("#ask[open]")
    for text, words in ((much, "too large"), (much[:3_000], "512")):
        dialog.get_by_label("Reason").fill(text)
        dialog.get_by_role("button", name="Quarantine").click()
        dialog.locator("[role=alert]", has_text=words).wait_for()
        assert dialog.get_by_label("Reason").input_value() == text
    assert entries(look, "member_quarantined") == 0
    look.wrong = [one for one in look.wrong if "status of 400" not in one]


def test_a_policy_text_outlives_its_session_and_its_server(look: Look) -> None:
    """A set that somebody wrote for an hour is lost, because the session ended or the server was started again."""
    page, key = signed_in(look, "policies/try?set=pack:starter")
    page.wait_for_selector("#live[data-state=live]")
    text = page.get_by_label("The set").input_value() + "\n# an hour of work\n"
    page.get_by_label("The set").fill(text)
    look.server.kill()
    page.wait_for_selector("#live[data-state=lost]")
    page.get_by_role("button", name="Ask").click()
    page.locator("form.play [role=alert]", has_text="does not answer").wait_for()
    look.server.start()
    wait(page, "document.getElementById('live-word').textContent === 'Signed out'")
    assert page.get_by_label("The set").input_value() == text
    page.get_by_role("button", name="Ask").click()
    dialog = page.locator("#ask[open]")
    dialog.get_by_role("button", name="Back to the form").click()
    dialog.wait_for(state="detached")
    page.get_by_role("button", name="Ask").click()
    dialog.get_by_label("API key").fill(key)
    dialog.get_by_role("button", name="Sign in").click()
    page.locator("form.play [role=alert]", has_text="press again").wait_for()
    assert page.get_by_label("The set").input_value() == text
    page.get_by_role("button", name="Ask").click()
    page.locator("#verdicts tbody tr").first.wait_for()
    assert page.get_by_label("The set").input_value() == text
    look.wrong.clear()  # Chromium notes the server that was away, and nobody signed in


def test_every_tab_is_closed_to_whoever_signed_out(look: Look) -> None:
    """What a key may read stays on the screen of another tab after its browser was signed out."""
    page, _ = signed_in(look, "members")
    other = look.context.new_page()
    other.goto(f"{look.server.url}/console/keys")
    for tab in (page, other):
        tab.wait_for_selector("#live[data-state=live]")
    third = look.context.new_page()
    third.goto(f"{look.server.url}/console/session")
    third.get_by_role("button", name="Sign out").click()
    for tab in (page, other):
        wait(tab, "document.title.startsWith('Sign in')")
    look.wrong.clear()  # Chromium notes that nobody is signed in


CASES = """apiVersion: pfgov/v1
kind: PolicyTest
policy: near
cases:
  - {name: only those near by, packet: plain, members: [here, far], expect: {here: allow, far: allow}}
"""
DROP = """([field, texts]) => {
  const held = new DataTransfer();
  texts.forEach((text, at) => held.items.add(new File([text], `${at}.yaml`)));
  const event = new DragEvent("drop", {dataTransfer: held, bubbles: true, cancelable: true});
  document.getElementById(field).dispatchEvent(event);
}"""


def test_files_are_dropped_and_their_tests_run(look: Look) -> None:
    """Files that are dropped are not taken, a test that fails does not say what came out, or one is lost on the way."""
    look.go("policies").get_by_role("link", name="Run tests").click()
    page = look.page
    page.wait_for_url("**/policies/try#tests")
    tests = page.get_by_label("Tests and fixtures")
    assert "kind: PolicyTest" in tests.input_value()  # those of the set that ships
    page.evaluate(DROP, ["pt", [SET]])
    page.evaluate(DROP, ["pe", [FIXTURES, CASES]])
    wait(page, "document.getElementById('pe').value.includes('only those near by')")
    assert page.get_by_label("The set").input_value() == SET
    run_the_tests(page, "[aria-label='Checks that fail'] tbody tr")
    row = page.locator("[aria-label='Checks that fail'] tbody tr")
    assert row.count() == 1
    cells = row.locator("td").all_inner_texts()
    assert cells[1:4] == ["far", "allow", "deny [eu]"]
    assert "line 10" in cells[0]
    tests.fill(tests.input_value().replace("far: allow", "far: deny"))
    run_the_tests(page, "#tested .lead .s-check")
    assert page.locator("#tested .lead").inner_text().strip().startswith("2 checks, and all pass.")
    assert page.locator("#tested summary", has_text="What no test saw").count() == 1
    page.evaluate(DROP, ["pe", ["x" * 200_000]])
    page.locator(".play [role=alert]", has_text="too large").wait_for()
    assert "only those near by" in tests.input_value()
    look.wrong = [one for one in look.wrong if "503" not in one]
