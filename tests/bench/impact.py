"""Impact on a long history beside running it again: ``make bench-impact ARGS="--entries 1000000"``.

A ledger of so many entries is made (submitted, placed, completed by twenty members), then read three times: run again,
asked with another set, and asked with a sample.  Printed are decisions a second, the ratio to the replay, and the peak
of memory of each.  With ``--histories N`` (``make impact-check``) the sets of N simulated histories are asked about
their own decisions: none may come out otherwise.  It takes long; what was done is kept in the file of ``--record``.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import peak as peak_memory

from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.core.events import SEMANTICS
from pfgov.engine import Engine, LedgerReader
from pfgov.engine.reading import Span, impact_of_store
from pfgov.engine.reading.impact import ImpactReplay
from pfgov.policy import from_document, load_directory, shipped_directory
from pfgov.sim.simulation import make_template, run_plan
from pfgov.sim.steps import draw_plan
from pfgov.storage import open_store

MEMBERS = 20
FLOOR = "trust_floor: {{type: double, value: {}}}"
BATCH = 256
OPERATOR = c.LOCAL_OPERATOR


def make(folder: Path, entries: int) -> None:
    """Make a ledger of at least *entries* entries: three a packet."""
    clock = ManualClock(1_782_331_200_000_000)
    starter = load_directory(shipped_directory("starter"))
    with Engine.create(
        open_store(folder), "pfgov.bench/impact", clock=clock, policy=starter
    ) as engine:
        for number in range(MEMBERS):
            engine.submit(
                c.RegisterMember(
                    member_id=f"m{number:02}",
                    type="agent",
                    trust_score=f"0.{51 + 2 * number}",
                    capabilities=(c.Capability(name="ocr"),),
                ),
                principal=OPERATOR,
            )
        count = 0
        while engine.look(lambda state: state.size) < entries:
            work(engine, f"p{count:08}-", BATCH)
            count += BATCH
            clock.advance(1_000)


def work(engine: Engine, prefix: str, packets: int) -> None:
    """Submit so many packets, and complete them: two decisions and three entries each."""
    for first in range(0, packets, BATCH):
        names = [f"{prefix}{at:05}" for at in range(first, min(first + BATCH, packets))]
        jobs = [
            engine.submit_nowait(
                c.SubmitPacket(packet_id=name, workload_type="scan", lineage_id=name),
                principal=OPERATOR,
            )
            for name in names
        ]
        for job in jobs:
            job.result()
        owners = engine.look(
            lambda state: {n: state.packets[n].holder for n in names}  # noqa: B023 - at once
        )
        ends = [
            engine.submit_nowait(
                c.CompletePacket(
                    packet_id=name,
                    owner=c.OwnerClaim(
                        member_id=owner.member_id, incarnation=owner.incarnation, epoch=1
                    ),
                ),
                principal=OPERATOR,
            )
            for name, owner in owners.items()
            if owner is not None
        ]
        for end in ends:
            end.result()


def read(folder: Path, how: str) -> dict[str, float]:
    """Read the ledger once and return processor seconds, decisions and the peak of memory in MiB."""
    policies = load_directory(shipped_directory("starter"))
    strict = folder.parent / "strict"
    if how != "replay" and strict.is_dir():
        policies = load_directory(strict)
    with LedgerReader(open_store(folder)) as reader, reader.snapshot() as queries:
        begun = time.process_time()
        decisions = flips = 0
        if how == "replay":
            replay = ImpactReplay(policies, Span(since=queries.size()), queries.policy_set)
            replay.wants = lambda *_: True  # type: ignore[method-assign]
            replay.see = lambda *_: None  # type: ignore[method-assign]
            for row in queries.entries():
                replay.take(row.raw, row.leaf)
            replay.finish()
            replay.close()
        else:
            report = impact_of_store(queries, policies, Span(sample=100 if how == "sample" else 1))
            decisions, flips = report.counts.decisions, report.counts.flips
        spent = time.process_time() - begun
        size = queries.size()
    peak = peak_memory.megabytes()
    return {"seconds": spent, "decisions": decisions, "flips": flips, "size": size, "peak": peak}


def histories(count: int, record: Path | None, commit: str) -> None:
    """Ask the binding set of each of *count* simulated histories about its own decisions; go on where *record* ends."""
    memory = Path("/dev/shm")
    kept: dict[str, Any] = {
        "commit": commit,
        "semantics": SEMANTICS,
        "histories": 0,
        "decisions": 0,
        "different": 0,
    }
    if record is not None and record.exists():
        found = json.loads(record.read_text())
        if (found["commit"], found["semantics"]) == (commit, SEMANTICS):
            kept = found
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        work = Path(name)
        make_template(work / "template")
        for seed in range(kept["histories"], count):
            run_plan(draw_plan(seed), work / "template", work)
            folder = work / f"seed-{seed}"
            with LedgerReader(open_store(folder)) as reader, reader.snapshot() as queries:
                state = reader.state()
                if state.policy is not None:
                    policies = from_document(reader.policy_document(state.policy))
                    report = impact_of_store(queries, policies, Span(since=state.policy_since))
                    if (
                        report.counts.same != report.counts.decisions
                        or report.now != type(report.now)()
                    ):
                        sys.exit(f"seed {seed}: {report.counts} {report.flips[:3]} {report.now}")
                    kept["decisions"] += report.counts.decisions
            shutil.rmtree(folder)
            kept["histories"] = seed + 1
            if record is not None and (seed % 20 == 19 or seed + 1 == count):
                record.write_text(json.dumps(kept, indent=1) + "\n")
    print(
        f"{kept['histories']} histories, {kept['decisions']} decisions of their binding sets: none differs"
    )


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument(
        "--ledger", type=Path, help="make the ledger here, or read the one that is here already"
    )
    parser.add_argument("--histories", type=int)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--commit", default="unknown")
    parser.add_argument("--read", nargs=2, metavar=("FOLDER", "HOW"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        print(json.dumps(read(Path(given.read[0]), given.read[1])))
        return
    if given.histories:
        histories(given.histories, given.record, given.commit)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = (given.ledger or Path(name)) / "ledger"
        if not folder.exists():
            make(folder, given.entries)
        strict = folder.parent / "strict"
        shutil.rmtree(strict, ignore_errors=True)
        shutil.copytree(shipped_directory("starter"), strict)
        for path in strict.glob("*.policy.yaml"):
            text = path.read_text().replace(FLOOR.format(0.5), FLOOR.format(0.6))
            path.write_text(text)
        rows: dict[str, list[dict[str, float]]] = {"replay": [], "impact": [], "sample": []}
        for _ in range(3 if given.entries <= 100_000 else 1):
            for how, found in rows.items():
                done = subprocess.run(
                    [sys.executable, __file__, "--read", str(folder), how],
                    capture_output=True, check=True, text=True,
                )  # fmt: skip
                found.append(json.loads(done.stdout))
        base = min(row["seconds"] for row in rows["replay"])
        for how, found in rows.items():
            best = min(found, key=lambda row: row["seconds"])
            print(
                f"{how:7} {best['size']:>9,.0f} entries  {best['decisions']:>9,.0f} decisions  "
                f"{best['flips']:>7,.0f} flips  "
                f"{best['decisions'] / best['seconds']:>8,.0f} decisions/s  {base / best['seconds']:.2f}x the replay  "
                f"peak {best['peak']:,.0f} MiB"
            )


if __name__ == "__main__":
    main()
