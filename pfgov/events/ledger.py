"""Events of the ledger itself, its keys and its policy sets."""

from typing import ClassVar, Literal

import msgspec

from pfgov.commands import Part
from pfgov.events.base import Event, KeysEvent, LedgerEvent, PolicyEvent, SchedulerRef


class KeyRef(Part, frozen=True, kw_only=True):
    """A public key in a role (``log``, ``issuer``, ``recovery``); hex of the 32 raw bytes."""

    role: str
    public: str


class Predecessor(Part, frozen=True, kw_only=True):
    """The ledger that this one continues."""

    origin: str
    size: int
    root: str


class Configuration(Part, frozen=True, kw_only=True):
    """What ``decide`` reads besides members, packets and policy.  Durations in microseconds."""

    scheduler: SchedulerRef
    schedulers: tuple[tuple[str, SchedulerRef], ...] = ()
    lease_seconds: int = 30
    suspect_permille: int = 667
    handoff_timeout: int = 60_000_000
    review_timeout: int = 86_400_000_000
    attempts_max: int = 16
    max_handoffs: int = 32
    half_life: int = 86_400_000_000
    expiry_share_permille: int = 500
    expiry_floor: int = 3
    clock_jump_max: int = 300_000_000
    pressure_high: str = "0.9"
    pressure_low: str = "0.7"
    rebalance_gain_permille: int = 250
    rebalance_budget: int = 0
    rebalance_cooldown: int = 60_000_000
    flap_limit: int = 3
    flap_window: int = 60_000_000
    flap_penalty: int = 60_000_000


class LedgerCreated(LedgerEvent, frozen=True, kw_only=True):
    """The genesis entry."""

    type: ClassVar[str] = "ledger_created"
    origin: str
    semantics: int
    engine: str
    predecessor: Predecessor | None = None
    keys: tuple[KeyRef, ...]
    configuration: Configuration


class EngineUpgraded(LedgerEvent, frozen=True, kw_only=True):
    """From here on, other rules hold."""

    type: ClassVar[str] = "engine_upgraded"
    semantics: int
    engine: str


class ConfigurationChanged(LedgerEvent, frozen=True, kw_only=True):
    """The whole new configuration."""

    type: ClassVar[str] = "configuration_changed"
    configuration: Configuration


class ExpiryHalted(LedgerEvent, frozen=True, kw_only=True):
    """Too many leases ended at once, or the clock jumped: nothing expires until somebody looks."""

    type: ClassVar[str] = "expiry_halted"
    cause: Literal["mass_expiry", "clock_jump"]
    overdue: int = 0
    leased: int = 0
    jump: int = 0


class IndexCommitted(LedgerEvent, frozen=True, kw_only=True):
    """The root of the subject map over the entries before this one."""

    type: ClassVar[str] = "index_committed"
    size: int
    subjects: int
    root: str


class KeyRotated(KeysEvent, frozen=True, kw_only=True):
    """A key takes over from another, both having signed (``ledger/FORMAT.md``, "Keys")."""

    type: ClassVar[str] = "key_rotated"
    role: str
    old: str | None = None
    new: str
    signatures: tuple[tuple[str, str], ...]


class KeyRevoked(KeysEvent, frozen=True, kw_only=True):
    """A key's later signatures count for nothing."""

    type: ClassVar[str] = "key_revoked"
    role: str
    key: str
    suspect_from: int | None = None
    signatures: tuple[tuple[str, str], ...]


class AttachmentErased(Event, frozen=True, kw_only=True):
    """A payload and its salt were deleted; ``why`` is a closed code."""

    type: ClassVar[str] = "attachment_erased"
    subject_: str = msgspec.field(name="subject")
    commitment: str
    why: Literal["data_subject_request", "retention", "operator_error", "legal_order"]

    @property
    def subject(self) -> str:
        """The subject whose attachment it was."""
        return self.subject_


class PolicyRef(Part, frozen=True, kw_only=True):
    """A policy of a set."""

    name: str
    version: str
    mode: str


class PolicyActivated(PolicyEvent, frozen=True, kw_only=True):
    """A policy set is binding from here on."""

    type: ClassVar[str] = "policy_activated"
    digest: str
    previous: str | None = None
    policies: tuple[PolicyRef, ...]
    points: tuple[str, ...]


class PolicyRefused(PolicyEvent, frozen=True, kw_only=True):
    """A policy set did not load; the last good one stays."""

    type: ClassVar[str] = "policy_refused"
    codes: tuple[str, ...]
    errors: int
    active: str | None = None
