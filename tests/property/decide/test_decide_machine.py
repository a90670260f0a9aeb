"""A small model of ownership, and Hypothesis trying to make the real rules disagree with it.

The model knows who owns what and under which epoch, in a page of dictionaries.  Every rule of the machine does one
thing to both; what the real rules accept, the model must allow, and what they own afterwards must be the same.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support.searching import examples
from support.world import World

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.lifecycle import TERMINAL, MemberStatus
from pfgov.errors import ConflictError, PfgovError

NAMES = tuple(f"m{i}" for i in range(4))
IDS = tuple(f"p{i}" for i in range(5))


class Ownership(RuleBasedStateMachine):
    """The real rules beside the model."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.read = len(self.world.entries)
        self.owner: dict[str, tuple[str, int] | None] = {}
        self.epoch: dict[str, int] = {}
        self.over: set[str] = set()
        self.remembered: list[tuple[str, c.OwnerClaim]] = []
        for name in NAMES[:3]:
            self.world.member(name)
        for packet_id in IDS[:3]:
            self.world.packet(packet_id)
        self._follow()

    def _do(self, action: c.Action) -> bool:
        try:
            self.world.do(action)
        except PfgovError:
            return False
        return True

    def _follow(self) -> None:
        """Bring the model up to date from the events alone: it believes nothing else."""
        for _, event in self.world.entries[self.read :]:
            packet_id = getattr(event, "packet_id", "")
            if isinstance(event, e.PacketCreated):
                self.owner[packet_id], self.epoch[packet_id] = None, 0
            elif isinstance(event, e.AssignmentDecision) and event.owner is not None:
                assert self.owner[packet_id] is None, "a packet with an owner was assigned"
                self._take(packet_id, event.owner, event.epoch)
            elif isinstance(event, e.HandoffCompleted):
                held = self.owner[packet_id]
                assert held == (event.source.member_id, event.source.incarnation)
                self._take(packet_id, event.owner, event.epoch)
            elif isinstance(event, e.OwnershipRevoked | e.PacketRequeued):
                assert event.epoch == self.epoch[packet_id] + 1
                self.owner[packet_id], self.epoch[packet_id] = None, event.epoch
            elif isinstance(event, e.PacketCompleted | e.PacketFailed | e.PacketCancelled):
                assert packet_id not in self.over
                self.over.add(packet_id)
                self.owner[packet_id] = None
        self.read = len(self.world.entries)

    def _take(self, packet_id: str, owner: e.Owner, epoch: int) -> None:
        assert epoch == self.epoch[packet_id] + 1
        self.owner[packet_id], self.epoch[packet_id] = (owner.member_id, owner.incarnation), epoch
        claim = c.OwnerClaim(member_id=owner.member_id, incarnation=owner.incarnation, epoch=epoch)
        self.remembered.append((packet_id, claim))

    @rule(name=st.sampled_from(NAMES), tasks=st.sampled_from(("", "1", "3")), accepts=st.booleans())
    def register(self, name: str, tasks: str, accepts: bool) -> None:
        """Join, or come back."""
        self._do(
            c.RegisterMember(
                member_id=name,
                type="agent",
                capacity=(("tasks", tasks),) if tasks else (),
                handoff_mode="accept" if accepts else "auto",
            )
        )

    @rule(packet_id=st.sampled_from(IDS))
    def submit(self, packet_id: str) -> None:
        """Submit once; the second time is refused."""
        known = packet_id in self.owner
        action = c.SubmitPacket(packet_id=packet_id, workload_type="t", lineage_id="l")
        assert self._do(action) is not known
        self._follow()

    @rule(
        draw=st.integers(0, 1_000),
        how=st.sampled_from(("complete", "fail", "requeue", "checkpoint")),
    )
    def write(self, draw: int, how: str) -> None:
        """Write with a claim, fresh or stale: it is accepted if and only if the model says it still holds."""
        self._follow()
        if self.remembered:
            self._write(*self.remembered[draw % len(self.remembered)], how)

    @rule(how=st.sampled_from(("complete", "requeue", "checkpoint")))
    def write_as_before_the_last_move(self, how: str) -> None:
        """The one who lost a packet most recently writes to it."""
        self._follow()
        lost = [(p, claim) for p, claim in self.remembered if self.epoch[p] != claim.epoch]
        if lost:
            self._write(*lost[-1], how)

    def _write(self, packet_id: str, claim: c.OwnerClaim, how: str) -> None:
        member = self.world.state.members[claim.member_id]
        packet = self.world.state.packets[packet_id]
        holds = (
            self.owner[packet_id] == (claim.member_id, claim.incarnation)
            and self.epoch[packet_id] == claim.epoch
            and member.incarnation == claim.incarnation
            and member.status is not MemberStatus.FAILED
        )
        commitment = c.Commitment(digest="00" * 32, size=64)
        actions: dict[str, c.Action] = {
            "complete": c.CompletePacket(packet_id=packet_id, owner=claim),
            "fail": c.FailPacket(packet_id=packet_id, owner=claim, reason="x"),
            "requeue": c.RequeuePacket(packet_id=packet_id, owner=claim),
            "checkpoint": c.CommitCheckpoint(packet_id=packet_id, owner=claim, context=commitment),
        }
        pinned = how == "checkpoint" and packet.pending is not None
        assert self._do(actions[how]) is (holds and not pinned)
        self._follow()

    @rule(
        name=st.sampled_from(NAMES),
        what=st.sampled_from(("fail", "recover", "drain", "quarantine", "release")),
    )
    def change(self, name: str, what: str) -> None:
        """Members fail, come back, leave, are kept out and let in again."""
        kinds = {
            "fail": c.FailMember,
            "recover": c.RecoverMember,
            "drain": c.DrainMember,
            "quarantine": c.QuarantineMember,
            "release": c.ReleaseMember,
        }
        self._do(kinds[what](member_id=name))
        self._follow()

    @rule(packet_id=st.sampled_from(IDS), name=st.sampled_from((None, *NAMES)))
    def hand_off(self, packet_id: str, name: str | None) -> None:
        """Move a packet, to somebody or to anybody."""
        self._do(c.HandOff(packet_id=packet_id, target=name))
        self._follow()

    @rule(packet_id=st.sampled_from(IDS), refuses=st.booleans())
    def answer(self, packet_id: str, refuses: bool) -> None:
        """The target of a handoff takes it, or refuses it."""
        packet = self.world.state.packets.get(packet_id)
        if packet is None or packet.pending is None:
            return
        pending = packet.pending
        action: c.Action = c.AcceptHandoff(
            packet_id=packet_id,
            member_id=pending.target,
            incarnation=pending.incarnation,
            handoff=pending.position,
            view=packet.context.digest if packet.context else None,
        )
        self._do(
            c.AbortHandoff(packet_id=packet_id, member_id=pending.target) if refuses else action
        )
        self._follow()

    @rule(seconds=st.integers(1, 120))
    def wait(self, seconds: int) -> None:
        """Let time pass and everything that is due happen."""
        self.world.wait(seconds)
        self.world.settle()
        self._follow()

    @invariant()
    def agrees(self) -> None:
        """Who owns what, and under which epoch, is the same in both."""
        self._follow()
        for packet_id, packet in self.world.state.packets.items():
            held = None if packet.owner is None else (packet.owner, packet.incarnation)
            assert held == self.owner[packet_id]
            assert packet.epoch == self.epoch[packet_id]
            assert (packet.status in TERMINAL) == (packet_id in self.over)

    def teardown(self) -> None:
        """The history folds to the same rows."""
        fresh = self.world.refold()
        for table, key in self.world.state.rows():
            assert fresh.row(table, key) == self.world.state.row(table, key)


Ownership.TestCase.settings = settings(
    max_examples=examples(100),
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestOwnership = Ownership.TestCase
"""The rules and the model agree on every history that Hypothesis finds."""


def test_decide_a_member_that_flaps_ten_times_moves_work_at_most_twice() -> None:
    """Work ping-pongs with a member that fails and comes back all the time."""
    world = World()
    world.member("flapping")
    world.packet("p")
    world.member("steady")
    start = len(world.entries)
    for _ in range(10):
        try:
            world.do(c.FailMember(member_id="flapping"))
            world.settle()
            world.do(c.RecoverMember(member_id="flapping"))
        except ConflictError:
            world.do(c.ReleaseMember(member_id="flapping"))
        world.settle()
        world.wait(6)
    moves = [
        ev
        for _, ev in world.entries[start:]
        if isinstance(ev, e.AssignmentDecision | e.HandoffCompleted)
    ]
    assert len([ev for ev in moves if getattr(ev, "owner", None) is not None]) <= 2
