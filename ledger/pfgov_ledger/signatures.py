"""Checking many entry signatures, in this process or in several.

Entries go in, in order; the failures come out with the lowest position.  Which key must have signed
is decided by the caller; what a signature covers is its DSSE PAE (:mod:`pfgov_ledger.dsse`).
"""

import signal
from collections import deque
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from typing import Final

from pfgov_ledger import dsse, ed25519, errors

Item = tuple[int, bytes, bytes, bytes]
"""(seq, public key, entry bytes, signature)."""

BATCH: Final = 256
BATCHES_WAITING_MAX: Final = 16
"""Batches handed out and not answered: what bounds the memory."""
START_AT: Final = 2_048
"""Signatures before other processes are worth starting."""


class SignatureChecker:
    """Checks every signature that it is given; :meth:`finish` waits for the last."""

    def __init__(self, processes: int = 1) -> None:
        """A checker that uses *processes* workers besides this process, if more than one."""
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None
        self._batch: list[Item] = []
        self._waiting: deque[tuple[list[Item], Future[int | None]]] = deque()
        self._first_bad: Item | None = None
        self.count = 0

    def add(self, seq: int, public: bytes, raw: bytes, signature: bytes) -> None:
        """Check a signature, now or soon."""
        self.count += 1
        item = (seq, public, raw, signature)
        if self._processes > 1 and self.count > START_AT:
            self._batch.append(item)
            if len(self._batch) >= BATCH:
                self._hand_out()
        elif self._first_bad is None and not ed25519.verify(public, dsse.entry_pae(raw), signature):
            self._first_bad = item

    def finish(self) -> errors.LedgerError | None:
        """Wait; the error of the signature that fails at the lowest position, if one does."""
        if self._batch:
            self._hand_out()
        while self._waiting:
            self._take_back()
        self.close()
        return None if self._first_bad is None else error_of(self._first_bad)

    def close(self) -> None:
        """Stop the workers."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _hand_out(self) -> None:
        batch, self._batch = self._batch, []
        try:
            if self._pool is None:
                self._pool = _workers(self._processes)
            self._waiting.append((batch, self._pool.submit(first_bad, batch)))
        except (BrokenExecutor, OSError):
            self._processes = 1
            self._note(batch, first_bad(batch))
        while len(self._waiting) > BATCHES_WAITING_MAX or (
            self._waiting and self._waiting[0][1].done()
        ):
            self._take_back()

    def _take_back(self) -> None:
        batch, answer = self._waiting.popleft()
        try:
            bad = answer.result()
        except BrokenExecutor:  # a worker was killed: its batches are checked here
            self._processes = 1
            bad = first_bad(batch)
        self._note(batch, bad)

    def _note(self, batch: list[Item], bad: int | None) -> None:
        if bad is not None and (self._first_bad is None or batch[bad][0] < self._first_bad[0]):
            self._first_bad = batch[bad]


def _workers(count: int) -> ProcessPoolExecutor:
    """Processes that leave Ctrl-C to their parent."""
    from multiprocessing import get_all_start_methods, get_context

    method = "fork" if "fork" in get_all_start_methods() else None
    return ProcessPoolExecutor(
        count,
        get_context(method),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )


def first_bad(batch: list[Item]) -> int | None:
    """The index of the first item whose signature does not hold."""
    for index, (_, public, raw, signature) in enumerate(batch):
        if not ed25519.verify(public, dsse.entry_pae(raw), signature):
            return index
    return None


def error_of(item: Item) -> errors.LedgerError:
    """Why the signature of *item*, which does not hold, does not."""
    seq, public, raw, signature = item
    try:
        ed25519.check(public, dsse.entry_pae(raw), signature)
    except errors.LedgerError as error:
        return error.at(seq)
    return errors.SignatureInvalidError(position=seq)
