"""``pfgov demo --console``: a server with a made-up fleet at work, to be looked at in a browser until it is stopped.

Nothing outlives it: the ledger lies in a temporary folder.
"""

import contextlib
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pfgov import interpreter
from pfgov.app.local.folder import creating
from pfgov.cli.demo.churn import await_server, free_port, get, post
from pfgov.cli.demo.crowd import TROUBLES, registrations, submission
from pfgov.cli.output import Output
from pfgov.errors import PfgovError

PACKETS: Final = 220
PAUSE_SECONDS: Final = 0.7
"""Between two things that happen."""


def run(output: Output) -> int:
    """Show it until it is interrupted; return the exit status."""
    signal.signal(signal.SIGTERM, _leave)
    with tempfile.TemporaryDirectory(prefix="pfgov-console-") as folder:
        directory = Path(folder) / "ledger"
        with creating(directory, "pfgov.example/console"):
            pass
        with contextlib.suppress(KeyboardInterrupt), serving(directory) as url:
            source = random.Random(11)  # noqa: S311 - a fleet that is the same each time
            populate(url, source)
            output.tell(
                f"The console: {url}/console/", "Work goes on behind it.  Stop with Ctrl-C."
            )
            _work(url, source)
    return 0


def _leave(_signal: int, _frame: object) -> None:
    """End as Ctrl-C does, so that the server ends, too."""
    raise KeyboardInterrupt


@contextmanager
def serving(directory: Path) -> Generator[str]:
    """Give the address of a server over *directory*, for as long as it is needed."""
    port = free_port()
    words = ("-m", "pfgov.cli", "serve", "--dir", str(directory), "--port", str(port))
    server = subprocess.Popen(  # noqa: S603 - our own module
        interpreter.command(*words),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=interpreter.environment(PFGOV_DIR=str(directory)),
        start_new_session=True,  # Ctrl-C is for this process, which then stops the server
    )
    try:
        await_server(f"http://127.0.0.1:{port}", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=15)
        server.kill()


def populate(url: str, source: random.Random, packets: int = PACKETS) -> None:
    """Register the fleet, give it work, and let some of its members get into trouble."""
    for body in registrations(source):
        post(url, "/api/members/register", body)
    for number in range(1, packets + 1):
        post(url, "/api/packets", submission(source, number))
    for path, body in TROUBLES:
        post(url, path, body)


def _work(url: str, source: random.Random) -> None:
    """Let something happen again and again: work comes in, is finished, moves; members get loaded and assessed."""
    number = PACKETS
    while True:
        with contextlib.suppress(PfgovError):
            number = _something(url, source, number)
        time.sleep(PAUSE_SECONDS)


def _something(url: str, source: random.Random, number: int) -> int:
    kind = source.random()
    if kind < 0.4:
        post(url, "/api/packets", submission(source, number + 1))
        return number + 1
    if kind < 0.9:
        owned: list[dict[str, Any]] = get(url, "/api/packets?status=ASSIGNED&limit=400")["items"]
        packet = source.choice(owned)
        where = f"/api/packets/{packet['packet_id']}"
        if kind < 0.72:
            claim = {name: packet[name] for name in ("incarnation", "epoch")}
            claim["member_id"] = packet["current_owner"]
            post(url, f"{where}/complete", claim)
        else:
            post(url, f"{where}/handoff", {"reason": "rebalance"})
        return number
    members = [one["id"] for one in get(url, "/api/members?status=ACTIVE&limit=100")["items"]]
    who = source.choice(members)
    if kind < 0.97:
        post(url, f"/api/members/{who}/pressure", {"pressure": round(source.random(), 2)})
    else:
        post(url, f"/api/members/{who}/trust", {"score": source.choice((0.86, 0.92, 0.96))})
    return number
