"""The pictures of the console, taken from a seeded ledger: ``make screenshots``.

Needs Playwright (PyPI) and a Chromium; the fleet is that of ``pfgov demo --console``.
"""

import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from pfgov.app.local.folder import creating
from pfgov.cli.demo.churn import get
from pfgov.cli.demo.console import populate, serving

PICTURES = Path(__file__).parents[1] / "how-to" / "console"
QUIET_SECONDS = 3.0
PAGES = (
    ("overview", "overview", "light", 1280),
    ("members", "members", "light", 1280),
    ("members-phone", "members", "dark", 390),
    ("decision", "assignments/{decision}", "dark", 1280),
    ("drain", "do/drain_member/agent-claims-01", "light", 1280),
)


def take(page: Page, url: str, name: str) -> None:
    """Take one picture, once the page is live."""
    page.goto(url)
    page.wait_for_selector("#live[data-state=live]")
    page.screenshot(path=PICTURES / f"{name}.png")


def settle(url: str) -> None:
    """Wait until nothing happens any more: what befell the fleet moves its packets for a while."""
    size, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS:
        now = get(url, "/api/status")["size"]
        if now != size:
            size, since = now, time.monotonic()
        time.sleep(QUIET_SECONDS / 10)


def main() -> int:
    """Take every picture; return the exit status."""
    chromium = os.environ.get("PFGOV_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        print("there is no chromium on this machine", file=sys.stderr)
        return 1
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "ledger"
        with creating(directory, "pfgov.example/console"):
            pass
        with serving(directory) as url, sync_playwright() as started:
            populate(url, random.Random(11))  # noqa: S311 - the same fleet each time
            settle(url)
            entries = (
                "/api/ledger/entries?newest=true&limit=1&type=assignment_decision&outcome=allowed"
            )
            decision = get(url, entries)["items"][0]["seq"]
            browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for name, path, scheme, width in PAGES:
                size = {"width": width, "height": 800}
                page = browser.new_page(viewport=size, color_scheme=scheme)
                take(page, f"{url}/console/{path.format(decision=decision)}", name)
            browser.close()
    print("\n".join(str(path) for path in sorted(PICTURES.iterdir())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
