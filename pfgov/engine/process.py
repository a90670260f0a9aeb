"""The committing side in a process of its own: it signs and writes one batch while the next is decided.

A thread would gain nothing, because it shares the interpreter lock; a process boundary does.  What makes it sound: the
writer fences itself, so that nothing decided on top of a failed batch is ever written; answers follow their own commit;
reads come from a connection of their own and see only what is committed; signatures of a failed commit never leave the
writer.  When anything goes wrong here the process is killed and waited for, and only then is the store opened again.

The protocol is one message each way per request, over a socket pair between two processes of one program: MessagePack
for batches and what they became, which is nearly everything, and pickles for the rest.
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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final, Protocol

import msgspec

from pfgov.clock import SystemClock
from pfgov.engine.batch import Batch, Committed
from pfgov.engine.signing import KeySources
from pfgov.engine.writer import Writer
from pfgov.errors import PfgovError, StoreError
from pfgov.storage.connections import open_reader
from pfgov.storage.queries import Queries
from pfgov.storage.writing import Probe

START_SECONDS: Final = 60.0
"""How long the writer may take to open the ledger."""

STOP_SECONDS: Final = 30.0
"""How long it may take to end when it is told to; then it is killed."""

_SWITCH_SECONDS: Final = 0.000_5
"""Interpreter switch interval in the writer: its receiving thread is short-lived but must not wait 5 ms each time."""


class WriterLostError(StoreError):
    """The writer process is gone; what became of its last batch is found in the store."""

    code = "store.writer_lost"


@dataclass(frozen=True, slots=True)
class WriterSpec:
    """What the writer process needs to open the ledger.  Keys are opened there, from their URIs."""

    sources: KeySources
    must_exist: bool
    sync_head: bool


# --- messages -----------------------------------------------------------------------------

_BATCH: Final = b"b"
_COMMITTED: Final = b"c"
_OTHER: Final = b"o"

_encode: Final = msgspec.msgpack.Encoder().encode
_to_batch: Final = msgspec.msgpack.Decoder(Batch).decode
_to_committed: Final = msgspec.msgpack.Decoder(Committed).decode


def _pack(verb: str, value: object) -> bytes:
    if isinstance(value, Batch):
        return _BATCH + _encode(value)
    if isinstance(value, Committed):
        return _COMMITTED + _encode(value)
    return _OTHER + pickle.dumps((verb, value), pickle.HIGHEST_PROTOCOL)


def _unpack(message: bytes) -> tuple[str, Any]:
    kind, rest = message[:1], memoryview(message)[1:]
    if kind == _BATCH:
        return "write", _to_batch(rest)
    if kind == _COMMITTED:
        return "answer", _to_committed(rest)
    verb, value = pickle.loads(rest)  # noqa: S301 - from our own parent or child, over a private socket pair
    return verb, value


# --- in the writer process ----------------------------------------------------------------

_DO: Final[Mapping[str, Callable[[Writer, Any], object]]] = {
    "write": lambda writer, batch: writer.write(batch),
    "index": lambda writer, _: writer.index(),
    "leases": lambda writer, rows: writer.store.write_leases(rows),
    "trim": lambda writer, kept: writer.store.trim(tables_before=kept[0], answers_before=kept[1]),
    "flush": lambda writer, _: writer.store.flush_erased(),
    "stop": lambda _writer, _: None,
}
"""What the writer does, by the verb it is sent."""


def serve(spec: WriterSpec, pipe: Connection, probe: Probe | None = None) -> None:
    """Open the ledger, then answer one request after the other until told to stop or the other side is gone."""
    try:
        writer = Writer(
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
    threading.Thread(target=_receive, args=(pipe, requests), daemon=True).start()
    try:
        pipe.send_bytes(_pack("answer", "ready"))
        while (message := requests.get()) is not None:
            verb, value = _unpack(message)
            pipe.send_bytes(_pack("answer", _answer(writer, verb, value)))
            if verb == "stop":
                break
    except OSError:
        pass  # the parent is gone, and with it everybody who could be answered
    finally:
        writer.close()


def _receive(pipe: Connection, requests: "queue.SimpleQueue[bytes | None]") -> None:
    """Take requests in while the writer is busy, so that the other side never waits to hand one over."""
    try:
        while True:
            requests.put(pipe.recv_bytes())
    except (EOFError, OSError):
        requests.put(None)


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
    pipe = Connection(handle)
    serve(pipe.recv(), pipe)


# --- in the engine's process --------------------------------------------------------------


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
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    code = f"from pfgov.engine.process import main; main({theirs.fileno()})"
    try:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter, our own code
            [sys.executable, "-c", code], pass_fds=[theirs.fileno()], env=environment
        )
    except OSError as error:
        ours.close()
        raise WriterLostError(f"the writer process cannot be started: {error}") from error
    finally:
        theirs.close()
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
        self._arrivals = select.poll()  # kept: a Connection makes a selector for each question
        self._arrivals.register(self._pipe.fileno(), select.POLLIN)
        try:
            self._receive(START_SECONDS)
            database = spec.sources.layout.database
            self._queries = Queries(open_reader(database), database)
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
        except OSError as error:
            self._broken = WriterLostError("the writer process is gone")
            raise self._broken from error

    def _has_arrived(self, timeout: float | None) -> bool:
        return bool(self._arrivals.poll(None if timeout is None else timeout * 1_000))

    def _receive(self, timeout: float | None = None) -> Any:
        if self._broken is not None:
            raise self._broken
        try:
            if not self._has_arrived(timeout):
                raise TimeoutError
            _, answer = _unpack(self._pipe.recv_bytes())
        except (EOFError, OSError) as error:
            self._broken = WriterLostError("the writer process is gone")
            raise self._broken from error
        if isinstance(answer, Exception):
            self._broken = answer
            raise answer
        return answer

    def start(self, batch: Batch) -> None:
        """Hand *batch* over."""
        self._send("write", batch)

    def is_done(self) -> bool:
        """Whether the oldest started batch is finished, or lost."""
        return self._broken is not None or self._has_arrived(0)

    def finish(self) -> Committed:
        """Wait for the oldest started batch."""
        committed: Committed = self._receive()
        return committed

    def index(self) -> tuple[int, str]:
        """Return the number of subjects and the root of their map."""
        self._send("index", None)
        subjects, root = self._receive()
        return int(subjects), str(root)

    def save_leases(self, rows: Sequence[tuple[str, int, int, int]]) -> None:
        """Keep the leases for the next start."""
        self._send("leases", rows)
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
        self._queries.connection.close()
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
