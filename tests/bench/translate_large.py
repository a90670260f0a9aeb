"""Translate a large export into every format: in how much memory, and how fast.

``python tests/bench/translate_large.py [ENTRIES [PACKETS [FORMAT...]]]`` writes a full export of that many entries
(1,000,000 over 100,000 packets by default; `verify_large.py` writes it) to a temporary folder, then translates it in a
fresh process for each format and prints the peak of its memory beside that of a process that translates a thousand
entries.  Verifying, which comes first on the command line, is measured by `verify_large.py`.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import verify_large
from conformance.ledger_verify.corpus.memory_log import ORIGIN, signer

from pfgov.lineage import FORMATS
from pfgov_ledger import keys

SMALL = 1_000

TRANSLATE = """
import hashlib, json, resource, sys
from pathlib import Path
import peak
from pfgov.lineage import Lineage, convert
from pfgov_ledger import keys
from pfgov_ledger.export_format import Header
path, entries, name, origin, key = sys.argv[1:]
header = Header("full", origin, int(entries), 0, int(entries), None, "bench")
signer = keys.file_signer(Path(key))
with open(path, "rb") as file:
    digest = hashlib.file_digest(file, "sha256").hexdigest()
with open("/dev/null", "wb") as target:
    lines = convert(Lineage(Path(path), header, "anchor", digest), name, target, signer)
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({
    "lines": lines, "megabytes": peak.megabytes(), "processor": used.ru_utime + used.ru_stime,
}))
"""


def main() -> None:
    """Print a line for each format."""
    entries, packets = (
        int(text) for text in (sys.argv[1:3] + ["1000000", "100000"][len(sys.argv[1:3]) :])
    )
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        key = place / "log.key"
        keys.write_file(key, signer("log", ORIGIN))
        files = {}
        for count, subjects in ((SMALL, max(SMALL * packets // entries, 1)), (entries, packets)):
            files[count] = place / f"{count}.jsonl"
            verify_large.write(files[count], place / "anchor.txt", count, subjects)
        print(
            f"{entries} entries about {packets} packets, {files[entries].stat().st_size / 1e6:.0f} MB",
            flush=True,
        )
        for name in sys.argv[3:] or FORMATS:
            found = {count: translated(file, count, name, key) for count, file in files.items()}
            large, small = found[entries], found[SMALL]
            print(
                f"  {name:12}{large['megabytes']:7.0f} MB at most ({small['megabytes']:.0f} MB for {SMALL} entries),"
                f" {entries / large['processor']:9,.0f} entries a second, {large['lines']} lines",
                flush=True,
            )


def translated(file: Path, entries: int, name: str, key: Path) -> dict[str, float]:
    """Translate in a process of its own and return what it took."""
    asked = [str(file), str(entries), name, ORIGIN, str(key)]
    done = subprocess.run(
        [sys.executable, "-c", TRANSLATE, *asked],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parent,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
