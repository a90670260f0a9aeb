"""A writer process that is a thread, so that its storage calls can be made to fail."""

import socket
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection

from pfgov.engine.committing.process import Running, WriterSpec, serve
from pfgov.storage.port import Probe


class Threaded:
    """Looks like a child process; killing it closes the pipe and lets it finish what it is doing."""

    def __init__(self, spec: WriterSpec, pipe: Connection, probe: Probe, ours: Connection) -> None:
        self._ours = ours
        self._pipe = pipe
        self._thread = threading.Thread(target=self._run, args=(spec, probe), daemon=True)
        self._thread.start()

    def _run(self, spec: WriterSpec, probe: Probe) -> None:
        try:
            serve(spec, self._pipe, probe)
        finally:
            self._pipe.close()

    def kill(self) -> None:
        """Cut the line."""
        self._ours.close()

    def wait(self, timeout: float | None = None) -> object:
        """Return when the thread has ended."""
        self._thread.join(timeout)
        return None


def threaded(probe: Probe) -> Callable[[WriterSpec], tuple[Connection, Running]]:
    """Return a starter of writers whose storage calls *probe* watches."""

    def start(spec: WriterSpec) -> tuple[Connection, Running]:
        left, right = socket.socketpair()
        ours, theirs = Connection(left.detach()), Connection(right.detach())
        return ours, Threaded(spec, theirs, probe, ours)

    return start
