"""What the API is made of: operations as data, the call that one receives, the answer that it gives.

Every route is one :class:`Operation` in one of the tables under :mod:`pfgov_api.routes`.  From the same tables come
the Litestar handlers, the OpenAPI document, the authorisation matrix of the tests and the reference page, so that none
of them can forget a route.  This module does not know HTTP's details: :mod:`pfgov_api.dispatcher` does.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from msgspec import Struct

from pfgov.app import visibility
from pfgov.app.hosting import Caller, Idempotency
from pfgov.core.commands import Principal
from pfgov.core.state import State
from pfgov.model import Wire
from pfgov_api.grants import Grant

if TYPE_CHECKING:
    from pfgov.app.local import LocalLedger
    from pfgov_api.service import Service

T = TypeVar("T")

Method = Literal["GET", "POST", "PATCH"]

ANYONE: Final = "anyone"
"""Access without a key: health, the OpenAPI document, the public key."""

MEMBER: Final = "member"
"""Access for any key that acts for a member; which member is checked where the command is decided."""

READERS: Final = visibility.READERS
"""Who may read about every member, every packet and every decision."""

HOLDERS: Final = READERS | {MEMBER}
"""Those, and a member's key: what it may see there is asked of :mod:`pfgov.app.visibility`."""

AUDITORS: Final = frozenset({"auditor", "operator", "admin"})
"""Who may read whole histories."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter: its JSON Schema and what it means."""

    name: str
    schema: Mapping[str, Any]
    about: str
    required: bool = False


class Call(Struct, frozen=True):
    """One request, read and checked as far as can be without knowing the operation."""

    operation: "Operation"
    service: "Service"
    principal: Principal
    request_id: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    raw: bytes
    headers: Mapping[str, str]
    url: str
    grant: Grant
    mount: str = ""
    """What stands before the paths of the API: ``/l/NAME`` where a path says that another ledger is asked."""
    at_own_host: bool = False
    """Whether the host says that another ledger is asked."""

    @property
    def site(self) -> str:
        """Where others find the server: its public URL; at a host of one ledger, that host with the URL's scheme."""
        public, host = self.service.public_url, self.headers.get("host", "localhost")
        if public is None:
            return f"http://{host}"
        return f"{public.partition('://')[0]}://{host}" if self.at_own_host else public

    def number(self, name: str, default: int) -> int:
        """Return a whole query parameter; its schema was checked."""
        text = self.query.get(name)
        return default if text is None else int(text)

    def flag(self, name: str) -> bool:
        """Return whether a query parameter is ``true``; its schema was checked."""
        return self.query.get(name) == "true"

    def several(self, name: str) -> tuple[str, ...]:
        """Return the values of a query parameter that takes several, separated by commas."""
        return tuple(filter(None, self.query.get(name, "").split(",")))

    @property
    def caller(self) -> Caller:
        """Who asks, to be told to the ledger."""
        return self.calls()

    def calls(
        self,
        idempotency: Idempotency | None = None,
        expects: Callable[[State], None] | None = None,
    ) -> Caller:
        """Who asks, with the key of the request and the state that it expects, if any."""
        return Caller(self.principal, self.request_id, idempotency, self.grant.holds, expects)

    @property
    def ledger(self) -> "LocalLedger":
        """The ledger as who asks may use it, for a thread."""
        return self.service.ledger(self.caller)

    async def read(self, do: Callable[["LocalLedger"], T]) -> T:
        """Return what *do* reads, and not for long, of the ledger as who asks may use it."""
        return await self.service.read(self.caller, do)

    async def reading(self, do: Callable[..., T], *arguments: object) -> T:
        """Return what *do* reads, perhaps for long; of one principal one such thing at a time."""
        return await self.service.reading.run(self.grant.share, do, *arguments)


class Answer(Struct, frozen=True):
    """What an operation says: a JSON value, bytes of a media type, or a stream of them."""

    body: Any = None
    status: int = 200
    media_type: str = "application/json"
    raw: bytes | None = None
    stream: AsyncIterator[bytes] | None = None
    headers: Mapping[str, str] = {}


Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One route.

    Attributes:
        name: The operation's id in the OpenAPI document.
        method: The HTTP method; GET answers HEAD as well.
        path: With parameters in braces.
        access: The rights of which one is needed, or :data:`ANYONE`.
        about: One line for the reference.
        handler: What it does.
        body: The wire model of its JSON body, for POST and PATCH.
        status: The status of success.
        answer: The name of the answer's schema in :mod:`pfgov_api.schemas`.
        parameters: Its query parameters.
        tag: The heading under which the reference shows it.
        raises: Statuses of problems besides those that every operation may give.
        writes: Whether it may change the ledger.
        is_long: Whether it is given up when its caller goes away.
        is_static: Whether it says the same of every ledger, and needs none.
        media_type: Of its answer.
        other_media_types: Of its answer where the caller asks for another format.
        media_type_status: The status of the refusal of a body that is not JSON.
    """

    name: str
    method: Method
    path: str
    access: frozenset[str] | str
    about: str
    handler: Handler
    answer: str
    body: type[Wire] | None = None
    status: int = 200
    parameters: tuple[Parameter, ...] = ()
    tag: str = "operations"
    raises: tuple[int, ...] = ()
    writes: bool = False
    is_long: bool = False
    is_static: bool = False
    body_optional: bool = False
    media_type: str = "application/json"
    other_media_types: tuple[str, ...] = ()
    media_type_status: int = 415

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """The names in braces."""
        parts = self.path.split("{")[1:]
        return tuple(part.partition("}")[0] for part in parts)

    def allows(self, rights: tuple[str, ...]) -> bool:
        """Whether *rights* include one that is needed; which member or packet it is about is looked at later."""
        if self.access == ANYONE:
            return True
        wanted = frozenset({self.access}) if isinstance(self.access, str) else self.access
        held = {MEMBER if right.startswith("member:") else right for right in rights}
        return not wanted.isdisjoint(held)
