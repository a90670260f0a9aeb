"""Write the corpus: ``python tests/conformance/ledger_verify/corpus/build.py [FOLDER]``.

Everything comes from fixed keys and salts, so that a second run writes the same bytes; a test holds
the files in ``ledger/vectors/`` to that.  Goldens of an earlier generation are never written again.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[4]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "ledger")]

from conformance.ledger_verify.corpus import (  # noqa: E402 (a script sets its path first)
    byte_level,
    damage,
    goldens,
    impossible,
    insiders,
    key_events,
    odd_values,
    outsiders,
    receipts,
    second_reading,
)
from conformance.ledger_verify.corpus.case import Case  # noqa: E402
from conformance.ledger_verify.corpus.memory_log import MemoryLog  # noqa: E402
from conformance.ledger_verify.corpus.run import run  # noqa: E402
from conformance.ledger_verify.corpus.story import tell  # noqa: E402

from pfgov_ledger import checkpoint, keys, note  # noqa: E402
from pfgov_ledger.report import dumps  # noqa: E402

VECTORS = ROOT / "ledger" / "vectors"


def files() -> Iterator[tuple[str, bytes]]:
    """(path below ``vectors``, content) of every file."""
    log = tell()
    anchor = log.anchor()
    yield "anchor.txt", anchor.to_text().encode()
    yield "log-key-only.txt", keys.Anchor(anchor.log_vkey, None).to_text().encode()
    yield "any-genesis.txt", _weak_anchor(log)
    for size in (20, 26):
        yield f"remembered-{size}.note", log.notes[size]
    another = checkpoint.Checkpoint(
        "log.example/another", 20, checkpoint.parse_text(note.split(log.notes[20])[0]).root
    )
    yield "remembered-another.note", note.sign(another.text(), [log.log_key])
    yield "remembered-unsigned.note", second_reading.unsigned_note(log)
    yield "remembered-rotated.note", second_reading.rotated_note()
    for case in goldens.cases():
        yield from _written(f"golden/{case.code}", case)
    for case in tampered():
        yield from _written(f"tampered/{case.code}", case)


def reports(folder: Path) -> Iterator[tuple[Path, str]]:
    """(path, report) of every golden file that lies in *folder*."""
    for path in sorted(folder.glob(f"golden/{goldens.GENERATION}/*.case.json")):
        _, report = run(path, folder)
        yield path.with_name(path.name.replace(".case.json", ".report.json")), dumps(report)


def tampered() -> Iterator[Case]:
    """Every attack."""
    every = (
        outsiders,
        damage,
        key_events,
        byte_level,
        insiders,
        impossible,
        odd_values,
        receipts,
        second_reading,
    )
    for module in every:
        yield from module.cases()


def _weak_anchor(log: MemoryLog) -> bytes:
    """An anchor of the issuer key as log key, for the genesis that gives one key two roles."""
    return keys.Anchor(note.vkey(log.origin, log.issuer.public), None).to_text().encode()


def _written(folder: str, case: Case) -> Iterator[tuple[str, bytes]]:
    described = case.to_json()
    yield f"{folder}/{described['file']}", case.data
    name = case.name if case.suffix.startswith("lineage") else f"{case.name}.{case.suffix}"
    text = json.dumps(described, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    yield f"{folder}/{name}.case.json", text.encode()


def main(folder: Path) -> int:
    """Write every file below *folder*."""
    count = 0
    for path, content in files():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        count += 1
    for target, text in reports(folder):
        target.write_text(text)
        count += 1
    print(f"{count} files in {folder}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else VECTORS))
