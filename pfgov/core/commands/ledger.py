"""Commands about the ledger itself: genesis, configuration, policy sets, keys, erasures, the index."""

from collections.abc import Iterable
from typing import ClassVar, Literal, Self

from pfgov.core.commands.base import Action
from pfgov.core.commands.parts import BundleRef, Pairs, ReportRef


class CreateLedger(Action, frozen=True, kw_only=True, tag="create_ledger"):
    """The first command of every ledger."""

    right: ClassVar[str] = "admin"
    origin: str
    engine: str
    semantics: int
    keys: tuple[tuple[str, str], ...]
    scheduler: str = "rendezvous"
    predecessor: tuple[str, int, str] | None = None


class Configure(Action, frozen=True, kw_only=True, tag="configure"):
    """Change settings that decisions read: name -> value as text."""

    right: ClassVar[str] = "admin"
    settings: Pairs


class ActivatePolicy(Action, frozen=True, kw_only=True, tag="activate_policy"):
    """Make a policy set binding.  The set itself is an attachment, by its digest.

    ``leave_uncovered`` names the placing points at which nothing shall be allowed, for the set has no rule there.
    ``gone`` are principals that approved it and have not the right any more, or of whom nobody can tell.  ``bundle``
    is what the set came in, and ``report`` what was said of its impact; signatures are checked at the border.
    ``rollback`` says that the set was binding before: an ``emergency`` one asks for nothing that a configuration
    demands.
    """

    right: ClassVar[str] = "admin"
    digest: str
    policies: tuple[tuple[str, str, str], ...]
    points: tuple[str, ...]
    leave_uncovered: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    bundle: BundleRef | None = None
    report: ReportRef | None = None
    rollback: Literal["ordinary", "emergency"] | None = None

    @classmethod
    def of(
        cls,
        digest: str,
        policies: tuple[tuple[str, str, str], ...],
        points: Iterable[str],
        leave_uncovered: Iterable[str] = (),
        gone: Iterable[str] = (),
        bundle: BundleRef | None = None,
        report: ReportRef | None = None,
        rollback: Literal["ordinary", "emergency"] | None = None,
    ) -> Self:
        """Return the activation of a set, the names of points in order."""
        return cls(
            digest=digest,
            policies=policies,
            points=tuple(sorted(map(str, points))),
            leave_uncovered=tuple(sorted({str(point) for point in leave_uncovered})),
            gone=tuple(sorted(set(gone))),
            bundle=bundle,
            report=report,
            rollback=rollback,
        )


class ProposePolicy(Action, frozen=True, kw_only=True, tag="propose_policy"):
    """Propose that a policy set be made binding.  The set itself is an attachment, by its digest."""

    right: ClassVar[str] = "operator"
    digest: str
    policies: tuple[tuple[str, str, str], ...]
    points: tuple[str, ...]
    note: str | None = None
    report: ReportRef | None = None


class ApprovePolicy(Action, frozen=True, kw_only=True, tag="approve_policy"):
    """Agree to a proposal, or turn it down: the one that was made at position ``proposal``."""

    right: ClassVar[str] = "admin"
    digest: str
    proposal: int
    granted: bool = True
    note: str | None = None


class TrustPublisher(Action, frozen=True, kw_only=True, tag="trust_publisher"):
    """Trust a publisher's key (hex of the 32 raw bytes), until a moment in microseconds; again to move that moment."""

    right: ClassVar[str] = "admin"
    name: str
    key: str
    expires_at: int | None = None


class RotatePublisher(Action, frozen=True, kw_only=True, tag="rotate_publisher"):
    """Let another key take over from a publisher's; signatures are (public key, signature) in hex, of both."""

    right: ClassVar[str] = "admin"
    origin: str
    name: str
    old: str
    new: str
    expires_at: int | None = None
    signatures: tuple[tuple[str, str], ...]


class RevokePublisher(Action, frozen=True, kw_only=True, tag="revoke_publisher"):
    """Trust a publisher's key no more, for good."""

    right: ClassVar[str] = "admin"
    name: str
    key: str


class RefusePolicy(Action, frozen=True, kw_only=True, tag="refuse_policy"):
    """Record that a policy set did not load."""

    right: ClassVar[str] = "admin"
    codes: tuple[str, ...]
    errors: int


class RotateKey(Action, frozen=True, kw_only=True, tag="rotate_key"):
    """Replace a key, or add one under the recovery key; signatures are (public key, signature) in hex."""

    right: ClassVar[str] = "admin"
    role: str
    old: str | None = None
    new: str
    signatures: tuple[tuple[str, str], ...]


class RevokeKey(Action, frozen=True, kw_only=True, tag="revoke_key"):
    """Revoke a key under the recovery key."""

    right: ClassVar[str] = "admin"
    role: str
    key: str
    suspect_from: int | None = None
    signatures: tuple[tuple[str, str], ...]


class EraseAttachment(Action, frozen=True, kw_only=True, tag="erase_attachment"):
    """Delete a payload and its salt."""

    right: ClassVar[str] = "admin"
    subject: str
    commitment: str
    why: Literal["data_subject_request", "retention", "operator_error", "legal_order"]


class CommitIndex(Action, frozen=True, kw_only=True, tag="commit_index"):
    """Commit the subject map; the appender fills in its root."""

    right: ClassVar[str] = "engine"


class ChangeLeader(Action, frozen=True, kw_only=True, tag="change_leader"):
    """Say who leads a ledger that several processes may write, and under which term; the store counts those."""

    right: ClassVar[str] = "engine"
    term: int
    address: str


class HaltExpiry(Action, frozen=True, kw_only=True, tag="halt_expiry"):
    """Stop expiring leases: too many at once, or the clock jumped."""

    right: ClassVar[str] = "engine"
    cause: Literal["mass_expiry", "clock_jump"]
    overdue: int = 0
    leased: int = 0
    jump: int = 0


Observed = Literal["evidence", "heard", "clock"]
"""What the engine itself ends a halt by."""


class ResumeExpiry(Action, frozen=True, kw_only=True, tag="resume_expiry"):
    """End a halt, and say whose leases may end whatever their number.

    An operator names members that it knows to be dead, or acknowledges a share of all leases; the engine fills in since
    when the silent have been silent.  The other causes than ``requested`` are the engine's.
    """

    right: ClassVar[str] = "operator"
    cause: Literal["requested"] | Observed = "requested"
    dead: tuple[str, ...] = ()
    silent_since: int | None = None
    overdue: int = 0
    leased: int = 0
    share_permille: int | None = None
