"""Commands about the ledger itself: genesis, configuration, policy sets, keys, erasures, the index."""

from typing import ClassVar, Literal

from pfgov.commands.base import Action
from pfgov.commands.parts import Pairs


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
    """Make a policy set binding.  The set itself is an attachment, by its digest."""

    right: ClassVar[str] = "admin"
    digest: str
    policies: tuple[tuple[str, str, str], ...]
    points: tuple[str, ...]


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


class HaltExpiry(Action, frozen=True, kw_only=True, tag="halt_expiry"):
    """Stop expiring leases: too many at once, or the clock jumped."""

    right: ClassVar[str] = "engine"
    cause: Literal["mass_expiry", "clock_jump"]
    overdue: int = 0
    leased: int = 0
    jump: int = 0
