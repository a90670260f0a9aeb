"""Every route there is, in one tuple."""

from typing import Final

from pfgov_api.operations import Operation
from pfgov_api.routes import (
    authzen,
    decisions,
    keeping,
    ledger,
    members,
    packets,
    policies,
    service,
)

OPERATIONS: Final[tuple[Operation, ...]] = (
    *members.OPERATIONS,
    *packets.OPERATIONS,
    *decisions.OPERATIONS,
    *policies.OPERATIONS,
    *ledger.OPERATIONS,
    *keeping.OPERATIONS,
    *authzen.OPERATIONS,
    *service.OPERATIONS,
)
"""The whole surface; the OpenAPI document, the authorisation matrix and the reference are made from it."""
