"""Two servers on one ledger in PostgreSQL, behind a balancer: to whoever asks it is one server.

It is killed and started like one, too: killed is who leads at that moment, and the other takes over.
"""

import shutil
import time
from pathlib import Path

import httpx2

from pfgov.clock import ManualClock
from pfgov.engine import Engine, Options
from pfgov.storage import keep_in_database, open_store
from support import postgres
from support.api_process import PATIENCE_SECONDS, Server
from support.cutting import Relay
from support.ledgers import ORIGIN, START, Drawn, open_policy


class Balanced:
    """Two servers, and the balancer's address."""

    @staticmethod
    def place(folder: Path) -> Path:
        """Make the ledger, and return the first server's folder: keys that are put there are the second's, too."""
        directory = folder / "one" / "ledger"
        keep_in_database(directory, postgres.server().url())
        Engine.create(
            open_store(directory),
            ORIGIN,
            clock=ManualClock(START),
            policy=open_policy(),
            options=Options(draw=Drawn("new")),
        ).close()
        return directory

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        other = directory.parents[1] / "two" / "ledger"
        shutil.copytree(directory, other)
        self._servers = (Server(directory), Server(other))
        self._relay = Relay(*(one.port for one in self._servers))
        self.port = self._relay.port
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start whoever does not run, and wait until one of them leads."""
        for one in self._servers:
            if one.process is None or one.process.poll() is not None:
                one.start("live")
        self._leader()

    def kill(self) -> None:
        """Kill whoever leads, and wait until the other does."""
        self._leader().kill()
        self._leader()

    def stop(self) -> None:
        """End both."""
        for one in self._servers:
            one.stop()
        self._relay.close()

    def _leader(self) -> Server:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            for one in self._servers:
                try:
                    if httpx2.get(f"{one.url}/api/health/ready", timeout=5).status_code == 200:
                        return one
                except httpx2.TransportError:
                    continue
            time.sleep(0.05)
        raise AssertionError("nobody leads")
