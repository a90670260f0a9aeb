"""Who owns a packet: epochs, stale writers, limits, who gets what waits."""

import pytest
from support.world import SECOND, World

from pfgov import commands as c
from pfgov.errors import (
    ConflictError,
    StaleEpochError,
)
from pfgov.lifecycle import PacketStatus

COMMITMENT = c.Commitment(digest="ab" * 32, size=64)


def test_decide_a_dead_owner_loses_its_packet_and_cannot_write() -> None:
    """After a death the packet moves on under a new epoch; the old owner's late write is refused and recorded once."""
    world = World()
    world.member("m")
    world.packet("p")
    late = world.claim("p")
    world.member("n")
    world.do(c.FailMember(member_id="m"))
    world.settle()
    packet = world.state.packets["p"]
    assert (packet.owner, packet.epoch, packet.status) == (
        "n",
        late.epoch + 2,
        PacketStatus.ASSIGNED,
    )
    with pytest.raises(StaleEpochError):
        world.do(c.CompletePacket(packet_id="p", owner=late))
    assert world.types()[-1] == "write_refused"
    size = world.state.size
    for _ in range(3):
        with pytest.raises(StaleEpochError):
            world.do(c.CommitCheckpoint(packet_id="p", owner=late, context=COMMITMENT))
    assert world.state.size == size


def test_decide_a_resurrected_owner_is_another_life() -> None:
    """A member that recovers owns nothing of its former life, even before the follow-ups ran."""
    world = World()
    world.member("m")
    world.packet("p")
    claim = world.claim("p")
    world.do(c.FailMember(member_id="m"))
    world.do(c.RecoverMember(member_id="m"))
    with pytest.raises(ConflictError):
        world.do(c.CompletePacket(packet_id="p", owner=claim))
    world.settle()
    assert world.state.packets["p"].incarnation == 2
    assert "ownership_revoked" in world.types()


def test_decide_a_join_wakes_what_waits() -> None:
    """A packet nobody could own is placed when somebody who can joins."""
    world = World()
    packet = world.packet("p")
    assert packet.waiting is not None
    assert packet.waiting.outcome == "no_candidate"
    world.member("m")
    world.settle()
    assert world.state.packets["p"].owner == "m"


def test_decide_room_that_frees_up_is_used() -> None:
    """A packet that waited for capacity is placed when somebody finishes."""
    world = World()
    world.member("m", capacity=(("tasks", "1"),))
    world.packet("p")
    second = world.packet("q")
    assert second.waiting is not None
    assert second.waiting.outcome == "no_capacity"
    world.settle()
    world.do(c.CompletePacket(packet_id="p", owner=world.claim("p")))
    world.settle()
    assert world.state.packets["q"].owner == "m"


@pytest.mark.parametrize("limit", ["attempts", "deadline", "max_handoffs"])
def test_decide_limits_end_in_failed_with_reasons(limit: str) -> None:
    """A packet that cannot be helped ends FAILED and says why; it is never lost in silence."""
    world = World()
    world.member("m")
    world.packet(
        "p",
        deadline=world.now + 60 * SECOND if limit == "deadline" else None,
        max_handoffs=0 if limit == "max_handoffs" else None,
    )
    if limit == "deadline":
        world.wait(61)
    elif limit == "max_handoffs":
        world.do(c.RequeuePacket(packet_id="p"))
    else:
        for _ in range(world.state.settings.attempts_max):
            world.do(c.RequeuePacket(packet_id="p"))
            if world.state.packets["p"].attempts < world.state.settings.attempts_max:
                world.do(c.PlacePacket(packet_id="p"))
    world.settle()
    assert (world.state.packets["p"].status, world.state.packets["p"].cause) == (
        PacketStatus.FAILED,
        limit,
    )


def test_decide_folding_gives_the_same_rows() -> None:
    """The ledger is the state: folding the entries gives every row back, byte for byte."""
    world = World()
    world.member("m", trust_score="0.9", capacity=(("cpu", "4"), ("tasks", "3")))
    for i in range(4):
        world.packet(f"p{i}", demand=(("cpu", "0.5"),))
    world.member("n")
    world.do(c.CompletePacket(packet_id="p0", owner=world.claim("p0")))
    world.do(c.FailMember(member_id="m"))
    world.settle()
    fresh = world.refold()
    for table, key in world.state.rows():
        assert fresh.row(table, key) == world.state.row(table, key)
        again = type(fresh)()
        again.load_row(table, key, fresh.row(table, key))
        assert again.row(table, key) == fresh.row(table, key)
    assert fresh.unowned == world.state.unowned
