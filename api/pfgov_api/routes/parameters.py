"""What several groups of routes share: query parameters, how they are read, and the row of a command."""

from collections.abc import Iterable
from typing import Any, Final

from pfgov.limits import INTEGER_MAX
from pfgov.model import Wire
from pfgov.model.times import DATE_TIME, to_microseconds
from pfgov_api.answers import writes
from pfgov_api.operations import Call, Handler, Operation, Parameter

RECEIPT: Final = Parameter(
    "receipt",
    {"type": "string", "enum": ["entry", "proof", "witnessed"]},
    "with `proof`, the receipt verifies alone; with `witnessed`, against a checkpoint that a quorum of witnesses cosigned: "
    "waits for it a while, and says in `witnessed` whether it came",
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


def several(names: Iterable[str]) -> dict[str, Any]:
    """Return the schema of one or more of *names*, separated by commas."""
    known = sorted(names)
    one = f"({'|'.join(known)})"
    return {"type": "string", "pattern": f"^{one}(,{one})*$", "x-values": known}


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
    "type": "string",
    "format": "date-time",
    "maxLength": 32,
    "pattern": DATE_TIME,
}
"""A moment; the plus of an offset is written ``%2B`` in a query."""

SPAN: Final = (Parameter("since", MOMENT, "not before"), Parameter("until", MOMENT, "before"))
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


def command(
    tag: str,
    name: str,
    path: str,
    about: str,
    body: type[Wire],
    access: frozenset[str],
    handler: Handler | None = None,
    *,
    raises: tuple[int, ...] = (404, 409),
    **more: Any,
) -> Operation:
    """Return the route of a command: a POST that is answered by what it recorded."""
    return Operation(
        name, "POST", path, access, about, handler or writes(), "Recorded", body=body, parameters=WRITE, tag=tag,
        raises=raises, writes=True, **more,
    )  # fmt: skip
