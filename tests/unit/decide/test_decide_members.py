"""Who a member is and what it may say of itself; failing too often."""

import pytest
from support.world import OPERATOR, World

from pfgov.core import commands as c
from pfgov.core.lifecycle import MemberStatus
from pfgov.errors import (
    ForbiddenError,
    NotFoundError,
)

SCOPED = c.Principal(id="m", rights=("member:m",))


def test_decide_self_declared_trust_is_only_a_claim() -> None:
    """A registrant without the assessor's right gets no trust from its own word, and no clearances."""
    world = World()
    world.do(c.RegisterMember(member_id="m", type="agent", trust_score="0.99"), SCOPED)
    member = world.state.members["m"]
    assert (member.attested, member.claimed_trust) == (None, "0.99")
    with pytest.raises(ForbiddenError) as changing:
        world.do(c.UpdateMember(member_id="m", clearances=("pii",)), SCOPED)
    assert (changing.value.hint or "").startswith("leave clearances out")
    elsewhere, joiner = World(), c.RegisterMember(member_id="m", type="agent", clearances=("pii",))
    with pytest.raises(ForbiddenError) as joining:
        elsewhere.do(joiner, SCOPED)
    assert (joining.value.hint or "").startswith("register without clearances")
    with pytest.raises(ForbiddenError):
        world.do(c.UpdateMember(member_id="m", region="eu"), SCOPED)
    with pytest.raises(ForbiddenError):
        world.do(c.AssessTrust(member_id="m", score="0.99"), SCOPED)


def test_decide_a_key_acts_only_for_its_member() -> None:
    """The key of one member must not write for another."""
    world = World()
    world.member("n")
    world.packet("p")
    with pytest.raises(ForbiddenError):
        world.do(c.CompletePacket(packet_id="p", owner=world.claim("p")), SCOPED)
    with pytest.raises(ForbiddenError):
        world.do(c.DrainMember(member_id="n"), SCOPED)
    with pytest.raises(ForbiddenError):
        world.do(c.RevokeOwner(packet_id="p", epoch=1), OPERATOR)


def test_decide_unknown_things_are_named() -> None:
    """An id that does not exist is a clear error with a suggestion, and leaves no entry."""
    world = World()
    world.member("agent-customer-01")
    world.packet("p")
    size = world.state.size
    with pytest.raises(NotFoundError) as caught:
        world.do(c.HandOff(packet_id="p", target="agent-customer-1"))
    assert caught.value.hint == "did you mean agent-customer-01?"
    with pytest.raises(NotFoundError):
        world.do(c.PlacePacket(packet_id="nope"))
    assert world.state.size == size


def test_decide_flapping_ends_in_quarantine_that_decays() -> None:
    """A member that keeps failing is kept out for longer and longer, and let back in by itself."""
    world = World()
    world.member("m")
    for _ in range(3):
        world.do(c.FailMember(member_id="m"))
        world.do(c.RecoverMember(member_id="m"))
    assert world.state.members["m"].status is MemberStatus.QUARANTINED
    world.wait(61)
    world.settle()
    assert world.state.members["m"].status is MemberStatus.ACTIVE


@pytest.mark.parametrize("back", ["recover", "register"])
def test_decide_a_member_cannot_die_out_of_its_quarantine(back: str) -> None:
    """A quarantine outlives the life it was laid on: only its end or an operator's release lets the member in again."""
    world = World()
    world.member("m")
    world.do(c.QuarantineMember(member_id="m", until=world.now + 100_000_000))
    world.do(c.FailMember(member_id="m"))
    again: c.Action = c.RecoverMember(member_id="m")
    if back == "register":
        again = c.RegisterMember(member_id="m", type="agent")
    world.do(again, SCOPED)
    seen = [world.state.members["m"].status]
    fresh = world.refold()
    assert fresh.row("member", "m") == world.state.row("member", "m")
    world.wait(101)
    world.settle()
    seen.append(world.state.members["m"].status)
    assert seen == [MemberStatus.QUARANTINED, MemberStatus.ACTIVE]


def test_decide_a_quarantine_that_ended_during_a_failure_is_over() -> None:
    """A member that comes back after the end of its quarantine comes back free."""
    world = World()
    world.member("m")
    world.do(c.QuarantineMember(member_id="m", until=world.now + 10_000_000))
    world.do(c.FailMember(member_id="m"))
    world.wait(11)
    world.do(c.RecoverMember(member_id="m"), SCOPED)
    assert world.state.members["m"].status is MemberStatus.ACTIVE
