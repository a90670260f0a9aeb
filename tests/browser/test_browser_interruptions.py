"""The console when something comes between: a session that ended, a server that is away, two tabs with one packet.

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

from pfgov_api.keyring import FILE, KeyRing

pytestmark = [pytest.mark.browser, pytest.mark.process]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    with chromium() as found:
        yield found


@pytest.fixture
def look(browser: Any, tmp_path: Path) -> Iterator[Look]:
    """A page of a server that a test may stop, with a member and a packet that it owns."""
    server = Server(tmp_path / "ledger")
    server.start()
    found = Look(browser, server, viewport={"width": 1280, "height": 800})
    found.is_checked = False
    try:
        register(server, "m1", trust_score=0.9, lease_seconds=3600)
        asked = {"packet_id": "p1", "workload_type": "scan", "required_capabilities": ["ocr"]}
        answer = httpx2.post(f"{server.url}/api/packets", json=asked)
        assert answer.status_code == 201, answer.text
        yield found
    finally:
        found.close()
        server.stop()


def size(server: Server) -> int:
    """How many entries the ledger has."""
    found: int = httpx2.get(f"{server.url}/api/status").json()["size"]
    return found


def test_two_tabs_act_on_one_packet(look: Look) -> None:
    """The second of two tabs does it again, or is not told that it was too late."""
    first, second = look.page, look.context.new_page()
    for tab in (first, second):
        tab.goto(f"{look.server.url}/console/workloads/p1")
        tab.wait_for_selector("#live[data-state=live]")
        tab.get_by_role("link", name="Cancel", exact=True).click()
        tab.locator("#ask[open]").get_by_label("Type p1 to confirm").fill("p1")
    first.locator("#ask button.primary").click()
    first.locator("#toast").wait_for()
    done = size(look.server)
    second.locator("#ask button.primary").click()
    second.locator("#ask [role=alert]", has_text="CANCELLED").wait_for()
    assert second.locator("#ask").get_by_label("Type p1 to confirm").input_value() == "p1"
    wait(second, "document.querySelector('#page .chip').textContent.includes('cancelled')")
    assert size(look.server) == done
    assert [one for one in look.wrong if "409" not in one] == []


def test_a_server_that_is_away_loses_no_form_and_does_nothing_twice(look: Look) -> None:
    """A button stays dead, the page is lost, or what was typed is, because nobody answered."""
    page = look.go("members/m1")
    page.wait_for_selector("#live[data-state=live]")
    page.get_by_role("link", name="Quarantine").click()
    dialog = page.locator("#ask[open]")
    dialog.get_by_label("Reason").fill("drift")
    look.server.kill()
    page.wait_for_selector("#live[data-state=lost]")
    dialog.get_by_role("button", name="Quarantine").click()
    dialog.locator("[role=alert]", has_text="does not answer").wait_for()
    assert dialog.get_by_label("Reason").input_value() == "drift"
    look.server.start()
    page.wait_for_selector("#live[data-state=live]")
    dialog.get_by_role("button", name="Quarantine").click()
    page.locator("#toast").wait_for()
    assert page.locator(".verdict .chip").inner_text() == "quarantined"
    look.server.kill()
    page.get_by_role("link", name="Release").click()
    page.locator("#ask [role=alert]", has_text="does not answer").wait_for()
    assert page.url.endswith("/members/m1")
    assert page.locator("h1").inner_text() == "m1"


def test_a_session_that_ends_in_the_middle_loses_no_form(look: Look) -> None:
    """Whose session ended while a form was open loses what was typed, or acts without a key."""
    _, key = KeyRing(look.server.directory / FILE).create(("operator",), now=1)
    wait_for_keys(look.server)
    page = look.go("members/m1")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/console/members/m1")
    page.wait_for_selector("#live[data-state=live]")
    page.get_by_role("link", name="Quarantine").click()
    dialog = page.locator("#ask[open]")
    dialog.get_by_label("Reason").fill("drift")
    look.context.clear_cookies()
    dialog.get_by_role("button", name="Quarantine").click()
    dialog.get_by_label("API key").fill("pfgov_not_a_key")
    dialog.get_by_role("button", name="Sign in").click()
    dialog.locator("[role=alert]", has_text="not a key").wait_for()
    dialog.get_by_label("API key").fill(key)
    dialog.get_by_role("button", name="Sign in").click()
    dialog.locator("[role=alert]", has_text="press again").wait_for()
    assert dialog.get_by_label("Reason").input_value() == "drift"
    headers = {"Authorization": f"Bearer {key}"}
    member = f"{look.server.url}/api/members/m1"
    assert httpx2.get(member, headers=headers).json()["status"] == "ACTIVE"
    dialog.get_by_role("button", name="Quarantine").click()
    page.locator("#toast").wait_for()
    assert httpx2.get(member, headers=headers).json()["status"] == "QUARANTINED"
    assert [one for one in look.wrong if "401" not in one] == []
