"""What several groups of routes share: running a command, and common query parameters."""

from collections.abc import Sequence
from typing import Final

from pfgov import commands as c
from pfgov.engine import Attachment, Receipt
from pfgov.engine.answers import PolicyDocument
from pfgov_api.operations import Call, Parameter
from pfgov_api.service import idempotency_of
from pfgov_api.shell import idempotency_key

RECEIPT: Final = Parameter(
    "receipt",
    {"type": "string", "enum": ["entry", "proof"]},
    "with `proof`, the receipt verifies alone",
)
FRESH: Final = Parameter(
    "fresh",
    {"type": "string", "enum": ["true", "false"]},
    "commit a new index first, so that everything is covered",
)
AFTER: Final = Parameter(
    "after", {"type": "string", "maxLength": 128}, "the `next` of the page before"
)
LIMIT: Final = Parameter(
    "limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, "page size"
)


async def run(
    call: Call,
    action: c.Action,
    attachments: Sequence[Attachment | PolicyDocument] = (),
    *,
    principal: c.Principal | None = None,
) -> Receipt:
    """Run *action* for the caller, once for each ``Idempotency-Key``.

    Raises:
        PfgovError: refused.
    """
    key = idempotency_key(call.headers)
    idempotency = None if key is None else idempotency_of(call.url, key, call.raw)
    return await call.service.submit(
        action,
        principal=principal or call.principal,
        request_id=call.request_id,
        idempotency=idempotency,
        attachments=attachments,
    )
