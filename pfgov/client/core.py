"""What a client says and how it reads the answers, without saying or reading anything itself.

Requests are data, answers are parsed into values or errors, and whether to try again is a pure question.  The shells
send, wait and sleep; this module knows no socket, no clock and no event loop.
"""

import importlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import quote, urlencode

from pfgov.client.receipts import ReceiptChecker
from pfgov.client.refusals import check_move, refusal
from pfgov.errors import PfgovError

RETRIED: Final = frozenset({429, 502, 503, 504})
"""Statuses after which the same request, with the same idempotency key, may be sent again."""


ENDED: Final = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
"""Statuses of packets that do not change any more."""

WAIT_SECONDS: Final = 5
"""How long a server is asked to hold one answer back: well within the time that one attempt may take."""


class UnreachableError(PfgovError):
    """No answer came within the client's patience: whether the command was recorded is not known."""

    code = "client.unreachable"
    exit_status = 4


_API_KEY: Final = re.compile("[!-~]+")
_IDEMPOTENCY_KEY: Final = re.compile("[!-~]{1,255}")

TRANSIENT: Final = (UnreachableError, TimeoutError)
"""What says nothing about the member: the server did not answer."""


class MissingExtraError(PfgovError):
    """The client's own dependency is not installed."""

    code = "client.not_installed"


def http() -> Any:
    """Return the module ``httpx2``, imported only now.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module("httpx2")
    except ImportError as error:
        raise MissingExtraError(
            "httpx2 is needed to speak HTTP", hint="install it: pip install httpx2"
        ) from error


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: method, path with its query, JSON body, and the key that lets it be repeated."""

    method: str
    path: str
    body: bytes | None = None
    key: str | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers that belong to this request.

        Raises:
            ValueError: the idempotency key is none.
        """
        headers: dict[str, str] = {}
        if self.body is not None:
            headers["Content-Type"] = "application/json"
        if self.key is not None:
            if not _IDEMPOTENCY_KEY.fullmatch(self.key):
                raise ValueError(
                    f"{self.key[:64]!r} is no idempotency key: it has 1 to 255 letters, digits and signs of ASCII,"
                    " and no space"
                )
            headers["Idempotency-Key"] = self.key
        return headers


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a command came to: its receipt, what happened, and where it left its packet or member.

    Attributes:
        receipt: The entry, its signature and position.
        events: What happened, one line an entry.
        result: Where that left the packet or member.
        replayed: Whether the same request, with the same key, was answered before.
        outcome: ``allowed``, ``denied``, ``escalated``, ``pending`` or ``unchanged``.
        reasons: The rules that keep it from going on, where rules do.
        review: What has to be reviewed, where policy wants that.
    """

    receipt: Mapping[str, Any]
    events: tuple[Mapping[str, Any], ...]
    result: Mapping[str, Any]
    replayed: bool = False
    outcome: str = "allowed"
    reasons: tuple[str, ...] = ()
    review: Mapping[str, Any] | None = None

    @property
    def position(self) -> int | None:
        """The position of the command's first entry, None when nothing changed."""
        return self.receipt.get("position")


@dataclass(frozen=True, slots=True)
class Retry:
    """When to try again: after how long, and for how long at all, in seconds."""

    first: float = 0.1
    most: float = 5.0
    patience: float = 30.0

    def pause(self, attempt: int, *, asked: str | None, spread: float) -> float:
        """Return the pause before attempt number *attempt* (1 is the first repetition).

        Args:
            attempt: Which repetition.
            asked: The ``Retry-After`` that came, in seconds, if one did.
            spread: A number in 0..1, drawn by the shell, so that clients do not come back all at once.
        """
        pause = min(self.first * float(2 ** (attempt - 1)), self.most) * (0.5 + spread / 2)
        if asked is not None and asked.isascii() and asked.isdigit():
            pause = max(pause, min(float(asked), self.most))
        return pause


def address(url: str) -> str:
    """Return *url* where it can be a server's.

    Raises:
        ValueError: it says no scheme, or another one.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} is no address of a server: it begins with http:// or https://")
    return url


def is_plain(url: str) -> bool:
    """Whether what is sent to *url* is not encrypted: no proxy of the environment may see that, nor the key in it."""
    return url.startswith("http:")


def bearer(key: str | None) -> dict[str, str]:
    """Return the header that carries an API key; what stands around it, as in a file that ends with a line, is no part.

    Raises:
        ValueError: it cannot be one: it would be sent by no connection, however often.
    """
    if key is None:
        return {}
    if not _API_KEY.fullmatch(key.strip()):
        raise ValueError(
            "that is no API key: it is one word that begins with pfgov_, as pfgov key create printed it"
        )
    return {"Authorization": f"Bearer {key.strip()}"}


@dataclass(slots=True)
class Asks:
    """Builds requests; with an anchor it asks for receipts that can be checked against it."""

    checker: ReceiptChecker = field(default_factory=ReceiptChecker)

    def write(self, method: str, path: str, body: Mapping[str, Any], key: str) -> Ask:
        """Return a request that changes something."""
        query = "?receipt=proof" if self.checker.wants_proof else ""
        return Ask(method, path + query, json.dumps(body).encode(), key)

    def ask(self, path: str, body: Mapping[str, Any], key: str | None = None) -> Ask:
        """Return a POST whose answer is not a receipt."""
        return Ask("POST", path, json.dumps(body).encode(), key)

    def read(self, path: str, **query: Any) -> Ask:
        """Return a GET; parameters that are None are left out."""
        given = {name: value for name, value in query.items() if value is not None}
        return Ask("GET", f"{path}?{urlencode(given)}" if given else path)

    def recorded(self, answer: Mapping[str, Any], headers: Mapping[str, str]) -> Recorded:
        """Return the answer to a write, its receipt checked.

        Raises:
            ReceiptError: the receipt does not hold.
        """
        receipt = answer["receipt"]
        self.checker.check(receipt)
        replayed = headers.get("idempotent-replayed") == "true"
        return Recorded(
            receipt,
            tuple(answer["events"]),
            answer["result"],
            replayed,
            outcome=answer.get("outcome", "allowed"),
            reasons=tuple(answer.get("reasons", ())),
            review=answer.get("review"),
        )


def moved(verb: str, done: Recorded) -> Recorded:
    """Return *done*, the answer to *verb*, unless it was to give a packet another owner and did not.

    Raises:
        DeniedError: nobody that was asked for may have it.
        EscalatedError: a review is wanted first.
    """
    answer = {name: getattr(done, name) for name in ("receipt", "events", "result", "outcome")}
    check_move(verb, {**answer, "reasons": done.reasons, "review": done.review})
    return done


def member_path(member_id: str, verb: str = "") -> str:
    """Return the path of a member, or of something done to it."""
    return f"/api/members/{quote(member_id, safe='')}" + (f"/{verb}" if verb else "")


def packet_path(packet_id: str, verb: str = "") -> str:
    """Return the path of a packet, or of something done to it."""
    return f"/api/packets/{quote(packet_id, safe='')}" + (f"/{verb}" if verb else "")


def value_of(status: int, content: bytes) -> Any:
    """Return the JSON value of a successful answer.

    Raises:
        ApiError: the answer is a problem, or not JSON.
    """
    try:
        value: Any = json.loads(content) if content else {}
    except (ValueError, RecursionError):  # the latter: brackets in brackets, thousands of them
        value = {"detail": f"the server answered {status} with something that is not JSON"}
        status = max(status, 500)
    if not 200 <= status < 300:
        raise refusal(status, cast("dict[str, Any]", value) if isinstance(value, dict) else {})
    return value
