"""What a process does until it is killed: open a ledger, assign packets, report what it was promised."""

import os
import signal
import threading
from multiprocessing.connection import Connection
from pathlib import Path

from pfgov.core import commands as c
from pfgov.engine import Engine, Options, Receipt
from pfgov.engine.committing.batch import Batch
from pfgov.engine.committing.process import ProcessCommitter
from pfgov.engine.maintenance import ceremony
from pfgov.storage import open_store

WINDOW = 16


def assign_until_killed(directory: str, name: str, committing: str, out: Connection) -> None:
    """Keep :data:`WINDOW` assignments under way; send (position, raw) of each entry once it is acknowledged."""
    options = Options(committing=committing)  # type: ignore[arg-type]
    engine = Engine.open(open_store(Path(directory)), options=options)
    out.send(("open", engine.status().size))
    free = threading.Semaphore(WINDOW)
    sending = threading.Lock()

    def acknowledged(receipt: Receipt) -> None:
        with sending:
            out.send(("done", [(row.seq, row.raw) for row in receipt.entries]))
        free.release()

    number = 0
    while True:
        free.acquire()
        action = c.SubmitPacket(
            packet_id=f"{name}-{number}", workload_type="scan", lineage_id="loop"
        )
        number += 1
        future = engine.submit_nowait(action, principal=c.LOCAL_OPERATOR)
        future.add_done_callback(lambda done: acknowledged(done.result()))


def hold(directory: str, out: Connection) -> None:
    """Open a ledger and keep it until told otherwise."""
    with Engine.open(
        open_store(Path(directory)), options=Options(address="http://127.0.0.1:8000")
    ) as engine:
        out.send(engine.status().size)
        out.recv()


def rotate_until_killed(
    directory: str, committing: str, role: str, name: str, when: str, out: Connection
) -> None:
    """Write, then rotate *role*'s key and be killed before or after the step *name*; send what was acknowledged.

    The step ``handed_over`` is that at which a writer process has just got the rotation, and outlives this one.
    """
    armed = False
    start = ProcessCommitter.start

    def probe(step: str, at: str) -> None:
        if armed and (step, at) == (name, when):
            os.kill(os.getpid(), signal.SIGKILL)

    def hand_over(committer: ProcessCommitter, batch: Batch) -> None:
        start(committer, batch)
        probe("handed_over", "after")

    ProcessCommitter.start = hand_over  # type: ignore[method-assign]
    options = Options(committing=committing, probe=probe)  # type: ignore[arg-type]
    with Engine.open(open_store(Path(directory)), options=options) as engine:
        for number in range(3):
            action = c.SubmitPacket(packet_id=f"p{number}", workload_type="scan", lineage_id="loop")
            receipt = engine.submit(action, principal=c.LOCAL_OPERATOR)
            out.send({row.seq: row.raw for row in receipt.entries})
        armed = True
        ceremony.rotate(engine, role)  # type: ignore[arg-type]
