"""The write path beside its physical limits, as ratios within one run: ``make bench``.

Rows are interleaved, round after round, because a shared machine's speed changes by the minute; what counts is the
ratio of medians, and for the parts processor time.  raw: one 600-byte row per ``synchronous=FULL`` autocommit in a
plain sqlite3 WAL database.  sign: bare Ed25519.  assignment: one packet that waits gets an owner among twenty members,
judged by the shipped starter policy set, ranked, chained, signed, durable, its caller answered.
"""

import argparse
import gc
import queue
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

from pfgov.core import commands as c
from pfgov.core.ids import ulid
from pfgov.engine import Engine, Options, Receipt
from pfgov.engine.sequencing import deciding, sequencer
from pfgov.policy import load_starter
from pfgov.storage import open_store
from pfgov.storage.sqlite import head_lock, writing
from pfgov_ledger import appender, keys

MEMBERS = 20
SUBMITTERS = 256
ROW_BYTES = 600
OPERATOR = c.LOCAL_OPERATOR


class Bench:
    """One engine with twenty members and packets that wait."""

    def __init__(self, folder: Path, committing: str) -> None:
        options = Options(committing=committing)  # type: ignore[arg-type]
        self.engine = Engine.create(open_store(folder), policy=load_starter(), options=options)
        self._number = 0
        for i in range(MEMBERS):
            self.engine.submit(_member(i), principal=OPERATOR)

    def prepare(self, count: int) -> list[str]:
        """Submit *count* packets on hold; return their ids, which sort by time as drawn ids do."""
        names: list[str] = []
        futures: list[Future[Receipt]] = []
        for _ in range(count):
            self._number += 1
            names.append(ulid(1_782_331_200_000_000 + self._number * 1_000, bytes(10)))
            futures.append(self.engine.submit_nowait(_packet(names[-1]), principal=OPERATOR))
            if len(futures) == 2_048:
                for future in futures:
                    future.result()
                futures.clear()
        for future in futures:
            future.result()
        return names

    def one_by_one(self, names: list[str]) -> float:
        """Assign them one after the other; return assignments per second."""
        start = time.perf_counter()
        for name in names:
            self.engine.submit(c.PlacePacket(packet_id=name), principal=OPERATOR)
        return len(names) / (time.perf_counter() - start)

    def together(self, names: list[str], submitters: int) -> tuple[float, float]:
        """Keep *submitters* under way; return assignments per second and the 99th percentile in ms."""
        answers: queue.SimpleQueue[Future[Receipt]] = queue.SimpleQueue()
        waits: list[float] = []
        begun: dict[Future[Receipt], float] = {}

        def submit(name: str) -> None:
            moment = time.perf_counter()
            future = self.engine.submit_nowait(c.PlacePacket(packet_id=name), principal=OPERATOR)
            begun[future] = moment
            future.add_done_callback(answers.put)

        left: Iterator[str] = iter(names)
        start = time.perf_counter()
        for _, name in zip(range(submitters), left, strict=False):
            submit(name)
        while begun:
            future = answers.get()
            if future.result().count != 1:
                raise AssertionError("an assignment makes one entry")
            waits.append(time.perf_counter() - begun.pop(future))
            following = next(left, None)
            if following is not None:
                submit(following)
        rate = len(names) / (time.perf_counter() - start)
        return rate, statistics.quantiles(waits, n=100)[98] * 1_000


def _member(number: int) -> c.RegisterMember:
    return c.RegisterMember(
        member_id=f"agent-{number:02}",
        type="agent",
        capabilities=(c.Capability(name="ocr", version="1.4"), c.Capability(name="scan")),
        capacity=(("cpu", "100000"), ("memory", "400000")),
        region="us-east" if number % 4 else "eu-west",
        trust_score=f"0.{81 + number % 9}",
        clearances=("pii",),
    )


def _packet(name: str) -> c.SubmitPacket:
    return c.SubmitPacket(
        packet_id=name,
        workload_type="document",
        required_capabilities=("ocr>=1.2",),
        constraints=c.Constraints(minimum_trust_score="0.83", allowed_regions=("us-east",)),
        demand=(("cpu", "0.25"), ("memory", "1")),
        lineage_id=name,
        hold=True,
    )


class Raw:
    """A plain WAL database with synchronous=FULL."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "raw.db", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)")

    def rate(self, count: int) -> float:
        """Commit *count* rows one by one; return rows per second."""
        row = bytes(ROW_BYTES)
        start = time.perf_counter()
        for _ in range(count):
            self._connection.execute("INSERT INTO t (b) VALUES (?)", (row,))
        return count / (time.perf_counter() - start)


def sign_rate(count: int) -> float:
    """Sign *count* messages; return signatures per second."""
    signer, message = keys.generate(role="issuer", name="bench"), bytes(ROW_BYTES)
    start = time.perf_counter()
    for _ in range(count):
        signer.sign(message)
    return count / (time.perf_counter() - start)


PARTS = (
    ("policy, scheduler, event", deciding, "decide"),
    ("... encode, apply, batch (with the above)", deciding.Decider, "take"),
    ("rows of projections", deciding.Decider, "finish"),
    ("Ed25519", keys.SeedSigner, "sign"),
    ("... chain and tree (with the above)", appender.Appender, "append"),
    ("SQL and COMMIT", writing.SqliteWriter, "write"),
    ("head lock", head_lock.SqliteHeadLock, "move"),
    ("answers", sequencer.Sequencer, "_finish_one"),
)


def parts(bench: Bench, count: int) -> dict[str, float]:
    """Return processor microseconds per assignment, by part, at 256 submitters in one thread."""
    spent: dict[str, int] = {}

    def timed(label: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def run(*values: Any, **named: Any) -> Any:
            start = time.thread_time_ns()
            try:
                return real(*values, **named)
            finally:
                spent[label] = spent.get(label, 0) + time.thread_time_ns() - start

        return run

    names = bench.prepare(count)
    with ExitStack() as stack:
        for label, owner, name in PARTS:
            stack.enter_context(mock.patch.object(owner, name, timed(label, getattr(owner, name))))
        start = time.process_time_ns()
        bench.together(names, SUBMITTERS)
        spent["all, submitting included"] = time.process_time_ns() - start
    return {label: value / count / 1_000 for label, value in spent.items()}


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--single", type=int, default=300, help="assignments per round, one by one")
    parser.add_argument("--many", type=int, default=6_000, help="assignments per round, together")
    options = parser.parse_args()
    results: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        results.setdefault(name, []).append(value)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pfgov-bench-")))
        raw = Raw(folder)
        benches = {
            name: stack.enter_context(_closing(Bench(folder / name, name)))
            for name in ("thread", "process")
        }
        gc.freeze()
        for _ in range(options.rounds):
            note("raw sqlite3 FULL autocommit", raw.rate(options.single * 2))
            note("bare Ed25519 sign", sign_rate(3_000))
            for name, bench in benches.items():
                note(f"1 submitter, {name}", bench.one_by_one(bench.prepare(options.single)))
                for submitters in (32, SUBMITTERS):
                    rate, wait = bench.together(bench.prepare(options.many), submitters)
                    note(f"{submitters} submitters, {name}", rate)
                    note(f"{submitters} submitters, {name}: p99 ms", wait)
        spent = parts(benches["thread"], options.many)
    _print(results)
    print(f"\n{'processor time per assignment, one thread':48}{'us':>8}")
    for label in (*(label for label, _, _ in PARTS), "all, submitting included"):
        print(f"{label:48}{spent[label]:>8.1f}")


class _closing:  # noqa: N801 - reads like a statement
    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def __enter__(self) -> Bench:
        return self._bench

    def __exit__(self, *_: object) -> None:
        self._bench.engine.close()


def _print(results: dict[str, list[float]]) -> None:
    raw = statistics.median(results["raw sqlite3 FULL autocommit"])
    sign = statistics.median(results["bare Ed25519 sign"])
    print(f"{'':34}{'median/s':>10}{'min':>10}{'max':>10}{'of raw':>9}{'of sign':>9}")
    for name, values in results.items():
        middle = statistics.median(values)
        line = f"{name:34}{middle:>10,.0f}{min(values):>10,.0f}{max(values):>10,.0f}"
        if not name.endswith("ms"):
            line += f"{middle / raw:>9.2f}{middle / sign:>9.2f}"
        print(line)


if __name__ == "__main__":
    main()
