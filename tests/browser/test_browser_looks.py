"""The console's pages where they are hard to draw: empty, with hostile data, with a thousand members, with runs.

Needs Playwright (PyPI) and a Chromium on the machine; skipped with the reason where one is missing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from support import console_hostile as hostile
from support.api_process import Server
from support.chromium import chromium
from support.console_look import Look, looked_at, unsound
from support.console_tests import FIXTURES, SET, run_the_tests

from pfgov_api.console.actions import ACTIONS
from pfgov_api.console.site import PAGES
from pfgov_api.console.views.insights import PATTERNS

pytestmark = [pytest.mark.browser, pytest.mark.process]

PAGE_BYTES_MAX = 200_000
TEST = f"""apiVersion: pfgov/v1
kind: PolicyTest
policy: near
cases:
  - {{name: "<i>{"w" * 150}</i> {hostile.HEBREW}", packet: plain, members: [here, far], expect: {{far: allow}}}}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    with chromium() as found:
        yield found


def started(folder: Path) -> Iterator[Server]:
    """A server of its own."""
    found = Server(folder / "ledger")
    found.start()
    try:
        yield found
    finally:
        found.stop()


@pytest.fixture(scope="module")
def empty(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over an empty ledger."""
    del browser
    yield from started(tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="module")
def hard(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with hostile data."""
    del browser
    for server in started(tmp_path_factory.mktemp("hostile")):
        hostile.fill(server)
        yield server


def looked(browser: Any, server: Server, scheme: str, width: int) -> Look:
    """A page of that look, in which axe may run."""
    size = {"width": width, "height": 844}
    return Look(browser, server, viewport=size, color_scheme=scheme, bypass_csp=True)


def every_path(server: Server, **values: str) -> list[str]:
    """An address of every page."""
    query = "newest=true&limit=1&type=assignment_decision"
    newest = httpx2.get(f"{server.url}/api/ledger/entries?{query}").json()["items"]
    seq = str(newest[0]["seq"]) if newest else "0"
    quoted = {name: quote(value, safe="") for name, value in values.items()}
    return [
        one.path.format(**quoted, seq=seq)
        for one in PAGES
        if "{" not in one.path or "{seq}" in one.path or values
    ]


@pytest.mark.parametrize(("scheme", "width"), looked_at())
def test_an_empty_ledger_is_sound(browser: Any, empty: Server, scheme: str, width: int) -> None:
    """A page with nothing on it has an axe violation or an error, or does not fit."""
    found = looked(browser, empty, scheme, width)
    for path in (*every_path(empty), "nothing", "search?q=nothing"):
        if path not in {"assignments/0", "policies/difference"}:
            assert unsound(found.go(path), width) == [], path
    found.close()
    assert [one for one in found.wrong if "404" not in one] == []


@pytest.mark.parametrize(("scheme", "width"), looked_at())
def test_hostile_data_is_sound(browser: Any, hard: Server, scheme: str, width: int) -> None:
    """Data that is hard to show runs, breaks a page, or makes it wider than its window."""
    found = looked(browser, hard, scheme, width)
    names = {"member_id": hostile.LONG, "packet_id": hostile.PACKET, "capability": hostile.SKILL}
    proposed = httpx2.get(f"{hard.url}/api/policies/proposals").json()["items"][0]["digest"]
    others = [f"members/{quote(one, safe='')}" for one in (hostile.DASHED, hostile.DOTTED)]
    others += [f"workloads/{one}" for one in (hostile.WAITING, hostile.MOVING, hostile.REVIEWED)]
    others += [f"policies/difference?new={proposed}", f"policies/try?set={proposed}", "search?q=p"]
    moved = {"review_packet": hostile.REVIEWED, "accept_handoff": hostile.MOVING}
    about = {
        "member": hostile.LONG,
        "packet": hostile.PACKET,
        "proposal": proposed,
        "set": proposed,
        "publisher": "5f" * 32,
    }
    forms = [
        f"do/{one.name}" + (f"/{moved.get(one.name, about[one.about])}" if one.about else "")
        for one in ACTIONS
        if one.about != "policy"  # none is in shadow mode there
        if one.name
        != "approve_proposal"  # nobody approves their own, and here everything is one person's
    ]
    for path in (*every_path(hard, **names), *others, *forms):
        if path != "policies/difference":
            assert unsound(found.go(path), width) == [], path
    found.close()
    assert found.wrong == []


@pytest.mark.long
def test_a_page_at_twice_its_size_is_sound(browser: Any, hard: Server) -> None:
    """With everything twice as large, as a browser zooms, a page has an axe violation or does not fit."""
    size = {"width": 640, "height": 400}
    found = Look(browser, hard, viewport=size, device_scale_factor=2, bypass_csp=True)
    names = {"member_id": hostile.LONG, "packet_id": hostile.PACKET, "capability": hostile.SKILL}
    for path in every_path(hard, **names):
        if path != "policies/difference":
            assert unsound(found.go(path), 640) == [], path
    found.close()
    assert found.wrong == []


@pytest.mark.parametrize(("scheme", "width"), looked_at())
def test_what_opens_over_a_page_is_sound(
    browser: Any, hard: Server, scheme: str, width: int
) -> None:
    """A form, a mistake in it, a receipt, the list of keys, a pause or a verdict has a violation or does not fit."""
    found = looked(browser, hard, scheme, width)
    page = found.go("members/m")

    def is_sound(what: str) -> None:
        assert unsound(page, width) == [], what

    page.get_by_role("link", name="Assess trust").click()
    dialog = page.locator("#ask[open]")
    dialog.get_by_label("Score").fill("2")
    is_sound("form")
    dialog.locator("button.primary").click()
    dialog.locator("[role=alert]").wait_for()
    is_sound("mistake")
    dialog.get_by_label("Score").fill("0.98")
    dialog.locator("button.primary").click()
    page.locator("#toast").wait_for()
    is_sound("receipt")
    page.keyboard.press("?")
    page.locator("#keys[open]").wait_for()
    is_sound("keys")
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    page.locator("#live[data-state=paused]").wait_for()
    is_sound("pause")
    found.go("policies/try?set=pack:starter")
    page.get_by_role("button", name="Ask").click()
    page.locator("#verdicts tbody tr").first.wait_for()
    is_sound("verdicts")
    page.get_by_role("button", name="Weigh against").click()
    page.locator("#weighed").wait_for()
    is_sound("impact")
    page.get_by_label("The set").fill(SET)
    page.get_by_label("Tests and fixtures").fill(f"{FIXTURES}---\n{TEST}")
    run_the_tests(page, "[aria-label='Checks that fail']")
    for one in page.locator("#tested details").all():
        one.locator("summary").click()
    is_sound("tests")
    found.close()
    assert [one for one in found.wrong if "status of 400" not in one] == []


@pytest.mark.long
@pytest.mark.parametrize(("scheme", "width"), looked_at())
@pytest.mark.parametrize("pattern", [one[0] for one in PATTERNS])
def test_runs_are_sound(browser: Any, empty: Server, pattern: str, scheme: str, width: int) -> None:
    """A run, or two side by side, has an axe violation or does not fit, while it is played or when it is paused."""
    found = looked(browser, empty, scheme, width)
    page = found.go(f"simulator?scenario={pattern}&seed=3")
    page.locator("#sim-run").click()
    page.locator(".run .live-metrics b").first.wait_for(timeout=120_000)
    page.locator("#sim-play").click()
    assert unsound(page, width) == []
    page.locator("#sim-beside").click()
    page.locator(".run ~ .run .live-metrics b").first.wait_for(timeout=120_000)
    assert unsound(page, width) == []
    found.close()
    assert found.wrong == []


@pytest.mark.long
def test_a_thousand_members_are_sound(browser: Any, tmp_path: Path) -> None:
    """With a thousand members a page has an error, is too large, or does not fit."""
    for server in started(tmp_path):
        with httpx2.Client(base_url=server.url, timeout=60) as client:
            for index in range(1_000):
                body = {
                    "id": f"agent-{index:04d}",
                    "type": "agent",
                    "capabilities": ["ocr"],
                    "region": f"r{index % 4}/a",
                }
                assert client.post("/api/members/register", json=body).status_code == 201
            asked = {"packet_id": "p1", "workload_type": "scan", "required_capabilities": ["ocr"]}
            assert client.post("/api/packets", json=asked).status_code == 201
        found = looked(browser, server, "light", 1280)
        for path in (
            *every_path(server, member_id="agent-0001", packet_id="p1", capability="ocr"),
            "members?region=r1",
        ):
            if path == "policies/difference":
                continue
            answer = found.page.goto(f"{server.url}/console/{path}")
            assert len(answer.body()) <= PAGE_BYTES_MAX, path
            assert unsound(found.page, 1280) == [], path
        found.close()
        assert found.wrong == []
