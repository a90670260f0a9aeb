"""What goes into the engine and what comes back: requests, attachments, receipts.

A request is an action with everything from outside; a receipt is given only after the commit.  A refusal that was
recorded is raised as its error, which then carries the receipt.  Nothing here decides.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from pfgov import errors
from pfgov.core import events as e
from pfgov.core.canonical import canonical, canonical_principal
from pfgov.core.commands import LOCAL_OPERATOR, Action, Commitment, Principal
from pfgov.core.state import State
from pfgov.decoding import Reader
from pfgov.errors import PfgovError, TooLargeError
from pfgov.limits import CONTEXT_BYTES_MAX
from pfgov.storage.port import EntryRow
from pfgov_ledger import commitment

Entropy = Callable[[int], bytes]
"""So many random bytes: the operating system's, or a simulator's."""


VIEW: Final = "view"
"""The field that a view's commitment is bound to."""

RESULT: Final = "result"
"""The field that a result's commitment is bound to."""

CONTEXT: Final = "context"
"""The field that a context's commitment is bound to."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A payload and its salt, to be stored beside the ledger under the commitment that entries name.

    ``origin`` is the ledger for which this process made the commitment itself, so that it need not be made again to
    be believed; it is empty for one that came from elsewhere, and in every changed copy.
    """

    commitment: Commitment
    subject: str
    field: str
    salt: bytes = dataclasses.field(repr=False)
    payload: bytes = dataclasses.field(repr=False)
    parent: str | None = None
    origin: str = dataclasses.field(default="", init=False, compare=False)

    def opens(self, origin: str) -> bool:
        """Whether payload and salt are what the commitment commits to, in the ledger *origin*."""
        if self.origin == origin:
            return True
        digest = commitment.commit(
            origin=origin,
            subject=self.subject,
            field=self.field,
            salt=self.salt,
            payload=self.payload,
        )
        return digest.hex() == self.commitment.digest


def attach(
    origin: str,
    subject: str,
    field: str,
    payload: bytes,
    draw: Entropy,
    *,
    parent: str | None = None,
) -> Attachment:
    """Return *payload* with a fresh salt and the commitment that entries may name.

    Salts are drawn at the edge, before anything is decided: ``decide`` only ever sees commitments.

    Raises:
        TooLargeError: more than :data:`CONTEXT_BYTES_MAX` bytes.
    """
    if len(payload) > CONTEXT_BYTES_MAX:
        raise TooLargeError(
            f"a payload of {len(payload)} bytes is larger than {CONTEXT_BYTES_MAX}",
            hint="keep large data elsewhere and put a reference into the context",
        )
    salt = draw(commitment.SALT_BYTES)
    digest = commitment.commit(
        origin=origin, subject=subject, field=field, salt=salt, payload=payload
    )
    named = Commitment(digest=digest.hex(), size=commitment.size_bucket(len(payload)))
    made = Attachment(named, subject, field, salt, payload, parent)
    object.__setattr__(made, "origin", origin)
    return made


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A policy set's canonical bytes, to be stored under their digest (hex)."""

    digest: str
    document: bytes = dataclasses.field(repr=False)


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A key that the caller drew, bound to a digest of its whole request."""

    key: str
    digest: bytes


def always() -> bool:
    """Whether rights hold that nobody can take away meanwhile: those of whoever sits at this machine."""
    return True


def require_rights(principal: Principal, holds: Callable[[], bool]) -> None:
    """Refuse what *principal* asked for if its rights do not hold any more, now that its turn has come.

    Raises:
        GrantEndedError: they ended.
    """
    if not holds():
        raise errors.GrantEndedError(
            f"the rights of {principal.id} ended before the command was decided",
            hint="ask for a new key or token",
        )


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as which request, under which idempotency key, whether its rights still hold, and what it expects."""

    principal: Principal = LOCAL_OPERATOR
    request_id: str | None = None
    idempotency: Idempotency | None = None
    holds: Callable[[], bool] = always
    expects: Callable[[State], None] | None = None

    def require_rights(self) -> None:
        """Refuse what is asked for if the rights do not hold any more, now that its turn has come.

        Raises:
            GrantEndedError: they ended.
        """
        require_rights(self.principal, self.holds)


LOCAL: Final = Caller()
"""Whoever sits at this machine owns the files and acts as the local operator."""


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """Proof that a command was recorded: its entries, as stored, and the checkpoint that covers them.

    ``entries`` is empty when the command changed nothing.  ``replayed`` says that this is the answer to an earlier
    request with the same idempotency key.
    """

    position: int
    entries: tuple[EntryRow, ...]
    events: tuple[e.Event, ...]
    size: int
    replayed: bool = False

    @property
    def count(self) -> int:
        """The number of entries that the command made."""
        return len(self.entries)

    @property
    def end(self) -> int:
        """The position after the command's entries: where what follows from it begins."""
        return self.position + self.count if self.entries else self.size

    @property
    def entry(self) -> bytes:
        """The bytes of the first entry, which carries the command; empty when nothing changed."""
        return self.entries[0].raw if self.entries else b""

    @property
    def leaf(self) -> bytes:
        """The first entry's leaf hash."""
        return self.entries[0].leaf if self.entries else b""

    @property
    def signature(self) -> bytes:
        """The issuer's signature of the first entry."""
        return self.entries[0].signature if self.entries else b""


class Outcome(Protocol):
    """Where the caller of a request finds its receipt: a ``concurrent.futures.Future``, or what an event loop has."""

    def done(self) -> bool:
        """Whether it has one, or an error."""
        ...

    def set_result(self, result: Receipt, /) -> None:
        """Give it its receipt."""
        ...

    def set_exception(self, exception: BaseException, /) -> None:
        """Give it an error."""
        ...


class Request:
    """A command on its way through the engine: from here on its collections stand in their one order.

    ``holds`` is asked when it is decided: whether the principal still has the rights that were resolved for it;
    ``expects`` then refuses, by an error, a state that is not the one that the caller has seen.
    ``first``, ``events``, ``refusal`` and ``error`` are set while it is decided; ``joined`` asked the same.
    """

    __slots__ = (
        "action", "attachments", "command_id", "error", "events", "expects", "first", "holds", "idempotency",
        "joined", "outcome", "principal", "refusal", "request_id",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913 - everything that a request has
        self,
        action: Action,
        principal: Principal,
        request_id: str | None = None,
        idempotency: Idempotency | None = None,
        attachments: Sequence[Attachment | PolicyDocument] = (),
        *,
        command_id: str = "",
        outcome: Outcome | None = None,
        holds: Callable[[], bool] = always,
        expects: Callable[[State], None] | None = None,
    ) -> None:
        self.holds = holds
        self.expects = expects
        self.action = canonical(action)
        self.principal = canonical_principal(principal)
        self.request_id = request_id
        self.idempotency = idempotency
        self.attachments = attachments
        self.command_id = command_id
        self.outcome: Outcome = outcome or _future()
        self.first = -1
        self.events: tuple[e.Event, ...] = ()
        self.refusal: PfgovError | None = None
        self.error: Exception | None = None
        self.joined: tuple[Request, ...] = ()

    def require_rights(self) -> None:
        """Refuse a command whose caller lost its rights since it was sent.

        Raises:
            GrantEndedError: they ended.
        """
        require_rights(self.principal, self.holds)

    def reset(self) -> None:
        """Forget what was decided, so that it can be decided again."""
        self.first, self.events, self.refusal, self.error = -1, (), None, None

    def answer(self, receipt: Receipt) -> None:
        """Give the caller, and everybody who asked the same, the receipt or the recorded refusal."""
        for request in (self, *self.joined):
            mine = receipt if request is self else _again(receipt)
            if request.outcome.done():
                continue
            if self.refusal is not None:
                self.refusal.receipt = mine
                request.fail(self.refusal)
            else:
                request.outcome.set_result(mine)

    def fail(self, error: BaseException) -> None:
        """Give the caller, and everybody who asked the same, an error."""
        for request in (self, *self.joined):
            if not request.outcome.done():
                request.outcome.set_exception(error)


def _future() -> Outcome:
    """Return what a thread waits for; whoever only reads needs none."""
    from concurrent.futures import Future

    return Future[Receipt]()


class UnderWay:
    """Requests that are decided and not committed, by their idempotency keys: a second one joins the first."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str], Request] = {}

    def add(self, request: Request) -> None:
        """Let others join *request*, if it has a key."""
        if request.idempotency is not None:
            self._requests[request.principal.id, request.idempotency.key] = request

    def remove(self, request: Request) -> None:
        """Let nobody join *request* any more; a later one may be under way with the same key."""
        key = request.idempotency
        if key is not None and self._requests.get((request.principal.id, key.key)) is request:
            del self._requests[request.principal.id, key.key]

    def clear(self) -> None:
        """Let nobody join any."""
        self._requests.clear()

    def join(self, request: Request, key: Idempotency) -> bool | None:
        """Join the request that is under way with *key*; None where there is none, False where it is another."""
        found = self._requests.get((request.principal.id, key.key))
        if found is None or found.idempotency is None:
            return None
        if found.idempotency.digest != key.digest:
            return False
        found.joined = (*found.joined, request)
        return True


def _again(receipt: Receipt) -> Receipt:
    """Return *receipt* as the answer to a later request with the same key."""
    return Receipt(receipt.position, receipt.entries, receipt.events, receipt.size, replayed=True)


class _StoredRefusal(msgspec.Struct, omit_defaults=True):
    kind: str
    code: str
    message: str
    hint: str | None = None
    pointer: str | None = None


_REFUSAL: Final = Reader[_StoredRefusal](_StoredRefusal)


def encode_refusal(error: PfgovError) -> bytes:
    """Return what is stored of a recorded refusal, so that the same key gets the same answer."""
    return msgspec.json.encode(
        _StoredRefusal(type(error).__name__, error.code, error.message, error.hint, error.pointer)
    )


def decode_refusal(raw: bytes) -> PfgovError:
    """Return the refusal that :func:`encode_refusal` stored.

    Raises:
        msgspec.DecodeError: it never stored this.
    """
    stored = _REFUSAL.decode(raw)
    named: object = getattr(errors, stored.kind, None)
    found: Any = named if isinstance(named, type) and issubclass(named, PfgovError) else PfgovError
    error: PfgovError = found.__new__(found)
    PfgovError.__init__(
        error, stored.message, code=stored.code, hint=stored.hint, pointer=stored.pointer
    )
    return error
