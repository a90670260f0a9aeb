"""The root of a server: takes in what its ledgers come to, again and again, and has it witnessed.

One thread looks at all ledgers in turn; it is in nobody's way, and nobody waits for it.  A ledger whose history is not
the one that the root has is not taken in and is an alarm: in the log, once, and in the metrics, until it fits again.
"""

import logging
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from pfgov.app.root import folder as folders
from pfgov.app.root.feeding import Trouble, feed
from pfgov.app.root.proving import Proving, path
from pfgov.engine.witnessing.rounds import INTERVAL_SECONDS, Rounds, Standing, read_policy
from pfgov.errors import PfgovError, StoreUnavailableError
from pfgov.storage import open_store
from pfgov.storage.root import RootLostError, RootReader, RootWriter

Ledgers = Callable[[], Iterable[tuple[str, Path]]]
"""Gives the name and the folder of each ledger that there is now."""

STOP_SECONDS: Final = 1.0
"""How long the end of a look is waited for when a server ends."""

log = logging.getLogger("pfgov.api")


class Root:
    """The root in a folder, kept by this process.  Start it; stop it."""

    def __init__(
        self,
        folder: Path,
        ledgers: Ledgers,
        *,
        witnesses: Path | None = None,
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        """Take the folder.

        Args:
            folder: Where the root is.
            ledgers: What it stands over.
            witnesses: A C2SP tlog-policy file: who cosigns the root's checkpoints.
            interval_seconds: Between two looks, and between two rounds of the witnesses.

        Raises:
            PfgovError: ``root.*``, ``store.*``, ``witness.policy``.
            LedgerError: the root's key cannot be used.
        """
        self.folder = folder
        self._ledgers = ledgers
        self._interval = interval_seconds
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._stamps: dict[str, str] = {}
        self.fault: PfgovError | None = None
        self.troubles: dict[str, Trouble] = {}
        self._rounds = None
        if witnesses is not None:
            policy = read_policy(witnesses)
            self._rounds = Rounds(
                lambda: RootReader(folder), folder, policy, interval_seconds=interval_seconds
            )
        self._held = ExitStack()
        self._root: RootWriter = self._held.enter_context(folders.writing(folder))

    def start(self) -> None:
        """Begin to look."""
        self._thread = threading.Thread(target=self._run, name="root", daemon=True)
        self._thread.start()
        if self._rounds is not None:
            self._rounds.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        if self._rounds is not None:
            self._rounds.stop()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
        if self._thread is None or not self._thread.is_alive():
            self._held.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.look()
            self._stopping.wait(self._interval)

    def look(self) -> None:
        """Take in what is new, once."""
        stamps: dict[str, str | None] = {}
        looked: list[tuple[str, Path]] = []
        try:
            for name, directory in self._ledgers():
                stamp = _stamp(directory)
                if stamp is None or stamp != self._stamps.get(name):
                    stamps[name] = stamp
                    looked.append((name, directory))
            found = {one.name: one for one in feed(self._root, looked)}
        except PfgovError as error:
            self._fails(error)
            return
        except Exception:  # the looks must outlive whatever goes wrong
            log.exception("a look at the ledgers failed")
            self._fails(PfgovError("it failed unexpectedly"))
            return
        self.fault = None
        for name, _ in looked:
            self._note(name, found.get(name), stamps[name])

    def ask_witnesses(self) -> list[Standing]:
        """Ask each witness once, in this thread; return how they stand.

        Raises:
            PfgovError: the root cannot be read.
        """
        return [] if self._rounds is None else self._rounds.run_once()

    def _note(self, name: str, trouble: Trouble | None, stamp: str | None) -> None:
        """Remember how a ledger stands; an alarm is said once, until it is another."""
        before = self.troubles.pop(name, None)
        self._stamps.pop(name, None)
        if trouble is None:
            if stamp is not None:
                self._stamps[name] = stamp
            return
        self.troubles[name] = trouble
        if before is None or before.code != trouble.code:
            say = log.error if trouble.is_alarm else log.warning
            say("the root does not take in the ledger %s: %s (%s)", name, trouble.why, trouble.code)

    def _fails(self, error: PfgovError) -> None:
        if self.fault is None or self.fault.code != error.code:
            log.error("the root cannot be written: %s (%s)", error.message, error.code)
        self.fault = error

    # --- what is asked of it ---------------------------------------------------------------

    @property
    def alarms(self) -> int:
        """How many ledgers have another history than the root, and witnesses another history of the root."""
        ledgers = sum(one.is_alarm for one in self.troubles.values())
        return ledgers + (0 if self._rounds is None else len(self._rounds.alarms))

    def note(self) -> bytes:
        """Return the newest checkpoint that a quorum cosigned; the newest of all if there is none."""
        witnessed = self._witnessed()
        if witnessed is not None:
            return witnessed
        with _kind_alone(), RootReader(self.folder) as root:
            return root.head().note

    def path(self, ledger: Proving, seq: int) -> bytes:
        """Return the path of the entry at *seq*: to witnesses, if they have cosigned so much; errors as of a path."""
        with _kind_alone():
            return path(ledger, self.folder, seq, self._witnessed())

    def _witnessed(self) -> bytes | None:
        newest = None if self._rounds is None else self._rounds.newest
        return None if newest is None else newest.signed

    def gauges(self) -> dict[str, int]:
        """Return how it stands, in numbers; no ledger is named."""
        return {
            "pfgov_root_alarms": self.alarms,
            "pfgov_root_left_out": len(self.troubles),
            "pfgov_root_failing": int(self.fault is not None),
        }


@contextmanager
def _kind_alone() -> Generator[None]:
    """What is wrong with the root's files is for whoever runs the server: others are told the kind."""
    try:
        yield
    except RootLostError as error:
        raise StoreUnavailableError(
            "the root cannot be read",
            code=error.code,
            hint="whoever runs the server finds out why: pfgov root check",
        ) from error


def _stamp(directory: Path) -> str | None:
    """Return what tells whether a ledger at rest was written; None where that cannot be told."""
    try:
        return open_store(directory).stamp()
    except PfgovError:
        return None
