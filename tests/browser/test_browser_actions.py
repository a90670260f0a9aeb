"""Every action of the console in a real browser, by everybody who may: its form, a mistake, its receipt, its entry.

The rows are in ``action_rows``; whoever adds an action adds a row.  Needs Playwright (PyPI) and a Chromium on the
machine; skipped with the reason where one is missing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from browser.action_rows import ROWS, Row, Stage
from support.api_process import Server
from support.api_server import SCOPES
from support.chromium import chromium
from support.console_look import Look, wait, wait_for_keys

from pfgov_api.console.actions import ACTIONS, BY_NAME, DIGESTED, Action
from pfgov_api.console.visiting import operations
from pfgov_api.keyring import FILE, KeyRing

pytestmark = [pytest.mark.browser, pytest.mark.process]

EVERYTHING = ("admin", "assessor", "auditor", "operator", "reviewer", "submitter")
NEW = count(1)
PEOPLE = tuple(one for one in SCOPES if not one.startswith("member:"))


def may(action: Action, scope: str) -> bool:
    """Whether a key of *scope* can do it; a review is for whom the rule asks."""
    asked = {"review_packet": "reviewer", "roll_back_policies": "admin"}.get(action.name, scope)
    return operations()[action.operation].allows((scope,)) and scope == asked


def performed() -> Iterator[Any]:
    """Each action by each scope that may, the first of them in every run.

    With ``emergency`` alone nobody reads the page that leads back to an earlier set.
    """
    for action in ACTIONS:
        scopes = [one for one in PEOPLE if may(action, one)]
        for index, scope in enumerate(scopes):
            marks = [pytest.mark.long] if index else []
            yield pytest.param(action.name, scope, id=f"{action.name}-{scope}", marks=marks)


@dataclass(slots=True)
class Scene:
    """A server with a key for each scope, and a browser signed in with each that was needed."""

    server: Server
    stage: Stage
    keys: Mapping[str, str]
    principals: Mapping[str, str]
    browser: Any
    looks: dict[str, Look]

    def look(self, scope: str) -> Look:
        """A page signed in with *scope*."""
        if scope not in self.looks:
            found = Look(self.browser, self.server, viewport={"width": 1280, "height": 900})
            page = found.go("session")
            page.get_by_label("API key").fill(self.keys[scope])
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url("**/console/session")
            found.wrong.clear()  # Chromium notes that nobody was signed in
            self.looks[scope] = found
        return self.looks[scope]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    with chromium() as found:
        yield found


def set_up(browser: Any, folder: Path) -> Iterator[Scene]:
    """Start a server, make its keys, and end both."""
    server = Server(folder / "ledger")
    server.start()
    ring = KeyRing(server.directory / FILE)
    made = {scope: ring.create((scope,), now=1, name=scope) for scope in PEOPLE}
    _, key = ring.create(EVERYTHING, now=1, name="everything")
    _, other = ring.create(("admin", "operator"), now=1, name="proposer")
    scene = Scene(
        server,
        Stage(server.url, key, other),
        {scope: text for scope, (_, text) in made.items()},
        {scope: f"key:{record.id}" for scope, (record, _) in made.items()},
        browser,
        {},
    )
    try:
        wait_for_keys(server)
        yield scene
    finally:
        for one in scene.looks.values():
            one.close()
        scene.stage.client.close()
        server.stop()


@pytest.fixture(scope="module")
def scene(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A server that the tests of this module share."""
    yield from set_up(browser, tmp_path_factory.mktemp("actions"))


@pytest.fixture
def halted(browser: Any, tmp_path: Path) -> Iterator[Scene]:
    """A server on which leases do not end, because most members fell silent at once."""
    for scene in set_up(browser, tmp_path):
        for _ in range(6):
            scene.stage.member(lease_seconds=1)
        look = scene.look("auditor")
        wait(look.go("overview"), "document.body.innerText.includes('Leases do not end')")
        yield scene


def named(action: Action, subject: str) -> str:
    """What it is about, as a person reads and types it."""
    return subject[:12] if action.about in DIGESTED else subject


def press(page: Any, action: Action, fields: Mapping[str, str], subject: str) -> Any:
    """Fill in an open form and send it."""
    dialog = page.locator("#ask[open]")
    if action.must_type:
        dialog.locator("#typed").fill(fields.get("typed", named(action, subject)))
    for label, value in fields.items():
        if label == "typed":
            continue
        found = dialog.get_by_label(label).first
        if found.evaluate("one => one.localName") == "select":
            found.select_option(value)
        else:
            found.fill(value.replace("{new}", f"new-{next(NEW)}"))
    dialog.locator("button.primary").click()
    return dialog


def newest_of(scene: Scene, scope: str) -> int:
    """The last entry that the key of *scope* caused; -1 where there is none."""
    query = f"newest=true&limit=1&actor={scene.principals[scope]}"
    items = scene.stage.get(f"/api/ledger/entries?{query}")["items"]
    return items[0]["seq"] if items else -1


def form_of(action: Action, subject: str) -> str:
    """Where its form is."""
    return f"/console/do/{action.name}" + (f"/{subject}" if action.about else "")


def page_of(scene: Scene, row: Row, subject: str) -> str:
    """Where its button is."""
    if "{skill}" not in row.page:
        return row.page.format(id=subject)
    (skill,) = scene.stage.get(f"/api/members/{subject}")["capabilities"]
    return row.page.format(skill=skill["name"])


def opened(page: Any, action: Action, subject: str) -> Any:
    """Open the form by its button; it says first what it will do."""
    page.locator(f'a[data-dialog][href^="{form_of(action, subject)}"]').first.click()
    dialog = page.locator("#ask[open]")
    said = dialog.locator(".lead").inner_text()
    name = named(action, subject)
    assert said.split() == action.says.replace("{id}", name).split()
    return dialog


def go_through(scene: Scene, name: str, scope: str) -> None:
    """Do it: a mistake first, then as it should be; then look at what was recorded."""
    action, row, stage = BY_NAME[name], ROWS[name], scene.stage
    make = row.own.get(scope)
    subject = row.make(stage) if make is None else make(stage, scene.keys[scope])
    look = scene.look(scope)
    page = look.go(page_of(scene, row, subject))
    dialog = opened(page, action, subject)
    before = newest_of(scene, scope)
    if row.wrong is not None:
        fields, words = row.wrong
        press(page, action, fields, subject)
        dialog.locator("[role=alert]", has_text=words).wait_for()
        assert newest_of(scene, scope) == before
        look.wrong = [one for one in look.wrong if "status of 4" not in one]
        for label in fields:
            if label != "typed" and label not in row.fill:
                dialog.get_by_label(label).first.fill("")
    fields = dict(row.fill)
    if name == "withdraw_capability":
        (skill,) = stage.get(f"/api/members/{subject}")["capabilities"]
        fields["Capability"] = skill["name"]
    press(page, action, fields, subject)
    receipt = page.locator("#toast a")
    receipt.wait_for()
    seq = int(receipt.inner_text().rpartition(" ")[2])
    assert seq > before
    entry = stage.get(f"/api/ledger/entries/{seq}")["shown"]
    assert entry["type"] in row.events
    assert entry["principal"] == scene.principals[scope]
    if action.about in {"member", "packet"}:
        assert entry["subject"] == f"{action.about}/{subject}"
    page.locator("#page", has_text=row.shows).wait_for()
    if name == "withdraw_capability":  # its page may be renewed, and be gone, before it is left
        look.wrong = [one for one in look.wrong if f"/capabilities/{skill['name']}" not in one]
    assert look.wrong == []


def test_every_action_has_its_row() -> None:
    """There is an action that nobody goes through, or a row for none."""
    assert set(ROWS) == set(BY_NAME)
    for name, row in ROWS.items():
        assert row.wrong or row.late or name == "rotate_key", name


@pytest.mark.parametrize(
    ("name", "scope"), [one for one in performed() if "end_halt" not in one.id]
)
def test_an_action_is_done_by_whom_it_is_for(scene: Scene, name: str, scope: str) -> None:
    """An action does not say what it will do, takes a mistake, shows no receipt, or records something else."""
    go_through(scene, name, scope)


@pytest.mark.parametrize(("name", "scope"), [one for one in performed() if "end_halt" in one.id])
def test_a_halt_is_ended_by_whom_it_is_for(halted: Scene, name: str, scope: str) -> None:
    """A halt cannot be ended in a browser, or by whom it should not."""
    go_through(halted, name, scope)


@pytest.mark.parametrize("name", [name for name in ROWS if name != "end_halt"])
def test_an_action_is_not_there_for_others(scene: Scene, name: str) -> None:
    """Somebody who may not do it has its button, or is shown its form."""
    action, row = BY_NAME[name], ROWS[name]
    subject = row.make(scene.stage)
    for scope in ("auditor", "submitter", *row.own):
        if may(action, scope) and scope not in row.own:
            continue
        look = scene.look(scope)
        page = look.go(page_of(scene, row, subject))
        assert page.locator(f'a[href^="/console/do/{name}"]').count() == 0, scope
        answer = page.goto(scene.server.url + form_of(action, subject))
        assert answer.status == 403
        assert page.locator("form.do").count() == 0
        look.wrong = [one for one in look.wrong if "status of 403" not in one]
        assert look.wrong == []


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.late is not None])
def test_an_action_that_comes_too_late_is_refused(scene: Scene, name: str) -> None:
    """What somebody else did while the form was open is not said, or the form is lost, or it is done all the same."""
    action, row = BY_NAME[name], ROWS[name]
    assert row.late is not None
    happens: Callable[[Stage, str], object] = row.late[0]
    scope = next(one for one in PEOPLE if may(action, one))
    subject = row.make(scene.stage)
    look = scene.look(scope)
    page = look.go(page_of(scene, row, subject))
    opened(page, action, subject)
    happens(scene.stage, subject)
    dialog = press(page, action, row.fill, subject)
    dialog.locator("[role=alert]", has_text=row.late[1]).wait_for()
    assert "." in dialog.locator("[role=alert] code").first.inner_text()  # its code
    assert page.locator("#toast").count() == 0
    look.wrong = [one for one in look.wrong if "status of 4" not in one]
    assert look.wrong == []
