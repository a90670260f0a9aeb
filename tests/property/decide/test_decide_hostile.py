"""What hostile generators draw: the admitted gets on record and stands there whole, in the one order."""

import random

from hypothesis import given
from hypothesis import strategies as st
from support import hostile
from support.world import World

from pfgov.core import commands as c
from pfgov.core.canonical import canonical
from pfgov.errors import PfgovError


@given(found=hostile.registrations())
def test_hostile_a_member_of_any_admitted_name_joins(found: c.RegisterMember) -> None:
    """An admitted registration is recorded with all that was given, in the one order."""
    found = canonical(found)
    world = World()
    world.do(found)
    member = world.state.members[found.member_id]
    assert tuple(member.capabilities.values()) == found.capabilities
    assert (member.labels, member.clearances) == (found.labels, found.clearances)


@given(found=hostile.submissions())
def test_hostile_a_packet_of_any_admitted_terms_is_recorded(found: c.SubmitPacket) -> None:
    """An admitted packet is recorded with all that was given, in the one order."""
    found = canonical(found)
    world = World()
    world.do(found)
    terms = world.state.packets[found.packet_id].terms
    assert (terms.data_classes, terms.labels) == (found.data_classes, found.labels)
    assert terms.required_capabilities == found.required_capabilities


@given(seed=st.integers(0, 2**32))
def test_hostile_a_seed_gives_the_same_history_again(seed: int) -> None:
    """Two sources of one seed draw the same commands; whoever asks, a refusal is a refusal and no crash."""
    histories = [_history(seed) for _ in range(2)]
    assert histories[0] == histories[1]


def _history(seed: int) -> list[c.Action]:
    source, world, done = hostile.Seeded(random.Random(seed)), World(), list[c.Action]()
    for _ in range(12):
        name = hostile.one(source, hostile.IDS_ADMITTED)
        make = hostile.one(
            source, (hostile.register, hostile.submit, hostile.update_member, hostile.update_packet)
        )
        action: c.Action = make(source, name)
        done.append(action)
        try:
            world.do(action, hostile.principal(source, sorted(world.state.members)))
        except PfgovError:
            continue
    return done
