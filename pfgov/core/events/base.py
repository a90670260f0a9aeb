"""What every event is, whose chain it continues, and the pieces that several events share."""

from typing import ClassVar, Final

import msgspec

from pfgov.core.commands import Command, Pairs, Part


class Event(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """A body.  The first entry of a command carries the command itself."""

    type: ClassVar[str]
    command: Command | None = None


_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def encode_body(event: Event) -> bytes:
    """Return the canonical JSON of *event*: sorted keys, no spaces, absent fields left out."""
    return _ENCODER.encode(event)


class PacketEvent(Event, frozen=True, kw_only=True):
    """An entry in a packet's chain."""

    packet_id: str

    @property
    def subject(self) -> str:
        """The subject whose chain the entry continues."""
        return f"packet/{self.packet_id}"


class MemberEvent(Event, frozen=True, kw_only=True):
    """An entry in a member's chain."""

    member_id: str

    @property
    def subject(self) -> str:
        """The subject whose chain the entry continues."""
        return f"member/{self.member_id}"


class LedgerEvent(Event, frozen=True, kw_only=True):
    """An entry in the ledger's own chain."""

    @property
    def subject(self) -> str:
        """The subject whose chain the entry continues."""
        return "ledger"


class PolicyEvent(Event, frozen=True, kw_only=True):
    """An entry in the policy chain."""

    @property
    def subject(self) -> str:
        """The subject whose chain the entry continues."""
        return "policy"


class KeysEvent(Event, frozen=True, kw_only=True):
    """An entry in the chain of keys."""

    @property
    def subject(self) -> str:
        """The subject whose chain the entry continues."""
        return "keys"


class SchedulerRef(Part, frozen=True, kw_only=True):
    """Which scheduler ranked, exactly."""

    name: str
    version: str
    parameters: Pairs = ()


class Loser(Part, frozen=True, kw_only=True):
    """A member that did not get the packet, and why."""

    member_id: str
    reasons: tuple[str, ...] = ()
    score: int | None = None


class Decision(Part, frozen=True, kw_only=True):
    """How a verdict and a choice came about: see ``decide_placement``."""

    point: str
    policy: str
    considered: int
    eligible: int
    rejected: tuple[tuple[str, int], ...] = ()
    scheduler: SchedulerRef | None = None
    score: int | None = None
    runner_up: str | None = None
    runner_up_score: int | None = None
    nearest: tuple[Loser, ...] = ()
    table: str
    shadow: tuple[tuple[str, int], ...] = ()


class Owner(Part, frozen=True, kw_only=True):
    """A member in one of its lives."""

    member_id: str
    incarnation: int


class Imported(Part, frozen=True, kw_only=True):
    """What a submitted packet claimed about its past; nobody signed for it."""

    current_owner: str | None = None
    previous_owners: tuple[str, ...] = ()
    status: str | None = None
    last_event: str | None = None
    state_hash: str | None = None


class Lease(Part, frozen=True, kw_only=True):
    """Evidence of silence: times in microseconds; ``stretch`` is what the engine's own lag added."""

    last_seen: int
    ttl: int
    stretch: int = 0


class RuleRef(Part, frozen=True, kw_only=True):
    """A rule of a policy, e.g. ``kernel/pii-review``."""

    policy: str
    rule: str
