"""Work always finds its way: each fault that was seen once, planted again as it was seen."""

from itertools import pairwise
from typing import Any

import pytest
from support.world import SECOND, START, FakePolicy, World, active_only

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.decide import due
from pfgov.core.lifecycle import PacketStatus
from pfgov.core.verdicts import ALLOW, Point, combine, reserved
from pfgov.errors import InvalidError, TooLargeError
from pfgov.limits import FOLLOW_UPS_PER_TICK_MAX


def _tick(world: World, seconds: float = 0, rounds: int = 4) -> list[e.Event]:
    """Let time pass and do what one tick of an engine does."""
    world.wait(seconds)
    done: list[e.Event] = []
    for _ in range(rounds):
        actions = due(world.state, world.memory, world.leases, world.now)
        before = len(done)
        for action in actions:
            world.follow(action, done)
        if len(done) == before:
            break
    return done


def _offers(world: World) -> list[str]:
    return [
        event.target.member_id for _, event in world.entries if isinstance(event, e.HandoffStarted)
    ]


# --- 1: a retry that forgets its failure ----------------------------------------------------


def test_decide_an_offer_that_nobody_took_goes_to_somebody_else_next() -> None:
    """A sleeping target is offered the packet again and again while an idle one waits; the packet ends FAILED."""
    for names in (("asleep", "awake"), ("zz", "aa"), ("aa", "zz")):
        world = World()
        world.do(c.Configure(settings=(("handoff_timeout", "1"),)))
        world.member("old")
        world.packet("job-1")
        world.member(names[0], handoff_mode="accept")
        world.member(names[1])
        sleeper = world.state.members[names[0]]
        world.do(c.DrainMember(member_id="old"))
        for _ in range(3):
            _tick(world, 1.1)
        packet = world.state.packets["job-1"]
        assert packet.owner == names[1]
        assert packet.attempts == 0
        assert _offers(world).count(sleeper.member_id) <= 1


def test_decide_however_many_sleep_each_is_asked_once_before_anybody_is_asked_again() -> None:
    """With many sleepers the packet goes round among the first of them and never reaches who would take it."""
    world = World()
    world.do(c.Configure(settings=(("handoff_timeout", "1"), ("max_handoffs", "1000"))))
    world.member("old")
    world.packet("p")
    for i in range(12):
        world.member(f"s{i:02}", handoff_mode="accept")
    world.do(c.DrainMember(member_id="old"))
    for _ in range(40):
        _tick(world, 1.1)
    offers = _offers(world)
    assert len(set(offers[:12])) == 12
    assert world.state.packets["p"].attempts == 0
    assert all(one != other for one, other in pairwise(offers))


def test_decide_one_sleeper_is_asked_less_and_less_often() -> None:
    """A drain with nobody but a sleeper writes two entries every timeout for ever, and the owner cannot save."""
    world = World()
    world.do(c.Configure(settings=(("handoff_timeout", "1"),)))
    world.member("old")
    world.packet("p")
    world.member("asleep", handoff_mode="accept")
    world.do(c.DrainMember(member_id="old"))
    for _ in range(600):
        _tick(world, 1.1)
    assert 2 <= len(_offers(world)) <= 16


def test_decide_a_handoff_that_policy_ends_is_not_started_again_at_once() -> None:
    """A target that policy lets through at handoff and not at accept is tried in every round: two entries each."""

    def rule(point: str, packet: Any, member: Any) -> Any:
        if point == Point.ACCEPT:
            return combine((reserved("test", "not at accept"),))
        return active_only(point, packet, member)

    world = World(policy=FakePolicy(rule))
    world.member("old")
    world.packet("p")
    world.member("n")
    world.do(c.DrainMember(member_id="old"))
    for _ in range(100):
        _tick(world, 1)
    assert len(_offers(world)) <= 8


# --- 2: a target chosen before policy -------------------------------------------------------


def test_decide_policy_filters_and_then_the_balancer_chooses() -> None:
    """The emptiest member is one that policy keeps out: nothing moves, and every packet is marked as stuck."""

    def rule(point: str, packet: Any, member: Any) -> Any:
        if point in {Point.ASSIGN, Point.HANDOFF, Point.ACCEPT} and member["type"] == "human":
            return combine((reserved("test", "no people"),))
        return active_only(point, packet, member)

    world = World(policy=FakePolicy(rule))
    world.do(c.Configure(settings=(("rebalance_budget", "2"), ("rebalance_cooldown", "1"))))
    world.member("worker-a")
    for i in range(9):
        world.packet(f"p{i}")
    world.do(c.RegisterMember(member_id="a-human", type="human"))
    world.member("worker-b")
    for _ in range(30):
        _tick(world, 2)
    counts = {name: world.state.members[name].active for name in ("worker-a", "worker-b")}
    assert counts == {"worker-a": 6, "worker-b": 3}  # a gain of a sixth is not worth a move
    assert "handoff_denied" not in world.types()
    assert all(packet.waiting is None for packet in world.state.packets.values())


def test_decide_a_packet_that_nobody_could_take_moves_when_somebody_can() -> None:
    """A refusal marks a packet as not to be moved, and no new fact clears the mark."""
    world = World()
    world.do(c.Configure(settings=(("rebalance_budget", "4"), ("rebalance_cooldown", "1"))))
    world.member("a", capacity=(("tasks", "8"),))
    for i in range(6):
        world.packet(f"p{i}")
    world.member("b", capacity=(("tasks", "8"), ("cpu", "0")))
    world.do(c.QuarantineMember(member_id="b"))
    for i in range(6):
        world.do(c.HandOff(packet_id=f"p{i}", target="b"))
    assert world.types().count("handoff_denied") == 6
    world.do(c.ReleaseMember(member_id="b"))
    for _ in range(10):
        _tick(world, 2)
    assert world.state.members["b"].active >= 2


# --- 4: a bounded look that always begins at the top ----------------------------------------


def test_decide_packets_that_fit_nowhere_hide_nobody() -> None:
    """Hundreds of large urgent packets use up every look, and small ones wait beside free room."""
    world = World()
    world.member("m", capacity=(("cpu", "4"), ("tasks", "60")))
    world.packet("busy", demand=(("cpu", "0.01"),))
    for i in range(600):
        world.packet(f"big{i:03}", priority=900, demand=(("cpu", "8"),))
    for i in range(5):
        world.packet(f"small{i}", hold=True, demand=(("cpu", "0.01"),))
    for i in range(5):
        world.do(c.UpdatePacket(packet_id=f"small{i}", hold=False))
    busy = "busy"
    for n in range(2):  # one completion a second restarts every look
        world.do(c.CompletePacket(packet_id=busy, owner=world.claim(busy)))
        busy = f"busy{n}"
        world.packet(busy, demand=(("cpu", "0.01"),))
        _tick(world, 1)
    assert all(world.state.packets[f"small{i}"].owner == "m" for i in range(5))


def test_decide_a_look_that_is_cut_short_goes_on_where_it_stopped() -> None:
    """More packets than one look takes, each of its own kind and all denied, hide the last one for ever."""

    def rule(point: str, packet: Any, member: Any) -> Any:
        if point == Point.ASSIGN and packet["priority"] > 0:
            return combine((reserved("test", "not this one"),))
        return active_only(point, packet, member)

    world = World(policy=FakePolicy(rule))
    for i in range(2 * FOLLOW_UPS_PER_TICK_MAX):
        world.packet(f"p{i:03}", priority=1, labels=(("n", str(i)),))
    world.packet("last")
    for i in range(
        8
    ):  # the fleet changes before each look, so that nobody was asked in the present one
        world.member(f"m{i}")
        _tick(world, 0.1, rounds=1)
    assert world.state.packets["last"].owner is not None


def test_decide_one_speaks_for_all_that_are_judged_alike() -> None:
    """Hundreds of urgent packets of one kind, all denied, are each asked again whenever the fleet changes."""

    def rule(point: str, packet: Any, member: Any) -> Any:
        if point == Point.ASSIGN and packet["priority"] > 0:
            return combine((reserved("test", "not this one"),))
        return active_only(point, packet, member)

    world = World(policy=FakePolicy(rule))
    for i in range(3 * FOLLOW_UPS_PER_TICK_MAX):
        world.packet(f"p{i:03}", priority=1)
    for i in range(5):
        world.packet(f"small{i}")
    _tick(world, 0.1, rounds=1)
    world.member("m")
    _tick(world, 0.1, rounds=1)
    assert any(world.state.packets[f"small{i}"].owner == "m" for i in range(5))
    _tick(world, 0.1)  # one of them was asked for all; where it was placed, the others follow
    assert all(world.state.packets[f"small{i}"].owner == "m" for i in range(5))


def test_decide_owned_packets_and_packets_that_wait_take_turns() -> None:
    """Thousands of owned packets that have to be judged again keep those that wait from being placed."""
    world = World()
    world.member("m")
    for i in range(3 * FOLLOW_UPS_PER_TICK_MAX):
        world.packet(f"p{i:04}")
    world.do(c.QuarantineMember(member_id="m"))
    world.packet("waits")
    world.member("n")
    _tick(world, 1, rounds=1)
    assert world.state.packets["waits"].owner == "n"


def test_decide_among_equals_who_came_first_is_placed_first() -> None:
    """Whoever picks an id early in the alphabet overtakes everybody else of the same priority."""
    world = World()
    world.packet("zz")
    world.packet("aa")
    world.member("m", capacity=(("tasks", "1"),))
    _tick(world, 1)
    assert world.state.packets["zz"].owner == "m"


# --- 6: acting twice on one report ----------------------------------------------------------


def test_decide_one_report_of_pressure_moves_one_step() -> None:
    """One report empties its owner within seconds, a few packets every round of every tick."""
    world = World()
    world.do(c.Configure(settings=(("rebalance_cooldown", "1"),)))
    world.member("a")
    for i in range(40):
        world.packet(f"p{i:02}")
    world.member("b")
    world.wait(5)
    world.do(c.ReportPressure(member_id="a", pressure="0.91"))
    for _ in range(10):
        _tick(world, 1)
    assert world.state.members["a"].active == 36
    world.do(c.ReportPressure(member_id="a", pressure="0.95"))
    for _ in range(10):
        _tick(world, 1)
    assert world.state.members["a"].active == 32
    reports = world.types().count("pressure_changed")
    world.do(c.ReportPressure(member_id="a", pressure="0.8"))
    assert world.types().count("pressure_changed") == reports


# --- 9: checked at creation, not at change --------------------------------------------------


PAST = START + 60 * SECOND
"""A moment that has passed when the test looks."""


@pytest.mark.parametrize(
    "action",
    [
        c.UpdatePacket(packet_id="p", deadline=PAST),
        c.UpdatePacket(packet_id="p", max_handoffs=0),
        c.DrainMember(member_id="m", deadline=PAST),
        c.QuarantineMember(member_id="m", until=PAST),
    ],
)
def test_decide_what_is_refused_at_creation_is_refused_at_change(action: c.Action) -> None:
    """A time that has passed, or a bound that is used up, is taken in by a change and ends the packet for good."""
    world = World()
    world.member("n")
    world.packet("p")
    world.member("m")
    world.do(c.HandOff(packet_id="p", target="m"))
    world.wait(61)
    before = world.state.size
    with pytest.raises(InvalidError):
        world.do(action)
    assert world.state.size == before


# --- 10: an owner that could not keep it ----------------------------------------------------


def test_decide_nobody_gets_what_would_be_taken_away_at_once() -> None:
    """A packet is placed with and taken from the same member over and over, until its attempts are used up."""

    def rule(point: str, packet: Any, member: Any) -> Any:
        if point == Point.RETAIN and member["id"] == "a":
            return combine((reserved("test", "may not keep it"),))
        return active_only(point, packet, member)

    world = World(policy=FakePolicy(rule))
    world.member("a")
    world.packet("p")
    assert world.state.packets["p"].owner is None
    for _ in range(100):
        _tick(world, 10)
    packet = world.state.packets["p"]
    assert (packet.status, packet.attempts) == (PacketStatus.PENDING, 0)
    assert packet.waiting is not None
    world.member("b")
    _tick(world, 1)
    assert world.state.packets["p"].owner == "b"
    assert "ownership_revoked" not in world.types()


def test_decide_a_policy_that_changes_its_mind_costs_no_attempt() -> None:
    """A policy that takes a packet away again and again makes it FAIL, though nobody ever died of it."""
    verdict = [ALLOW]

    def rule(point: str, packet: Any, member: Any) -> Any:
        if point == Point.RETAIN:
            return verdict[0]
        return active_only(point, packet, member)

    world = World(policy=FakePolicy(rule))
    world.member("a")
    world.packet("p")
    for _ in range(40):
        verdict[0] = combine((reserved("test", "may not keep it"),))
        world.do(c.UpdateMember(member_id="a", labels=(("n", str(world.now)),)))
        _tick(world, 400)
        assert world.state.packets["p"].owner is None
        verdict[0] = ALLOW
        world.do(c.UpdateMember(member_id="a", labels=(("n", str(world.now)),)))
        _tick(world, 400)
        assert world.state.packets["p"].owner == "a"
    assert world.state.packets["p"].attempts == 0


# --- 11: counters that never shrink ---------------------------------------------------------


def test_decide_retired_members_count_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many members came and went nobody can join any more."""
    monkeypatch.setattr("pfgov.core.decide.members.MEMBERS_MAX", 3)
    world = World()
    for i in range(10):
        world.member(f"m{i}")
        world.do(c.RetireMember(member_id=f"m{i}"))
    for i in range(3):
        world.member(f"n{i}")
    with pytest.raises(TooLargeError) as full:
        world.member("n3")
    assert full.value.code == "member.too_many"
    with pytest.raises(TooLargeError):
        world.member("m0")
    assert len(world.state.roster()) == 3
