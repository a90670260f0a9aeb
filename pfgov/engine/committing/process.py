"""The committing side in a process of its own: it signs and writes one batch while the next is decided.

A thread would gain nothing, because it shares the interpreter lock; a process boundary does.  What makes it sound: the
writer fences itself, so that nothing decided on top of a failed batch is ever written; answers follow their own commit;
reads come from a connection of their own and see only what is committed; signatures of a failed commit never leave the
writer.  When anything goes wrong here the process is killed and waited for, and only then is the store opened again.
Inside the writer any error that nobody expected, no memory left above all, ends the process: the kernel then gives back
the lock and closes the pipe, so that a writer is either whole or gone.

The protocol is one message each way per request, over a socket pair between two processes of one program: MessagePack
for batches and what they became, which is nearly everything, and pickles for the rest.  An entry's body crosses once:
what comes back is what the writer added to it.
"""

import contextlib
import os
import pickle
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from pfgov import interpreter
from pfgov.clock import SystemClock
from pfgov.engine.committing.batch import Batch, Committed
from pfgov.engine.committing.writer import Writer
from pfgov.engine.keys.signing import KeySources
from pfgov.errors import PfgovError, StoreError
from pfgov.storage import open_store
from pfgov.storage.leases import LeaseRow
from pfgov.storage.port import EntryRow, Probe, Queries
from pfgov_ledger.appender import START

START_SECONDS: Final = 60.0
"""How long the writer may take to open the ledger."""

STOP_SECONDS: Final = 30.0
"""How long it may take to end when it is told to; then it is killed."""

BROKEN: Final = 70
"""The exit status of a writer that ended because of an error of its own (``EX_SOFTWARE``)."""

_SWITCH_SECONDS: Final = 0.000_5
"""Interpreter switch interval in the writer: its receiving thread is short-lived but must not wait 5 ms each time."""


class WriterLostError(StoreError):
    """The writer process is gone; what became of its last batch is found in the store."""

    code = "store.writer_lost"


@dataclass(frozen=True, slots=True)
class WriterSpec:
    """What the writer process needs to open the ledger: the store's URL, and the URIs of keys."""

    store: str
    sources: KeySources
    must_exist: bool
    sync_head: bool


# --- messages -----------------------------------------------------------------------------


class Link(NamedTuple):
    """What the committing side adds to a body: everything of an entry that it was not handed."""

    subject_seq: int
    leaf: bytes
    signature: bytes
    tail: bytes


@dataclass(frozen=True, slots=True)
class Chained:
    """What becomes of a batch, for whoever still has it: so the bytes of a body cross between processes once."""

    links: list[Link]
    note: bytes


def without_bodies(batch: Batch, committed: Committed) -> Chained:
    """Return what *committed* says beyond *batch*."""
    links = [
        Link(row.subject_seq, row.leaf, row.signature, row.raw[len(START) + len(body.body) :])
        for body, row in zip(batch.bodies, committed.entries, strict=True)
    ]
    return Chained(links, committed.note)


def with_bodies(batch: Batch, chained: Chained) -> Committed:
    """Return what *batch* became."""
    entries = [
        EntryRow(
            seq, body.subject, link.subject_seq, body.type, body.time, link.leaf, link.signature,
            b"%b%b%b" % (START, body.body, link.tail),
        )
        for seq, (body, link) in enumerate(
            zip(batch.bodies, chained.links, strict=True), batch.start
        )
    ]  # fmt: skip
    return Committed(batch.start, entries, chained.note)


_BATCH: Final = b"b"
_CHAINED: Final = b"c"
_OTHER: Final = b"o"

_encode: Final = msgspec.msgpack.Encoder().encode
_to_batch: Final = msgspec.msgpack.Decoder(Batch).decode
_to_chained: Final = msgspec.msgpack.Decoder(Chained).decode


def _pack(verb: str, value: object) -> bytes:
    if isinstance(value, Batch):
        return _BATCH + _encode(value)
    if isinstance(value, Chained):
        return _CHAINED + _encode(value)
    return _OTHER + pickle.dumps((verb, value), pickle.HIGHEST_PROTOCOL)


def _unpack(message: bytes) -> tuple[str, Any]:
    kind, rest = message[:1], memoryview(message)[1:]
    if kind == _BATCH:
        return "write", _to_batch(rest)
    if kind == _CHAINED:
        return "answer", _to_chained(rest)
    verb, value = pickle.loads(rest)  # noqa: S301 - from our own parent or child, over a private socket pair
    return verb, value


# --- in the writer process ----------------------------------------------------------------

_DO: Final[Mapping[str, Callable[[Writer, Any], object]]] = {
    "write": lambda writer, batch: without_bodies(batch, writer.write(batch)),
    "index": lambda writer, _: writer.index(),
    "leases": lambda writer, kept: writer.store.write_leases(kept[0], is_whole=kept[1]),
    "trim": lambda writer, kept: writer.store.trim(tables_before=kept[0], answers_before=kept[1]),
    "flush": lambda writer, _: writer.store.flush_erased(),
    "stop": lambda _writer, _: None,
}
"""What the writer does, by the verb it is sent."""


def serve(spec: WriterSpec, pipe: Connection, probe: Probe | None = None) -> None:
    """Open the ledger, then answer one request after the other until told to stop or the other side is gone."""
    try:
        writer = Writer(
            open_store(spec.store),
            spec.sources,
            SystemClock().monotonic,
            must_exist=spec.must_exist,
            sync_head=spec.sync_head,
            probe=probe,
        )
    except PfgovError as error:
        pipe.send_bytes(_pack("answer", error))
        return
    requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    try:
        threading.Thread(target=_receive, args=(pipe, requests), daemon=True).start()
        pipe.send_bytes(_pack("answer", writer.new_term))
        while (message := requests.get()) is not None:
            verb, value = _unpack(message)
            pipe.send_bytes(_pack("answer", _answer(writer, verb, value)))
            if verb == "stop":
                break
    except OSError:
        pass  # the parent is gone, and with it everybody who could be answered
    finally:
        writer.close()


def end_at_once() -> None:
    """End this process, whatever its other threads do; needs no memory."""
    os._exit(BROKEN)


def _receive(
    pipe: Connection,
    requests: "queue.SimpleQueue[bytes | None]",
    end: Callable[[], None] = end_at_once,
) -> None:
    """Take requests in while the writer is busy, so that the other side never waits to hand one over.

    A writer that hears nothing more would hold the lock for ever, so any other error than the end is its *end*.
    """
    try:
        try:
            while True:
                requests.put(pipe.recv_bytes())
        except (EOFError, OSError):
            requests.put(None)
    except BaseException:  # noqa: BLE001 - there may be no memory to look at it
        if not pipe.closed:  # else it was closed under the read, by this side, which has ended
            end()


def _answer(writer: Writer, verb: str, value: object) -> object:
    try:
        return _DO[verb](writer, value)
    except PfgovError as error:
        return error
    except Exception as error:  # noqa: BLE001 - the parent is told, and opens the store again
        return StoreError(f"the writer failed: {error!r}", code="store.writer_failed")


def main(handle: int) -> None:
    """Run as the writer process: the first message on the inherited socket *handle* says what to open."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent decides when to end
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        pipe = Connection(handle)
        serve(pipe.recv(), pipe)
    except BaseException:  # noqa: BLE001 - what it was is found in the store; here only the end counts
        end_at_once()


# --- in the engine's process --------------------------------------------------------------


def _lost(error: BaseException) -> WriterLostError:
    if isinstance(error, EOFError | OSError):
        return WriterLostError("the writer process is gone")
    return WriterLostError(
        f"the writer process cannot be understood any more: {type(error).__name__}"
    )


_started: Final = weakref.WeakSet[subprocess.Popen[bytes]]()
"""Writer processes of this process that may still run."""


def kill_writers() -> None:
    """Kill every writer of this process, which is about to end without closing its ledger."""
    for child in tuple(_started):
        child.kill()


class Running(Protocol):
    """A started writer."""

    def kill(self) -> None:
        """End it at once."""
        ...

    def wait(self, timeout: float | None = None) -> object:
        """Return when it has ended."""
        ...


def start_process(spec: WriterSpec) -> tuple[Connection, Running]:
    """Start a writer process and return the pipe to it.

    Raises:
        WriterLostError: it could not be started.
    """
    try:
        ours, theirs = socket.socketpair()
    except OSError as error:
        raise WriterLostError(f"the writer process cannot be started: {error}") from error
    code = f"from pfgov.engine.committing.process import main; main({theirs.fileno()})"
    try:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter, our own code
            interpreter.command("-c", code),
            pass_fds=[theirs.fileno()],
            env=interpreter.environment(),
        )
    except OSError as error:
        ours.close()
        raise WriterLostError(f"the writer process cannot be started: {error}") from error
    finally:
        theirs.close()
    _started.add(child)
    pipe = Connection(ours.detach())
    pipe.send(spec)
    return pipe, child


class ProcessCommitter:
    """Hands batches to a writer process; one may be under way while the next is decided."""

    ahead = 1

    def __init__(
        self,
        spec: WriterSpec,
        start: Callable[[WriterSpec], tuple[Connection, Running]] = start_process,
    ) -> None:
        """Start the writer and wait until it has opened the ledger.

        Raises:
            PfgovError: as :class:`Writer`, or ``store.writer_lost``.
        """
        self._pipe, self._child = start(spec)
        self._broken: Exception | None = None
        self._started: deque[Batch] = deque()
        self._arrivals = select.poll()  # kept: a Connection makes a selector for each question
        self._arrivals.register(self._pipe.fileno(), select.POLLIN)
        try:
            self.new_term: int | None = self._receive(START_SECONDS)
            self._queries = open_store(spec.store).open_queries()
        except BaseException:
            self._child.kill()
            self._end()
            raise

    @property
    def queries(self) -> Queries:
        """What is committed, over a connection of our own."""
        return self._queries

    @property
    def reports_at(self) -> int:
        """The descriptor of our end of the socket pair."""
        return self._pipe.fileno()

    def _send(self, verb: str, value: object) -> None:
        if self._broken is not None:
            raise self._broken
        try:
            self._pipe.send_bytes(_pack(verb, value))
        except BaseException as error:  # half a message may be sent: nothing after it could be read
            raise self._lost_by(error) from error

    def _has_arrived(self, timeout: float | None) -> bool:
        return bool(self._arrivals.poll(None if timeout is None else timeout * 1_000))

    def _receive(self, timeout: float | None = None) -> Any:
        if self._broken is not None:
            raise self._broken
        try:
            answer = self._message(timeout)
        except BaseException as error:  # as above; an interruption, too, leaves the answer unread
            raise self._lost_by(error) from error
        if isinstance(answer, Exception):
            self._broken = answer
            raise answer
        return answer

    def _message(self, timeout: float | None) -> Any:
        if not self._has_arrived(timeout):
            raise TimeoutError
        return _unpack(self._pipe.recv_bytes())[1]

    def _lost_by(self, error: BaseException) -> BaseException:
        """Use the writer no more; return what to say of it, which is *error* itself when that ends this process."""
        self._broken = _lost(error)
        return self._broken if isinstance(error, Exception) else error

    def start(self, batch: Batch) -> None:
        """Hand *batch* over."""
        self._send("write", batch)
        self._started.append(batch)

    def is_done(self) -> bool:
        """Whether the oldest started batch is finished, or lost."""
        return self._broken is not None or self._has_arrived(0)

    def finish(self) -> Committed:
        """Wait for the oldest started batch."""
        chained: Chained = self._receive()
        return with_bodies(self._started.popleft(), chained)

    def index(self) -> tuple[int, int, str]:
        """Return how many entries the subject map covers, how many subjects it has, and its root."""
        self._send("index", None)
        size, subjects, root = self._receive()
        return int(size), int(subjects), str(root)

    def save_leases(self, rows: Sequence[LeaseRow], *, is_whole: bool = True) -> None:
        """Keep the leases for the next start."""
        self._send("leases", (rows, is_whole))
        self._receive()

    def trim(self, tables_before: int, answers_before: int) -> int:
        """Delete some of what is kept only for a while."""
        self._send("trim", (tables_before, answers_before))
        return int(self._receive())

    def flush_erased(self) -> bool:
        """Push deleted payloads out of the write-ahead log."""
        self._send("flush", None)
        return bool(self._receive())

    def close(self) -> None:
        """End the writer: told to when all is well, killed when it is not; then it is gone for certain."""
        self._queries.close()
        if self._broken is None:
            with contextlib.suppress(PfgovError):
                self._send("stop", None)
                if self._has_arrived(STOP_SECONDS):
                    self._receive()
        self._end()

    def _end(self) -> None:
        self._pipe.close()
        if self._broken is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(STOP_SECONDS)
                return
        self._child.kill()
        self._child.wait()
