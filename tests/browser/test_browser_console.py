"""The console in a real browser: every page looked at, live, by keyboard, without script, and with others' tricks.

Needs Playwright (PyPI) and a Chromium on the machine; skipped with the reason where one is missing.
"""

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support.api_process import ROOT, Server
from support.chromium import chromium
from support.console_look import Look, looked_at, register, unsound, wait, wait_for_keys

from pfgov.cli.demo.console import populate
from pfgov.sim.scenarios import SCENARIOS
from pfgov.sim.workload import run_scenario
from pfgov_api.console.exchange import FRAGMENT
from pfgov_api.console.site import PAGES
from pfgov_api.keyring import FILE, KeyRing

pytestmark = [pytest.mark.browser, pytest.mark.process]

PACKETS = 60
VALUES = {"member_id": "agent-claims-01", "packet_id": "fp-0001", "capability": "ocr"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def server(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a fleet at work, without keys."""
    found = Server(tmp_path_factory.mktemp("console") / "ledger")
    found.start()
    try:
        populate(found.url, random.Random(11), PACKETS)
        yield found
    finally:
        found.stop()


@pytest.fixture
def look(browser: Any, server: Server) -> Iterator[Look]:
    """A page of 1280 by 800, light; nothing may go wrong with it."""
    found = Look(browser, server, viewport={"width": 1280, "height": 800})
    yield found
    found.close()


def newest_decision(server: Server) -> str:
    """Its position."""
    query = "newest=true&limit=1&type=assignment_decision"
    return str(httpx2.get(f"{server.url}/api/ledger/entries?{query}").json()["items"][0]["seq"])


def paths(server: Server) -> list[str]:
    """An address of every page, and of a form."""
    newest = newest_decision(server)
    made = [one.path.format(**{**VALUES, "seq": newest}) for one in PAGES]
    return [
        *made,
        "do/drain_member/agent-claims-01",
        "do/submit_packet",
        "search?q=fp-00",
        "nothing",
    ]


@pytest.mark.parametrize(("scheme", "width"), looked_at())
def test_every_page_is_sound(browser: Any, server: Server, scheme: str, width: int) -> None:
    """A page has an axe violation, an error, a request to elsewhere, or is wider than the window."""
    size = {"width": width, "height": 844}
    found = Look(browser, server, viewport=size, color_scheme=scheme, bypass_csp=True)
    for path in paths(server):
        assert unsound(found.go(path), width) == [], path
    found.close()
    assert [one for one in found.wrong if "404" not in one] == []


def test_no_page_scrolls_sideways_on_the_smallest_screen(browser: Any, server: Server) -> None:
    """A page is wider than 320 pixels."""
    found = Look(browser, server, viewport={"width": 320, "height": 640})
    for path in paths(server):
        page = found.go(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
    long = "w" * 60
    register(server, long, capabilities=[{"name": long}], labels={"note": long * 2})
    asked = {"packet_id": f"p{long}", "workload_type": long, "required_capabilities": [long]}
    answer = httpx2.post(f"{server.url}/api/packets", json={**asked, "labels": {"k": long * 2}})
    assert answer.status_code == 201, answer.text
    seq = newest_decision(server)
    for path in (
        *(f"members/{long}", f"workloads/p{long}", f"assignments/{seq}", f"audit/{seq}"),
        *(f"capabilities/{long}", f"do/fail_member/{long}", "members", "workloads", "overview"),
        *("capabilities", "assignments", "audit", f"search?q={long[:20]}"),
    ):
        page = found.go(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
    found.close()


def test_a_page_follows_the_ledger_and_keeps_what_one_does(look: Look) -> None:
    """A live update takes the focus, the text that was typed, or an open panel; or does not come."""
    page = look.go("members")
    page.wait_for_selector("#live[data-state=live]")
    field = page.get_by_label("Find a member or a capability")
    field.fill("agent-cl")
    register(look.server, "live-01")
    page.wait_for_selector("#m-live-01", state="attached")
    assert field.input_value() == "agent-cl"
    assert page.evaluate("document.activeElement.id") == "mq"
    page = look.go("assignments/" + newest_decision(look.server))
    page.wait_for_selector("#live[data-state=live]")
    page.locator("details.more summary").first.click()
    assert page.locator("details.more").first.get_attribute("open") is not None
    fragment = page.expect_response(lambda one: FRAGMENT in one.request.headers)
    with fragment as answered:
        register(look.server, "live-02")
    answered.value.finished()
    page.wait_for_timeout(50)  # in which the page takes it
    assert page.locator("details.more").first.get_attribute("open") is not None


def test_a_pause_holds_and_ends(look: Look) -> None:
    """A paused page moves, does not say how much is new, or does not catch up."""
    page = look.go("members")
    page.wait_for_selector("#live[data-state=live]")
    page.keyboard.press("p")
    register(look.server, "paused-01")
    wait(page, "/Paused, [1-9]/.test(document.getElementById('live-word').textContent)")
    assert page.locator("#m-paused-01").count() == 0
    page.keyboard.press("p")
    page.wait_for_selector("#m-paused-01", state="attached")


def test_a_dozen_tabs_load_and_live(look: Look) -> None:
    """Each tab holds a connection, so that the seventh does not load."""
    look.go("overview")
    tabs = [look.page]
    for _ in range(11):
        tab = look.context.new_page()
        tab.goto(f"{look.server.url}/console/overview")
        tabs.append(tab)
    for tab in tabs:
        tab.wait_for_selector("#live[data-state=live]")
    position = register(look.server, "tabs-01")
    for tab in tabs:
        wait(tab, f"Number(document.getElementById('head').textContent) >= {position}")


def test_something_is_done_and_its_receipt_verified(look: Look) -> None:
    """The way from a button to a verified entry is broken somewhere."""
    register(look.server, "doing-01")
    page = look.go("members/doing-01")
    page.get_by_role("link", name="Quarantine").click()
    dialog = page.locator("#ask[open]")
    dialog.get_by_label("Reason").fill("<b>drift</b> under review")
    dialog.get_by_role("button", name="Quarantine").click()
    page.wait_for_selector("#toast")
    assert page.locator("h1").inner_text() == "doing-01"
    assert page.locator(".verdict .chip").inner_text() == "quarantined"
    page.locator("#toast a").click()
    page.locator("pre.json", has_text="<b>drift</b>").wait_for()
    page.keyboard.press("v")
    page.wait_for_selector("#checks li:nth-child(6)")
    checks = page.locator("#checks li")
    assert [one.get_attribute("class") for one in checks.all()] == ["pass"] * 6
    page.reload()
    page.keyboard.press("v")
    page.wait_for_selector("#checks li:nth-child(6)")
    assert "the one this browser kept" in page.locator("#checks").inner_text()


def test_what_cannot_be_taken_back_shows_what_would_move(look: Look) -> None:
    """Declaring a member failed does not say what would move, or does it without its id."""
    page = look.go("members/agent-claims-02")
    page.get_by_role("link", name="Declare failed").click()
    dialog = page.locator("#ask[open]")
    dialog.locator(".ahead li").first.wait_for()
    dialog.get_by_label("Type agent-claims-02 to confirm").fill("agent-claims-01")
    dialog.get_by_role("button", name="Declare failed").click()
    dialog.locator("[role=alert]").wait_for()
    dialog.locator(".ahead li").first.wait_for()  # still there, beside what was refused
    look.wrong.clear()  # Chromium notes the refusal
    dialog.get_by_role("link", name="Do nothing").click()
    page.locator("#ask[open]").wait_for(state="detached")


def test_an_export_is_verified_in_the_page(look: Look, tmp_path: Path) -> None:
    """The page Verify passes an export that was changed, or fails one that was not."""
    whole = tmp_path / "all.lineage.jsonl"
    whole.write_bytes(httpx2.get(f"{look.server.url}/api/ledger/export").content)
    anchor = httpx2.get(f"{look.server.url}/api/ledger/key").text
    page = look.go("verify")
    for wanted in ("PASSED", "FAILED"):
        page.get_by_label("Export, receipt or proof").set_input_files(whole)
        page.get_by_label("Anchor").fill(anchor)
        page.get_by_role("button", name="Verify").click()
        page.locator("#conclusion", has_text=wanted).wait_for()
        lines = whole.read_bytes().splitlines(keepends=True)
        whole.write_bytes(b"".join(lines[:5] + lines[6:]))


def test_a_set_is_weighed_in_the_page(look: Look) -> None:
    """The playground does nothing in a browser, or its page has an error."""
    page = look.go("policies/try?set=pack:eu-residency")
    page.get_by_role("button", name="Ask").click()
    page.locator("#verdicts tbody tr").first.wait_for()
    page.get_by_role("button", name="Weigh").click()
    page.locator("#weighed", has_text="would be judged again").wait_for()
    page.get_by_role("button", name="Make it binding").click()
    page.locator("[role=alert]", has_text="to confirm").wait_for()
    look.wrong.clear()  # Chromium notes the refusal


def test_a_forged_proof_is_told(look: Look) -> None:
    """The verification in the page passes what is not what was signed."""

    def forge(route: Any) -> None:
        text = route.fetch().text()
        lines = text.split("\n")
        lines[3] = ("B" if lines[3][0] == "A" else "A") + lines[3][1:]
        route.fulfill(body="\n".join(lines), content_type="text/plain")

    page = look.go("audit/3")
    page.route("**/console/raw/proof/*", forge)
    page.locator("#verify").click()
    page.locator("#checks .fail", has_text="They are in the log").wait_for()


INJECTED = """() => {
  window.ran = [];
  const add = (name, more) => {
    const made = document.createElement(name);
    try { more(made); } catch {}
    document.body.append(made);
  };
  add("script", s => { s.text = "ran.push('script')"; });
  add("div", d => {
    d.id = "hx";
    d.setAttribute("hx-get", "/console/members");
    d.setAttribute("hx-trigger", "load");
  });
  add("button", b => { b.id = "handler"; b.setAttribute("onclick", "ran.push('handler')"); });
  try { setTimeout("ran.push('eval')"); } catch {}  // later than the debugger, which may evaluate
  try { document.body.insertAdjacentHTML("beforeend", "<i id=sink></i>"); } catch {}
}"""


def test_what_others_put_into_a_page_does_not_run(browser: Any, server: Server) -> None:
    """An inline script, an evaluated text, a handler, a request to elsewhere or an hx- attribute does something."""
    found = Look(browser, server)
    page = found.go("overview")
    page.evaluate(INJECTED)
    page.evaluate("document.getElementById('handler').click()")
    refused = page.evaluate(
        "fetch('https://example.invalid/').then(() => 'sent', error => error.name)"
    )
    page.wait_for_timeout(50)
    assert page.evaluate("ran") == []
    assert refused == "TypeError"
    assert page.locator("#sink").count() == 0
    assert page.locator("#hx").inner_text() == ""
    assert any("Content Security Policy" in one for one in found.wrong)
    found.close()


def test_it_is_read_and_used_without_script(browser: Any, server: Server) -> None:
    """Without JavaScript there is nothing to read, or a form does nothing."""
    found = Look(browser, server, java_script_enabled=False)
    page = found.go("members")
    assert page.locator("#m-agent-claims-01").count() == 1
    page = found.go("do/register_member")
    page.get_by_label("Id", exact=False).first.fill("plain-01")
    page.get_by_role("button", name="Register a member").click()
    page.wait_for_url("**/members/plain-01?did=*")
    assert page.locator("h1").inner_text() == "plain-01"
    assert "recorded as" in page.locator("#toast").inner_text()
    found.close()


def test_keys_lead_everywhere(look: Look) -> None:
    """A key does nothing, or acts while one types."""
    page = look.go("audit/5")
    page.keyboard.press("[")
    page.wait_for_url("**/audit/4")
    page.keyboard.press("]")
    page.wait_for_url("**/audit/5")
    page.keyboard.press("?")
    page.locator("#keys[open]").wait_for()
    page.keyboard.press("Escape")
    page.locator("#keys[open]").wait_for(state="detached")
    page.keyboard.press("/")
    page.keyboard.type("agent-claims-01?")
    assert page.locator("#keys[open]").count() == 0
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    page.wait_for_url("**/members/agent-claims-01")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"


def test_a_decision_prints_on_its_own(look: Look) -> None:
    """A printed page has the menu on it."""
    page = look.go("assignments/" + newest_decision(look.server))
    page.emulate_media(media="print")
    assert not page.locator(".rail").is_visible()
    assert not page.locator(".top").is_visible()
    assert page.locator("h1").is_visible()


def test_runs_side_by_side_have_the_numbers_of_the_command_line(look: Look) -> None:
    """The simulator's page shows other numbers than ``pfgov sim run``, or not the picture of what is scheduled."""
    page = look.go("simulator?scenario=calm&seed=3&scheduler=ring")
    page.locator("#sp").select_option("1000")
    page.locator("#sim-run").click()
    page.wait_for_selector(".run[data-done=true]", timeout=240_000)
    page.locator("#sd").select_option("binpack")
    page.locator("#sim-beside").click()
    page.wait_for_selector(".run[data-done=true] ~ .run[data-done=true]", timeout=240_000)
    assert page.locator(".presets").is_hidden()
    for box, scheduler, picture in (
        (page.locator(".run").first, "ring", "svg.ring"),
        (page.locator(".run").last, "binpack", "ul.bins"),
    ):
        assert box.locator("h2").inner_text() == f"calm, seed 3, {scheduler}"
        assert box.locator(picture).is_visible()
        shown = {
            one.get_attribute("data-metric"): one.get_attribute("data-value")
            for one in box.locator("[data-metric]").all()
        }
        wanted = run_scenario(SCENARIOS["calm"], 3, scheduler=scheduler).metrics
        assert {name: float(text) if text else None for name, text in shown.items()} == wanted
    for _ in range(2):
        page.get_by_role("button", name="Close this run").first.click()
    page.locator(".run").first.wait_for(state="detached")
    assert page.locator(".presets").is_visible()


def test_a_server_that_comes_back_is_live_again(browser: Any, tmp_path: Path) -> None:
    """A page stays dead when its server was killed and started again."""
    server = Server(tmp_path / "ledger")
    server.start()
    found = Look(browser, server)
    try:
        page = found.go("members")
        page.wait_for_selector("#live[data-state=live]")
        server.kill()
        page.wait_for_selector("#live[data-state=lost]")
        server.start()
        page.wait_for_selector("#live[data-state=live]")
        register(server, "again-01")
        page.wait_for_selector("#m-again-01", state="attached")
    finally:
        found.close()
        server.stop()


def press(page: Any, name: str, fields: dict[str, str], *, within: str = "a") -> None:
    """Open a form by its button, fill it in, and send it."""
    page.locator(within, has_text=name).first.click()
    dialog = page.locator("#ask[open]")
    dialog.wait_for()
    for label, value in fields.items():
        field = dialog.get_by_label(label).first
        if field.get_attribute("type") == "checkbox":
            field.check()
        elif field.evaluate("one => one.localName") == "select":
            field.select_option(value)
        else:
            field.fill(value)
    dialog.locator("button.primary").click()
    page.locator("#toast").wait_for()


def test_the_first_five_minutes(browser: Any, tmp_path: Path) -> None:
    """Nobody gets by links alone from an empty ledger to a proof that is verified elsewhere."""
    server = Server(tmp_path / "ledger")
    server.start()
    found = Look(browser, server, accept_downloads=True)
    page = found.page
    try:
        page.goto(server.url)
        page.get_by_text("nothing has happened yet").wait_for()
        page.locator(".steps a", has_text="Register").click()
        page.get_by_text("Nobody is registered").wait_for()
        offers = {"Capabilities": "ocr 1.2", "Trust": "0.9"}
        press(page, "Register a member", {"Id": "agent-01", **offers})
        page.locator(".brand").click()
        page.get_by_text("Now submit a packet").wait_for()
        work = {"Id": "fp-1", "Work": "claim-intake", "Needs": "ocr>=2"}
        press(page, "Submit a packet", work)
        # a denial is understood
        page.get_by_text("It waits for a member that policy admits").wait_for()
        page.locator(".lead a", has_text="Why?").click()
        page.get_by_text(
            "agent-01 would be eligible with the capabilities ocr>=2; has ocr 1.2"
        ).wait_for()
        # a review is granted
        page.locator(".rail a", has_text="Workloads").click()
        agreed = {"Id": "fp-2", "Work": "claim-intake", "A person has to agree": "true"}
        press(page, "Submit a packet", agreed)
        page.locator(".brand").click()
        press(page, "Review", {"Verdict": "grant", "Note": "looked at"}, within=".rows a")
        page.locator(".chip", has_text="assigned").wait_for()
        # a handoff is watched
        page.locator(".rail a", has_text="Members").click()
        press(page, "Register a member", {"Id": "agent-02", **offers, "Handoffs": "accept"})
        page.locator(".rail a", has_text="Workloads").click()
        page.locator("td a", has_text="fp-2").click()
        press(page, "Hand off", {"Target": "agent-02"})
        page.locator(".rail a", has_text="Handoffs").click()
        press(page, "Accept for the target", {})
        page.locator(".lead", has_text="agent-02 owns it").wait_for()
        # a proof is verified elsewhere, with the command that is printed
        page.locator("#toast a").click()
        page.wait_for_url("**/console/audit/*")
        elsewhere = tmp_path / "elsewhere"
        for link in page.locator("#proof a[download]").all():
            with page.expect_download() as given:
                link.click()
            given.value.save_as(elsewhere / given.value.suggested_filename)
        words = page.locator("#proof pre").inner_text().split()
        assert words[0] == "pfgov-verify"
        done = subprocess.run(
            [sys.executable, "-m", "pfgov_ledger", *words[1:]],
            cwd=elsewhere, env={**os.environ, "PYTHONPATH": str(ROOT / "ledger")},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert found.wrong == []
    finally:
        found.close()
        server.stop()


def test_signing_in_and_out(browser: Any, tmp_path: Path) -> None:
    """With keys, somebody without one gets in, does not come back to where they wanted to go, or stays in."""
    server = Server(tmp_path / "ledger")
    server.start()
    _, key = KeyRing(server.directory / FILE).create(("auditor",), now=1)
    wait_for_keys(server)
    found = Look(browser, server)
    page = found.page
    try:
        page.goto(f"{server.url}/console/audit/0")
        wait(page, "document.title.startsWith('Sign in')")
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/console/audit/0")
        assert page.locator("h1").inner_text() == "Entry 0"
        (cookie,) = found.context.cookies()
        assert (cookie["name"], cookie["httpOnly"], cookie["secure"]) == (
            "__Host-pfgov",
            True,
            True,
        )
        assert key not in json.dumps(found.context.storage_state())
        page.goto(f"{server.url}/console/members")
        assert page.locator("a", has_text="Register a member").count() == 0
        page.goto(f"{server.url}/console/session")
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/console/sign-in")
        page.goto(f"{server.url}/console/members")
        assert re.search("Sign in", page.title())
    finally:
        found.close()
        server.stop()
