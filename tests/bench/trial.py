"""What a policy set on trial costs beside the decisions that it is asked about: ``make bench-try``.

The same work (submitted, placed, completed) is done in turns without a trial and with ``pfgov policy try`` running over
the same folder; printed is the processor time of a decision of each, as a ratio.  Then the decisions are asked as the
trial does it at its end, and what that takes is set beside them: it is spent elsewhere, when the trial is over.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import impact as history

from pfgov.engine import Engine, LedgerReader
from pfgov.engine.reading import Span, impact_of_store
from pfgov.policy import load_directory, shipped_directory
from pfgov.storage import open_store

WARM_SECONDS = 3.0
"""How long a trial has to begin."""


def asked(folder: Path, policies: Path, since: int) -> tuple[float, int]:
    """Return the processor seconds in which the decisions from an entry on are asked, and how many there are."""
    with LedgerReader(open_store(folder)) as reader, reader.snapshot() as queries:
        begun = time.process_time()
        report = impact_of_store(queries, load_directory(policies), Span(since=since))
        return time.process_time() - begun, report.counts.decisions


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--packets", type=int, default=2_000, help="of a round")
    given = parser.parse_args()
    policies = shipped_directory("eu-residency")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "ledger"
        history.make(folder, 100)
        spent: dict[bool, list[float]] = {False: [], True: []}
        with Engine.open(open_store(folder)) as engine:
            begun = engine.look(lambda state: state.size)
            for number in range(2 * given.rounds):
                on_trial = number % 2 == 1
                line = [sys.executable, "-m", "pfgov.cli", "--dir", str(folder), "policy", "try"]
                trial = (
                    subprocess.Popen(
                        [*line, str(policies), "--for", "1h"],
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    )
                    if on_trial
                    else None
                )  # fmt: skip
                time.sleep(WARM_SECONDS if on_trial else 0)
                start = time.process_time()
                history.work(engine, f"r{number}-", given.packets)
                spent[on_trial].append((time.process_time() - start) / (2 * given.packets))
                if trial is not None:
                    assert trial.poll() is None
                    trial.kill()
                    trial.wait()
        alone, beside = (statistics.median(spent[on]) * 1e6 for on in (False, True))
        print(
            f"a decision: {alone:.0f} us of processor alone, {beside:.0f} us with a set on trial: {beside / alone:.2f}x"
        )
        size = asked(folder, policies, 10**9)[0]
        seconds, decisions = asked(folder, policies, begun)
        more = (seconds - size) / decisions * 1e6
        print(
            f"asked afterwards: {more:.0f} us a decision, so that both together are {(alone + more) / alone:.2f}x"
        )


if __name__ == "__main__":
    main()
