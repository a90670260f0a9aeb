"""Ledgers on a real disk for tests: the real engine, a clock that is turned by hand, drawn bytes that repeat.

The policy set is small and real: whoever the kernel lets pass may have any packet, and packets that carry ``secret``
data go out redacted.
"""

import atexit
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.engine import Engine, LedgerReader, Options, Receipt
from pfgov.engine.reading.exporting import stored_log
from pfgov.policy import PolicySet, load_directory
from pfgov.storage import keep_in_database, open_store
from pfgov_ledger import export, keys
from pfgov_ledger.report import Report
from pfgov_ledger.verify import verify

STORE_VARIABLE = "PFGOV_TEST_STORE"
"""Environment variable: ``postgresql`` keeps the ledgers of :func:`fresh` in a database."""

START = 1_782_331_200_000_000
SECOND = 1_000_000
OPERATOR = c.LOCAL_OPERATOR
ORIGIN = "pfgov.test/one"

POLICY = """
apiVersion: pfgov/v1
kind: Policy
metadata: {name: open, version: "1", description: Whoever the kernel lets pass may have it.}
on: [register, place, retain]
rules:
  - id: named
    require: member.id != "nobody"
    message: "nobody may not join"
  - id: redacted
    on: [place, retain]
    when: packet.data_classes.exists(x, x == "secret")
    require: member.id != ""
    message: "unnamed"
    obligations: [{type: redact, paths: [/secret]}]
"""


class Drawn:
    """Randomness that repeats: the n-th draw is the same in every run."""

    def __init__(self, seed: str = "") -> None:
        self._seed = seed
        self._count = 0

    def __call__(self, size: int) -> bytes:
        """Return *size* bytes (at most 32)."""
        self._count += 1
        return hashlib.sha256(f"{self._seed}/{self._count}".encode()).digest()[:size]


@lru_cache(maxsize=1)
def open_policy() -> PolicySet:
    """The test policy set, compiled once."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "open.policy.yaml").write_text(POLICY)
        return load_directory(folder)


@lru_cache(maxsize=1)
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="pfgov-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    clock = ManualClock(START)
    with Engine.create(
        open_store(folder / "ledger"),
        ORIGIN,
        clock=clock,
        policy=open_policy(),
        options=Options(draw=Drawn("new")),
    ):
        pass
    return folder / "ledger"


def fresh(folder: Path) -> Path:
    """Copy a ledger that has only its genesis and its policy set; two entries at :data:`START`."""
    target = folder / "ledger"
    shutil.copytree(_template(), target)
    if os.environ.get(STORE_VARIABLE) == "postgresql":
        _move_to_postgresql(target)
    return target


def _move_to_postgresql(directory: Path) -> None:
    from support.postgres import server

    file = directory / "ledger.db"
    kept = file.rename(directory / "moved.db")
    keep_in_database(directory, server().url())
    open_store(directory).take_in(kept)
    kept.unlink()


def opened(
    directory: Path, clock: ManualClock | None = None, *, seed: str = "run", **options: Any
) -> Engine:
    """Open a ledger with repeating randomness."""
    options.setdefault("draw", Drawn(seed))
    return Engine.open(
        open_store(directory),
        clock=clock or ManualClock(START + SECOND),
        options=Options(**options),
    )


def register(engine: Engine, member_id: str, **fields: Any) -> Receipt:
    """Register a member that can do anything in us-east."""
    fields.setdefault("capabilities", (c.Capability(name="ocr", version="1.2"),))
    fields.setdefault("capacity", (("cpu", "64"), ("tasks", "64")))
    fields.setdefault("trust_score", "0.9")
    action = c.RegisterMember(member_id=member_id, type="agent", region="us-east", **fields)
    return engine.submit(action, principal=OPERATOR)


def packet(packet_id: str, **fields: Any) -> c.SubmitPacket:
    """A packet that anybody may have."""
    fields.setdefault("workload_type", "scan")
    return c.SubmitPacket(packet_id=packet_id, lineage_id=packet_id, **fields)


def submit(engine: Engine, action: c.Action, **options: Any) -> Receipt:
    """Run an action as the local operator."""
    return engine.submit(action, principal=options.pop("principal", OPERATOR), **options)


def place(engine: Engine, packet_id: str) -> Receipt:
    """Submit a packet and have it placed."""
    return submit(engine, packet(packet_id))


def claim(engine: Engine, packet_id: str) -> c.OwnerClaim:
    """The claim of a packet's present owner."""
    found = engine.reader.packet(packet_id)
    if found.owner is None:
        raise AssertionError(f"nobody owns {packet_id}")
    return c.OwnerClaim(member_id=found.owner, incarnation=found.incarnation, epoch=found.epoch)


def verified(directory: Path, tmp: Path, **options: Any) -> Report:
    """Export the whole log and verify it with the ledger package alone, pinned to the anchor."""
    target = tmp / f"export-{len(list(tmp.glob('export-*')))}.jsonl"
    with (
        LedgerReader(open_store(directory)) as reader,
        stored_log(reader) as log,
        target.open("wb") as out,
    ):
        export.write_full(log, out)
    anchor = keys.parse_anchor((directory / "anchor.txt").read_text())
    return verify(target, anchor=anchor, **options)


def types(engine: Engine) -> Iterator[str]:
    """The types of all entries, in order."""
    return (found.row.type for found in engine.reader.entries())
