"""A member names its life and the epoch with every move, too; a late one moves nothing."""

from typing import Any

import pytest
from support.world import World

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.errors import ForbiddenError, PfgovError, StaleEpochError

OWNER = c.Principal(id="m", rights=("member:m",))
TARGET = c.Principal(id="n", rights=("member:n",))


def _world(*, is_offered: bool = False) -> World:
    world = World()
    world.member("m")
    world.packet("p")
    world.member("n", handoff_mode="accept")
    if is_offered:
        world.do(c.HandOff(packet_id="p", target="n"))
    return world


def _claim(member: str, epoch: int, life: int = 1) -> c.OwnerClaim:
    return c.OwnerClaim(member_id=member, incarnation=life, epoch=epoch)


def _code(world: World, action: c.Action, who: c.Principal) -> str:
    with pytest.raises(PfgovError) as caught:
        world.do(action, who)
    return caught.value.code


@pytest.mark.parametrize(
    ("who", "action", "is_offered"),
    [
        (OWNER, c.HandOff(packet_id="p", target="n"), False),
        (OWNER, c.AbortHandoff(packet_id="p"), True),
        (OWNER, c.AbortHandoff(packet_id="p", member_id="m"), True),
        (TARGET, c.AbortHandoff(packet_id="p", member_id="n"), True),
        (OWNER, c.RequeuePacket(packet_id="p"), False),
    ],
)
def test_decide_a_move_without_an_epoch_is_refused(
    who: c.Principal, action: Any, is_offered: bool
) -> None:
    """A member that names no epoch moves what it may not own any more; an operator need not name anybody."""
    world = _world(is_offered=is_offered)
    size = world.state.size
    with pytest.raises(ForbiddenError):
        world.do(action, who)
    assert world.state.size == size
    world.do(action)
    assert world.state.size > size


def test_decide_an_older_ledger_keeps_moves_without_an_epoch() -> None:
    """A ledger that was written under older rules is not replayed as it was."""
    world = _world()
    world.state.semantics = 3
    assert world.do(c.HandOff(packet_id="p", target="n"), OWNER)


@pytest.mark.parametrize("verb", [c.HandOff, c.AbortHandoff])
def test_decide_a_late_move_is_refused_and_recorded_once(verb: Any) -> None:
    """An owner that got its packet back moves it by a message of its earlier ownership."""
    world = _world()
    late = world.claim("p")
    world.do(c.RequeuePacket(packet_id="p", reason="x"))
    world.do(c.PlacePacket(packet_id="p", target="m"))
    if verb is c.AbortHandoff:
        world.do(c.HandOff(packet_id="p", target="n"))
    for _ in range(2):
        with pytest.raises(StaleEpochError):
            world.do(verb(packet_id="p", owner=late), OWNER)
    refused = [event for _, event in world.entries if isinstance(event, e.WriteRefused)]
    assert [event.claimed_epoch for event in refused] == [late.epoch]
    pending = world.state.packets["p"].pending
    assert (pending is not None) is (verb is c.AbortHandoff)


def test_decide_a_target_refuses_the_offer_that_it_read() -> None:
    """A late refusal of one offer ends the next one."""
    world = _world(is_offered=True)
    first = world.state.packets["p"].pending
    epoch = world.state.packets["p"].epoch
    assert first is not None
    world.do(c.AbortHandoff(packet_id="p", owner=_claim("m", epoch)), OWNER)
    world.do(c.HandOff(packet_id="p", target="n"))
    late = c.AbortHandoff(packet_id="p", owner=_claim("n", epoch), handoff=first.position)
    assert _code(world, late, TARGET) == "handoff.unknown"
    other = c.AbortHandoff(packet_id="p", owner=_claim("n", epoch - 1))
    assert _code(world, other, TARGET) == "handoff.unknown"
    dead = c.AbortHandoff(packet_id="p", owner=_claim("n", epoch, 2))
    assert _code(world, dead, TARGET) == "handoff.not_target"
    assert world.state.packets["p"].pending is not None
    world.do(c.AbortHandoff(packet_id="p", owner=_claim("n", epoch)), TARGET)
    ended = [event for _, event in world.entries if isinstance(event, e.HandoffAborted)]
    assert [event.cause for event in ended] == ["requested", "refused"]


def test_decide_nobody_moves_as_another() -> None:
    """A member moves another's packet by naming the other."""
    world = _world()
    with pytest.raises(ForbiddenError):
        world.do(c.HandOff(packet_id="p", target="n", owner=world.claim("p")), TARGET)
