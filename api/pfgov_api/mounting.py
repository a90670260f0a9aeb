"""Which ledger's service answers a request, once it is known what is asked.

One application answers for every ledger: what stands before it (:mod:`pfgov_api.named`) says in the request's scope
which one is meant, and takes the prefix off the path.  A request without such a mark is the default ledger's.
"""

from typing import Any, Final, cast

from litestar import Request
from litestar.exceptions import NotFoundException

from pfgov_api.operations import Operation
from pfgov_api.service import Service

SERVICE: Final = "pfgov.service"
"""Where the scope of a request names the service that is to answer it; absent where the ledger rests."""

MOUNT: Final = "pfgov.mount"
"""Where it says what stands before the paths of the API: ``/l/NAME``."""

PREFIX: Final = "/l/"


def mount_of(request: Request[Any, Any, Any]) -> str:
    """Return what stands before the paths of the API; nothing for the default ledger."""
    mount: str = cast("dict[str, Any]", request.scope).get(MOUNT, "")
    return mount


def ledger_of(request: Request[Any, Any, Any]) -> str | None:
    """Return the name of the ledger that is asked; None for the default one."""
    return mount_of(request).removeprefix(PREFIX) or None


def service_of(request: Request[Any, Any, Any], operation: Operation, default: Service) -> Service:
    """Return the service that answers *request*.

    Raises:
        NotFoundException: the ledger rests, and without it this cannot be answered.
    """
    scope = cast("dict[str, Any]", request.scope)
    if MOUNT not in scope:
        return default
    service: Service | None = scope.get(SERVICE)
    if service is None and not operation.is_static:
        raise NotFoundException
    return service or default
