"""A relay in front of a server that can be cut, or held: nothing goes through any more, and nobody is told.

Cut, connections end, as when the other machine is gone.  Held, they stay and nothing comes, as on a network that loses
every packet; what was under way arrives when that is over.
"""

import contextlib
import selectors
import socket
import threading


class Relay:
    """Forwards connections to a port of this machine, until it is cut; and again when it is mended.

    To several ports it forwards in turn, and passes over one where nobody listens, as a balancer does.
    """

    def __init__(self, *targets: int) -> None:
        self._targets = list(targets)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._peers: dict[socket.socket, socket.socket] = {}
        self._is_cut = threading.Event()
        self._is_held = threading.Event()
        self._takes_nobody = threading.Event()
        self._unheard: list[socket.socket] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Let nothing through."""
        self._is_cut.set()

    def hold(self) -> None:
        """Let nothing through, and end nothing."""
        self._is_held.set()

    def hold_new(self) -> None:
        """Let nothing through that connects from now on; what is connected goes on."""
        self._takes_nobody.set()

    def mend(self) -> None:
        """Let everything through again; connections from before a cut are gone."""
        self._is_cut.clear()
        self._is_held.clear()
        self._takes_nobody.clear()

    def lead_to(self, target: int) -> None:
        """Forward what connects from now on to another port."""
        self._targets = [target]

    def close(self) -> None:
        """End."""
        self._is_over.set()
        self._thread.join()
        for one in (*self._peers, *self._unheard, self._listener):
            one.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._is_over.is_set():
            if self._is_held.is_set() and not self._is_cut.is_set():
                self._is_over.wait(0.05)
                continue
            ready = self._selector.select(0.05)
            if self._is_cut.is_set():
                for one in list(self._peers):
                    self._drop(one)  # what was under way is lost
                self._is_over.wait(0.05)
                continue
            for key, _ in ready:
                self._serve(key.fileobj)  # type: ignore[arg-type]

    def _serve(self, found: socket.socket) -> None:
        if found is self._listener:
            near, _ = found.accept()
            if self._takes_nobody.is_set():
                self._unheard.append(near)
                return
            far = self._reached()
            if far is None:
                near.close()
                return
            for one, other in ((near, far), (far, near)):
                self._peers[one] = other
                self._selector.register(one, selectors.EVENT_READ)
        elif found in self._peers:
            try:
                piece = found.recv(65_536)
                if piece:
                    self._peers[found].sendall(piece)
                    return
            except OSError:
                pass
            self._drop(found)

    def _reached(self) -> socket.socket | None:
        """Return a connection to whose turn it is, or to the next one that listens."""
        for _ in self._targets:
            target = self._targets.pop(0)
            self._targets.append(target)
            with contextlib.suppress(OSError):
                return socket.create_connection(("127.0.0.1", target), timeout=5)
        return None

    def _drop(self, found: socket.socket) -> None:
        other = self._peers.pop(found, None)
        for one in filter(None, (found, other)):
            self._peers.pop(one, None)
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(one)
            one.close()
