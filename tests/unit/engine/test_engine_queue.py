"""Room that is freed belongs to whoever waits for it, before it belongs to somebody new."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from support.ledgers import START, claim, fresh, opened, packet, register, submit

from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.engine import Engine
from pfgov.engine.sequencing import rest
from pfgov.errors import PfgovError


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


MEMBER = c.Principal(id="key:m", rights=("member:m",))
READER = c.Principal(id="key:r", rights=("reader",))
SUBMITTER = c.Principal(id="key:s", rights=("submitter",))
LOCAL = c.LOCAL_OPERATOR

ASKED: dict[str, tuple[c.Action, c.Principal]] = {
    "a member moves what nobody owns": (c.HandOff(packet_id="p"), MEMBER),
    "an operator moves what nobody owns": (c.HandOff(packet_id="p"), LOCAL),
    "a reader moves it": (c.HandOff(packet_id="p"), READER),
    "a reader places it": (c.PlacePacket(packet_id="p"), READER),
    "a member places it": (c.PlacePacket(packet_id="p"), MEMBER),
    "an operator places it at one that may not": (c.PlacePacket(packet_id="p", target="x"), LOCAL),
    "an operator places it at nobody": (c.PlacePacket(packet_id="p", target="nobody"), LOCAL),
    "the id is submitted again": (packet("p", priority=3), LOCAL),
    "somebody else submits the id again": (packet("p", priority=3), SUBMITTER),
}
"""What others may ask about a packet that waits, none of which finds out whether somebody could own it."""


def _asked_often(action: c.Action, principal: c.Principal) -> Callable[[Engine], None]:
    def ask(engine: Engine) -> None:
        for _ in range(12):
            with suppress(PfgovError):
                submit(engine, action, principal=principal)

    return ask


@pytest.mark.parametrize("what", ASKED)
@pytest.mark.parametrize("is_reopened", [False, True])
def test_engine_what_others_ask_does_not_put_off_a_packet(
    tmp_path: Path, what: str, *, is_reopened: bool
) -> None:
    """Whoever asks in vain at the right moment keeps a packet waiting beside a member that could own it."""
    ask = _asked_often(*ASKED[what])
    folder, clock = fresh(tmp_path), ManualClock(START)
    with opened(folder, clock) as engine:
        register(engine, "m", trust_score="0.5")
        register(engine, "x", trust_score="0.5")
        limits = c.Constraints(minimum_trust_score="0.8")
        submit(engine, packet("p", constraints=limits))
        submit(engine, packet("alike", constraints=limits))
        assert engine.reader.packet("p").owner is None
        if not is_reopened:
            submit(engine, c.AssessTrust(member_id="m", score="0.9"))
            ask(engine)
            engine.tick()
            assert engine.reader.packet("p").owner == "m"
            assert engine.reader.packet("alike").owner == "m"
            return
        submit(engine, c.AssessTrust(member_id="m", score="0.9"))
    with opened(
        folder, clock
    ) as engine:  # it remembers nothing, and is asked before its first tick
        ask(engine)
        engine.tick()
        assert engine.reader.packet("p").owner == "m"


@pytest.mark.parametrize("what", ASKED)
def test_engine_what_others_ask_does_not_make_the_next_look_later(
    tmp_path: Path, what: str
) -> None:
    """Each vain request of anybody doubles the time after which a packet is looked at again, up to five minutes."""
    clock = ManualClock(START)
    with opened(fresh(tmp_path), clock) as engine:
        register(engine, "x", trust_score="0.5")
        submit(engine, packet("p", constraints=c.Constraints(minimum_trust_score="0.8")))
        engine.tick()
        due = engine.exclusively(rest)
        _asked_often(*ASKED[what])(engine)
        assert engine.exclusively(rest) == due
