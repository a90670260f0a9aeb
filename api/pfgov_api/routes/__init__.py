"""Every route there is, in one tuple."""

from functools import cache
from typing import Any, Final

from pfgov_api import openapi
from pfgov_api.operations import Operation
from pfgov_api.routes import (
    authzen,
    decisions,
    insights,
    keeping,
    ledger,
    ledgers,
    members,
    overviews,
    packets,
    policies,
    service,
)


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document of every route.  Treat it as read-only."""
    return openapi.document(OPERATIONS)


OPERATIONS: Final[tuple[Operation, ...]] = (
    *members.OPERATIONS,
    *packets.OPERATIONS,
    *decisions.OPERATIONS,
    *policies.OPERATIONS,
    *ledger.OPERATIONS,
    *keeping.OPERATIONS,
    *authzen.OPERATIONS,
    *insights.OPERATIONS,
    *service.operations(document),
    *ledgers.OPERATIONS,
    *overviews.operations(lambda: OPERATIONS),
)
"""The whole surface; the OpenAPI document, the authorisation matrix and the reference are made from it."""
