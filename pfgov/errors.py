"""Everything pfgov can refuse, in one tree.

    PfgovError
    ├── InputError                 input.*      what was sent is not what can be sent
    │   ├── InvalidError                        a field is wrong (pointer names it)
    │   ├── UnknownFieldError
    │   └── TooLargeError
    ├── NotFoundError              *.not_found  no such member, packet, policy
    ├── ConflictError                           the state does not allow it
    │   ├── DuplicateError         *.exists
    │   ├── IllegalTransitionError lifecycle.illegal
    │   ├── StaleEpochError        ownership.stale_epoch
    │   ├── NotOwnerError          ownership.not_owner
    │   ├── NarrowingError         policy.narrowing
    │   └── StateConflictError                  any other state that forbids it
    ├── ForbiddenError             access.forbidden
    ├── PolicyError                policy.*     a policy does not load, or denies
    ├── SchedulerError             scheduler.*
    ├── StoreError                 store.*      the disk, the file, the lock
    │   ├── StoreLockedError       store.locked
    │   ├── StoreCorruptError      store.corrupt
    │   └── StoreUnavailableError  store.unavailable
    ├── BusyError                  engine.busy  the queue is full; try again
    └── EngineStoppedError         engine.stopped

Every error carries ``code``, a stable documented string, and ``hint``, the next step in one sentence.
Messages are for people and may change in any release; codes never change meaning.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input: where (RFC 6901 pointer), what, and what to do about it."""

    pointer: str
    detail: str
    code: str = "input.invalid"
    hint: str | None = None


class PfgovError(Exception):
    """The root of the tree: something was refused, and nothing was half-done.

    Args:
        message: One sentence for a person, with the offending value.
        code: A more precise stable code than the class's own.
        hint: What to do next, in one sentence.
        pointer: RFC 6901 JSON pointer to the offending part of the input, where there is one.
        errors: Everything that is wrong, when an input was read to its end; the first is the message.
    """

    code: str = "pfgov.error"
    exit_status: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        pointer: str | None = None,
        errors: Sequence[Problem] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.hint = hint
        self.pointer = pointer
        if not errors and pointer is not None:
            errors = (Problem(pointer, message, self.code, hint),)
        self.errors = tuple(errors)
        # The receipt of what the ledger recorded about the refusal, if it did.
        self.receipt: object | None = None
        # What whoever asked calls the place of a problem, by its pointer, where that is another name.
        self.named: dict[str, str] = {}


class InputError(PfgovError):
    """What was sent cannot be understood."""

    code = "input.invalid"
    exit_status = 2


class InvalidError(InputError):
    """A field has a value that is not allowed."""

    code = "input.invalid"


class UnknownFieldError(InputError):
    """A field does not exist."""

    code = "input.unknown_field"


class TooLargeError(InputError):
    """A limit was passed."""

    code = "input.too_large"


class NotFoundError(PfgovError):
    """There is no such thing."""

    code = "not_found"


class ConflictError(PfgovError):
    """The present state does not allow what was asked."""

    code = "conflict"


class StateConflictError(ConflictError):
    """The state of this thing forbids it; the message names both."""

    code = "conflict.state"


class DuplicateError(ConflictError):
    """It exists already."""

    code = "exists"


_DOING: Final = {
    "packet_created": "be submitted",
    "assignment_allowed": "be placed",
    "assignment_refused": "be placed",
    "assignment_escalated": "be placed",
    "review_refused": "be reviewed",
    "review_expired": "be reviewed",
    "handoff_started": "be handed off",
    "handoff_completed": "be accepted",
    "handoff_aborted": "have a handoff called off",
    "ownership_revoked": "be taken from its owner",
    "checkpoint_committed": "have progress saved",
    "packet_updated": "be changed",
    "packet_requeued": "be put back into the queue",
    "packet_completed": "be completed",
    "packet_failed": "be given up",
    "packet_cancelled": "be cancelled",
    "member_registered": "register",
    "member_suspected": "be suspected",
    "member_recovered": "recover",
    "member_failed": "be declared failed",
    "member_draining": "be drained",
    "drain_cancelled": "have a drain cancelled",
    "member_quarantined": "be quarantined",
    "member_released": "be released",
    "member_retired": "retire",
}
"""Event of the lifecycle table, or one that changes what has not ended -> what somebody wanted who is told that it
cannot be.
"""


class IllegalTransitionError(ConflictError):
    """The lifecycle table has no such row."""

    code = "lifecycle.illegal"

    def __init__(
        self, *, kind: str, subject: str, status: str, event: str, hint: str | None = None
    ) -> None:
        super().__init__(
            f"{kind} {subject} is {status}, and so it cannot {_DOING.get(event, event)}", hint=hint
        )
        self.status = status
        self.event = event


class StaleEpochError(ConflictError):
    """The write names an epoch that is over: somebody else owns the packet now."""

    code = "ownership.stale_epoch"


class NotOwnerError(ConflictError):
    """The write names a member that does not own the packet."""

    code = "ownership.not_owner"


class NarrowingError(ConflictError):
    """Constraints of a packet may only become narrower."""

    code = "policy.narrowing"


class ForbiddenError(PfgovError):
    """The principal lacks the right."""

    code = "access.forbidden"


class GrantEndedError(ForbiddenError):
    """The key or token of who asks was revoked or ended before the command was decided; nothing was recorded."""

    code = "principal.ended"


class PolicyError(PfgovError):
    """A policy cannot be loaded, or cannot be used."""

    code = "policy.invalid"
    exit_status = 3


class DecisionTooLongError(PolicyError):
    """The policies took longer than one decision may; nothing was decided, and nobody may do what was asked."""

    code = "policy.too_slow"


class SchedulerError(PfgovError):
    """A scheduler is unknown, wrongly configured, or chose what it may not."""

    code = "scheduler.invalid"


class StoreError(PfgovError):
    """The store cannot do it."""

    code = "store.error"
    exit_status = 4


class StoreLockedError(StoreError):
    """Another process writes this ledger; ``address`` is where it listens, if it does."""

    code = "store.locked"

    def __init__(
        self, message: str, *, hint: str | None = None, address: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.address = address


class StoreCorruptError(StoreError):
    """What is on disk is not what was written."""

    code = "store.corrupt"


class StoreUnavailableError(StoreError):
    """The file or folder cannot be read or written."""

    code = "store.unavailable"


class LeadershipLostError(StoreUnavailableError):
    """Another process leads this ledger now; nothing was written."""

    code = "store.leadership_lost"


class StandbyError(StoreUnavailableError):
    """Another server leads this ledger, and this one does not write."""

    code = "node.standby"


class BusyError(PfgovError):
    """The queue is full; the caller may try again."""

    code = "engine.busy"


class EngineStoppedError(PfgovError):
    """The engine has stopped and takes no more commands."""

    code = "engine.stopped"


def file_error(error: OSError, path: Path) -> StoreUnavailableError:
    """Return the error that the system's *error* means for the file or folder *path*."""
    return StoreUnavailableError(
        f"{path}: {error.strerror or error}", hint="check that the folder exists and is yours"
    )


@contextmanager
def file_errors(path: Path) -> Generator[None]:
    """Turn the system's errors about *path* inside the block into ours."""
    try:
        yield
    except OSError as error:
        raise file_error(error, path) from error
