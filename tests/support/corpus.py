"""A corpus of histories, run in a process of its own: ``python corpus.py COUNT TEMPLATE ...``.

Prints one line a history, the digest of every entry's bytes.  Whatever the process was started with (the seed of its
hashes, its locale, its time zone), equal histories have to give equal lines; and every one is run again at its end.
"""

import hashlib
import sys
import tempfile
from pathlib import Path

from pfgov.engine import LedgerReader
from pfgov.sim.simulation import run_plan
from pfgov.sim.steps import draw_plan
from pfgov.storage import open_store


def main(count: int, *templates: Path) -> None:
    """Run *count* histories on each of *templates* and print their digests."""
    for number, template in enumerate(templates):
        with tempfile.TemporaryDirectory(dir=template.parent) as folder:
            for seed in range(number * count, (number + 1) * count):
                done = run_plan(draw_plan(seed), template, Path(folder))
                digest = hashlib.sha256()
                with LedgerReader(open_store(done.directory)) as reader:
                    for one in reader.entries():
                        digest.update(one.row.raw)
                sys.stdout.write(f"{template.name} {seed} {done.entries} {digest.hexdigest()}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), *map(Path, sys.argv[2:]))
