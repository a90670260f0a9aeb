"""Verify a large export: how fast, with how many processes, in how much memory.

``python tests/bench/verify_large.py [ENTRIES [PACKETS]]`` writes a full export of that many entries
(1,000,000 over 100,000 packets by default) to a temporary folder, then verifies it in fresh
processes: quick, with every signature in one process, and with two workers.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "ledger")]

from conformance.ledger_verify.corpus.memory_log import ORIGIN, START, signer  # noqa: E402

from pfgov_ledger import appender, export_format, export_lines, keys, note, subject_map  # noqa: E402

INDEX_EVERY = 100_000
HERE = str(Path(__file__).parent)

VERIFY = """
import json, resource, sys, time
from pathlib import Path
sys.path.append(sys.argv.pop())
import peak
from pfgov_ledger import keys
from pfgov_ledger.verify import verify
path, anchor, quick, processes = sys.argv[1:]
anchor = keys.parse_anchor(Path(anchor).read_text())
started = time.perf_counter()
report = verify(Path(path), anchor=anchor, quick=quick == "quick", processes=int(processes))
seconds = time.perf_counter() - started
own, children = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps({
    "status": report.exit_status, "seconds": seconds, "megabytes": peak.megabytes(),
    "processor": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
}))
"""


def write(path: Path, anchor: Path, entries: int, packets: int) -> None:
    """Write a full export of *entries* entries about *packets* packets."""
    issuer, log = signer("issuer", "bench"), signer("log", ORIGIN)
    chain = appender.Appender(head=appender.Head(ORIGIN), issuer=issuer, log=log)
    whole = subject_map.SubjectMap()
    subjects: set[str] = set()
    digest, lines = hashlib.sha256(), 0
    with path.open("wb") as out:

        def line(data: bytes) -> None:
            nonlocal lines
            digest.update(data)
            out.write(data)
            lines += 1

        line(
            export_lines.write_header(
                export_format.Header("full", ORIGIN, entries, 0, entries, None, "bench")
            )
        )
        for seq in range(entries):
            kind, subject, body = event(seq, entries, packets, issuer, log, whole, subjects)
            staged = chain.append(
                type=kind,
                subject=subject,
                time=START + seq,
                command_seq=seq,
                command_index=0,
                body=body,
            )
            whole.update(subject, staged.subject_seq, staged.leaf)
            subjects.add(subject)
            chain.forget(chain.mark())
            if seq == 0:
                anchor.write_text(keys.Anchor(note.vkey(ORIGIN, log.public), staged.leaf).to_text())
            line(export_lines.write_entry(staged.raw, staged.signature or b""))
        line(export_lines.write_checkpoint(chain.checkpoint()))
        out.write(export_lines.write_trailer(entries, lines, digest.hexdigest()))


def event(
    seq: int,
    entries: int,
    packets: int,
    issuer: keys.SeedSigner,
    log: keys.SeedSigner,
    whole: subject_map.SubjectMap,
    subjects: set[str],
) -> tuple[str, str, dict[str, object]]:
    """The event of entry *seq*: genesis, indexes, and packets that live ten entries long."""
    if seq == 0:
        listed = [{"public": key.public.hex(), "role": key.role} for key in (log, issuer)]
        return "ledger_created", "ledger", {"keys": listed, "origin": ORIGIN, "semantics": 1}
    if seq == 1:
        body: dict[str, object] = {"incarnation": 1, "member_id": "agent-a"}
        return "member_registered", "member/agent-a", body
    if seq % INDEX_EVERY == 0 or seq == entries - 1:
        body = {"root": whole.root().hex(), "size": seq, "subjects": len(subjects)}
        return "index_committed", "ledger", body
    packet_id = f"fp-{seq % packets:07d}"
    body = {
        "labels": [["team", "blue"]],
        "packet_id": packet_id,
        "principal": {"id": "operator-7", "rights": ["operator"]},
        "priority": seq % 7,
        "request_id": f"req-{seq:012d}",
    }
    subject = f"packet/{packet_id}"
    return "packet_updated" if subject in subjects else "packet_created", subject, body


def main(entries: int, packets: int) -> int:
    """Write, verify, print a table."""
    with tempfile.TemporaryDirectory(prefix="pfgov-bench-") as folder:
        path, anchor = Path(folder) / "large.lineage.jsonl", Path(folder) / "anchor.txt"
        started = time.perf_counter()
        write(path, anchor, entries, packets)
        took = time.perf_counter() - started
        size = path.stat().st_size
        print(f"{entries} entries, {packets} packets, {size / 1e6:.0f} MB, written in {took:.0f} s")
        print(
            f"{'verification':<28}{'seconds':>10}{'CPU s':>9}{'entries/s':>12}{'MB':>8}{'status':>8}"
        )
        for name, quick, processes in (
            ("quick", "quick", "1"),
            ("every signature, 1 process", "full", "1"),
            ("every signature, 2 workers", "full", "2"),
        ):
            done = subprocess.run(
                [sys.executable, "-c", VERIFY, str(path), str(anchor), quick, processes, HERE],
                capture_output=True,
                check=True,
                cwd=ROOT / "ledger",
            )
            found = json.loads(done.stdout)
            print(
                f"{name:<28}{found['seconds']:>10.1f}{found['processor']:>9.1f}{entries / found['seconds']:>12.0f}"
                f"{found['megabytes']:>8.0f}{found['status']:>8}"
            )
    return 0


if __name__ == "__main__":
    numbers = [int(text.replace(",", "").replace("_", "")) for text in sys.argv[1:]]
    raise SystemExit(main(*(numbers + [1_000_000, 100_000][len(numbers) :])))
