"""Commits beside witnesses that are dead, hang or cosign, as ratios within one run: ``make bench``.

The same engine commits one command at a time, a round of each kind after the other; what counts is the ratio of medians
to the rounds without any witness.  A round with witnesses asks them twenty times a second, 200 times as often as a
server does.
"""

import argparse
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.ledgers import fresh, opened, packet, register, submit
from support.witnesses import log_key, policy_of, served

from pfgov.engine import Engine
from pfgov.engine.witnessing.rounds import Rounds, rounds_of
from pfgov_ledger import keys

INTERVAL_SECONDS = 0.05


def _vkey(name: str) -> str:
    return str(keys.vkey_of(keys.SeedSigner(role="witness", name=name, seed=bytes(32))))


@contextmanager
def _hanging() -> Generator[str]:
    """Give the line of a witness that takes connections and never answers."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    held: list[socket.socket] = []

    def accept() -> None:
        try:
            while True:
                held.append(listener.accept()[0])
        except OSError:
            return

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"{_vkey('hanging.test/w')} http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()
        for connection in held:
            connection.close()


def _rate(engine: Engine, first: int, count: int) -> tuple[float, float]:
    """Commit *count* commands one by one; return how many a second, and the slowest in milliseconds."""
    slowest, started = 0.0, time.perf_counter()
    for number in range(first, first + count):
        before = time.perf_counter()
        submit(engine, packet(f"p{number:07}", hold=True))
        slowest = max(slowest, time.perf_counter() - before)
    return count / (time.perf_counter() - started), slowest * 1_000


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=300, help="commits in a round")
    options = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="pfgov-bench-") as name:
        folder = Path(name)
        directory = fresh(folder)
        with (
            opened(directory) as engine,
            served(folder / "w", "one.test/w", log_key(directory)) as cosigning,
            _hanging() as hanging,
        ):
            register(engine, "m")
            lines = {
                "none": None,
                "cosigns": cosigning,
                "dead": f"{_vkey('dead.test/w')} http://127.0.0.1:1",
                "hangs": hanging,
            }
            done = 0
            for turn in range(options.rounds):
                order = list(lines.items())
                for kind, line in order[turn % 4 :] + order[: turn % 4]:  # nobody is always first
                    rounds: Rounds | None = None
                    if line is not None:
                        rounds = rounds_of(
                            directory, policy_of(line), interval_seconds=INTERVAL_SECONDS
                        )
                        rounds.start()
                    found.setdefault(kind, []).append(_rate(engine, done, options.count))
                    done += options.count
                    if rounds is not None:
                        rounds.stop()
    alone = statistics.median(rate for rate, _ in found["none"])
    print(f"{'witness':12}{'commits/s':>12}{'of none':>10}{'slowest ms':>12}")
    for kind, measured in found.items():
        rate = statistics.median(one for one, _ in measured)
        slowest = statistics.median(one for _, one in measured)
        print(f"{kind:12}{rate:>12,.0f}{rate / alone:>10.2f}{slowest:>12.1f}")


if __name__ == "__main__":
    main()
