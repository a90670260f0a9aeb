"""Who answers a request: which ledger's service, and which operation, where that can be told without Litestar.

One application answers for every ledger: what stands before it (:mod:`pfgov_api.named`) says in the request's scope
which one is meant, and takes the prefix off the path, if a path said so.  A request without such a mark is the default
ledger's.

Litestar finds a route, builds a request and passes an answer through its layers; that took a tenth of a write's time.
A request whose method and path name one operation, and can name no other, goes to that directly; everything else, and
whatever goes wrong before it is reached, is Litestar's.  A test compares both for every route.  No operation is known
here by name.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import Any, Final, Protocol, cast

from litestar.exceptions import NotFoundException
from litestar.types import ASGIApp, Receive, Scope, Send

from pfgov_api.operations import Operation
from pfgov_api.service import Service

SERVICE: Final = "pfgov.service"
"""Where the scope of a request names the service that is to answer it; absent where the ledger rests."""

LEDGER: Final = "pfgov.ledger"
"""Where it names the ledger that is asked; absent for the default one."""

MOUNT: Final = "pfgov.mount"
"""Where it says what stands before the paths of the API: ``/l/NAME``, or nothing where the host names the ledger."""

PREFIX: Final = "/l/"


class Asgi(Protocol):
    """What an operation needs of a request; Litestar's is one."""

    @property
    def scope(self) -> Any:
        """What ASGI says of it."""
        ...

    @property
    def receive(self) -> Any:
        """Gives its body, and says when the caller has gone."""
        ...


def mount_of(request: Asgi) -> str:
    """Return what stands before the paths of the API; nothing for the default ledger, and at a ledger's own host."""
    mount: str = cast("dict[str, Any]", request.scope).get(MOUNT, "")
    return mount


def ledger_of(request: Asgi) -> str | None:
    """Return the name of the ledger that is asked; None for the default one."""
    name: str | None = cast("dict[str, Any]", request.scope).get(LEDGER)
    return name


def service_of(request: Asgi, operation: Operation, default: Service) -> Service:
    """Return the service that answers *request*.

    Raises:
        NotFoundException: the ledger rests, and without it this cannot be answered.
    """
    scope = cast("dict[str, Any]", request.scope)
    if LEDGER not in scope:
        return default
    service: Service | None = scope.get(SERVICE)
    if service is None and not operation.is_static:
        raise NotFoundException
    return service or default


# --- without Litestar -----------------------------------------------------------------------

_HOST: Final = re.compile(rb"[A-Za-z0-9.:\[\]-]+")
"""A host that Litestar lets pass."""

_NAMED_AT: Final = 3
"""Which part of ``/api/packets/ID/assign`` is an id."""


class Routes:
    """Which operation a method and a path are about, as far as that can be told from looking them up."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        """Take every operation that there is."""
        self._plain: set[str] = set()
        self._found: dict[tuple[str, str], tuple[Operation, str | None]] = {}
        for one in operations:
            parts = one.path.split("/")
            names = one.path_parameters
            if not names:
                self._plain.add(one.path)
                self._found[one.method, one.path] = one, None
            elif len(names) == 1 and parts[_NAMED_AT] == f"{{{names[0]}}}":
                self._found[one.method, _starred(parts)] = one, names[0]

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """Return the operation, and the parameters in its path; None where Litestar has to say."""
        if path in self._plain:
            exact = self._found.get((method, path))
            return None if exact is None else (exact[0], {})
        parts = path.split("/")
        if len(parts) <= _NAMED_AT or not all(parts[1:]):
            return None
        named = self._found.get((method, _starred(parts)))
        if named is None or named[1] is None:
            return None
        return named[0], {named[1]: parts[_NAMED_AT]}


def _starred(parts: list[str]) -> str:
    return "/".join([*parts[:_NAMED_AT], "*", *parts[_NAMED_AT + 1 :]])


class Request:
    """What an operation needs of a request, in the place of Litestar's."""

    __slots__ = ("receive", "scope")

    def __init__(self, scope: Any, receive: Any) -> None:
        self.scope = scope
        self.receive = receive


Respond = Callable[[Operation, Service, Asgi], Awaitable[ASGIApp]]
"""Returns what sends the answer of an operation."""


class Direct:
    """Before Litestar: answers what it need not see."""

    def __init__(
        self,
        app: ASGIApp,
        service: Service,
        operations: Iterable[Operation],
        respond: Respond,
        between: Callable[[Asgi, Exception], ASGIApp],
    ) -> None:
        """Take the application behind it, what answers a request, and what answers an error that nobody foresaw."""
        self.app = app
        self._service = service
        self._routes = Routes(operations)
        self._respond = respond
        self._between = between

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        asked = cast("dict[str, Any]", scope)
        found = self._find(asked) if asked["type"] == "http" else None
        if found is None:
            await self.app(scope, receive, send)
            return
        operation, service, asked["path_params"] = found
        request: Asgi = Request(scope, receive)
        try:
            reply = await self._respond(operation, service, request)
        except Exception as error:  # noqa: BLE001 - the last resort, as behind Litestar
            reply = self._between(request, error)
        await reply(scope, receive, send)

    def _find(self, scope: dict[str, Any]) -> tuple[Operation, Service, dict[str, str]] | None:
        if scope["root_path"] or not _is_host(scope["headers"]):
            return None
        found = self._routes.find(scope["method"], scope["path"])
        if found is None:
            return None
        operation, parameters = found
        if LEDGER not in scope:
            return operation, self._service, parameters
        service: Service | None = scope.get(SERVICE)
        return None if service is None else (operation, service, parameters)


def _is_host(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the first host is one that Litestar takes."""
    for name, value in headers:
        if name == b"host":
            return _looks_like_host(value)
    return False


@lru_cache(64)
def _looks_like_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None
