"""Events of the ledger itself, its keys and its policy sets."""

from typing import ClassVar, Literal

import msgspec

from pfgov.core.commands import BundleRef, Part, ReportRef
from pfgov.core.events.base import Event, KeysEvent, LedgerEvent, PolicyEvent, SchedulerRef


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
    retain_interval: int = 60_000_000
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
    activation_approvals: int = 0
    activation_bundle: int = 0
    activation_report: int = 0
    activation_report_lag: int = 1_000


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
    """Too many leases ended at once, or the clock jumped: nothing expires until ``expiry_resumed``."""

    type: ClassVar[str] = "expiry_halted"
    cause: Literal["mass_expiry", "clock_jump"]
    overdue: int = 0
    leased: int = 0
    jump: int = 0


class ExpiryResumed(LedgerEvent, frozen=True, kw_only=True):
    """A halt is over.

    ``requested``: somebody looked; ``evidence``: members were heard for a whole lease, so that those who were not are
    silent and not unheard; ``heard``: so many came back that too few are left to halt for; ``clock``: the clock is
    right again, or has been steady since.  Leases last renewed before ``silent_since``, and those of the members in
    ``dead``, may end however many they are.
    """

    type: ClassVar[str] = "expiry_resumed"
    cause: Literal["requested", "evidence", "heard", "clock"]
    dead: tuple[str, ...] = ()
    silent_since: int | None = None
    overdue: int = 0
    leased: int = 0
    share_permille: int | None = None


class IndexCommitted(LedgerEvent, frozen=True, kw_only=True):
    """The root of the subject map over the entries before this one."""

    type: ClassVar[str] = "index_committed"
    size: int
    subjects: int
    root: str


class LeaderChanged(LedgerEvent, frozen=True, kw_only=True):
    """From here on the server at ``address`` writes, under ``term``, until an entry has a higher one."""

    type: ClassVar[str] = "leader_changed"
    term: int
    address: str


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
    """A policy set is binding from here on.

    ``bundle`` says in what it came, ``report`` what was said of its impact, and ``rollback`` that it was binding
    before: in an ``emergency``, nothing was asked of it that the configuration demands.
    """

    type: ClassVar[str] = "policy_activated"
    digest: str
    previous: str | None = None
    policies: tuple[PolicyRef, ...]
    points: tuple[str, ...]
    bundle: BundleRef | None = None
    report: ReportRef | None = None
    rollback: Literal["ordinary", "emergency"] | None = None


class PolicyDenied(PolicyEvent, frozen=True, kw_only=True):
    """The binding set did not allow what a principal asked for at a guarding point.

    ``about`` is the subject that it was about: a packet, a member, or ``policy`` itself.  The same denial is not
    recorded again while the set is binding, and of one principal only so many in an hour.
    """

    type: ClassVar[str] = "policy_denied"
    principal: str
    point: str
    about: str
    policy: str
    reasons: tuple[str, ...]


class PolicyProposed(PolicyEvent, frozen=True, kw_only=True):
    """Somebody proposes that a policy set take the place of the one that is binding then.

    ``report`` says what it would have decided, such as on a trial.
    """

    type: ClassVar[str] = "policy_proposed"
    digest: str
    previous: str | None = None
    policies: tuple[PolicyRef, ...]
    points: tuple[str, ...]
    proposer: str
    name: str | None = None
    note: str | None = None
    report: ReportRef | None = None


class PolicyApproved(PolicyEvent, frozen=True, kw_only=True):
    """Somebody else agrees to the proposal made at position ``proposal``; ``remaining`` says how many are to follow."""

    type: ClassVar[str] = "policy_approved"
    digest: str
    proposal: int
    approver: str
    name: str | None = None
    remaining: int = 0
    note: str | None = None


class PolicyRejected(PolicyEvent, frozen=True, kw_only=True):
    """The proposal made at position ``proposal`` is turned down, or withdrawn by who made it."""

    type: ClassVar[str] = "policy_rejected"
    digest: str
    proposal: int
    reviewer: str
    note: str | None = None


class PolicyChangeRefused(PolicyEvent, frozen=True, kw_only=True):
    """An approval does not count, an activation lacks something, or a report does not hold; ``code`` says why."""

    type: ClassVar[str] = "policy_change_refused"
    digest: str
    action: Literal["approve", "activate", "propose"]
    code: str
    principal: str


class PublisherTrusted(PolicyEvent, frozen=True, kw_only=True):
    """Bundles that this key signs are let in, until ``expires_at`` (microseconds), where there is one."""

    type: ClassVar[str] = "publisher_trusted"
    name: str
    key: str
    principal: str
    expires_at: int | None = None


class PublisherRotated(PolicyEvent, frozen=True, kw_only=True):
    """Another key takes over from a publisher's, both having signed; bundles by the old one are not let in any more."""

    type: ClassVar[str] = "publisher_rotated"
    name: str
    old: str
    new: str
    principal: str
    expires_at: int | None = None
    signatures: tuple[tuple[str, str], ...]


class PublisherRevoked(PolicyEvent, frozen=True, kw_only=True):
    """A publisher's key is trusted no more, for good."""

    type: ClassVar[str] = "publisher_revoked"
    name: str
    key: str
    principal: str


class PolicyRefused(PolicyEvent, frozen=True, kw_only=True):
    """A policy set did not load; the last good one stays."""

    type: ClassVar[str] = "policy_refused"
    codes: tuple[str, ...]
    errors: int
    active: str | None = None
