"""Moving a packet on: two phases, what ends them, drains and rebalancing."""

import pytest
from support.world import SECOND, World

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.lifecycle import MemberStatus, PacketStatus
from pfgov.errors import ConflictError, StateConflictError

COMMITMENT = c.Commitment(digest="ab" * 32, size=64)


def test_decide_two_phase_handoff_reserves_and_moves() -> None:
    """While a handoff is pending the source owns the packet and its context is pinned; acceptance moves it."""
    world = World()
    world.member("m")
    world.packet("p", context=COMMITMENT)
    world.member("n", handoff_mode="accept", capacity=(("tasks", "1"),))
    source = world.claim("p")
    world.do(c.HandOff(packet_id="p", target="n"))
    position = world.state.size - 1
    assert world.state.members["n"].active == 1
    with pytest.raises(ConflictError) as pinned:
        world.do(c.CommitCheckpoint(packet_id="p", owner=source, context=COMMITMENT))
    assert pinned.value.code == "handoff.pending"
    accept = c.AcceptHandoff(
        packet_id="p", member_id="n", incarnation=1, handoff=position, view="cd" * 32
    )
    with pytest.raises(ConflictError) as mismatch:
        world.do(accept)
    assert mismatch.value.code == "handoff.context_mismatch"
    world.do(
        c.AcceptHandoff(
            packet_id="p", member_id="n", incarnation=1, handoff=position, view=COMMITMENT.digest
        )
    )
    packet = world.state.packets["p"]
    assert (packet.owner, packet.epoch, packet.handoff_count) == ("n", 2, 1)
    assert world.state.members["m"].active == 0


@pytest.mark.parametrize("semantics", [3, e.SEMANTICS])
def test_decide_an_owner_is_no_target(semantics: int) -> None:
    """A handoff to the present owner is refused, and says nothing of others; older ledgers record a denial."""
    world = World()
    world.state.semantics = semantics
    world.member("m")
    world.packet("p")
    world.member("n")
    if semantics < e.SEMANTICS:
        assert [event.type for event in world.do(c.HandOff(packet_id="p", target="m"))] == [
            "handoff_denied"
        ]
        assert world.state.packets["p"].waiting is not None
        return
    with pytest.raises(StateConflictError) as refused:
        world.do(c.HandOff(packet_id="p", target="m"))
    assert refused.value.code == "handoff.to_owner"
    assert world.state.packets["p"].waiting is None
    world.do(c.HandOff(packet_id="p", target="n"))
    assert world.state.packets["p"].owner == "n"


def test_decide_completing_ends_a_pending_handoff() -> None:
    """The source may finish while a handoff is pending; the target's reservation is given back."""
    world = World()
    world.member("m")
    world.packet("p")
    world.member("n", handoff_mode="accept")
    world.do(c.HandOff(packet_id="p", target="n"))
    world.do(c.CompletePacket(packet_id="p", owner=world.claim("p")))
    assert world.types()[-2:] == ["handoff_aborted", "packet_completed"]
    assert world.state.members["n"].active == 0


def test_decide_a_handoff_nobody_accepts_times_out() -> None:
    """A target that never answers loses the offer; the source keeps its epoch."""
    world = World()
    world.member("m")
    world.packet("p")
    world.member("n", handoff_mode="accept")
    world.do(c.HandOff(packet_id="p", target="n"))
    world.wait(61)
    world.settle()
    packet = world.state.packets["p"]
    assert (packet.owner, packet.epoch, packet.status) == ("m", 1, PacketStatus.ASSIGNED)


@pytest.mark.parametrize(("late", "semantics"), [(-1, 3), (0, 3), (5, 3), (5, 2)])
def test_decide_a_handoff_is_accepted_in_time_or_not_at_all(late: int, semantics: int) -> None:
    """The deadline binds when the acceptance comes, not when a tick notices; older rules keep theirs."""
    world = World()
    world.state.semantics = semantics
    world.member("m")
    world.packet("p")
    world.member("n", handoff_mode="accept")
    world.do(c.HandOff(packet_id="p", target="n"))
    pending = world.state.packets["p"].pending
    assert pending is not None
    world.now = pending.deadline + late
    accept = c.AcceptHandoff(packet_id="p", member_id="n", incarnation=1, handoff=pending.position)
    if late < 0 or semantics == 2:
        assert [event.type for event in world.do(accept)] == ["handoff_completed"]
        return
    with pytest.raises(StateConflictError) as caught:
        world.do(accept)
    assert caught.value.code == "handoff.expired"
    end = world.entries[-1][1]
    assert isinstance(end, e.HandoffAborted)
    assert (end.cause, world.state.packets["p"].owner) == ("timeout", "m")
    assert world.state.members["n"].active == 0


def test_decide_a_target_that_dies_ends_the_handoff() -> None:
    """A dead target cannot accept: the handoff is aborted and its room freed."""
    world = World()
    world.member("m")
    world.packet("p")
    world.member("n", handoff_mode="accept")
    world.do(c.HandOff(packet_id="p", target="n"))
    world.do(c.FailMember(member_id="n"))
    world.settle()
    assert world.state.packets["p"].owner == "m"
    assert world.state.members["n"].active == 0


def test_decide_a_drain_moves_everything_then_retires() -> None:
    """Draining hands every packet over in order and retires the member only when it owns nothing."""
    world = World()
    world.member("m")
    for i in range(5):
        world.packet(f"p{i}")
    world.member("n")
    world.do(c.DrainMember(member_id="m"))
    world.settle()
    assert world.state.members["m"].status is MemberStatus.RETIRED
    assert {p.owner for p in world.state.packets.values()} == {"n"}
    assert "ownership_revoked" not in world.types()


def test_decide_a_drain_revokes_at_its_deadline() -> None:
    """What cannot move by the deadline is revoked: a drain always ends."""
    world = World()
    world.member("m")
    world.packet("p")
    world.do(c.DrainMember(member_id="m", deadline=world.now + 10 * SECOND))
    world.settle()
    assert world.state.packets["p"].owner == "m"
    world.wait(11)
    world.settle()
    assert world.state.members["m"].status is MemberStatus.RETIRED
    assert world.state.packets["p"].status is PacketStatus.PENDING


def test_decide_rebalancing_comes_to_rest() -> None:
    """A joiner gets a fair share within the budget per tick, and then nothing moves any more."""
    world = World()
    world.do(c.Configure(settings=(("rebalance_budget", "2"), ("rebalance_cooldown", "10"))))
    world.member("m")
    for i in range(10):
        world.packet(f"p{i}")
    world.member("n")
    assert len(world.state.owned["m"]) == 10
    world.settle()
    assert len(world.state.owned["m"]) == 10, "nothing moves before its cooldown"
    world.wait(11)
    from pfgov.core.decide import due

    moves = due(world.state, world.memory, world.leases, world.now)
    assert [type(move) for move in moves] == [c.HandOff, c.HandOff]
    world.settle()
    shares = sorted(len(owned) for owned in world.state.owned.values())
    assert shares[0] >= 4
    world.wait(60)
    size = world.state.size
    world.settle()
    assert world.state.size == size
