"""What a server refuses, as errors that a program tells apart by their class, without reading a text.

A refusal comes in two forms: as a problem, where nothing was done, and as a recorded answer to a move that was not
allowed.  Both become errors of one tree, whose root is :class:`ApiError`.  What was sent is not known here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from pfgov.errors import PfgovError

NAMED_MAX: Final = 32
"""How many reasons an error's own text names; all of them are in ``reasons``."""


class ApiError(PfgovError):
    """The server refused; ``code`` is the problem's own.

    Attributes:
        status: The HTTP status of the answer.
        problem: The whole problem (RFC 9457), or the whole answer of a move that was decided otherwise.
        reasons: The rules that forbid it (``policy/rule``), where rules do.
        position: Where the ledger has it, None where nothing was recorded.
    """

    code = "client.refused"

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(
            str(problem.get("detail", f"the server answered {status}")),
            code=str(problem.get("code", self.code)),
            hint=problem.get("hint"),
        )
        self.status = status
        self.problem = dict(problem)
        self.reasons = _texts(problem.get("reasons"))
        found = _object(problem.get("receipt")).get("position")
        self.position: int | None = found if isinstance(found, int) else None


class DeniedError(ApiError):
    """Policy does not allow it, or nobody that was asked for may have it; the packet stays where it is."""

    code = "client.denied"


class EscalatedError(ApiError):
    """Policy wants a review first; the packet stays where it is, and moves by itself once that is granted.

    Attributes:
        review: Who has to look (``to``), at which ``rules``, about which ``member_id`` or anybody (None), how many
            (``approvals``), and until when (``expires_at``, RFC 3339).
    """

    code = "client.escalated"

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(status, problem)
        self.review: dict[str, Any] = dict(_object(problem.get("review")))


class NotOwnerError(ApiError):
    """Who writes does not own the packet, in this life and under this epoch."""


class StaleEpochError(NotOwnerError):
    """The epoch that the write names is over: the packet is somebody else's, or was given again."""


class ForbiddenError(ApiError):
    """The key has no right to this."""


class UnauthenticatedError(ApiError):
    """There is no key, or none that holds any more."""


class NotFoundError(ApiError):
    """There is no such thing."""


class ConflictError(ApiError):
    """The present state does not allow it."""


class PreconditionError(ConflictError):
    """It has changed since it was read (``If-Match``)."""


_BY_CODE: Final[Mapping[str, type[ApiError]]] = {
    "policy.denied": DeniedError,
    "ownership.stale_epoch": StaleEpochError,
    "ownership.not_owner": NotOwnerError,
}
_BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    401: UnauthenticatedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    412: PreconditionError,
}

MOVES: Final = frozenset({"assign", "handoff", "accept"})
"""What is asked so that a packet has another owner afterwards: an answer that says otherwise is an error."""

_SAYS: Final[Mapping[str, type[ApiError]]] = {
    "denied": DeniedError,
    "escalated": EscalatedError,
}


def refusal(status: int, problem: Mapping[str, Any]) -> ApiError:
    """Return the error that *problem*, answered with *status*, is; by its code first, then by its status."""
    kind = _BY_CODE.get(str(problem.get("code"))) or _BY_STATUS.get(status, ApiError)
    return kind(status, problem)


def check_move(verb: str, answer: Mapping[str, Any], status: int = 200) -> None:
    """Refuse the recorded answer of a move that came to nothing.

    Raises:
        DeniedError: nobody that was asked for may have the packet.
        EscalatedError: a review is wanted first.
    """
    kind = _SAYS.get(str(answer.get("outcome"))) if verb in MOVES else None
    if kind is None:
        return
    reasons = _texts(answer.get("reasons"))
    events = _list(answer.get("events"))
    says = _object(events[-1] if events else None).get("says")
    named = ", ".join(reasons[:NAMED_MAX])
    detail = says if isinstance(says, str) else f"the {verb} was {answer['outcome']}: {named}"
    raise kind(status, {**answer, "detail": detail, "code": kind.code})


# A server may be anybody's, and send anything.


def _list(value: object) -> Sequence[object]:
    return cast("Sequence[object]", value) if isinstance(value, list | tuple) else ()


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(one for one in _list(value) if isinstance(one, str))
