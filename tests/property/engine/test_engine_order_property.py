"""The running state, the stored one and the folded one are walked alike after every command, whatever was sent."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import hostile
from support.hostile import Seeded
from support.ledgers import SECOND, START, fresh, opened
from support.searching import examples

from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.core.apply import apply
from pfgov.core.records import Stamp
from pfgov.core.state import State
from pfgov.engine import Engine
from pfgov.errors import PfgovError
from pfgov.sim.truth import check_replay, check_states
from pfgov.storage.port import EntryFilter

COMMANDS = 24


def _action(source: Seeded, engine: Engine, number: int) -> c.Action:
    member_id = hostile.one(source, hostile.IDS_ADMITTED[:6])
    packet_id = hostile.one(source, hostile.IDS_ADMITTED[6:12])
    new = f"{packet_id}{number}"
    makers = (
        lambda: hostile.register(source, member_id),
        lambda: hostile.register(source, member_id),
        lambda: hostile.update_member(source, member_id),
        lambda: hostile.submit(source, packet_id),
        lambda: hostile.submit(source, new[-128:]),
        lambda: hostile.submit(source, new[-128:]),
        lambda: hostile.update_packet(source, packet_id),
        lambda: c.PlacePacket(packet_id=packet_id),
        lambda: c.HandOff(packet_id=packet_id),
        lambda: c.CancelPacket(packet_id=packet_id),
        lambda: c.DrainMember(member_id=member_id),
        lambda: c.FailMember(member_id=member_id),
    )
    return hostile.one(source, makers)()


@settings(max_examples=examples(20))
@given(drawn=st.randoms(use_true_random=False))
def test_order_states_are_walked_alike_after_every_command(
    tmp_path_factory: pytest.TempPathFactory, drawn: random.Random
) -> None:
    """Something that is held in the order of a command, of a hash or of a reload can be told by a walk."""
    folder = tmp_path_factory.mktemp("order")
    directory, clock, source = fresh(folder), ManualClock(START + SECOND), Seeded(drawn)
    engine, shadow = opened(directory, clock), State()
    try:
        for number in range(COMMANDS):
            clock.advance(SECOND)
            try:
                engine.submit(
                    _action(source, engine, number),
                    principal=c.LOCAL_OPERATOR
                    if hostile.chance(source, 70)
                    else hostile.principal(source),
                )
                engine.tick()
            except PfgovError:
                pass  # refused: nothing is to have changed
            if hostile.chance(source, 20):
                engine.close()
                engine = opened(directory, clock, seed=str(number))
            for one in engine.reader.entries(EntryFilter(start=shadow.size)):
                apply(shadow, one.event, Stamp(one.row.seq, one.row.time))
            check_states(engine, shadow)
        check_replay(engine)
    finally:
        engine.close()
