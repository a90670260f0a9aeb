"""Rounds: the newest checkpoint goes to every witness, and what a quorum cosigned is kept.

Each witness has a thread of its own and is never waited for by anybody else: not by a commit, not by another witness,
not by the next round.  Between rounds lies an interval, or a caller that wants its receipt witnessed.  An alarm stays
until that witness cosigns again.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from pfgov.engine.loading.tree import StoredNodes
from pfgov.engine.reading.reader import LedgerReader
from pfgov.engine.witnessing.asking import Kind, Outcome, Post, ask, poster
from pfgov.engine.witnessing.keeping import (
    Witnessed,
    load_known,
    load_note,
    save_known,
    save_note,
    witnessed,
)
from pfgov.errors import InvalidError, PfgovError, file_errors
from pfgov.files import read_regular
from pfgov.storage import open_store
from pfgov_ledger import merkle, tlog_policy
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.tlog_policy import Party, Policy

INTERVAL_SECONDS: Final = 10.0
"""Between two rounds, unless told otherwise."""

ANSWER_SECONDS: Final = 20.0
"""How long one witness may take to answer."""


class Stated(Protocol):
    """Where a log ends."""

    @property
    def size(self) -> int:
        """Its entries."""
        ...

    @property
    def note(self) -> bytes:
        """The signed checkpoint over them."""
        ...


class Log(Protocol):
    """A log that is witnessed, read by one thread."""

    def head(self) -> Stated:
        """Return where it ends; raises PfgovError if that cannot be read now."""
        ...

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """Return the proof that the first *old* entries are a beginning of the first *new* ones."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class LedgerLog(LedgerReader):
    """A ledger as a log that is witnessed."""

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """Return the proof; the ledger is not held while a witness is waited for."""
        with self.snapshot() as queries:
            return tuple(merkle.consistency_proof(StoredNodes(queries), old, new))


ROUNDS_MAX: Final = 16
"""Rounds for which cosignatures are still collected."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one witness stands.

    Attributes:
        name: Its name in the policy file.
        key: Its verifier key.
        known: Entries that it has seen.
        outcome: What the last exchange came to; None before the first.
        why: Why it did not cosign.
        is_alarm: Whether it has seen another history, and has not cosigned since.
    """

    name: str
    key: str
    known: int = 0
    outcome: Kind | None = None
    why: str = ""
    is_alarm: bool = False


def read_policy(path: Path) -> Policy:
    """Return the C2SP tlog-policy in the file *path*.

    Raises:
        InvalidError: ``witness.policy``, it is none.
        StoreUnavailableError: it cannot be read.
    """
    with file_errors(path):
        text = read_regular(path).decode("utf-8", errors="surrogateescape")
    try:
        return tlog_policy.parse(text)
    except LedgerError as error:
        raise InvalidError(
            f"{path}: {error}",
            code="witness.policy",
            hint="write: witness NAME VKEY URL; group NAME K NAME...; quorum NAME",
        ) from None


def rounds_of(
    directory: Path, policy: Policy, *, interval_seconds: float = INTERVAL_SECONDS
) -> "Rounds":
    """Return the witnesses of the ledger in *directory*; raises as :class:`Rounds`."""
    store = open_store(directory)
    return Rounds(lambda: LedgerLog(store), directory, policy, interval_seconds=interval_seconds)


class Rounds:
    """The witnesses of one log.  Thread-safe."""

    def __init__(
        self,
        open_log: Callable[[], Log],
        folder: Path,
        policy: Policy,
        *,
        interval_seconds: float = INTERVAL_SECONDS,
        post: Post | None = None,
    ) -> None:
        """Take up what was kept.

        Args:
            open_log: Opens the log read-only, once for each thread.
            folder: Where the notes are kept.
            policy: The witnesses, each with a URL, and the quorum.
            interval_seconds: Between two rounds.
            post: How a witness is reached; over HTTP by default.

        Raises:
            InvalidError: ``witness.policy``, there is no witness, or one without a URL.
        """
        if not policy.witnesses or any(one.url is None for one in policy.witnesses.values()):
            raise InvalidError(
                "a witness without a URL cannot be asked",
                code="witness.policy",
                hint="write: witness NAME VKEY URL",
            )
        self.policy = policy
        self._open_log = open_log
        self._folder = folder
        self._interval = interval_seconds
        self._post = post or poster(ANSWER_SECONDS)
        self._changed = threading.Condition()
        self._stopped = False
        self._wanted = threading.Event()
        self._rounds: dict[int, tuple[bytes, dict[str, bytes]]] = {}
        self._threads: list[threading.Thread] = []
        known = load_known(folder)
        self._standings = {
            name: Standing(name, str(party.vkey), known.get(str(party.vkey), 0))
            for name, party in policy.witnesses.items()
        }
        self.newest: Witnessed | None = load_note(folder, policy)

    # --- what is known ---------------------------------------------------------------------

    def standings(self) -> list[Standing]:
        """Return how each witness stands, in the order of the policy file."""
        with self._changed:
            return list(self._standings.values())

    @property
    def alarms(self) -> list[Standing]:
        """The witnesses that have seen another history."""
        return [one for one in self.standings() if one.is_alarm]

    # --- running ---------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to ask."""
        names = [("witnessing", self._begin_rounds)]
        names += [(f"witness-{name}", self._asker(name)) for name in self.policy.witnesses]
        for name, run in names:
            thread = threading.Thread(target=run, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Ask nobody any more; an answer that is under way is not waited for."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._wanted.set()

    def want(self) -> None:
        """Begin a round now, because somebody waits for it."""
        self._wanted.set()

    def run_once(self) -> list[Standing]:
        """Begin a round and ask each witness in turn, in this thread; return how they stand.

        Raises:
            PfgovError: ``store.*``, the ledger cannot be read.
        """
        with self._open_log() as reader:
            size = self._begin(reader)
            for name in self.policy.witnesses:
                if size:
                    self._ask(reader, name, size)
        return self.standings()

    def _begin_rounds(self) -> None:
        with self._open_log() as reader:
            while not self._stopped:
                with suppress(
                    PfgovError
                ):  # the ledger cannot be read now; the next round looks again
                    self._begin(reader)
                self._wanted.wait(self._interval)
                self._wanted.clear()

    def _begin(self, reader: Log) -> int:
        """Make the newest checkpoint the one that is asked about; return its size."""
        head = reader.head()
        with self._changed:
            if head.size and head.size not in self._rounds:
                self._rounds[head.size] = (head.note, {})
                while len(self._rounds) > ROUNDS_MAX:
                    del self._rounds[min(self._rounds)]
                self._changed.notify_all()
        return head.size

    def _asker(self, name: str) -> Callable[[], None]:
        def run() -> None:
            tried: tuple[int, float] = (0, 0.0)
            with self._open_log() as reader:
                while True:
                    with self._changed:
                        while not self._stopped and not self._is_due(name, tried):
                            self._changed.wait(self._interval)
                        if self._stopped:
                            return
                        size = max(self._rounds)
                    tried = size, time.monotonic()
                    with suppress(PfgovError):
                        self._ask(reader, name, size)

        return run

    def _is_due(self, name: str, tried: tuple[int, float]) -> bool:
        """Whether there is a checkpoint that this witness has neither cosigned nor just refused."""
        if not self._rounds:
            return False
        newest = max(self._rounds)
        if newest <= self._standings[name].known and self._standings[name].outcome == "cosigned":
            return False
        return newest > tried[0] or time.monotonic() >= tried[1] + self._interval

    def _ask(self, reader: Log, name: str, size: int) -> None:
        party, standing = self.policy.witnesses[name], self._standings[name]
        with self._changed:
            signed = self._rounds[size][0]
        outcome = ask(
            _url(party), party.vkey, signed, size, standing.known, reader.consistency, self._post
        )
        self._take(name, size, outcome)

    def _take(self, name: str, size: int, outcome: Outcome) -> None:
        """Note what an exchange came to, and keep the round if it has enough cosignatures now."""
        with self._changed:
            before = self._standings[name]
            is_alarm = outcome.kind == "alarm" or (before.is_alarm and outcome.kind != "cosigned")
            self._standings[name] = replace(
                before,
                known=outcome.known,
                outcome=outcome.kind,
                why=outcome.why,
                is_alarm=is_alarm,
            )
            known = {one.key: one.known for one in self._standings.values()}
            if outcome.kind != "cosigned" or size not in self._rounds:
                found = None
            else:
                signed, lines = self._rounds[size]
                lines[name] = outcome.lines
                found = witnessed(signed + b"".join(lines.values()), self.policy)
            newest = self.newest
            if found is not None and (newest is None or found.size >= newest.size):
                self.newest = found
                save_note(self._folder, found)
            if outcome.known != before.known:
                save_known(self._folder, known)
            self._changed.notify_all()


def _url(party: Party) -> str:
    return party.url or ""
