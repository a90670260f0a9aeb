"""Build ``pfgov-verify.pyz``: the verifier as one file that needs only a Python.

``python -m pfgov_ledger.build_pyz [OUT]``.  The archive holds this package's sources and a main
module of its own (``zipapp -m`` would swallow the exit status); it is built the same, byte for
byte, from the same sources.  Without `cryptography` it checks signatures in plain Python.
"""

import sys
import zipfile
from pathlib import Path
from typing import Final

SHEBANG: Final = b"#!/usr/bin/env python3\n"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_LEFT_OUT: Final = frozenset(
    {"__main__.py", "appender.py", "build_pyz.py", "export.py", "export_lines.py"}
)
"""What a verifier does not need: it reads, and never writes a log."""
_MAIN: Final = '''"""pfgov-verify as one file."""

import sys

if sys.version_info < (3, 11):
    sys.exit("pfgov-verify needs Python 3.11 or newer")

from pfgov_ledger.cli import main

raise SystemExit(main())
'''


def build(out: Path) -> Path:
    """Write the archive to *out*, executable; returns *out*."""
    package = Path(__file__).parent
    with out.open("wb") as file:
        file.write(SHEBANG)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            _add(archive, "__main__.py", _MAIN.encode())
            for source in sorted(package.glob("*.py")):
                if source.name not in _LEFT_OUT:
                    _add(archive, f"pfgov_ledger/{source.name}", source.read_bytes())
    out.chmod(0o755)
    return out


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)


def main(argv: list[str]) -> int:
    """Build where the first argument says, ``dist/pfgov-verify.pyz`` by default."""
    out = Path(argv[0]) if argv else Path("dist/pfgov-verify.pyz")
    out.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(f"{build(out)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
