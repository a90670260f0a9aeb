"""What a server answers before a turn that does not begin: that it lives, and that the rest has to wait.

A server that starts, takes the lead, or gives it away, opens an engine.  That may take as long as a database is silent,
and whoever watches over processes would end one that says nothing.  So a thread of its own answers meanwhile, at the
sockets that stay; when all goes well, the turn begins before that thread has said anything.  This module knows no
ledger, for there is none at hand.
"""

import contextlib
import secrets
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import msgspec
import uvicorn

from pfgov import __version__
from pfgov.errors import StoreUnavailableError
from pfgov_api.connections import uvicorn_config
from pfgov_api.forwarding import LIVE
from pfgov_api.outgoing import refusal, request_id_of
from pfgov_api.replies import Reply

SAID_AFTER_SECONDS: Final = 1.0
"""How long whoever asks waits for the next turn; from then on everybody is told that it has not come."""

CONNECTIONS_MAX: Final = 100
"""Connections; there is nothing to be had but a status, and who says nothing makes room for who asks."""


class Interim:
    """Answers at *sockets* from a second after :meth:`begin` until :meth:`end`."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self._sockets = sockets
        self._gate = threading.Lock()
        self._thread: threading.Thread | None = None
        self._over = threading.Event()
        self._server: uvicorn.Server | None = None

    def __enter__(self) -> Self:
        """Begin: the first turn, too, may be long in coming."""
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self.end()

    def begin(self) -> None:
        """Begin, soon; where no thread can be had, whoever asks waits."""
        if self._thread is None and self._sockets:
            self._over.clear()
            thread = threading.Thread(target=self._run, name="interim", daemon=True)
            with contextlib.suppress(RuntimeError):
                thread.start()
                self._thread = thread

    def end(self) -> None:
        """Answer nobody any more; the next turn does."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with self._gate:
            self._over.set()
            if self._server is not None:
                self._server.should_exit = True
        thread.join()

    def _run(self) -> None:
        if self._over.wait(SAID_AFTER_SECONDS):
            return
        config = uvicorn_config(
            answer,
            _draw_id,
            connections_max=CONNECTIONS_MAX,
            timeout_graceful_shutdown=1,
            lifespan="off",
        )
        server = uvicorn.Server(config)
        with self._gate:
            if self._over.is_set():
                return
            self._server = server
        try:
            server.run(sockets=[one.dup() for one in self._sockets])
        except OSError:
            pass  # the sockets are closed: the end has come, or no descriptor is left for a copy
        finally:
            self._server = None


def _draw_id() -> str:
    return secrets.token_hex(13)


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Answer one request, whatever it is; its connection ends with it."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    reply = reply_to(scope["method"], scope["path"], headers)
    reply.is_head = scope["method"] == "HEAD"
    reply.headers["connection"] = "close"
    await reply(scope, receive, send)


def reply_to(method: str, path: str, headers: Mapping[str, str]) -> Reply:
    """Return what is said to a request: a process that is asked whether it lives says so, in the words of the route."""
    request_id = request_id_of(_draw_id, headers)
    if path == LIVE and method in {"GET", "HEAD"}:
        reply = Reply(200, msgspec.json.encode({"status": "live", "version": __version__}))
    else:
        waits = StoreUnavailableError(
            "this server begins, or changes between leading the ledger and standing by, and its database does not "
            "answer",
            hint="ask again in a moment, or ask another server of the ledger",
        )
        reply = refusal(waits, request_id)
    reply.headers["x-request-id"] = request_id.sent
    return reply
