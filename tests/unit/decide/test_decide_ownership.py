"""Who owns a packet: epochs, stale writers, limits, who gets what waits."""

import pytest
from support.world import SECOND, World

from pfgov.core import commands as c
from pfgov.core.lifecycle import PacketStatus
from pfgov.errors import (
    ConflictError,
    NotOwnerError,
    StaleEpochError,
    StateConflictError,
)

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


SCOPED = c.Principal(id="m", rights=("member:m",))


@pytest.mark.parametrize("semantics", [2, 3])
def test_decide_the_dead_hand_nothing_on(semantics: int) -> None:
    """A member that failed, or its next life, does not choose who gets what the last one held; an operator may."""
    world = World()
    world.state.semantics = semantics
    world.member("m")
    world.packet("p")
    world.member("n")
    world.do(c.FailMember(member_id="m"))
    if semantics == 2:
        world.do(c.HandOff(packet_id="p", target="n"), SCOPED)
        assert world.state.packets["p"].owner == "n", (
            "older ledgers keep the rule that they began with"
        )
        return
    with pytest.raises(NotOwnerError):
        world.do(c.HandOff(packet_id="p", target="n"), SCOPED)
    world.do(c.RecoverMember(member_id="m"))
    with pytest.raises(NotOwnerError):
        world.do(c.HandOff(packet_id="p", target="n"), SCOPED)
    world.do(c.HandOff(packet_id="p", target="n"))
    assert world.state.packets["p"].owner == "n"


@pytest.mark.parametrize("semantics", [2, 3])
def test_decide_a_packet_moves_nowhere_after_its_deadline(semantics: int) -> None:
    """Between the deadline and the tick that ends the packet nobody gets it, neither at first nor by a handoff."""
    world = World()
    world.state.semantics = semantics
    world.packet("waits", deadline=world.now + SECOND)
    world.member("m")
    world.packet("owned", deadline=world.now + SECOND)
    world.member("n")
    world.wait(2)
    if semantics == 2:
        world.do(c.PlacePacket(packet_id="waits"))
        assert world.state.packets["waits"].owner is not None
        return
    for action in (c.PlacePacket(packet_id="waits"), c.HandOff(packet_id="owned", target="n")):
        with pytest.raises(StateConflictError) as overdue:
            world.do(action)
        assert overdue.value.code == "packet.overdue"
    world.settle()
    assert {p.status for p in world.state.packets.values()} == {PacketStatus.FAILED}


@pytest.mark.parametrize("semantics", [2, 3])
def test_decide_an_epoch_that_never_was_leaves_no_entry(semantics: int) -> None:
    """A late write is recorded; one under a made-up epoch is refused as it is, or a member could fill any lineage."""
    world = World()
    world.state.semantics = semantics
    world.member("m")
    world.packet("p")
    size = world.state.size
    for epoch in range(100, 110):
        claim = c.OwnerClaim(member_id="m", incarnation=1, epoch=epoch)
        with pytest.raises(StaleEpochError) as caught:
            world.do(c.CompletePacket(packet_id="p", owner=claim), SCOPED)
        assert f"no epoch {epoch} yet" in str(caught.value.hint), "it never left"
    assert world.state.size == size + (10 if semantics == 2 else 0)
    with pytest.raises(StaleEpochError):
        world.do(
            c.CompletePacket(
                packet_id="p", owner=c.OwnerClaim(member_id="m", incarnation=1, epoch=0)
            ),
            SCOPED,
        )
    assert world.types()[-1] == "write_refused"
