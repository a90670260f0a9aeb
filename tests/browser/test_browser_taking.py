"""What a page gives away and how one comes to it: files, ranges, filters, copies, runs, and what is asked first.

Needs Playwright (PyPI) and a Chromium on the machine; skipped with the reason where one is missing.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support.api_process import Server
from support.chromium import chromium
from support.commandline import ROOT, spawn
from support.console_look import Look, register

SLOW = 120_000
"""Milliseconds that a set may take to be weighed, and a run to begin, on a busy machine."""

pytestmark = [pytest.mark.browser, pytest.mark.process]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def server(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two members, a packet that has an owner, and one that nobody may own."""
    del browser
    found = Server(tmp_path_factory.mktemp("taking") / "ledger")
    found.start()
    try:
        for name in ("m1", "m2"):
            register(found, name, trust_score=0.9, lease_seconds=43_200)
        submit(found, "p1", "ocr")
        submit(found, "p2", "never-offered")
        httpx2.post(f"{found.url}/api/ledger/index", json={}).raise_for_status()
        yield found
    finally:
        found.stop()


def submit(server: Server, name: str, needs: str) -> None:
    """Submit a packet through the API."""
    asked = {"packet_id": name, "workload_type": "scan", "required_capabilities": [needs]}
    answer = httpx2.post(f"{server.url}/api/packets", json=asked)
    assert answer.status_code == 201, answer.text


@pytest.fixture
def look(browser: Any, server: Server) -> Iterator[Look]:
    """A page; nothing may go wrong with it."""
    found = Look(browser, server, viewport={"width": 1280, "height": 800}, accept_downloads=True)
    yield found
    found.close()


def taken(page: Any, press: Any, folder: Path) -> Path:
    """What is downloaded when something is pressed."""
    with page.expect_download() as given:
        press.click()
    place = folder / given.value.suggested_filename
    given.value.save_as(place)
    return place


def test_everything_is_taken_out(look: Look, tmp_path: Path) -> None:
    """A link to a file gives something else, or nothing."""
    anchor = httpx2.get(f"{look.server.url}/api/ledger/key").text
    for path in ("overview", "keys", "verify"):
        link = look.go(path).locator('a[href="/console/raw/anchor"]').first
        assert taken(look.page, link, tmp_path).read_text() == anchor, path
    kept = tmp_path / "kept.txt"
    kept.write_text(anchor)
    for path, link in (
        ("audit", "Export all"),
        ("verify", "all.lineage.jsonl"),
        ("workloads/p1", "Export with proofs"),
    ):
        found = taken(look.page, look.go(path).get_by_role("link", name=link).first, tmp_path)
        words = ["--full"] if path != "workloads/p1" else []
        done = subprocess.run(
            [sys.executable, "-m", "pfgov_ledger", str(found), "--key", str(kept), *words],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (path, done.stdout + done.stderr)
    page = taken(look.page, look.go("verify").get_by_role("link", name="verify.html"), tmp_path)
    assert "<!doctype html>" in page.read_text().lower()


def test_a_range_is_taken_out(look: Look, tmp_path: Path) -> None:
    """A range of entries is not exported as it was named, first and last included, or a wrong one is not refused."""
    page = look.go("audit")
    page.get_by_label("First entry of the export").fill("2")
    page.get_by_label("Last entry of the export").fill("4")
    found = taken(page, page.get_by_role("button", name="Export"), tmp_path)
    whole = httpx2.get(f"{look.server.url}/api/ledger/export?start=2&stop=5").text
    assert found.read_text().count("\n") == whole.count("\n")
    page.get_by_label("Last entry of the export").fill("99999999")
    page.get_by_role("button", name="Export").click()
    page.get_by_role("link", name="To Audit").wait_for()
    look.wrong = [one for one in look.wrong if "status of 4" not in one]


def test_a_command_is_copied(look: Look) -> None:
    """A copy button copies something else than the command beside it, or does not say that it did."""
    look.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = look.go("keys")
    page.get_by_role("button", name="Copy").first.click()
    page.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.locator("#key-cmd").inner_text().strip()


def test_a_filter_is_in_the_address(look: Look) -> None:
    """A filter is lost when its page is loaded again or sent to somebody, or finds something else."""
    for path, label, text, query in (
        ("members", "Find a member", "m2", "q=m2"),
        ("capabilities", "Find a capability", "ocr", "q=ocr"),
        ("workloads", "Owner", "m1", "owner=m1"),
        ("audit", "Actor", "local", "actor=local"),
    ):
        page = look.go(path)
        page.get_by_label(label).first.fill(text)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{query}**")
        page.reload()
        assert page.get_by_label(label).first.input_value() == text
    assert look.go("analytics?from=0&to=3").locator("h1").inner_text() == "Analytics"


def test_a_decision_is_asked_again(look: Look) -> None:
    """Asking again now records something, or cannot be undone."""
    newest = httpx2.get(f"{look.server.url}/api/decisions?newest=true&limit=1").json()["items"]
    page = look.go(f"assignments/{newest[0]['seq']}")
    page.get_by_role("link", name="Ask again now").click()
    page.locator("#now", has_text="Nothing is recorded").wait_for()
    page.locator("#now").get_by_role("link", name="Close").click()
    page.locator("#now").wait_for(state="detached")
    again = httpx2.get(f"{look.server.url}/api/decisions?newest=true&limit=1").json()["items"]
    assert again[0]["seq"] == newest[0]["seq"]


def test_a_packet_is_assigned_where_its_decision_is_read(look: Look) -> None:
    """Where a decision left a packet without an owner it cannot be assigned, or one with an owner can."""
    items = httpx2.get(f"{look.server.url}/api/decisions?newest=true&limit=50").json()["items"]
    (denied,) = [one["seq"] for one in items if one["body"]["packet_id"] == "p2"][:1]
    page = look.go(f"assignments/{denied}")
    page.get_by_role("link", name="Assign", exact=True).click()
    page.locator("#ask[open] h1", has_text="Assign p2").wait_for()
    allowed = next(one["seq"] for one in items if one["body"]["packet_id"] == "p1")
    page = look.go(f"assignments/{allowed}")
    assert page.get_by_role("link", name="Assign", exact=True).count() == 0


def test_who_could_own_it_is_asked_first(look: Look) -> None:
    """Looking first records a packet, or says nothing."""
    page = look.go("workloads")
    page.get_by_role("link", name="Submit a packet").click()
    dialog = page.locator("#ask[open]")
    dialog.get_by_label("Work").fill("scan")
    dialog.get_by_label("Needs").fill("ocr")
    dialog.get_by_role("button", name="Who could own it?").click()
    dialog.locator(".ahead", has_text="one of 2 who may").wait_for()
    assert dialog.get_by_label("Needs").input_value() == "ocr"
    found = httpx2.get(f"{look.server.url}/api/packets?all=true").json()["items"]
    assert {one["packet_id"] for one in found} == {"p1", "p2"}


def test_a_handoff_begins_where_handoffs_are(look: Look) -> None:
    """The page of handoffs does not lead to the form of one, or to nothing where there is no such packet."""
    page = look.go("handoffs")
    page.get_by_label("Hand off").fill("p1")
    page.get_by_role("button", name="Begin").click()
    page.locator("h1", has_text="Hand p1 off").wait_for()
    page = look.go("handoffs")
    page.get_by_label("Hand off").fill("never")
    page.get_by_role("button", name="Begin").click()
    page.locator("h1", has_text="There is no packet never").wait_for()
    page.get_by_role("link", name="To Workloads").wait_for()
    look.wrong = [one for one in look.wrong if "status of 404" not in one]


def test_a_receipt_is_closed(look: Look) -> None:
    """A receipt stays in the way, or comes back when its page is loaded again."""
    page = look.go("members/m2")
    page.get_by_role("link", name="Assess trust").click()
    page.locator("#ask[open]").get_by_label("Score").fill("0.9")
    page.locator("#ask[open] button.primary").click()
    page.get_by_role("button", name="Close").click()
    page.locator("#toast").wait_for(state="detached")
    page.reload()
    assert page.locator("#toast").count() == 0


@pytest.fixture
def elsewhere(browser: Any, tmp_path: Path) -> Iterator[Look]:
    """A page of a server whose binding set is another than the starter set."""
    made = spawn(
        "init",
        "--dir",
        str(tmp_path / "ledger"),
        "--policy",
        str(ROOT / "policies" / "eu-residency"),
    )
    assert made.status == 0, made.err
    server = Server(tmp_path / "ledger")
    server.start()
    try:
        found = Look(browser, server, viewport={"width": 1280, "height": 800})
        yield found
        found.close()
    finally:
        server.stop()


def test_a_set_is_proposed_and_made_binding(elsewhere: Look) -> None:
    """A set cannot be proposed in a browser, or is made binding without what has to be typed, or with no receipt."""
    look = elsewhere
    page = look.go("policies/try?set=pack:starter")
    page.get_by_role("button", name="Weigh against").click()
    page.locator("#weighed").wait_for(timeout=SLOW)
    page.get_by_label("Why").fill("a first set")
    page.get_by_role("button", name="Propose it").click()
    page.locator("#toast").wait_for()
    page.locator(".proposals", has_text="a first set").wait_for()
    page.get_by_role("link", name="Weigh it").click()
    page.get_by_role("button", name="Weigh against").click()
    page.locator("#weighed").wait_for(timeout=SLOW)
    page.get_by_role("button", name="Make it binding").click()
    page.locator("[role=alert]", has_text="to confirm").wait_for()
    digest = page.locator("label[for=ty] b").inner_text()
    page.locator("#ty").fill(digest)
    page.get_by_role("button", name="Make it binding").click()
    page.locator("#toast").wait_for()
    assert httpx2.get(f"{look.server.url}/api/policies").json()["digest"].startswith(digest)
    look.wrong = [one for one in look.wrong if "status of 400" not in one]


def test_a_run_is_paused_stepped_and_ended(look: Look) -> None:
    """A run goes on while it is paused, steps by another number of frames, or stays when it is closed."""
    page = look.go("simulator?scenario=calm&seed=3")
    page.get_by_role("button", name="Run", exact=True).click()
    page.locator(".run .live-metrics b").first.wait_for(timeout=SLOW)
    page.get_by_role("button", name="Pause", exact=True).click()
    where = page.locator(".run .num").first
    at = "Number(document.querySelector('.run .small.num').textContent.match(/frame ([0-9]+)/)[1])"
    before = page.evaluate(at)
    while page.evaluate(at) == before:  # until the next frame has come
        page.get_by_role("button", name="Step", exact=True).click()
    assert page.evaluate(at) == before + 1
    page.wait_for_timeout(300)  # in which it would play some frames
    assert page.evaluate(at) == before + 1
    page.get_by_role("button", name="Play", exact=True).click()
    where.filter(has_not_text=f"frame {before + 1} ").wait_for()
    page.get_by_role("button", name="Close this run").click()
    page.locator(".run").wait_for(state="detached")
