"""How long an owner may stand still with a packet, and who gets a packet that did not work out: others first."""

from typing import Any

import msgspec
import pytest
from support.world import SECOND, World

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.decide import LeaseView, due
from pfgov.core.lifecycle import PacketStatus
from pfgov.limits import AVOIDED_MAX

BOUND = 60


def _world(*members: str, **packet: Any) -> World:
    world = World()
    for name in members:
        world.member(name)
    world.packet("p", progress_seconds=BOUND, **packet)
    return world


def _stalls(world: World) -> list[c.StallOwner]:
    found = due(world.state, world.memory, world.leases, world.now)
    return [one for one in found if isinstance(one, c.StallOwner)]


def _heard(world: World) -> None:
    owner = world.state.packets["p"].owner
    assert owner is not None
    world.leases[owner] = LeaseView(1, world.now, 30 * SECOND)


def _saved(world: World) -> None:
    claim, found = world.claim("p"), c.Commitment(digest="d" * 64, size=64)
    world.do(c.CommitCheckpoint(packet_id="p", owner=claim, context=found))


def test_decide_a_packet_leaves_an_owner_that_stands_still() -> None:
    """A packet whose owner makes no progress stays where it is, or leaves too early, or goes back to the same."""
    world = _world("one", "other")
    first = world.state.packets["p"].owner
    world.wait(BOUND - 1)
    assert not _stalls(world)
    world.wait(1)
    done = world.settle()
    requeued = next(event for event in done if isinstance(event, e.PacketRequeued))
    assert (requeued.reason, requeued.elsewhere) == (e.NO_PROGRESS, True)
    packet = world.state.packets["p"]
    assert packet.owner == ({"one", "other"} - {first}).pop()
    assert packet.avoided == (first,)


def test_decide_whoever_is_alone_gets_the_packet_again_and_not_for_ever() -> None:
    """A packet that nobody can work on goes round without an end."""
    world = _world("alone")
    for _ in range(40):
        world.wait(BOUND)
        world.settle()
    packet = world.state.packets["p"]
    assert (packet.status, packet.cause) == (PacketStatus.FAILED, "attempts")


def test_decide_what_is_saved_or_said_is_progress() -> None:
    """A job that saves, or says that it goes on, loses its packet."""
    world = _world("one", "other")
    world.wait(BOUND - 1)
    _saved(world)
    world.wait(BOUND - 1)
    assert not _stalls(world)
    world.memory.progress.note(world.state.packets["p"], world.now)
    world.wait(BOUND - 1)
    assert not _stalls(world)
    world.wait(1)
    assert len(_stalls(world)) == 1


def test_decide_a_silent_member_is_not_held_to_stand_still() -> None:
    """Whoever is cut off may be at work and cannot be told to stop: two would work on one packet."""
    world = _world("one", "other")
    world.wait(10)
    _heard(world)
    world.wait(10 * BOUND)
    assert not _stalls(world)
    _heard(world)
    assert len(_stalls(world)) == 1


@pytest.mark.parametrize("case", ["earlier epoch", "saved meanwhile", "said otherwise"])
def test_decide_the_evidence_of_a_standstill_is_judged_again(case: str) -> None:
    """A packet is taken from an owner for what an earlier owner did, or although it went on."""
    world = _world("one", "other")
    world.wait(BOUND)
    (stall,) = _stalls(world)
    if case == "earlier epoch":
        world.do(c.RequeuePacket(packet_id="p"))
        world.settle()
    elif case == "saved meanwhile":
        _saved(world)
    else:
        stall = msgspec.structs.replace(stall, progressed_at=world.now)
    assert world.do(stall, c.ENGINE) == []


def test_decide_nobody_stands_still_while_a_handoff_waits_or_leases_do_not_end() -> None:
    """An owner that may not save, because its packet is offered, loses it; so does one that may be unheard."""
    world = _world("one")
    world.member("late", handoff_mode="accept")
    world.do(c.HandOff(packet_id="p", target="late"))
    assert world.state.packets["p"].status is PacketStatus.HANDOFF_PENDING
    world.wait(BOUND)
    assert not _stalls(world)
    world.do(c.AbortHandoff(packet_id="p"))
    assert not _stalls(world), "the time begins anew"
    world.do(c.HaltExpiry(cause="clock_jump", jump=1), c.ENGINE)
    world.wait(BOUND)
    assert not _stalls(world)
    world.do(c.ResumeExpiry(cause="clock"), c.ENGINE)
    assert not _stalls(world), "nobody was heard during the halt"
    world.wait(BOUND)
    assert len(_stalls(world)) == 1


def test_decide_what_names_no_bound_is_as_it_was() -> None:
    """A packet without the term changes by it: its row, its owner, its end."""
    world = World()
    world.member("one")
    world.packet("p")
    world.wait(10_000_000)
    assert not _stalls(world)
    row = msgspec.json.encode(world.state.packets["p"])
    assert b"progress" not in row
    assert b"avoided" not in row
    world.do(c.UpdatePacket(packet_id="p", progress_seconds=BOUND))
    assert not _stalls(world), "the time begins with the term"
    world.wait(BOUND)
    assert len(_stalls(world)) == 1


def test_decide_only_the_engine_says_that_an_owner_stands_still() -> None:
    """A member takes a packet from another by saying that it stands still."""
    world = _world("one", "other")
    world.wait(BOUND)
    stall = c.StallOwner(packet_id="p", epoch=1, progressed_at=0)
    with pytest.raises(Exception, match="engine"):
        world.do(stall, c.Principal(id="key:a", rights=("member:other",)))


def test_decide_what_goes_elsewhere_is_tried_by_each_before_anybody_has_it_again() -> None:
    """A packet that fails with everybody goes back to the same one at once, or to nobody."""
    world = World()
    for name in ("a", "b", "c"):
        world.member(name)
    world.packet("p")
    owners = []
    for _ in range(6):
        owners.append(world.state.packets["p"].owner)
        world.do(c.RequeuePacket(packet_id="p", owner=world.claim("p"), elsewhere=True))
        world.settle()
    assert set(owners[:3]) == {"a", "b", "c"}
    assert owners[3:] == owners[:3]
    _saved(world)
    assert world.state.packets["p"].avoided == ()
    fresh = world.refold()
    assert fresh.packets["p"] == world.state.packets["p"]


def test_decide_so_many_are_remembered_who_gave_a_packet_back() -> None:
    """A packet that goes through a large fleet remembers all of it."""
    world = World()
    for number in range(AVOIDED_MAX + 2):
        world.member(f"m{number}")
    world.packet("p")
    owners = []
    for _ in range(AVOIDED_MAX + 1):
        owners.append(world.state.packets["p"].owner)
        world.do(c.RequeuePacket(packet_id="p", owner=world.claim("p"), elsewhere=True))
        world.do(c.PlacePacket(packet_id="p"))
    assert world.state.packets["p"].avoided == tuple(owners[1:])
