"""Two servers on one ledger in PostgreSQL, clients that write and read through both, and faults drawn from a seed.

A fault is begun and later healed; at times a second one begins before the first is healed.  Once all are healed every
client has to get on.  At the end the ledger is held to what was promised: whatever a client was acknowledged or shown
stands in it, each term has one leader, it verifies and it replays (:mod:`support.promised`).
"""

import contextlib
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import httpx2

from pfgov.client import Client, Retry
from pfgov.engine import Engine, Options
from pfgov.storage import keep_in_database, open_store
from support import postgres
from support.api_process import Server, free_port
from support.commandline import spawn
from support.cutting import Relay
from support.promised import PATIENCE_SECONDS, BrokenPromiseError, Load, Promises, held_to

SECOND_AT_ONCE: Final = 0.3
"""How often a second fault begins before the first is healed."""

ALIVE_SECONDS: Final = 30.0
"""An answer to whether a server is alive comes within so long, or counts as none."""


class Machine:
    """A server of the ledger with a folder of its own, and its way to the database."""

    def __init__(self, name: str, folder: Path, relay: Relay) -> None:
        self.name = name
        self.relay = relay
        self.server = Server(folder)

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.server.url

    def send(self, number: int) -> None:
        """Send a signal to the server, if it runs."""
        process = self.server.process
        if process is not None and process.poll() is None:
            process.send_signal(number)

    def restart(self) -> None:
        """Start it, if it does not run."""
        process = self.server.process
        if process is None or process.poll() is not None:
            self.server.start("live")

    def writers(self) -> list[int]:
        """The processes that it started."""
        process = self.server.process
        if process is None:
            return []
        found = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        try:
            return [int(one) for one in found.read_text().split()]
        except OSError:
            return []


class Databases:
    """A primary that acknowledges nothing that its standby has not got, and that standby."""

    def __init__(self) -> None:
        binaries = postgres.server()._binaries
        self.primary = postgres.Server(binaries, port=free_port())
        self.standby = self.primary
        self.attach_standby()

    def _wait_for(self, standbys: str) -> None:
        with postgres.connect_to(self.primary) as connection:
            connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{standbys}'")
            connection.execute("SELECT pg_reload_conf()")

    def attach_standby(self) -> None:
        """Give the primary a standby, for which it waits from then on."""
        self.standby = postgres.Server(
            self.primary._binaries, follows=self.primary, port=free_port()
        )
        self._wait_for("*")

    def lose_primary(self) -> None:
        """Lose the primary and its disk for good, and let the standby take over, which waits for nobody."""
        self.primary.stop()
        self.standby.promote()
        shutil.rmtree(self.primary.folder, ignore_errors=True)
        self.primary = self.standby
        self._wait_for("")

    def close(self) -> None:
        """End both."""
        for one in {self.standby, self.primary}:
            one.stop()
            shutil.rmtree(one.folder, ignore_errors=True)


class Began(NamedTuple):
    """A fault under way: its name, what ends it, and whose process it took away, if any."""

    name: str
    heal: Callable[[], None]
    takes: Machine | None = None


@dataclass(slots=True)
class Report:
    """What a round came to."""

    seconds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    acknowledged: int = 0
    reads: int = 0
    entries: int = 0
    terms: int = 0


class Round:
    """One ledger, two machines, and a number of faults."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.seed = seed
        self._source = random.Random(seed)
        self._databases = Databases()
        self.machines: list[Machine] = []
        self.log: list[str] = []
        first = folder / "a" / "ledger"
        relays = [Relay(self._port) for _ in "ab"]
        keep_in_database(first, _url(relays[0]))
        Engine.create(open_store(first), options=Options()).close()
        shutil.copytree(first, folder / "b" / "ledger")
        (folder / "b" / "ledger" / "store.url").write_text(_url(relays[1]) + "\n")
        for name, relay in zip("ab", relays, strict=True):
            self.machines.append(Machine(name, folder / name / "ledger", relay))
        self._faults: dict[str, Callable[[], Began]] = {
            "kill": self._kill,
            "stop": self._stop_server,
            "end": self._end,
            "kill writer": self._kill_writer,
            "stop writer": self._stop_writer,
            "drain": self._drain,
            "cut": self._cut,
            "hold": self._hold,
            "database crash": self._crash,
            "database sessions": self._end_sessions,
            "database promotion": self._promote,
        }

    @property
    def _port(self) -> int:
        assert self._databases.primary.port is not None
        return self._databases.primary.port

    def close(self) -> None:
        """End everything."""
        for machine in self.machines:
            machine.send(signal.SIGCONT)
            machine.server.stop()
            machine.relay.close()
        self._databases.close()

    def run(self, faults: int, *, told: Callable[[str], None] = lambda _: None) -> Report:
        """Let *faults* faults happen while clients work, and check what is left.

        Raises:
            BrokenPromiseError: a promise was broken.
        """
        report = Report()
        for machine in self.machines:
            machine.server.start("live")
        with Client(self.machines[0].url, retry=Retry(patience=PATIENCE_SECONDS)) as client:
            member = {"id": "m", "type": "agent", "capabilities": ["x"], "trust_score": 0.9}
            client.register(member, key="register-m")
        load = Load([one.url for one in self.machines], self.seed)
        with load:
            load.goes_on()
            done = 0
            while done < faults:
                count = 2 if done + 1 < faults and self._source.random() < SECOND_AT_ONCE else 1
                names = " + ".join(self._happen(count))
                took = load.goes_on()
                done += count
                report.seconds.setdefault(names, []).append(took)
                told(f"{done} of {faults}: {names}; all went on {took:.1f} s after it was healed")
        self._check(load.promises, report)
        return report

    def _happen(self, count: int) -> list[str]:
        """Begin *count* faults, one after the other, and then heal them; return their names."""
        began: list[Began] = []
        try:
            for _ in range(count):
                name = self._source.choice([*self._faults])
                self.log.append(name)
                began.append(self._faults[name]())
                time.sleep(self._source.uniform(0.0, 5.0))
                self._check_alive([one.takes for one in began])
        finally:
            for one in sorted(began, key=lambda one: _ORDER.index(one.name)):
                one.heal()
        return [one.name for one in began]

    def _check_alive(self, away: Sequence[Machine | None]) -> None:
        """Check that servers answer, whatever became of their database, while all processes are left alone.

        Whoever takes over while its database is silent answers only when that is over.

        Raises:
            BrokenPromiseError: one does not, so that a supervisor would kill it.
        """
        if any(away):
            return
        for machine in self.machines:
            try:
                found = httpx2.get(f"{machine.url}/api/health/live", timeout=ALIVE_SECONDS)
            except httpx2.TransportError as error:
                raise BrokenPromiseError(f"{machine.name} does not answer: {error!r}") from error
            if found.status_code != 200:
                raise BrokenPromiseError(f"{machine.name} is not alive: {found.text}")

    def _machine(self) -> Machine:
        return self._source.choice(self.machines)

    # --- faults of a server ----------------------------------------------------------------------

    def _kill(self) -> Began:
        found = self._machine()
        found.send(signal.SIGKILL)
        return Began("kill", found.restart, found)

    def _stop_server(self) -> Began:
        found = self._machine()
        found.send(signal.SIGSTOP)
        return Began("stop", lambda: found.send(signal.SIGCONT), found)

    def _end(self) -> Began:
        found = self._machine()
        found.send(signal.SIGTERM)
        process = (
            found.server.process
        )  # another one runs there by then, if it was told to end twice

        def heal() -> None:
            if process is not None:
                process.wait(PATIENCE_SECONDS)
            found.restart()

        return Began("end", heal, found)

    def _signal_writers(self, number: int) -> list[int]:
        pids = self._machine().writers()
        _signal(number, *pids)
        return pids

    def _kill_writer(self) -> Began:
        self._signal_writers(signal.SIGKILL)
        return Began("kill writer", lambda: None)

    def _stop_writer(self) -> Began:
        pids = self._signal_writers(signal.SIGSTOP)
        return Began("stop writer", lambda: _signal(signal.SIGCONT, *pids))

    def _drain(self) -> Began:
        found = self._machine()
        spawn("node", "drain", found.url, "--dir", str(found.server.directory))

        def heal() -> None:
            found.send(signal.SIGTERM)
            process = found.server.process
            if process is not None:
                process.wait(PATIENCE_SECONDS)
            found.restart()

        return Began("drain", heal)

    # --- faults of the network -------------------------------------------------------------------

    def _cut(self) -> Began:
        relay = self._machine().relay
        relay.cut()
        return Began("cut", relay.mend)

    def _hold(self) -> Began:
        relay = self._machine().relay
        relay.hold()
        return Began("hold", relay.mend)

    # --- faults of the database ------------------------------------------------------------------

    def _crash(self) -> Began:
        self._databases.primary.stop()
        return Began("database crash", self._databases.primary.start)

    def _end_sessions(self) -> Began:
        try:
            with postgres.connect_to(self._databases.primary) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'pfgov' AND pid <> pg_backend_pid()"
                )
        except Exception as error:  # another fault has taken the database away
            self.log.append(type(error).__name__)
        return Began("database sessions", lambda: None)

    def lose_primary(self) -> None:
        """Lose the primary; the standby takes over, and the servers reach it where they reached the other."""
        self._databases.lose_primary()
        for machine in self.machines:
            machine.relay.lead_to(self._port)

    def attach_standby(self) -> None:
        """Give the database that took over a standby of its own."""
        self._databases.attach_standby()

    def _promote(self) -> Began:
        self.lose_primary()
        self.attach_standby()
        return Began("database promotion", lambda: None)

    # --- what is left ----------------------------------------------------------------------------

    def _check(self, promises: Promises, report: Report) -> None:
        """End the servers, and hold the ledger to what was promised.

        Raises:
            BrokenPromiseError: something does not hold.
        """
        for machine in self.machines:
            machine.server.terminate()
        report.entries, report.terms = held_to(promises, self.machines[0].server.directory)
        report.acknowledged = len(promises.created) + len(promises.ended)
        report.reads = promises.reads


_ORDER: Final = (
    "database crash", "database promotion", "database sessions", "cut", "hold",
    "stop writer", "stop", "kill writer", "end", "drain", "kill",
)  # fmt: skip
"""What is healed first: a server that is started needs its database."""


def _url(relay: Relay) -> str:
    return f"postgresql://pfgov@127.0.0.1:{relay.port}/postgres#l"


def _signal(number: int, *pids: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
