"""Between a door and the ledger, wherever that is: what can be read of it, and what can be done with it.

A command asks a :class:`Reading` or a :class:`LedgerPort` and does not know who answers: a folder
(:mod:`pfgov.app.local`) and a server (:mod:`pfgov.app.remote`) say the same, in the same views.  Nothing is opened or
connected here.
"""

from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import Struct

from pfgov.app.changing import ChangeReading, Changing
from pfgov.app.done import Done

if TYPE_CHECKING:
    from typing import BinaryIO

    from pfgov.app.views import (
        Discovery,
        EntryView,
        MemberView,
        PacketAudit,
        PacketView,
        VerdictRow,
    )
    from pfgov.core import events as e
    from pfgov.core.commands import Action
    from pfgov.core.overview import LedgerView
    from pfgov.engine.reading import Replayed
    from pfgov.model import (
        Erasure,
        FlightPacket,
        Heartbeat,
        KeyList,
        PressureReport,
        Revocation,
        Rotation,
        Tick,
        Wire,
    )
    from pfgov.policy import PolicySet
    from pfgov_ledger.export import Progress, Written


DECIDING: Final = ("assignment_decision", "handoff_started", "handoff_denied", "handoff_escalated")
"""The events that chose among members, or found nobody."""


class HeartbeatAnswer(Struct, frozen=True):
    """The answer to a heartbeat: when the lease ends (microseconds), the (packet, epoch) pairs that are lost, and those
    that must not be begun for so many seconds at most.
    """

    lease_until: int
    lost: list[tuple[str, int]]
    held_back: list[tuple[str, int, int]]
    done: Done


class MembersWanted(Struct, frozen=True):
    """Which members: all given conditions hold, no statuses means any, in id order after ``after``; ``owns`` with what
    they own.  ``words`` stand, in whatever case, in the id, a capability, the region or a label.
    """

    statuses: tuple[str, ...] = ()
    capability: str | None = None
    region: str | None = None
    label: tuple[str, str] | None = None
    after: str = ""
    limit: int | None = None
    owns: bool = True
    kind: str | None = None
    words: str = ""


class PacketsWanted(Struct, frozen=True):
    """Which packets, at most ``limit`` of them, in id order after ``after``."""

    statuses: tuple[str, ...]
    owner: str | None = None
    stuck: bool = False
    after: str = ""
    limit: int = 1_000


class EntriesWanted(Struct, frozen=True):
    """Which entries: the newest, or the oldest from after a position; ``full`` with their bodies and leaf hashes."""

    subject: str | None = None
    types: tuple[str, ...] = ()
    after: int | None = None
    limit: int | None = None
    full: bool = False


class EntryPageWanted(EntriesWanted, frozen=True):
    """Which entries of a list that is read page by page.

    ``before`` is a position, ``since`` (not before) and ``until`` (before) are microseconds, and ``actor`` is the
    principal whose command caused them; with ``newest`` they come newest first.
    """

    before: int | None = None
    since: int | None = None
    until: int | None = None
    actor: str | None = None
    outcome: str | None = None
    newest: bool = False


class DecisionsWanted(Struct, frozen=True):
    """Which decisions, at most ``limit`` of them: with this outcome, about this member or packet, that this rule kept
    somebody out of; positions, times and ``newest`` as of entries.
    """

    outcome: str | None = None
    member: str | None = None
    packet: str | None = None
    rule: str | None = None
    after: int = -1
    since: int | None = None
    until: int | None = None
    limit: int = 100
    before: int | None = None
    newest: bool = False


class Listed(Struct, frozen=True):
    """A page of entries, and the cursor that leads on: the position after which, newest first before which; None at the
    end.
    """

    entries: list["EntryView"]
    following: int | None


class ExportWanted(Struct, frozen=True):
    """What to export; the whole log if nothing is said.

    ``fresh`` commits a new index first; a span without an end ends with the log.
    """

    subject: str | None = None
    span: tuple[int, int | None] | None = None
    since: int | None = None
    fresh: bool = False


class DecisionEntry(Struct, frozen=True):
    """The entry of a decision: where, when (microseconds), and what it says."""

    seq: int
    time: int
    event: "e.Event"


class KeyChange(Struct, frozen=True):
    """What a key ceremony recorded: the entry, the role, and public keys in hex; ``old`` signed until then."""

    role: str
    entry: int
    old: str | None
    new: str | None


class Erased(Struct, frozen=True):
    """What became of payloads: erased now, erased before, by which entries, and whether nothing is left."""

    erased: list[str]
    already: list[str]
    entries: list[int]
    is_done: bool


class WitnessedAge(Struct, frozen=True):
    """How far a quorum of witnesses vouches for a ledger, and for how many seconds for nothing newer.

    ``age_seconds`` is None before the first quorum; ``alarms`` names witnesses that have seen another history.
    """

    size: int
    age_seconds: int | None
    alarms: tuple[str, ...]


class Reading(ChangeReading, Protocol):
    """A ledger that is read.  Every method may raise what stands in the way: ``store.*``, or ``server.*``."""

    @property
    def place(self) -> dict[str, str]:
        """Where the ledger is: ``directory`` or ``url``, as JSON objects show it."""
        ...

    @property
    def anchor_path(self) -> str:
        """The file that pins this ledger, to be named to ``pfgov-verify``."""
        ...

    def lost(self) -> int | None:
        """Return how many entries are missing that were published: an older copy was put back; None if nobody can
        tell.
        """
        ...

    def overview(self) -> "LedgerView":
        """Return what the ledger holds."""
        ...

    def witnessed(self) -> WitnessedAge | None:
        """Return how far a quorum of witnesses vouches for it; None where no witness was ever asked."""
        ...

    def settings(self) -> dict[str, Any]:
        """Return the settings in readable units."""
        ...

    def member(self, member_id: str) -> "MemberView":
        """Return one member with the packets it owns.

        Raises:
            NotFoundError: there is none of this id.
        """
        ...

    def members(self, wanted: MembersWanted | None = None) -> "list[MemberView]":
        """Return members with the packets they own, in id order."""
        ...

    def packet(self, packet_id: str) -> "PacketView":
        """Return one packet.

        Raises:
            NotFoundError: there is none of this id.
        """
        ...

    def audit(self, packet_id: str) -> "PacketAudit":
        """Return what an auditor asks about one packet, each answer with the entries that prove it.

        Raises:
            NotFoundError: there is none of this id.
        """
        ...

    def packets(self, wanted: PacketsWanted) -> "tuple[list[PacketView], bool]":
        """Return packets, and whether there are more."""
        ...

    def context(self, view: "PacketView") -> object:
        """Return the body of a packet's context, or None where there is none any more."""
        ...

    def result(self, packet_id: str) -> object:
        """Return what came of a packet, for whoever submitted it.

        Raises:
            ForbiddenError: somebody else submitted it.
            NotFoundError: there is no such packet, it has no result, or that was erased.
        """
        ...

    def entry(self, seq: int, *, full: bool = False) -> "EntryView":
        """Return the entry at a position.

        Raises:
            NotFoundError: there is none.
        """
        ...

    def entries(self, wanted: EntriesWanted) -> "list[EntryView]":
        """Return entries in the order of their positions."""
        ...

    def head(self) -> bytes:
        """Return the newest signed checkpoint."""
        ...

    def anchor(self) -> str:
        """Return the text that verifiers pin."""
        ...

    def proof(self, seq: int) -> bytes:
        """Return one entry with its proof.

        Raises:
            NotFoundError: there is no such entry.
        """
        ...

    def decision(self, packet_id: str, seq: int | None) -> DecisionEntry | None:
        """Return the decision about a packet at position *seq*, or the last one; None if there is none."""
        ...

    def verdicts(self, of: DecisionEntry) -> "list[VerdictRow] | None":
        """Return what every member came to in a decision; None where that cannot be had any more."""
        ...

    def discover(self, asked: "str | FlightPacket") -> "Discovery":
        """Return who could take a packet of the ledger, or one that might be submitted."""
        ...

    def keys(self) -> "KeyList":
        """Return the ledger's keys, and where the next key event will stand."""
        ...

    def payloads(self, *, packet_id: str | None, commitment: str | None) -> list[dict[str, Any]]:
        """Return what is stored of a packet's payloads, or of one payload and its views; never their bytes.

        Raises:
            NotFoundError: there is no such packet, or no such payload ever was.
        """
        ...

    def policies(self) -> dict[str, Any]:
        """Return the binding policy set as it is shown."""
        ...

    def policy_set(self, digest: str | None = None) -> "PolicySet":
        """Return the binding policy set, or the one of *digest*.

        Raises:
            NotFoundError: no set of that digest was ever binding here.
        """
        ...

    def export(
        self,
        wanted: ExportWanted,
        file: "BinaryIO",
        progress: "Progress | None" = None,
        *,
        compress: bool = False,
    ) -> "Written":
        """Write an export to *file*.

        Raises:
            StateConflictError: ``export.index_needed``, no index covers what is asked for.
        """
        ...

    def replay(self, progress: "Progress", *, allow_plug_ins: bool = False) -> "Replayed":
        """Run every recorded command again.

        Raises:
            LedgerError: something differs.
            ReplayUnavailableError: it cannot be told.
        """
        ...


class LedgerPort(Reading, Changing, Protocol):
    """A ledger that is written.  What a command causes is settled before it answers."""

    def do(
        self, asked: "Wire | Action", *, member_id: str | None = None, packet_id: str | None = None
    ) -> Done:
        """Carry out a command: a body as it can be sent, or an action that needs none, about a member or a packet.

        Raises:
            PfgovError: it was refused.
        """
        ...

    def heartbeat(
        self, member_id: str, beat: "Heartbeat", pressure: "PressureReport | None"
    ) -> HeartbeatAnswer:
        """Renew a member's lease, and say how loaded it is.

        Raises:
            PfgovError: that life of it is over.
        """
        ...

    def tick(self, asked: "Tick") -> tuple[Done, str | None]:
        """Let what is due happen; return it, and why leases stand still, if they do."""
        ...

    def rotate(self, asked: "Rotation") -> KeyChange:
        """Let a new key take over a role, signed by the old one, too.

        Raises:
            PfgovError: ``key.*``, there is none to take over, or it cannot.
        """
        ...

    def revoke(self, signed: "Revocation") -> KeyChange:
        """Record a revocation that the recovery key signed.

        Raises:
            PfgovError: ``key.*``, it does not hold, or not any more.
        """
        ...

    def erase(self, asked: "Erasure") -> Erased:
        """Erase payloads for good, in as many requests as it takes.

        Raises:
            NotFoundError: there is no such packet, or no such payload ever was.
        """
        ...


def in_order(done: Done) -> "list[EntryView]":
    """Return everything that happened, in the order in which it did."""
    return [*done.recorded, *done.followed]
