"""Room that is freed belongs to whoever waits for it, before it belongs to somebody new."""

from pathlib import Path

from support.ledgers import START, claim, fresh, opened, packet, register, submit

from pfgov.clock import ManualClock
from pfgov.core import commands as c


def test_engine_freed_room_is_offered_to_the_queue_first(tmp_path: Path) -> None:
    """Completing and submitting between two ticks, low priorities overtake an urgent packet for ever."""
    with opened(fresh(tmp_path), ManualClock(START)) as engine:
        register(engine, "m", capacity=(("tasks", "1"),))
        submit(engine, packet("low-0"))
        submit(engine, packet("urgent", priority=1_000))
        submit(engine, packet("early"))
        submit(engine, c.CompletePacket(packet_id="low-0", owner=claim(engine, "low-0")))
        submit(engine, packet("low-1"))
        assert engine.reader.packet("urgent").owner == "m"
        assert engine.reader.packet("low-1").owner is None
        submit(engine, c.CompletePacket(packet_id="urgent", owner=claim(engine, "urgent")))
        submit(engine, packet("low-2"))
        assert engine.reader.packet("early").owner == "m"
        submit(engine, c.CompletePacket(packet_id="early", owner=claim(engine, "early")))
        submit(engine, packet("now", priority=9))
        assert engine.reader.packet("now").owner == "m"  # whoever is more urgent need not wait
        engine.reader.replay()


def test_engine_one_of_a_kind_finds_an_owner_and_the_others_follow(tmp_path: Path) -> None:
    """Of many packets that have everything in common only one gets the room that became free for all."""
    with opened(fresh(tmp_path), ManualClock(START)) as engine:
        register(engine, "m", capacity=(("tasks", "3"),))
        for i in range(6):
            submit(engine, packet(f"p{i}"))
        for i in range(3):
            submit(engine, c.CompletePacket(packet_id=f"p{i}", owner=claim(engine, f"p{i}")))
        submit(engine, packet("new"))
        assert [engine.reader.packet(f"p{i}").owner for i in range(3, 6)] == ["m"] * 3
        assert engine.reader.packet("new").owner is None
