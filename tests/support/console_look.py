"""A look at the console in a browser, for tests: a page, and whatever went wrong with it."""

import time
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.api_process import Server

PATIENCE = 20_000
"""Milliseconds that a page may take."""

AXE = Path(__file__).parents[1] / "data" / "axe" / "axe.min.js"
LOOKS = tuple((scheme, width) for scheme in ("light", "dark") for width in (1280, 390, 320))


def looked_at() -> list[Any]:
    """Every look; two of them in each run, which differ in everything."""
    often = {("light", 1280), ("dark", 390)}
    return [
        pytest.param(
            *look, marks=[] if look in often else [pytest.mark.long], id="-".join(map(str, look))
        )
        for look in LOOKS
    ]


class Look:
    """A page, and whatever went wrong with it: a test that was given one fails where that is something.

    Attributes:
        is_checked: Whether it does; a browser notes a server that is away, too.
    """

    def __init__(self, browser: Any, server: Server, **options: Any) -> None:
        self.is_checked = True
        self.wrong: list[str] = []
        self.server = server
        self._browser = browser
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", self._said)
        self.page.on("request", self._asked)

    def _said(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.wrong.append(f"{message.text} [{message.location.get('url', '')}]")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.server.url, "data:")):
            self.wrong.append(f"asked {request.url}")

    def close(self) -> None:
        """End what the page is in."""
        self._browser.give_back(self.context)

    def go(self, path: str) -> Any:
        """Open a page of the console."""
        self.page.goto(f"{self.server.url}/console/{path}")
        return self.page


def wait(page: Any, script: str) -> None:
    """Wait until *script* is true; Playwright's own way needs eval, which these pages forbid."""
    for _ in range(PATIENCE // 50):
        try:
            if page.evaluate(script):
                return
        except Exception as error:
            if "context was destroyed" not in str(error):  # the page is being left for the next one
                raise
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {script}")


def wait_for_keys(server: Server) -> None:
    """Wait until a server that keys were just made for asks for them: it looks for new ones now and then.

    A page that is open at that moment asks for a key by itself, and whoever opens one then does not know which of the
    two navigations it waits for.
    """
    for _ in range(PATIENCE // 50):
        if httpx2.get(f"{server.url}/api/session").status_code == 401:
            return
        time.sleep(0.05)
    raise AssertionError("the server asks nobody for a key")


def register(server: Server, name: str, **fields: Any) -> int:
    """Register a member through the API; return the entry."""
    body = {"id": name, "type": "agent", "capabilities": ["ocr"], **fields}
    answer = httpx2.post(f"{server.url}/api/members/register", json=body)
    assert answer.status_code == 201, answer.text
    found: int = answer.json()["receipt"]["position"]
    return found


@cache
def axe() -> str:
    """The program that finds what a page keeps from whom."""
    return AXE.read_text()


def unsound(page: Any, width: int) -> list[Any]:
    """What axe finds wrong with a page, and by how much it is wider than its window; for a page without its policy."""
    page.evaluate(axe())
    report = page.evaluate("axe.run({resultTypes: ['violations']})")
    found: list[Any] = [
        (one["id"], [node["html"][:160] for node in one["nodes"][:3]])
        for one in report["violations"]
    ]
    wide = page.evaluate("document.documentElement.scrollWidth")
    return found if wide <= width else [*found, f"{wide} wide"]
