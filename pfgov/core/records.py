"""The records that the state is made of: a member in its present life, a packet as it stands.

They are plain mutable structs because one thread owns them and a failed commit throws them all away and reloads;
nobody else ever sees them.  They form trees, never cycles, so that the collector need not walk a hundred thousand of
them (``gc=False``).  Their canonical JSON is a row of a folded table.  Quantities are integers in millionths,
times are microseconds since the epoch.  This module knows neither events' effects nor rules.
"""

from typing import Final

import msgspec

from pfgov.core import events as e
from pfgov.core.commands import Capability, Commitment, Constraints, HandoffTerms, Obligation, Pairs
from pfgov.core.lifecycle import MemberStatus, PacketStatus


class Approval(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Who agreed to a proposal: a principal, and the name of its key."""

    principal: str
    name: str | None = None


class Proposal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A policy set that somebody proposed, at position ``since``, in the place of the one that is binding.

    ``report`` is the digest of the report of impact that came with it.
    """

    digest: str
    since: int
    proposer: str
    name: str | None = None
    note: str | None = None
    approvals: tuple[Approval, ...] = ()
    report: str | None = None


class PublisherKey(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A key of a publisher: trusted until another took over, it was revoked, or its time was over."""

    public: str
    since: int
    expires_at: int | None = None
    until: int | None = None
    revoked: bool = False


class Publisher(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Who signs bundles, by a name, with every key that it ever had and the sets that were binding by version."""

    name: str
    keys: tuple[PublisherKey, ...] = ()
    versions: Pairs = ()


class TrustScore(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """An attested score in millionths."""

    score: int
    source: str
    assessed_at: int
    expires_at: int | None = None


class Drain(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How a member leaves; or how it is out for a while, when it ``stays``."""

    mode: str
    since: int
    deadline: int | None = None
    stays: bool = False


class Member(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A member in its present life.  Quantities in millionths; satisfies ``scheduling.base.Candidate``.

    ``relieved`` counts the packets that left because of its last report of high pressure; ``silent_since`` is when it
    last let an offer pass, and 0 after it accepted one.
    """

    member_id: str
    incarnation: int
    kind: str
    status: MemberStatus
    principal: str
    capabilities: dict[str, Capability] = msgspec.field(default_factory=dict[str, Capability])
    capacity: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    region: str | None = None
    clearances: tuple[str, ...] = ()
    labels: Pairs = ()
    weight: int = 1
    public_key: str | None = None
    attested: TrustScore | None = None
    claimed_trust: str | None = None
    lease_seconds: int | None = None
    handoff_mode: str = "auto"
    used: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    active: int = 0
    pressure: int = 0
    pressed: bool = False
    outcomes: tuple[int, int, int] = (0, 0, 0)
    reliability: int = 500_000
    before: MemberStatus | None = None
    drain: Drain | None = None
    quarantine_until: int | None = None
    failures: tuple[int, ...] = ()
    changed: int = 0
    relieved: int = 0
    silent_since: int = 0

    @property
    def trust(self) -> int | None:
        """The attested score in millionths, or None."""
        return self.attested.score if self.attested else None


class Terms(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """What a packet demands; replaced as a whole when it is updated.  Hashable.

    ``scanned_by`` names the detectors that looked through its present context.
    """

    workload_type: str
    required_capabilities: tuple[str, ...] = ()
    constraints: Constraints = Constraints()
    handoff: HandoffTerms = HandoffTerms()
    demand: tuple[tuple[str, int], ...] = ()
    data_classes: tuple[str, ...] = ()
    priority: int = 0
    labels: Pairs = ()
    scheduler: str | None = None
    deadline: int | None = None
    max_handoffs: int | None = None
    progress_seconds: int | None = None
    hold: bool = False
    scanned_by: tuple[str, ...] = ()


class Pending(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A handoff that waits for its target."""

    position: int
    target: str
    incarnation: int
    deadline: int
    reason: str
    context: Commitment | None = None
    view: Commitment | None = None
    obligations: tuple[Obligation, ...] = ()


class Review(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A review on record, granted, with what its rules read then."""

    position: int
    reviewer: str
    point: str
    policy: str
    rules: tuple[e.RuleRef, ...]
    data_classes: tuple[str, ...] = ()
    member_id: str | None = None
    expires_at: int | None = None
    seen: Pairs | None = None
    candidates: Pairs = ()
    reviewed_for: tuple[str, ...] = ()


class ReviewRequest(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """What a packet waits for."""

    point: str
    policy: str
    rules: tuple[e.RuleRef, ...]
    to: str
    expires_at: int
    member_id: str | None = None
    approvals: int = 1
    lapsed: tuple[str, ...] = ()


class Waiting(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """Why a packet has no owner, as last recorded."""

    outcome: str
    reasons: tuple[tuple[str, int], ...] = ()
    since: int


class Packet(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A packet as it stands.

    ``version`` counts what changed about it, whoever changed it: terms, owner, work, reviews, and what it waits for.
    ``terms_since`` is the position at which its terms took effect: its place among equals in the queue.  ``passed_by``
    is who let the last offer of it pass.  ``progressed_at`` is kept only where the terms bound how long it may rest;
    ``avoided`` are members that are asked after the others, the latest last.
    """

    packet_id: str
    terms: Terms
    status: PacketStatus
    epoch: int = 0
    version: int = 0
    created_at: int
    lineage_id: str
    owner: str | None = None
    incarnation: int = 0
    last_owner: e.Owner | None = None
    owners: tuple[str, ...] = ()
    handoff_count: int = 0
    attempts: int = 0
    step: str | None = None
    context: Commitment | None = None
    obligations: tuple[Obligation, ...] = ()
    view: Commitment | None = None
    pending: Pending | None = None
    reviews: tuple[Review, ...] = ()
    request: ReviewRequest | None = None
    waiting: Waiting | None = None
    refused: tuple[tuple[str, int], ...] = ()
    imported: e.Imported | None = None
    again: str | None = None
    submitted_by: str | None = None
    submitted_for: tuple[str, ...] = ()
    placed_under: tuple[int, ...] = ()
    cause: str | None = None
    last_event: str = "packet_created"
    changed_at: int = 0
    moved_at: int = 0
    judged: int = 0
    terms_since: int = 0
    passed_by: str | None = None
    result: Commitment | None = None
    progressed_at: int = 0
    avoided: tuple[str, ...] = ()

    @property
    def holder(self) -> e.Owner | None:
        """The present owner in its present life."""
        if self.owner is None:
            return None
        return e.Owner(member_id=self.owner, incarnation=self.incarnation)


class Halt(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Why leases do not end, and since when."""

    cause: str
    since: int


class Exempt(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Whose leases may end whatever their number: those last renewed before a moment, and members by name and life."""

    silent_since: int = 0
    dead: tuple[tuple[str, int], ...] = ()


class Denial(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A denial at a guarding point that is on record: whose, when, and a digest of where, about what and why."""

    principal: str
    at: int
    what: str


class Key(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A key of the ledger: active until replaced or revoked."""

    role: str
    public: str
    since: int
    until: int | None = None
    revoked: bool = False


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """Where and when an event was appended."""

    seq: int
    time: int


ENCODE: Final = msgspec.json.Encoder(order="sorted").encode
"""Canonical JSON of a record, as the folded tables store it."""
