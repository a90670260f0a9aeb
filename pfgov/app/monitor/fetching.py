"""Reading from a server that may be hostile: bounded answers, a deadline for each, nothing followed elsewhere.

An answer is bytes, or nothing where there is nothing at that path; everything else is an error of the way there, and
says nothing about the log.  What the bytes mean is not known here.
"""

import http.client
import json
import socket
import time
from collections.abc import Callable
from typing import Final, NoReturn, cast
from urllib.parse import urlsplit

from pfgov import __version__
from pfgov.app.remote.errors import (
    NoAnswerError,
    NotPfgovError,
    UnreachableServerError,
    UntrustedServerError,
)
from pfgov.app.remote.session import Address
from pfgov.deadlines import TimedConnection, timed
from pfgov.errors import ForbiddenError

Fetch = Callable[[str, int], bytes | None]
"""(path below the server's URL, the longest answer in bytes) -> the answer; None if there is nothing there.

Raises ServerError where no answer can be had, and ForbiddenError where it is refused.
"""

_PIECE: Final = 65_536
_SAID_MAX: Final = 300


class Fetcher:
    """One connection to one server, made again when it breaks.  Close it."""

    def __init__(self, to: Address) -> None:
        self._to = to
        parts = urlsplit(to.url)
        self._host, self._port = parts.hostname or "", parts.port
        self._prefix = parts.path.rstrip("/")
        self._is_secure = parts.scheme == "https"
        self._connection: TimedConnection | None = None

    def __call__(self, path: str, most: int) -> bytes | None:
        """Fetch *path*; see :data:`Fetch`."""
        due = time.monotonic() + self._to.patience
        is_fresh = self._connection is None
        while True:
            connection = self._connection or self._connect()
            connection.due = due
            try:
                return self._ask(connection, path, most)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if is_fresh or time.monotonic() >= due:
                    self._refuse(error)
                is_fresh = True  # a connection that was kept may have ended meanwhile: once more

    def _connect(self) -> TimedConnection:
        self._connection = timed(
            self._host, self._port, self._to.patience, is_secure=self._is_secure
        )
        return self._connection

    def _ask(self, connection: TimedConnection, path: str, most: int) -> bytes | None:
        headers = {"User-Agent": f"pfgov/{__version__}", "Accept-Encoding": "identity"}
        if self._to.key is not None:
            headers["Authorization"] = f"Bearer {self._to.key}"
        connection.request("GET", f"{self._prefix}/{path}", headers=headers)
        with connection.getresponse() as answer:
            body = _read(answer, most)
        if answer.status == 200:
            if body is None:
                self.close()
                raise NotPfgovError(f"{self._to.url}/{path} is longer than {most} bytes")
            return body
        if body is None:
            self.close()
        if answer.status in {404, 410}:
            return None
        if answer.status in {401, 403}:
            raise ForbiddenError(
                f"{self._to.url} answers {answer.status} for {path}{_reason(body)}",
                hint="to read the whole log a key with the scope auditor is needed, in PFGOV_API_KEY",
            )
        if answer.status in {429, 500, 502, 503, 504}:
            raise NoAnswerError(f"{self._to.url} answers {answer.status} for {path}")
        raise NotPfgovError(f"{self._to.url} answers {answer.status} for {path}")

    def _refuse(self, error: Exception) -> NoReturn:
        said = str(error)[:200] or type(error).__name__
        if "SSL" in said.upper() or "CERTIFICATE" in said.upper():
            raise UntrustedServerError(f"{self._to.url} does not prove who it is: {said}") from None
        if isinstance(error, ConnectionRefusedError | socket.gaierror):
            raise UnreachableServerError(
                f"nothing answers at {self._to.url}: {said}",
                hint="is it running (pfgov serve), and is the address right: --url, or PFGOV_URL?",
            ) from None
        raise NoAnswerError(f"no answer from {self._to.url}: {said}") from None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _read(answer: http.client.HTTPResponse, most: int) -> bytes | None:
    """Read a body of at most *most* bytes; None if it is longer."""
    found = bytearray()
    while piece := answer.read1(_PIECE):
        found += piece
        if len(found) > most:
            return None
    if answer.length:
        raise http.client.IncompleteRead(bytes(found), answer.length)
    return bytes(found)


def _reason(body: bytes | None) -> str:
    """Return what a pfgov server says of a refusal, to be shown; nothing where it is not one's answer.

    A rule at ``export`` denies a monitor's key with ``policy.denied``: then no other key helps but one that it lets.
    """
    try:
        said: object = json.loads(body or b"")
    except (ValueError, RecursionError):
        return ""
    if not isinstance(said, dict):
        return ""
    problem = cast("dict[str, object]", said)
    code, detail = problem.get("code"), problem.get("detail")
    if not isinstance(code, str) or not isinstance(detail, str):
        return ""
    text = f"{detail[:_SAID_MAX]} [{code[:64]}]"
    return f": {''.join(character if character.isprintable() else '?' for character in text)}"
