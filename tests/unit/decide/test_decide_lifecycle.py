"""The two lifecycle tables, walked: each row is reachable by a command, and everything else is refused."""

from typing import Any

import msgspec
import pytest
from support.world import SECOND, World

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.apply import APPLY
from pfgov.core.decide import RULES, LeaseView
from pfgov.core.events import EVENTS
from pfgov.core.lifecycle import MEMBER_TRANSITIONS, PACKET_TRANSITIONS, MemberStatus, PacketStatus
from pfgov.errors import ConflictError, NotFoundError, StaleEpochError

M = MemberStatus


def _silent(world: World, seconds: float, ttl: float = 30) -> None:
    world.wait(seconds)
    member = world.state.members["m"]
    world.do(
        c.ExpireLease(
            member_id="m",
            incarnation=member.incarnation,
            last_seen=world.now - round(seconds * SECOND),
            ttl=round(ttl * SECOND),
        ),
        c.ENGINE,
    )


REACH = {
    None: lambda w: None,
    M.ACTIVE: lambda w: w.member("m"),
    M.SUSPECT: lambda w: (w.member("m"), _silent(w, 25)),
    M.DRAINING: lambda w: (
        w.member("m"),
        w.packet("held-by-m"),
        w.do(c.DrainMember(member_id="m")),
    ),
    M.QUARANTINED: lambda w: (w.member("m"), w.do(c.QuarantineMember(member_id="m"))),
    M.FAILED: lambda w: (w.member("m"), w.do(c.FailMember(member_id="m"))),
    M.RETIRED: lambda w: (w.member("m"), w.do(c.RetireMember(member_id="m"))),
}

ACT = {
    "member_registered": lambda w: w.member("m"),
    "member_suspected": lambda w: _silent(w, 25),
    "member_recovered": lambda w: (
        w.do(c.SawHeartbeat(member_id="m", incarnation=w.state.members["m"].incarnation), c.ENGINE)
        if w.state.members["m"].status is M.SUSPECT
        else w.do(c.RecoverMember(member_id="m"))
    ),
    "member_failed": lambda w: w.do(c.FailMember(member_id="m")),
    "member_draining": lambda w: w.do(c.DrainMember(member_id="m")),
    "drain_cancelled": lambda w: w.do(c.CancelDrain(member_id="m")),
    "member_quarantined": lambda w: w.do(c.QuarantineMember(member_id="m")),
    "member_released": lambda w: w.do(c.ReleaseMember(member_id="m")),
    "member_retired": lambda w: w.do(c.RetireMember(member_id="m")),
}

ROWS = [(event, status) for event, rows in MEMBER_TRANSITIONS.items() for status in rows]


def test_decide_every_table_is_complete() -> None:
    """An event without an effect, or a command without a rule, would vanish silently."""
    assert set(APPLY) == set(EVENTS)
    assert set(RULES) == set(c.AnyAction.__args__)


@pytest.mark.parametrize(("event", "status"), ROWS, ids=str)
def test_decide_every_member_row_is_reachable(event: str, status: MemberStatus | None) -> None:
    """A row of the member table that no command reaches is a promise nobody can use."""
    world = World()
    REACH[status](world)
    if event == "member_retired":
        world.do(c.CancelPacket(packet_id="held-by-m"))
    ACT[event](world)
    assert world.state.members["m"].status in MEMBER_TRANSITIONS[event][status]
    assert event in world.types()


ILLEGAL = [
    (event, status)
    for event, rows in MEMBER_TRANSITIONS.items()
    for status in MemberStatus
    if status not in rows
    and event not in {"member_suspected", "member_recovered", "member_retired"}
]


@pytest.mark.parametrize(("event", "status"), ILLEGAL, ids=str)
def test_decide_every_other_member_row_is_refused(event: str, status: MemberStatus) -> None:
    """A transition that the table does not have must be refused by name and leave no entry."""
    world = World()
    REACH[status](world)
    before = world.state.size
    with pytest.raises(ConflictError) as caught:
        ACT[event](world)
    assert caught.value.code in {"lifecycle.illegal", "member.exists"}
    assert status.value in caught.value.message
    assert world.state.size == before


def test_decide_silence_makes_a_suspect_then_a_dead_member() -> None:
    """A member dies of silence only after its whole lease, and is suspect from two thirds of it on."""
    world = World()
    world.member("m")
    _silent(world, 19.9)
    assert world.state.members["m"].status is M.ACTIVE
    _silent(world, 20.1)
    assert world.state.members["m"].status is M.SUSPECT
    _silent(world, 29.9)
    assert world.state.members["m"].status is M.SUSPECT
    _silent(world, 30)
    assert world.state.members["m"].status is M.FAILED


def test_decide_mass_expiry_halts() -> None:
    """When most of a fleet goes silent at once the observer is sick: nobody may die of it."""
    world = World()
    for i in range(8):
        world.member(f"m{i}")
        world.leases[f"m{i}"] = LeaseView(1, world.now, 30 * SECOND)
    world.wait(60)
    from pfgov.core.decide import due

    actions = due(world.state, world.memory, world.leases, world.now)
    assert [type(a) for a in actions] == [c.HaltExpiry]


PACKET_STORY = {
    "packet_created": lambda w: w.packet("p"),
    "assignment_allowed": lambda w: (w.member("m"), w.packet("p")),
    "assignment_refused": lambda w: w.packet("p"),
    "handoff_started": lambda w: (
        w.member("m"),
        w.packet("p"),
        w.member("n", handoff_mode="accept"),
        _hand(w),
    ),
    "packet_requeued": lambda w: (
        w.member("m"),
        w.packet("p"),
        w.do(c.RequeuePacket(packet_id="p")),
    ),
    "packet_completed": lambda w: (w.member("m"), w.packet("p"), w.do(_complete(w))),
    "packet_cancelled": lambda w: (w.packet("p"), w.do(c.CancelPacket(packet_id="p"))),
}


def _hand(world: World) -> None:
    world.do(c.HandOff(packet_id="p", target="n"))


def _complete(world: World) -> c.CompletePacket:
    return c.CompletePacket(packet_id="p", owner=world.claim("p"))


@pytest.mark.parametrize("event", PACKET_STORY)
def test_decide_packet_events_lead_where_the_table_says(event: str) -> None:
    """A packet's status after an event is the table's, or the table is a lie."""
    world = World()
    PACKET_STORY[event](world)
    assert world.state.packets["p"].status in set(PACKET_TRANSITIONS[event].values())


@pytest.mark.parametrize("end", ["complete", "fail", "cancel"])
def test_decide_nothing_follows_the_end_of_a_packet(end: str) -> None:
    """A packet that ended never changes again: every write is refused and names its status."""
    world = World()
    world.member("m")
    world.packet("p")
    claim = world.claim("p")
    finish = {
        "complete": c.CompletePacket(packet_id="p", owner=claim),
        "fail": c.FailPacket(packet_id="p", owner=claim, reason="broken"),
        "cancel": c.CancelPacket(packet_id="p"),
    }
    world.do(finish[end])
    status = world.state.packets["p"].status
    assert status is not PacketStatus.ASSIGNED
    for action in (
        *finish.values(),
        c.PlacePacket(packet_id="p"),
        c.HandOff(packet_id="p"),
        c.RequeuePacket(packet_id="p"),
        c.UpdatePacket(packet_id="p", priority=3),
        c.AbortHandoff(packet_id="p"),
    ):
        before = world.state.size
        with pytest.raises(ConflictError) as caught:
            world.do(action)
        assert status.value in caught.value.message
        assert world.state.size == before


@pytest.mark.parametrize("semantics", [1, 2])
def test_decide_a_packet_runs_again_only_one_that_was_submitted(semantics: int) -> None:
    """A ledger under older rules took any id, and its history has to run again as it was."""
    world = World()
    world.state.semantics = semantics
    if semantics == 1:
        assert world.packet("p2", again="ghost").again == "ghost"
        return
    with pytest.raises(NotFoundError):
        world.packet("p2", again="ghost")
    world.packet("p1")
    assert world.packet("p2", again="p1").again == "p1"


@pytest.mark.parametrize("semantics", [2, 3])
@pytest.mark.parametrize("point", [None, "assign", "handoff", "accept", "retain"])
def test_decide_nobody_is_told_that_it_may_own_what_has_ended(point: Any, semantics: int) -> None:
    """A recorded decision must not sign what cannot happen; a ledger under older rules keeps its own."""
    world = World()
    world.state.semantics = semantics
    world.member("m")
    world.member("n")
    world.packet("p")
    world.do(c.CancelPacket(packet_id="p"))
    asked = c.EvaluateDecision(packet_id="p", member_id="n", point=point)
    if semantics == 2:
        assert [event.type for event in world.do(asked)] == ["decision_evaluated"]
        return
    before = world.state.size
    with pytest.raises(ConflictError) as caught:
        world.do(asked)
    assert (caught.value.code, world.state.size) == ("lifecycle.illegal", before)


@pytest.mark.parametrize("semantics", [2, 3])
def test_decide_an_owner_is_told_that_it_has_the_packet(semantics: int) -> None:
    """What it owns a member cannot get, by any name; it can only keep it."""
    world = World()
    world.state.semantics = semantics
    world.member("m")
    world.packet("p")
    told: dict[str | None, tuple[str, tuple[str, ...]]] = {}
    points: tuple[Any, ...] = (None, "assign", "handoff", "accept", "retain")
    for point in points:
        event = world.do(c.EvaluateDecision(packet_id="p", member_id="m", point=point))[0]
        assert isinstance(event, e.DecisionEvaluated)
        told[point] = (event.outcome, event.reasons)
    no = ("denied", ("pfgov:lifecycle",)) if semantics == 3 else ("allowed", ())
    yes = ("allowed", ())
    assert told == {None: no, "assign": no, "handoff": no, "accept": yes, "retain": yes}


@pytest.mark.parametrize(
    "who", ["somebody else has the packet now", "nobody has the packet now", None]
)
def test_decide_a_late_write_is_told_who_has_the_packet(who: str | None) -> None:
    """A writer whose packet nobody has is told that somebody has it, or one of an epoch to come that it is late."""
    world = World()
    world.member("n")
    world.packet("p")
    late = world.claim("p")
    if who is None:
        late = msgspec.structs.replace(late, epoch=late.epoch + 6)
    elif "somebody" in who:
        world.member("m")
        world.do(c.FailMember(member_id="n"))
        world.settle()
        assert world.state.packets["p"].owner == "m"
    else:
        world.do(c.FailMember(member_id="n"))
        world.settle()
        assert world.state.packets["p"].owner is None
    with pytest.raises(StaleEpochError) as caught:
        world.do(c.CompletePacket(packet_id="p", owner=late))
    hint = (
        f"stop the work: {who}"
        if who
        else "there was no epoch 7 yet; read the packet and name the one that stands"
    )
    assert caught.value.hint == hint
