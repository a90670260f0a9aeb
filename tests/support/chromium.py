"""A real Chromium for tests, driven by Playwright; skipped with the reason where one of the two is missing.

Some calls to a browser have no bound of time, and a browser that never answers one would hold the whole suite.  So a
browser that a test has been using for too long is killed: the call fails, and with it the test; the next test gets
another browser.
"""

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TEST_SECONDS_MAX: Final = 300
"""How long a test may use a browser, on a busy machine, too."""

CLOSING_SECONDS_MAX: Final = 30
"""How long a browser may take to close what a test has done with."""


class Browser:
    """A Chromium that is started again where it was killed."""

    def __init__(self, playwright: Any, path: str) -> None:
        self._playwright = playwright
        self._path = path
        self._running = self._launch()

    def _launch(self) -> Any:
        return self._playwright.chromium.launch(executable_path=self._path, args=list(FLAGS))

    @property
    def _connected(self) -> Any:
        if not self._running.is_connected():
            self._running = self._launch()
        return self._running

    def new_context(self, **options: Any) -> Any:
        """Return a context of its own."""
        return self._connected.new_context(**options)

    def new_page(self, **options: Any) -> Any:
        """Return a page in a context of its own."""
        return self._connected.new_page(**options)

    def close(self) -> None:
        """End it."""
        self._running.close()

    def give_back(self, context: Any) -> None:
        """Close a context, or kill a browser that never says that it did: the test has seen what it wanted to see.

        Chromium 156 was seen not to answer, once in some dozens of times.
        """
        with bounded(CLOSING_SECONDS_MAX):
            try:
                context.close()
            except Exception:
                if self._running.is_connected():
                    raise


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium of this machine."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = os.environ.get("PFGOV_CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as started:
        try:
            browser = Browser(started, path)
        except playwright.Error as error:
            pytest.skip(f"chromium does not start: {error}")
        yield browser
        browser.close()


@contextmanager
def bounded(seconds: float = TEST_SECONDS_MAX) -> Iterator[None]:
    """Kill every Chromium of this process after *seconds*; what waits for one fails then."""
    timer = threading.Timer(seconds, _kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _kill() -> None:
    """Kill what this process and its children started under the name of Chromium."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):  # it has ended meanwhile
            head, _, rest = status.read_text().rpartition(")")
            pid, _, name = head.partition(" (")
            parents[int(pid)], names[int(pid)] = int(rest.split()[1]), name
    for pid, name in names.items():
        if name.startswith("chrom") and _descends(pid, os.getpid(), parents):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid in parents and pid != ancestor:
        pid = parents[pid]
    return pid == ancestor
