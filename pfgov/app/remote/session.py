"""The session with a server: it greets, asks, tries again, and turns whatever does not come back into an error.

Before a key is shown, whoever listens has to say that it is a pfgov of a version that is understood.  A write carries
an idempotency key, the same at every attempt, so that one whose answer was cut off is not done twice.  What is asked
is not known here.
"""

import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, cast

from pfgov import __version__
from pfgov.app.remote.errors import (
    NoAnswerError,
    NotPfgovError,
    ServerVersionError,
    UnreachableServerError,
    UntrustedServerError,
    refusal,
)
from pfgov.client import bounds
from pfgov.client.core import RETRIED, Ask, Retry, bearer, http, is_plain
from pfgov.client.exchange import Closing, exchange
from pfgov.errors import PfgovError

ATTEMPTS: Final = 3
"""Into how many attempts the patience is divided, where each takes as long as it may."""

EXPORT_SECONDS: Final = 600.0
"""How long a server may take to prepare an export."""

PATIENCE_SECONDS: Final = 30.0
"""For how long a server is asked unless told otherwise."""

ONCE_VARIABLE: Final = "PFGOV_IDEMPOTENCY_KEY"
"""Set to the key that an unanswered command named, so that the same command is done once."""

PROBLEM: Final = "application/problem+json"

UNKNOWN: Final = "ledger.unknown"
"""What a server of many ledgers says of a name that none of them has."""


@dataclass(frozen=True, slots=True)
class Address:
    """A server's URL, the key for it, for how many seconds to try, and the key that makes a write happen once."""

    url: str
    key: str | None = field(default=None, repr=False)
    patience: float = PATIENCE_SECONDS
    once: str | None = None


class Session(Closing):
    """A connection to one server.  Close it; or use it as a context manager."""

    def __init__(self, to: Address) -> None:
        """Prepare; nothing is sent yet.

        Raises:
            MissingExtraError: httpx2 is not installed.
        """
        self.to = to
        self._httpx = http()
        self._retry = Retry(patience=to.patience)
        http_client = self._httpx.Client(
            base_url=to.url,
            transport=self._httpx.HTTPTransport() if is_plain(to.url) else None,
            timeout=to.patience / ATTEMPTS,
            headers={
                **bounds.HEADERS,
                "User-Agent": f"pfgov/{__version__}",
                "Accept": "application/json, */*;q=0.5",
            },
        )
        self._http = bounds.bounded(self._httpx, http_client)

    def greet(self) -> None:
        """See that a pfgov listens that is understood; no key is sent.

        Raises:
            PfgovError: ``server.*``.
        """
        answer = self._exchange(Ask("GET", "/api/health/live"), {}, is_first=True)
        body = _json(answer) if answer.status_code == 200 else None
        if answer.status_code == 404 and _code(answer) == UNKNOWN:
            raise self._refused(answer)
        if not isinstance(body, dict):
            raise self._stranger(answer)
        found = cast("dict[str, object]", body)
        version = found.get("version")
        if found.get("status") != "live" or not isinstance(version, str):
            raise self._stranger(answer)
        if series(version) != series(__version__):
            raise ServerVersionError(
                f"the server at {self.to.url} is pfgov {version[:40]}, and this is {__version__}",
                hint=f"use the command line of the checkout or the wheel of {version[:40]}",
            )

    def ask(self, ask: Ask) -> Any:
        """Return the JSON value that the server answers to *ask*.

        Raises:
            PfgovError: refused, as over a folder; or ``server.*``.
        """
        return _json(self.raw(ask))

    def raw(self, ask: Ask) -> Any:
        """Return the whole answer to *ask*.

        Raises:
            PfgovError: as :meth:`ask`.
        """
        answer = self._exchange(ask, bearer(self.to.key))
        if not 200 <= answer.status_code < 300:
            raise self._refused(answer)
        return answer

    def draw_key(self) -> str:
        """Return the idempotency key of a new write: the one that was named, or one of its own."""
        return self.to.once or uuid.uuid4().hex

    def write(self, method: str, path: str, body: bytes) -> Any:
        """Return what the server answers to a write, done once however often it has to be sent.

        Raises:
            PfgovError: as :meth:`ask`.
        """
        return self.ask(Ask(method, path, body, self.draw_key()))

    @contextmanager
    def stream(self, path: str) -> Generator[Any]:
        """Give a long answer as it comes.

        Raises:
            PfgovError: as :meth:`ask`.
        """
        httpx, headers = self._httpx, bearer(self.to.key)
        timeout = httpx.Timeout(self.to.patience, read=max(EXPORT_SECONDS, self.to.patience))
        try:
            with self._http.stream(
                "GET", path, headers=headers, timeout=timeout, extensions=bounds.LONG
            ) as answer:
                if answer.status_code != 200:
                    answer.read()
                    raise self._refused(answer)
                yield answer
        except httpx.TransportError as error:
            raise self._lost(error, Ask("GET", path)) from error

    def _exchange(self, ask: Ask, headers: Mapping[str, str], *, is_first: bool = False) -> Any:
        """Return the answer to *ask*, asked again while that may help and patience lasts."""
        made = exchange(
            self._http,
            self._httpx.TransportError,
            ask,
            self._retry,
            headers=headers,
            final=self._httpx.ConnectError if is_first else (),
        )
        if made.answer is None:
            raise self._lost(made.error, ask) from made.error
        if not made.is_answered:
            raise self._refused(made.answer)
        return made.answer

    # --- what went wrong -----------------------------------------------------------------

    def _refused(self, answer: Any) -> PfgovError:
        """Return the error that an answer is."""
        media = str(answer.headers.get("content-type", "")).partition(";")[0].strip()
        body = _json(answer) if media == PROBLEM else None
        if isinstance(body, dict) and "code" in body:
            problem = cast("dict[str, Any]", body)
            if problem["code"] == "http.not_found" and answer.status_code == 404:
                return ServerVersionError(
                    f"the server at {self.to.url} does not know {answer.request.url.path[:200]}",
                    hint="bring the server and this command line to the same version",
                )
            return refusal(answer.status_code, problem, answer.headers.get("retry-after"))
        if answer.status_code in RETRIED:
            return NoAnswerError(
                f"{self.to.url} answers {answer.status_code}, and no pfgov server behind it does",
                hint="is the server up, and does whatever stands before it reach it?",
            )
        return self._stranger(answer)

    def _stranger(self, answer: Any) -> PfgovError:
        """Return the error for an answer that no pfgov gives."""
        location = answer.headers.get("location")
        if location is not None and 300 <= answer.status_code < 400:
            return NotPfgovError(
                f"{self.to.url} sends elsewhere: {str(location)[:200]}",
                hint="name the server itself with --url",
            )
        return NotPfgovError(
            f"what answers at {self.to.url} is not a pfgov server (status {answer.status_code})",
            hint="check the address and its port: --url, or PFGOV_URL",
        )

    def _lost(self, error: Any, ask: Ask) -> PfgovError:
        """Return the error for an answer that did not come."""
        said = str(error)[:200] or type(error).__name__
        if "CERTIFICATE" in said.upper():
            return UntrustedServerError(
                f"{self.to.url} does not prove who it is: {said}",
                hint="name the authority that signed its certificate: SSL_CERT_FILE=ca.pem",
            )
        if "SSL" in said.upper():
            return UntrustedServerError(
                f"{self.to.url} does not speak TLS: {said}",
                hint="is that the port for https, and is a certificate set up there?",
            )
        if isinstance(error, self._httpx.ConnectError | self._httpx.ConnectTimeout):
            return UnreachableServerError(
                f"nothing answers at {self.to.url}: {said}",
                hint="is it running (pfgov serve), and is the address right: --url, or PFGOV_URL?",
            )
        hint = "ask again; to wait longer: PFGOV_TIMEOUT=SECONDS"
        doubt = ""
        if ask.key is not None:
            doubt = "; whether it was done is not known"
            hint = f"the same command again is done once with {ONCE_VARIABLE}={ask.key}"
        return NoAnswerError(f"no answer from {self.to.url}: {said}{doubt}", hint=hint)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def series(version: str) -> tuple[str, ...]:
    """Return what two versions have in common that understand each other: the major, before 1.0 the minor, too.

    >>> series("0.4.2"), series("3.1.0")
    (('0', '4'), ('3',))
    """
    parts = tuple(version.split("."))
    return parts[:2] if parts[0] == "0" else parts[:1]


def _code(answer: Any) -> object:
    """Return the code of the problem that *answer* is; None if it is none."""
    media = str(answer.headers.get("content-type", "")).partition(";")[0].strip()
    body = _json(answer) if media == PROBLEM else None
    return cast("dict[str, object]", body).get("code") if isinstance(body, dict) else None


def _json(answer: Any) -> Any:
    try:
        return answer.json()
    except (ValueError, RecursionError):
        return None
