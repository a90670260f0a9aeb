"""``python docs/generate [--check]``: write the pages and schemas that come from the code, or compare them.

Exit status: 0 everything is as it should be, 1 (``--check``) something differs; its name is printed.
"""

import sys
from pathlib import Path

import api_pages
import cli_pages
import error_pages
import event_pages
import fact_pages
import lifecycle_pages
import limit_pages

from pfgov.app import schemas

ROOT = Path(__file__).parents[2]


def generated() -> dict[Path, str]:
    """Return every generated file and what should be in it."""
    return {
        ROOT / name: text
        for pages in (
            api_pages.pages(),
            cli_pages.pages(),
            error_pages.pages(ROOT),
            event_pages.pages(),
            fact_pages.pages(),
            lifecycle_pages.pages(),
            limit_pages.pages(),
            {f"pfgov/schemas/{name}": text for name, text in schemas.texts().items()},
        )
        for name, text in pages.items()
    }


def stale_schemas(wanted: dict[Path, str]) -> list[Path]:
    """Return schema files of events that are no more."""
    folder = ROOT / "ledger" / "schemas"
    return [path for path in sorted(folder.glob("*.json")) if path not in wanted]


def main(arguments: list[str]) -> int:
    """Write or compare, and say what differed."""
    try:
        wanted = generated()
    except error_pages.StaleTableError as error:
        sys.stdout.write(f"{error}\n")
        return 1
    differing = [
        path
        for path, text in wanted.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    stale = stale_schemas(wanted)
    for path in differing + stale:
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
    if "--check" in arguments:
        return 1 if differing or stale else 0
    for path in differing:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
    for path in stale:
        path.unlink()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
