"""What several groups of routes share: running a command, and common query parameters."""

from collections.abc import Iterable, Sequence
from typing import Final

from pfgov import commands as c
from pfgov.engine import Attachment, Idempotency, Receipt
from pfgov.engine.answers import PolicyDocument
from pfgov.limits import INTEGER_MAX
from pfgov.model import Wire
from pfgov_api.operations import Call, Parameter
from pfgov_api.service import idempotency_of

RECEIPT: Final = Parameter(
    "receipt",
    {"type": "string", "enum": ["entry", "proof"]},
    "with `proof`, the receipt verifies alone",
)
FOLLOW: Final = Parameter(
    "follow",
    {"type": "string", "enum": ["true", "false"]},
    "let what follows from it happen before the answer, and list both: `recorded`, `as_a_result`",
)
WRITE: Final = (RECEIPT, FOLLOW)
"""The query parameters of every command."""


class Nothing(Wire):
    """A body without fields."""


TEXT: Final = "^[^\\x00-\\x1f\\x7f]*$"
"""A query parameter without control characters."""


def several(names: Iterable[str]) -> dict[str, str]:
    """Return the schema of one or more of *names*, separated by commas."""
    one = f"({'|'.join(sorted(names))})"
    return {"type": "string", "pattern": f"^{one}(,{one})*$"}


SINCE: Final = Parameter(
    "since",
    {"type": "integer", "minimum": 0, "maximum": INTEGER_MAX},
    "prove, too, that a head of this size is a prefix",
)
AFTER: Final = Parameter(
    "after",
    {"type": "string", "maxLength": 128, "pattern": "^[A-Za-z0-9][A-Za-z0-9._:@~-]*$"},
    "the `next` of the page before",
)
LIMIT: Final = Parameter(
    "limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, "page size"
)


def once(call: Call, part: int | None = None) -> Idempotency | None:
    """Return the engine's key for the caller's ``Idempotency-Key``, if there is one."""
    key = call.headers.get("idempotency-key")
    if key is None:
        return None
    return idempotency_of(call.route if part is None else f"{call.route}#{part}", key, call.raw)


async def run(
    call: Call,
    action: c.Action,
    attachments: Sequence[Attachment | PolicyDocument] = (),
    *,
    part: int | None = None,
) -> Receipt:
    """Run *action* for the caller, once for each ``Idempotency-Key`` (and *part* of a request that runs several).

    Raises:
        PfgovError: refused.
    """
    return await call.service.submit(
        action,
        principal=call.principal,
        request_id=call.request_id,
        idempotency=once(call, part),
        attachments=attachments,
    )
