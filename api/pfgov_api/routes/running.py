"""What several groups of routes share: running a command, and common query parameters."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from pfgov import commands as c
from pfgov.engine import Attachment, Idempotency, Receipt
from pfgov.engine.answers import PolicyDocument
from pfgov.limits import INTEGER_MAX
from pfgov.model import Wire
from pfgov.model.times import to_microseconds
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
MOMENT: Final[dict[str, Any]] = {
    "type": "string", "format": "date-time", "maxLength": 27,
    "pattern": r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z$",
}  # fmt: skip
"""A stricter form than the reader's: UTC."""

SPAN: Final = (
    Parameter("since", MOMENT, "not before"),
    Parameter("until", MOMENT, "before"),
)
"""A span of time."""

OUTCOME: Final = Parameter(
    "outcome",
    {"type": "string", "enum": ["allowed", "denied", "escalated", "no_candidate", "no_capacity"]},
    "only decisions with this outcome",
)
LIMIT: Final = Parameter(
    "limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, "page size"
)


def moment(call: Call, name: str) -> int | None:
    """Return a query parameter of the form :data:`MOMENT` in microseconds."""
    text = call.query.get(name)
    return None if text is None else to_microseconds(text)


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
