"""Style and scripts: read once, named after their contents, so that a browser may keep each of them for ever."""

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_CHECKOUT: Final = Path(__file__).resolve().parents[3] / "ledger" / "verify.html"
NAMES: Final = (
    "icon.svg",
    "console.css",
    "verify.js",
    "verifier.js",
    "simulator.js",
    "console.js",
)
"""In the order in which they name each other: a file names only files before it."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its name with its digest, its bytes, and the same compressed."""

    name: str
    media_type: str
    raw: bytes
    packed: bytes


@cache
def assets() -> dict[str, Asset]:
    """Return every file by the name that it has in this folder."""
    folder = files("pfgov_api.console") / "static"
    found: dict[str, Asset] = {}
    for name in NAMES:
        raw = _program() if name == "verifier.js" else (folder / name).read_bytes()
        for known, asset in found.items():
            raw = raw.replace(f'"./{known}"'.encode(), f'"./{asset.name}"'.encode())
        stem, _, kind = name.partition(".")
        digest = hashlib.sha256(raw).hexdigest()[:12]
        packed = gzip.compress(raw, 9, mtime=0)
        found[name] = Asset(f"{stem}.{digest}.{kind}", TYPES[kind], raw, packed)
    return found


@cache
def verifier() -> bytes:
    """Return the page that verifies by itself: the file beside the format, or the copy in the wheel."""
    installed = files("pfgov_api.console") / "static" / "verify.html"
    path = installed if installed.is_file() else _CHECKOUT
    found: bytes = path.read_bytes()
    return found


def _program() -> bytes:
    """Return that page's own program, with its tables in it; the console has the same form around it."""
    page = verifier().decode()
    tables = dict(
        re.findall(
            r'<script type="application/json" id="(\w+)">\n(.*?)\n</script>', page, re.DOTALL
        )
    )
    program: str = re.findall(r"<script>\n(.*?)\n</script>", page, re.DOTALL)[0]
    for name, table in tables.items():
        program = program.replace(
            f'JSON.parse(document.getElementById("{name}").textContent)', f"({table})"
        )
    return program.encode()


@cache
def by_public_name() -> dict[str, Asset]:
    """Return every file by the name under which it is served."""
    return {asset.name: asset for asset in assets().values()}


def url(name: str) -> str:
    """Return where the file *name* is served."""
    return f"/console/static/{assets()[name].name}"
