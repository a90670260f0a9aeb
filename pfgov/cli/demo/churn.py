"""``pfgov demo --churn``: a real server and real worker processes, some of which are killed while work goes on.

Nothing is simulated: the clock is the machine's, the kills are SIGKILL.  At the end every packet is accounted for from
the ledger, and the export is verified offline and replayed.
"""

import contextlib
import json
import random
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pfgov import interpreter
from pfgov.app.ledger import ExportWanted
from pfgov.app.local.folder import creating, reading_folder
from pfgov.cli.ledger.verify import examine, fresh_replay
from pfgov.cli.output import Output, facts, table
from pfgov.core.records import Stamp
from pfgov.errors import StateConflictError, StoreUnavailableError
from pfgov.sim.metrics import Meter, percentile
from pfgov_ledger.conclusions import Question
from pfgov_ledger.keys import parse_anchor

WORKERS: Final = 5
PACKETS: Final = 120
KILLS: Final = 6
KILL_EVERY_SECONDS: Final = 1.2
PATIENCE_SECONDS: Final = 90.0


@dataclass(slots=True)
class Fleet:
    """The processes of the demonstration."""

    url: str
    workers: dict[str, subprocess.Popen[bytes]] = field(
        default_factory=dict[str, "subprocess.Popen[bytes]"]
    )
    killed: list[str] = field(default_factory=list[str])

    def start(self, name: str) -> None:
        """Start a worker."""
        self.workers[name] = subprocess.Popen(  # noqa: S603 - our own module
            interpreter.command("-m", "pfgov.cli.demo.worker", self.url, name),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=interpreter.environment(),
        )

    def kill(self, name: str) -> None:
        """Kill a worker where it stands, and start its name again."""
        process = self.workers[name]
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.killed.append(name)

    def stop(self) -> None:
        """End every worker."""
        for process in self.workers.values():
            process.kill()
            process.wait()


def run(output: Output) -> int:
    """Run the demonstration; return the exit status: 0 when every packet is accounted for and the ledger verifies."""
    with tempfile.TemporaryDirectory(prefix="pfgov-churn-") as folder:
        directory = Path(folder) / "ledger"
        with creating(directory, "pfgov.example/churn"):
            pass
        fleet = _live(output, directory)
        return _account(output, directory, Path(folder), fleet)


def _live(output: Output, directory: Path) -> Fleet:
    port = free_port()
    fleet = Fleet(f"http://127.0.0.1:{port}")
    words = ("-m", "pfgov.cli", "serve", "--dir", str(directory), "--port", str(port))
    server = subprocess.Popen(  # noqa: S603 - our own module
        interpreter.command(*words),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=interpreter.environment(PFGOV_DIR=str(directory)),
    )
    try:
        await_server(fleet.url, server)
        output.tell(
            f"A server at {fleet.url} and {WORKERS} worker processes, each with a lease of two seconds."
        )
        for index in range(WORKERS):
            fleet.start(f"worker-{index + 1}")
        for index in range(PACKETS):
            post(fleet.url, "/api/packets", {"packet_id": f"job-{index:03d}", "workload_type": "job",
                                              "required_capabilities": ["work"]})  # fmt: skip
        output.tell(
            f"{PACKETS} packets are submitted.  Workers are killed with SIGKILL while they work:"
        )
        _churn(output, fleet)
    finally:
        fleet.stop()
        server.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=15)
        server.kill()
    return fleet


def _churn(output: Output, fleet: Fleet) -> None:
    source = random.Random(1)  # noqa: S311 - which worker dies is not a secret
    due, last = time.monotonic() + KILL_EVERY_SECONDS, time.monotonic() + PATIENCE_SECONDS
    back: list[tuple[float, str]] = []
    while time.monotonic() < last:
        counts = get(fleet.url, "/api/status")["packets"]
        if counts.get("COMPLETED", 0) == PACKETS and len(fleet.killed) >= KILLS:
            return
        now = time.monotonic()
        if now >= due and len(fleet.killed) < KILLS:
            due = now + KILL_EVERY_SECONDS
            name = source.choice(
                [n for n in fleet.workers if n not in {waiting for _, waiting in back}]
            )
            fleet.kill(name)
            back.append((now + 3.0, name))
            output.tell(f"  SIGKILL {name}   completed so far: {counts.get('COMPLETED', 0)}")
        for moment, name in [one for one in back if one[0] <= now]:
            back.remove((moment, name))
            fleet.start(name)
        time.sleep(0.1)


def _account(output: Output, directory: Path, folder: Path, fleet: Fleet) -> int:
    """Say where every packet ended, from the ledger alone, and verify it."""
    meter = Meter()
    with reading_folder(directory, heed_head_lock=False) as book:
        for found in book.reader.entries():
            meter.read(found.event, Stamp(found.row.seq, found.row.time))
        packets = Counter(book.reader.packet_counts())
        path = folder / "churn.lineage.jsonl"
        with path.open("wb") as file:
            book.export(ExportWanted(), file)
        size = book.size()
    anchor = parse_anchor((directory / "anchor.txt").read_text(encoding="utf-8"))
    report = examine(path, anchor=anchor, question=Question("full"), replayer=fresh_replay())
    accounted = sum(packets.values()) == PACKETS == packets["COMPLETED"]
    verified = report.exit_status == 0
    result: dict[str, Any] = {
        "packets": sum(packets.values()),
        "by_status": dict(packets),
        "killed": len(fleet.killed),
        "moves": meter.moves,
        "late_writes_refused": meter.kinds["write_refused"],
        "re_own_p99_seconds": round(percentile(meter.reown, 99) or 0, 2),
        "ledger_entries": size,
        "accounted": accounted,
        "verified": verified,
    }
    output.show(
        result,
        table(("STATUS", "#PACKETS"), sorted(packets.items())),
        facts(
            (name.replace("_", " "), value)
            for name, value in result.items()
            if name not in {"packets", "by_status"}
        ),
        report.to_text().rstrip("\n"),
    )
    return 0 if accounted and verified else 1


# --- talking to the server ------------------------------------------------------------------


def free_port() -> int:
    """Return a port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_server(url: str, server: "subprocess.Popen[bytes]") -> None:
    """Wait until the server answers.

    Raises:
        StoreUnavailableError: ``demo.server``, it does not.
    """
    for _ in range(200):
        if server.poll() is not None:
            raise StoreUnavailableError("the server ended before it listened", code="demo.server")
        with contextlib.suppress(OSError):
            get(url, "/api/health/ready")
            return
        time.sleep(0.1)
    raise StoreUnavailableError("the server does not answer", code="demo.server")


def get(url: str, path: str) -> dict[str, Any]:
    """Return what the server answers to a GET."""
    with urllib.request.urlopen(f"{url}{path}", timeout=10) as answer:  # noqa: S310 - our own server
        found: dict[str, Any] = json.load(answer)
    return found


def post(url: str, path: str, body: dict[str, Any]) -> None:
    """Send a command.

    Raises:
        StateConflictError: ``demo.refused``, the server refused it.
    """
    request = urllib.request.Request(  # noqa: S310 - our own server
        f"{url}{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310 - our own server
            return
    except urllib.error.HTTPError as error:
        raise StateConflictError(
            f"the server refused {path}: {error.read()[:200]!r}", code="demo.refused"
        ) from error
