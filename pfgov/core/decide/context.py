"""What every rule works with: the state, the moment, the command, and the tools from outside.

Also the questions that all rules ask first: does this member or packet exist, and may this principal do that?
Nothing here changes the state; a rule answers with the events that would.
"""

import difflib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from pfgov.core import events as e
from pfgov.core.commands import Action, Command, Commitment
from pfgov.core.judging import Judged, Rendered
from pfgov.core.policy_port import Facts, FleetJudge, PolicyJudge
from pfgov.core.records import Member, Packet, Terms
from pfgov.core.scheduler import Scheduler
from pfgov.core.state import State
from pfgov.core.verdicts import Point
from pfgov.errors import ForbiddenError, InvalidError, NotFoundError, PfgovError

CHECKED_AT_CHANGE: Final = 4
"""The rules since which a change is refused for what a creation is refused for: a time that has passed, a bound that is
exceeded already."""

MEMO_MAX = 4_096
"""Packet facts, and judged fleets, remembered between decisions; then all are dropped."""

MEMO_ROWS_MAX = 262_144
"""Members, with the rows of their tables, and kinds of verdict in the judged fleets that are remembered; then all are
dropped."""


class NeedsPacketError(Exception):
    """The command names a packet that is not in memory: load it from the store, or learn that it does not exist."""

    def __init__(self, packet_id: str) -> None:
        super().__init__(packet_id)
        self.packet_id = packet_id


class NeedsViewError(Exception):
    """A redaction binds: commit to the context without the values at *paths*, and decide again."""

    def __init__(self, paths: tuple[str, ...], context: Commitment) -> None:
        super().__init__(paths)
        self.paths = paths
        self.context = context


class NeedsOverlayError(Exception):
    """A redacted owner saved its progress: put what was withheld from it back, commit to both, and decide again."""

    def __init__(self, paths: tuple[str, ...], whole: Commitment, written: Commitment) -> None:
        super().__init__(paths)
        self.paths = paths
        self.whole = whole
        self.written = written


class SubjectIndex(Protocol):
    """The ledger's subject map as it stands before the next entry."""

    def __call__(self) -> tuple[int, str]:
        """Return the number of subjects and the root in hex."""
        ...


@dataclass(slots=True)
class Tools:
    """What ``decide`` uses besides the state.  All of it is a pure function of what the ledger names.

    Attributes:
        policies: Digest -> compiled policy set.
        scheduler: Name and parameters -> scheduler.
        index: The subject map, for ``index_committed``.
        complete: Every packet there ever was is in memory (replay), so none has to be loaded.
        candidates: Where there is one, the verdicts of each verdict table are kept here, by its digest.
        explains: Whether verdict tables are written; without, each has a number in the place of its digest.
    """

    policies: Callable[[str], PolicyJudge]
    scheduler: Callable[[e.SchedulerRef], Scheduler]
    index: SubjectIndex
    complete: bool = False
    candidates: dict[str, Judged] | None = None
    explains: bool = True
    terms: dict[tuple[str, Terms], dict[str, Any]] = field(
        default_factory=dict[tuple[str, Terms], dict[str, Any]]
    )
    judged: dict[object, Judged] = field(default_factory=dict[object, Judged])
    judged_rows: int = 0
    asked: set[object] = field(default_factory=set[object])
    facts: tuple[int, Sequence[Facts]] = (-1, ())
    gone: tuple[int, Sequence[int]] = (-1, ())
    fleets: dict[Point, tuple[str, FleetJudge]] = field(
        default_factory=dict[Point, tuple[str, FleetJudge]]
    )
    followed: dict[tuple[str, Point], "Followed"] = field(
        default_factory=dict[tuple[str, Point], "Followed"]
    )
    rendered: Rendered = field(default_factory=Rendered)
    absent: set[str] = field(default_factory=set[str])
    rankers: dict[e.SchedulerRef, tuple[Scheduler, e.SchedulerRef]] = field(
        default_factory=dict[e.SchedulerRef, tuple[Scheduler, e.SchedulerRef]]
    )

    def remember(self, key: object, judged: Judged) -> None:
        """Keep *judged* for equal questions, from the second of them on: most terms are seen once."""
        if key not in self.asked:
            if len(self.asked) >= MEMO_MAX:
                self.asked.clear()
            self.asked.add(key)
            return
        rows = 2 * len(judged.of) + len(judged.kinds)
        self.judged_rows += rows
        if len(self.judged) >= MEMO_MAX or self.judged_rows > MEMO_ROWS_MAX:
            self.judged.clear()
            self.judged_rows = rows
        self.judged[key] = judged.kept()

    def table(self, judged: Judged, scores: dict[str, int]) -> tuple[str, bytes]:
        """Return the verdict table of *judged* with its digest in hex; neither where tables are not written."""
        table = judged.table(scores) if self.explains else b""
        digest = hashlib.sha256(table).hexdigest() if self.explains else ""
        if self.candidates is not None:
            digest = digest or str(len(self.candidates))
            self.candidates[digest] = judged
        return digest, table

    def ranker(self, ref: e.SchedulerRef) -> tuple[Scheduler, e.SchedulerRef]:
        """Return the scheduler that *ref* names, and its full reference for the record.

        Raises:
            SchedulerError: there is none of that name, or a parameter is wrong.
        """
        known = self.rankers.get(ref)
        if known is None:
            found = self.scheduler(ref)
            full = e.SchedulerRef(
                name=found.name, version=found.version, parameters=found.parameters
            )
            known = self.rankers[ref] = (found, full)
        return known


@dataclass(slots=True)
class Decided:
    """What a command comes to.

    Attributes:
        events: To be appended, in order; none when nothing changed.
        refusal: Raised to the caller once the events are durable.
        tables: Verdict tables by digest (hex), as canonical JSON.
    """

    events: list[e.Event]
    refusal: PfgovError | None = None
    tables: Mapping[str, bytes] = field(default_factory=dict[str, bytes])


Follow = Callable[["Context", Packet], object]
"""Gives the value of a fact that a verdict depends on besides terms and members."""

Followed = tuple[Follow, ...] | None
"""What verdicts of a policy set at a decision point depend on besides these; None where that is not followed."""


@dataclass(frozen=True, slots=True)
class Context:
    """One command being decided."""

    state: State
    command: Command
    now: int
    tools: Tools

    @property
    def is_follow_up(self) -> bool:
        """Whether the engine itself asks."""
        return "engine" in self.command.principal.rights

    @property
    def is_overseer(self) -> bool:
        """Whether an operator or the engine asks, and not only whoever acts for a member."""
        return not {"operator", "engine"}.isdisjoint(self.command.principal.rights)

    @property
    def is_confined(self) -> bool:
        """Whether whoever asks acts for members and nothing else: what it does not own is none of its business.

        It is not even told whether there is a packet of some id: every rule answers the same to what is another's and
        to what is nobody's.
        """
        rights = self.command.principal.rights
        return bool(rights) and all(right.startswith("member:") for right in rights)

    def member(self, member_id: str, *, pointer: str = "/member_id") -> Member:
        """Return the member of that id.

        Raises:
            NotFoundError: there is none.
        """
        member = self.state.members.get(member_id)
        if member is None:
            otherwise = "see who is registered: pfgov member list"
            near = () if self.is_confined else self.state.members  # nor who else there is
            raise NotFoundError(
                f"there is no member {member_id}",
                code="member.not_found",
                hint=_near(member_id, near, otherwise),
                pointer=pointer,
            )
        return member

    def is_kept_from(self, packet_id: str) -> bool:
        """Whether there is no such packet, and whoever asks must not learn that.

        Raises:
            NeedsPacketError: it is not in memory.
        """
        return self.is_confined and self.find_packet(packet_id) is None

    def packet(self, packet_id: str) -> Packet:
        """Return the packet of that id, ended ones included.

        Raises:
            NeedsPacketError: it is not in memory.
            NotFoundError: there is none.
        """
        packet = self.find_packet(packet_id)
        if packet is None:
            raise NotFoundError(
                f"there is no packet {packet_id}",
                code="packet.not_found",
                hint="see what was submitted: pfgov packet list --all",
                pointer="/packet_id",
            )
        return packet

    def find_packet(self, packet_id: str) -> Packet | None:
        """Return the packet of that id, or None.

        Raises:
            NeedsPacketError: it is not in memory, and nobody has looked in the store yet.
        """
        packet = self.state.packets.get(packet_id)
        if packet is None and not self.tools.complete and packet_id not in self.tools.absent:
            raise NeedsPacketError(packet_id)
        return packet

    def ahead(self, name: str, moment: int | None, message: str) -> None:
        """Check that *moment*, the field *name* of the command, is still to come.

        Raises:
            InvalidError: ``time.passed``, it is not.
        """
        if moment is not None and moment <= self.now and self.state.semantics >= CHECKED_AT_CHANGE:
            raise InvalidError(
                message,
                code="time.passed",
                hint="name a later time",
                pointer=f"/{name}",
            )

    def authorise(self, action: Action, *members: str | None) -> None:
        """Check that the principal holds the action's right, or acts for one of *members*.

        Raises:
            ForbiddenError: it does not.
        """
        rights = self.command.principal.rights
        right = action.right
        if right in rights:
            return
        if right in {"member", "submitter", "operator"} and (
            "operator" in rights or "engine" in rights
        ):
            return
        if right == "member" and any(f"member:{member}" in rights for member in members if member):
            return
        wanted = f"member:{members[0]}" if right == "member" and members and members[0] else right
        if right == "member" and self.is_confined:  # a stranger would be told who the owner is
            wanted = "operator"
        raise ForbiddenError(
            f"{self.command.principal.id} lacks the right {wanted!r}",
            hint="use a key with that scope, or ask an operator",
        )


def _near(name: str, known: Mapping[str, object] | Sequence[str], otherwise: str) -> str:
    close = difflib.get_close_matches(name, list(known)[:1_000], n=1)
    return f"did you mean {close[0]}?" if close else otherwise
