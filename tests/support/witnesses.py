"""Witnesses in tests: ours over a real socket, a log that lies, and the world between them."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pfgov.app.witness.book import LOGS, Book, create
from pfgov.app.witness.server import WitnessServer
from pfgov.clock import ManualClock
from pfgov.engine import LedgerReader
from pfgov.engine.reading.exporting import stored_log
from pfgov.storage import open_store
from pfgov_ledger import keys
from pfgov_ledger.note import Vkey
from pfgov_ledger.tlog_policy import Policy, parse

NOW = 1_782_331_200_000_000


def follow(folder: Path, *logs: str) -> None:
    """Write the logs that the witness in *folder* follows."""
    (folder / LOGS).write_text("".join(f"log {vkey}\n" for vkey in logs) + "quorum none\n")


def log_key(directory: Path) -> str:
    """The verifier key in a ledger's anchor."""
    return str(keys.parse_anchor((directory / "anchor.txt").read_text()).log_vkey)


@contextmanager
def served(folder: Path, name: str, *logs: str, clock: ManualClock | None = None) -> Generator[str]:
    """Run a witness of ours; give the line of a policy file by which it is asked."""
    vkey = create(folder, name) if not (folder / "witness.key").exists() else None
    follow(folder, *logs)
    with Book(folder, clock or ManualClock(NOW)) as book:
        server = WitnessServer(("127.0.0.1", 0), book)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"{vkey or book.vkey} http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def policy_of(*lines: str, least: int | None = None) -> Policy:
    """A policy with these witnesses, of which all or *least* are asked for."""
    named = "".join(f"witness w{n} {line}\n" for n, line in enumerate(lines))
    members = " ".join(f"w{n}" for n in range(len(lines)))
    return parse(f"{named}group g {least or 'all'} {members}\nquorum g\n")


def head_of(directory: Path) -> tuple[int, bytes]:
    """Size and note of the newest checkpoint."""
    with LedgerReader(open_store(directory)) as reader, stored_log(reader) as log:
        return log.size(), log.latest_checkpoint()


__all__ = ["NOW", "Vkey", "follow", "head_of", "log_key", "policy_of", "served"]
