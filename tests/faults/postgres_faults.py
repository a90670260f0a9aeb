"""Random faults on two servers and their database, until there were enough: ``make faults-postgres``.

Rounds of faults, each with a ledger, servers and databases of its own; a round that breaks a promise is named by its
seed and stops the run, and its folder is kept.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.database_faults import Report, Round


def _count(text: str) -> int:
    """Return a number of faults: one at least, or the rounds would have no end."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _say(seed: int, text: str) -> None:
    print(f"seed {seed}: {text}", flush=True)


def main() -> int:
    """Run rounds until there were enough faults; print how long it took to go on after each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=_count, default=1_000, help="how many in all")
    parser.add_argument("--each", type=_count, default=25, help="how many in a round")
    parser.add_argument("--seed", type=int, default=0, help="the first round's")
    given = parser.parse_args()
    seconds: dict[str, list[float]] = defaultdict(list)
    reports: list[Report] = []
    done, seed, began = 0, given.seed, time.monotonic()
    while done < given.faults:
        count = min(given.each, given.faults - done)
        folder = Path(tempfile.mkdtemp(prefix="pfgov-faults-"))
        found = Round(folder, seed)
        try:
            report = found.run(count, told=partial(_say, seed))
        except BaseException:
            print(f"seed {seed} after {', '.join(found.log)}; see {folder}", file=sys.stderr)
            raise
        finally:
            found.close()
        shutil.rmtree(folder, ignore_errors=True)
        reports.append(report)
        for name, took in report.seconds.items():
            for one in name.split(" + "):
                seconds[one] += took
        done, seed = done + count, seed + 1
        print(
            f"seed {seed - 1}: {report.entries} entries, {report.terms} terms, nothing lost",
            flush=True,
        )
    print(
        f"\n{'fault':20} {'times':>6} {'median s':>9} {'longest s':>10}   until every client has got on"
    )
    for name, took in sorted(seconds.items()):
        print(f"{name:20} {len(took):6} {statistics.median(took):9.1f} {max(took):10.1f}")
    print(
        f"\n{done} faults in {len(reports)} rounds, {time.monotonic() - began:.0f} s:"
        f" {sum(one.acknowledged for one in reports)} acknowledged and {sum(one.reads for one in reports)} shown,"
        f" all there; {sum(one.entries for one in reports)} entries, {sum(one.terms for one in reports)} terms,"
        " each ledger verified and replayed"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
