"""Room that is certain is room that everybody has: never too much, and found again once it was freed."""

import random

import pytest
from support.world import World

from pfgov.core import commands as c
from pfgov.core.records import Member
from pfgov.core.scheduler import Request, fits
from pfgov.core.state import State
from pfgov.limits import MICRO

NAMES = ("cpu", "disk_io", "memory", "tasks", "tasks_x", "a")
"""Dimensions, one of which counts packets and one of which only looks like it."""


def _everybody(state: State, demand: dict[str, int]) -> bool:
    """What is stood for: each member is asked."""
    return all(
        not member.pressed and fits(Request("p", 0, "w", demand), member)
        for member in state.roster()
    )


def _amount(source: random.Random, most: int) -> str:
    return f"{source.randrange(most * 4) / 4:g}"


@pytest.mark.parametrize("seed", range(25))
def test_room_is_never_said_of_whom_has_none(seed: int) -> None:
    """A member that is full, over its limits or under pressure counts as one that has room."""
    source, world = random.Random(seed), World()
    said: list[bool] = []
    for number in range(6):
        limits = source.sample(NAMES, source.randrange(4))
        capacity = tuple((name, _amount(source, 40)) for name in sorted(limits))
        world.member(f"m{number}", capacity=capacity)
    for number in range(40):
        demand = {
            name: source.randrange(3 * MICRO) for name in source.sample(NAMES, source.randrange(3))
        }
        if world.state.has_room_everywhere(demand):
            assert _everybody(world.state, demand), f"after {number} steps"
            said.append(True)
        _step(world, source, number)
    assert said or seed, "nobody ever has room"


def _step(world: World, source: random.Random, number: int) -> None:
    member_id = f"m{source.randrange(6)}"
    owned = [packet_id for ids in world.state.owned.values() for packet_id in ids]
    match source.randrange(6):
        case 0 if owned:
            packet = world.state.packets[source.choice(sorted(owned))]
            claim = c.OwnerClaim(
                member_id=packet.owner or "", incarnation=packet.incarnation, epoch=packet.epoch
            )
            world.do(c.CompletePacket(packet_id=packet.packet_id, owner=claim))
        case 1:
            capacity = ((source.choice(NAMES), _amount(source, 20)),)
            world.do(c.UpdateMember(member_id=member_id, capacity=capacity))
        case 2:
            world.do(
                c.ReportPressure(member_id=member_id, pressure=source.choice(("0", "0.5", "1")))
            )
        case _:
            wanted = sorted(source.sample(NAMES, source.randrange(3)))
            demand = tuple((name, _amount(source, 2)) for name in wanted if name != "tasks")
            world.do(
                c.SubmitPacket(
                    packet_id=f"p{number}", workload_type="w", lineage_id="l", demand=demand
                )
            )


def test_room_that_was_freed_is_found_again() -> None:
    """Once a fleet was full each decision looks at every member for ever."""
    world = World()
    world.member("m", capacity=(("tasks", "20"),))
    for number in range(20):
        world.packet(f"p{number}")
    assert not world.state.has_room_everywhere({})
    for number in range(20):
        packet = world.state.packets[f"p{number}"]
        claim = c.OwnerClaim(member_id="m", incarnation=1, epoch=packet.epoch)
        world.do(c.CompletePacket(packet_id=packet.packet_id, owner=claim))
    assert world.state.has_room_everywhere({})


def test_room_is_never_said_beyond_what_a_member_declares_in_any_dimension() -> None:
    """A packet that asks for nothing goes to a member that is over its limits."""
    world = World()
    world.member("m", capacity=(("cpu", "2"),))
    world.packet("p", demand=(("cpu", "2"),))
    assert world.state.has_room_everywhere({"gpu": 9 * MICRO})
    world.do(c.UpdateMember(member_id="m", capacity=(("cpu", "1"),)))
    assert not world.state.has_room_everywhere({})
    member: Member = world.state.members["m"]
    assert not fits(Request("q", 0, "w", {}), member)
