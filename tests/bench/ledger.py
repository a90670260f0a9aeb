"""The ledger beside its physical limits and its peers, as ratios within one run: ``make bench-ledger``.

Every row runs once a round, one after the other, because a shared machine's speed changes by the minute; what counts is
the ratio of medians.  raw: one 600-byte row per ``synchronous=FULL`` autocommit in a plain sqlite3 WAL database.
Ours: chained, signed, checkpoint signed, durable, head lock moved.  A quick verification is set beside what any
verifier does to every line.  Peers (auditchain, ai-audit-trail) are looked for in the folders of
``PFGOV_BENCH_PEERS`` (``pip install --target``), and left out with a reason otherwise.
"""

import argparse
import base64
import hashlib
import importlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import verify_large

from pfgov.clock import SystemClock
from pfgov.engine import Engine, Layout
from pfgov.engine.committing.batch import Batch, Body
from pfgov.engine.committing.writer import Writer
from pfgov.engine.keys.signing import KeySources
from pfgov.storage import open_store
from pfgov_ledger import canonical, keys
from pfgov_ledger.verify import verify

ROOT = Path(__file__).parents[2]
ROW_BYTES = 600
GROUP = 256
RECORD = {"actor": "agent-07", "action": "assign", "subject": "packet/fp-001"}
DETAIL = {"epoch": 3, "policy": "0" * 64, "reason": "highest score", "rules": ["kernel/capability"]}

Row = Callable[[], float]


def per_second(count: int, work: Callable[[], object]) -> float:
    """Run *work*, which does *count* things; return how many a second."""
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


# --- rows ---------------------------------------------------------------------------------


def raw(folder: Path, count: int) -> Row:
    """Return the floor: plain autocommits."""
    store = sqlite3.connect(folder / "raw.db", isolation_level=None)
    store.execute("PRAGMA journal_mode = WAL")
    store.execute("PRAGMA synchronous = FULL")
    store.execute("CREATE TABLE row (seq INTEGER PRIMARY KEY, body BLOB)")

    def run() -> None:
        for _ in range(count):
            store.execute("INSERT INTO row VALUES (NULL, ?)", (bytes(ROW_BYTES),))

    return lambda: per_second(count, run)


class Ours:
    """A ledger's committing side, alone."""

    def __init__(self, folder: Path) -> None:
        with Engine.create(open_store(folder)):
            pass
        layout, self._clock = Layout(folder), SystemClock()
        self.writer = Writer(open_store(folder), KeySources(layout), self._clock.monotonic)
        self.waits: list[float] = []
        self._body = canonical.encode({"packet_id": "fp-001", **DETAIL})

    def append(self, count: int, group: int) -> float:
        """Commit *count* entries, *group* at a time; return entries a second."""

        def run() -> None:
            for _ in range(count // group):
                started, at = time.perf_counter(), self.writer.size
                now = self._clock.now()
                bodies = [
                    Body("decision_evaluated", f"packet/fp-{seq % 64}", now, seq, 0, self._body)
                    for seq in range(at, at + group)
                ]
                self.writer.write(Batch(at, bodies))
                self.waits.append(time.perf_counter() - started)

        self.waits.clear()
        return per_second(count // group * group, run)


def verifying(path: Path, anchor: Path, count: int, *, quick: bool, processes: int) -> Row:
    """Return a verification of a whole export."""
    pinned = keys.parse_anchor(anchor.read_text())

    def run() -> None:
        report = verify(path, anchor=pinned, quick=quick, processes=processes)
        if report.exit_status:
            raise AssertionError(report.to_text())

    return lambda: per_second(count, run)


def reading(path: Path, count: int) -> Row:
    """Return the floor of a quick verification: each line parsed, its entry decoded, hashed and parsed."""

    def run() -> None:
        file = hashlib.sha256()
        with path.open("rb") as lines:
            for line in lines:
                file.update(line)
                entry = json.loads(line).get("e")
                if entry is not None:
                    data = base64.b64decode(entry, validate=True)
                    hashlib.sha256(b"\x00" + data).digest()
                    json.loads(data)

    return lambda: per_second(count, run)


# --- peers --------------------------------------------------------------------------------


def auditchain(folder: Path, count: int) -> dict[str, Row]:
    """Return rows of auditchain: SQLite and Ed25519."""
    peer: Any = importlib.import_module("auditchain")

    key, public = peer.generate_keypair()
    one, many = (
        peer.SyncAuditLog(peer.SqliteBackend(folder / f"{n}.db"), signing_key=key, signer_id="s0")
        for n in ("one", "many")
    )
    few = max(10, count // 20)  # it reads its whole log again for some appends

    def append() -> None:
        for _ in range(few):
            one.append(RECORD["actor"], RECORD["action"], RECORD["subject"], metadata=DETAIL)

    def append_many() -> None:
        for _ in range(count // 100):
            many.append_many([(*RECORD.values(), DETAIL)] * 100)

    def check() -> float:
        size = len(many.read())
        return per_second(size, lambda: many.verify(signers={"s0": public}))

    return {
        "auditchain: append, one client": lambda: per_second(few, append),
        "auditchain: append_many(100)": lambda: per_second(count // 100 * 100, append_many),
        "auditchain: verify": check,
    }


def ai_audit_trail(_: Path, count: int) -> dict[str, Row]:
    """Return rows of ai-audit-trail: in memory only, Ed25519 by libsodium."""
    peer: Any = importlib.import_module("ai_audit")

    peer.init_audit_config(peer.AuditConfig(is_production=False))
    kept: dict[str, Any] = {}

    def append() -> None:
        store = kept["store"] = peer.ReceiptStore()
        for i in range(count):
            collector = peer.ReceiptCollector(trace_id=f"r-{i}", tenant_id="t")
            collector.set_input(RECORD["subject"])
            collector.set_output(RECORD["action"])
            collector.set_action(peer.ReceiptAction.ALLOW)
            collector.emit(store)
            collector.cleanup()

    def check() -> float:
        chain = kept["store"].get_by_tenant("t")
        return per_second(len(chain), lambda: peer.verify_chain(chain, peer.get_verify_key_hex()))

    return {
        "ai-audit-trail: append, in memory": lambda: per_second(count, append),
        "ai-audit-trail: verify": check,
    }


def peers(folder: Path, count: int) -> dict[str, Row]:
    """Return the rows of those peers that are installed; say which are not."""
    sys.path += [part for part in os.environ.get("PFGOV_BENCH_PEERS", "").split(os.pathsep) if part]
    rows: dict[str, Row] = {}
    for name, make in (("auditchain", auditchain), ("ai-audit-trail", ai_audit_trail)):
        try:
            rows |= make(folder, count)
        except ImportError as error:
            print(
                f"without {name}: {error}; pip install --target DIR {name}, PFGOV_BENCH_PEERS=DIR"
            )
    return rows


# --- the run ------------------------------------------------------------------------------


def start_up() -> float:
    """Return how long ``pfgov-verify --help`` takes, in milliseconds."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "pfgov_ledger", "--help"],
        check=True, stdout=subprocess.DEVNULL, cwd=ROOT / "ledger",
    )  # fmt: skip
    return (time.perf_counter() - started) * 1_000


def main(entries: int, rounds: int) -> None:
    """Run every row *rounds* times and print a table."""
    with tempfile.TemporaryDirectory(prefix="pfgov-bench-") as name:
        folder = Path(name)
        path, anchor = folder / "export.jsonl", folder / "anchor.txt"
        verify_large.write(path, anchor, entries, max(1, entries // 10))
        ours, few, waits = Ours(folder / "ledger"), max(50, entries // 20), list[float]()
        rows: dict[str, Row] = {
            "raw sqlite3 FULL autocommit": raw(folder, few),
            "append, one client": lambda: ours.append(few, 1),
            f"append, groups of {GROUP}": lambda: ours.append(max(GROUP, entries // 2), GROUP),
            "read, decode, hash, parse": reading(path, entries),
            "verify, quick": verifying(path, anchor, entries, quick=True, processes=1),
            "verify, every signature": verifying(path, anchor, entries, quick=False, processes=1),
            "verify, 2 processes": verifying(path, anchor, entries, quick=False, processes=2),
            **peers(folder, entries),
        }
        rates: dict[str, list[float]] = {row: [] for row in rows}
        starts: list[float] = []
        for _ in range(rounds):
            for row, run in rows.items():
                rates[row].append(run())
                if "groups" in row:
                    waits += ours.waits
            starts.append(start_up())
        ours.writer.close()
    show({row: statistics.median(found) for row, found in rates.items()}, waits, starts)


def show(rates: dict[str, float], waits: list[float], starts: list[float]) -> None:
    """Print rates, and each beside what it is to be compared with."""
    beside = {
        "append, one client": "raw sqlite3 FULL autocommit",
        f"append, groups of {GROUP}": "raw sqlite3 FULL autocommit",
        "verify, quick": "read, decode, hash, parse",
        "verify, 2 processes": "verify, every signature",
    }
    print(f"{'row':<36}{'a second':>12}   ratio")
    for row, rate in rates.items():
        if row in beside:
            told = f"{rate / rates[beside[row]]:.2f} of {beside[row]}"
        elif ": verify" in row:
            told = f"{rates['verify, every signature'] / rate:.2f} times as fast: ours, every signature"
        elif ": append" in row:
            one = "append, one client" if "one client" in row else f"append, groups of {GROUP}"
            told = f"{rates[one] / rate:.2f} times as fast: ours, {one.removeprefix('append, ')}"
        else:
            told = ""
        print(f"{row:<36}{rate:>12,.0f}   {told}")
    slowest = sorted(waits)[int(len(waits) * 0.99)] * 1_000
    lines = sum(
        len(source.read_text().splitlines())
        for source in (ROOT / "ledger" / "pfgov_ledger").glob("*.py")
    )
    print(f"p99 of a group of {GROUP}: {slowest:.1f} ms")
    print(f"pfgov-verify --help: {statistics.median(starts):.0f} ms")
    print(f"pfgov_ledger: {lines} lines")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    main(given.entries, given.rounds)
