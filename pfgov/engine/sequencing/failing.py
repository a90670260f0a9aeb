"""What a caller is told when its command cannot be answered: another request's key, or a commit that failed."""

from collections.abc import Iterable

from pfgov.engine.answers import Request
from pfgov.errors import ConflictError, PfgovError, StoreError


class MismatchError(ConflictError):
    """An idempotency key was used before, with another request."""

    code = "idempotency.mismatch"


class UnknownOutcomeError(StoreError):
    """The commit failed and the store cannot be read: whether the command was recorded is not known."""

    code = "store.outcome_unknown"


class NotRecordedError(StoreError):
    """The commit failed, and the command was not recorded."""

    code = "store.not_recorded"


def mismatch(key: str) -> MismatchError:
    """Return what the second of two different requests with one idempotency key is told."""
    return MismatchError(
        f"the idempotency key {key!r} was used with another request",
        hint="draw a new key for a new request; repeat a request only unchanged",
    )


def not_recorded(error: Exception) -> PfgovError:
    """Return what the caller of a command that was not recorded gets."""
    if isinstance(error, PfgovError) and error.code != "store.fenced":
        return error
    return NotRecordedError(
        f"the commit failed: {error}", hint="nothing was recorded; the command may be sent again"
    )


def fail_all(requests: Iterable[Request], error: BaseException) -> None:
    """Tell everybody *error*."""
    for request in requests:
        request.fail(error)
