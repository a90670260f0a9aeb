"""Whoever gets a packet begins it when who had it has said that it stopped, or its lease is over by its own clock."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.ledgers import SECOND, START, claim, fresh, opened, packet, place, register, submit

from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.engine import Engine, Heartbeat
from pfgov.engine.answers import Request
from pfgov.errors import ConflictError

LEASE = 30


@dataclass
class Fleet:
    """An engine, its clock, and two members: ``a`` has the packet ``p``, ``b`` will get it."""

    engine: Engine
    clock: ManualClock
    knows: dict[str, int] = field(default_factory=dict[str, int])

    def beat(
        self,
        member_id: str,
        *held: tuple[str, int],
        knows: int | None = None,
        life: int = 1,
        is_deaf: bool = False,
    ) -> tuple[tuple[str, int, int], ...]:
        """Send a heartbeat as a worker does; one that *is_deaf* never has the answer."""
        said = self.knows.get(member_id) if knows is None else knows
        size = self.engine.status().size
        heard = self.engine.hear(
            member_id, Heartbeat(life, held, session=f"{member_id}{life}", knows=said)
        )
        if not is_deaf:
            self.knows[member_id] = size - 1
        return heard.held_back

    def left(self, epoch: int | None = None) -> int:
        """Return for how many seconds ``b`` is held back from what it owns."""
        owned = claim(self.engine, "p")
        held = ("p", owned.epoch if epoch is None else epoch)
        found = self.beat(owned.member_id, held, life=owned.incarnation)
        assert all(one[:2] == held for one in found)
        return found[0][2] if found else 0


@contextmanager
def _fleet(folder: Path, **fields: object) -> Iterator[Fleet]:
    clock = ManualClock(START + SECOND)
    with opened(fresh(folder), clock) as engine:
        yield _begun(engine, clock, **fields)


def _begun(engine: Engine, clock: ManualClock, **fields: object) -> Fleet:
    fleet = Fleet(engine, clock)
    register(engine, "a", lease_seconds=LEASE)
    submit(engine, packet("p", **fields))
    register(engine, "b", lease_seconds=LEASE)
    fleet.beat("a")
    fleet.beat("a", ("p", 1))
    fleet.beat("b")
    clock.advance(10 * SECOND)
    return fleet


def _hand_off(engine: Engine) -> None:
    submit(engine, c.HandOff(packet_id="p", target="b"))


def test_former_a_member_that_hears_nothing_is_waited_for_as_long_as_its_lease(
    tmp_path: Path,
) -> None:
    """The next owner begins while the one before, which heard of nothing, is at work; or it waits longer than that."""
    with _fleet(tmp_path) as fleet:
        _hand_off(fleet.engine)
        assert fleet.left() == LEASE - 10
        fleet.clock.advance((LEASE - 10) * SECOND - 1)
        assert fleet.left() == 1
        fleet.clock.advance(1)
        assert fleet.left() == 0


def test_former_a_member_that_has_stopped_is_waited_for_no_more(tmp_path: Path) -> None:
    """A handoff between two members that hear takes a lease; or a heartbeat under way counts as the word."""
    with _fleet(tmp_path) as fleet:
        _hand_off(fleet.engine)
        fleet.beat("a", ("p", 1))  # it is told now
        assert fleet.left() == LEASE - 10
        fleet.beat("a")
        assert fleet.left() == 0


def test_former_what_a_member_does_not_name_may_be_about_to_begin(tmp_path: Path) -> None:
    """A heartbeat from before it knew of the packet, renewing its lease, is taken for a word that it stopped."""
    with _fleet(tmp_path) as fleet:
        _hand_off(fleet.engine)
        fleet.clock.advance(5 * SECOND)
        fleet.beat("a", is_deaf=True)  # sent before it read that the packet is its own
        assert fleet.left() == LEASE
        fleet.clock.advance(5 * SECOND)
        fleet.beat("a", is_deaf=True)
        assert fleet.left() == LEASE - 5  # once: nobody is kept for ever by who knows nothing
        fleet.knows["a"] = fleet.engine.status().size - 1
        fleet.beat("a")
        assert fleet.left() == 0


@pytest.mark.parametrize("ahead", [None, 1_000, 0])
def test_former_a_word_that_means_nothing_is_none(tmp_path: Path, ahead: int | None) -> None:
    """Who does not say what it knows, or knows entries that there are not, is believed."""
    with _fleet(tmp_path) as fleet:
        _hand_off(fleet.engine)
        knows = None if ahead is None else fleet.engine.status().size + ahead
        fleet.engine.hear("a", Heartbeat(1, session="a1", knows=knows))
        assert fleet.left() == LEASE


def test_former_a_member_without_a_process_was_promised_nothing(tmp_path: Path) -> None:
    """What is taken from an agent that has a lease of a day, and looks before each act, rests for a day."""
    clock, directory = ManualClock(START + SECOND), fresh(tmp_path)
    engine = opened(directory, clock)
    register(engine, "a", lease_seconds=86_400)
    place(engine, "p")
    engine.hear("a", Heartbeat(1, (("p", 1),)))
    register(engine, "b", lease_seconds=LEASE)
    _hand_off(engine)
    assert engine.hear("b", Heartbeat(1, (("p", 2),))).held_back == ()
    with _again(engine, clock, directory) as engine:
        assert engine.hear("b", Heartbeat(1, (("p", 2),))).held_back == ()


def test_former_a_member_that_an_operator_knows_to_be_dead_is_not_waited_for(
    tmp_path: Path,
) -> None:
    """Nobody can say that a machine is gone, and its packets rest for what is left of a long lease."""
    with _fleet(tmp_path) as fleet:
        _hand_off(fleet.engine)
        assert fleet.left() > 0
        fleet.engine.resume(dead=["a"])
        assert fleet.left() == 0


def test_former_two_moves_in_a_row_leave_nobody_out(tmp_path: Path) -> None:
    """Only the last owner is waited for: who had it before that, and heard nothing, is still at work."""
    with _fleet(tmp_path) as fleet:
        register(fleet.engine, "third", lease_seconds=LEASE)
        fleet.beat("third")
        _hand_off(fleet.engine)
        submit(fleet.engine, c.HandOff(packet_id="p", target="third"))
        for name in ("b", "b"):
            fleet.beat(name)
        assert fleet.left() == LEASE - 10
        fleet.beat("a")
        fleet.beat("a")
        assert fleet.left() == 0


def test_former_a_packet_that_comes_back_waits_for_its_own_block(tmp_path: Path) -> None:
    """A member runs a packet that came back to it next to the job that it lost."""
    with _fleet(tmp_path) as fleet:
        _hand_off(fleet.engine)
        submit(fleet.engine, c.HandOff(packet_id="p", target="a"))
        for _ in range(2):
            fleet.beat("b")
        assert fleet.beat("a", ("p", 1), ("p", 3)) == (("p", 3, LEASE - 10),)
        assert fleet.beat("a", ("p", 1), ("p", 3)) == (("p", 3, LEASE - 10),)
        assert fleet.beat("a", ("p", 3)) == ()


def test_former_the_first_owner_waits_for_nobody(tmp_path: Path) -> None:
    """Every packet waits; or one is held back under an epoch that is over."""
    with _fleet(tmp_path) as fleet:
        assert fleet.left() == 0
        _hand_off(fleet.engine)
        assert fleet.left(1) == 0


# --- every way in which a packet leaves its owner -------------------------------------------


def _requeue(fleet: Fleet) -> None:
    submit(fleet.engine, c.RequeuePacket(packet_id="p", elsewhere=True))


def _drain(fleet: Fleet) -> None:
    submit(fleet.engine, c.DrainMember(member_id="a", mode="start_first", stays=True))


def _stop(fleet: Fleet) -> None:
    submit(fleet.engine, c.DrainMember(member_id="a", mode="stop_first", stays=True))


def _fail(fleet: Fleet) -> None:
    submit(fleet.engine, c.FailMember(member_id="a"))


def _accept(fleet: Fleet) -> None:
    submit(fleet.engine, c.UpdateMember(member_id="b", handoff_mode="accept"))
    receipt = submit(fleet.engine, c.HandOff(packet_id="p", target="b"))
    accepts = c.AcceptHandoff(packet_id="p", member_id="b", incarnation=1, handoff=receipt.position)
    submit(fleet.engine, accepts)


def _stall(fleet: Fleet) -> None:
    fleet.clock.advance(9 * SECOND)
    fleet.beat("a", ("p", 1))  # of which nothing went on
    fleet.clock.advance(SECOND)
    fleet.beat("a", ("p", 1))


def _distrust(fleet: Fleet) -> None:
    submit(fleet.engine, c.UpdateMember(member_id="a", region="eu-west"))


MOVES: dict[str, Callable[[Fleet], None]] = {
    one.__name__.strip("_"): one
    for one in (_requeue, _drain, _stop, _fail, _accept, _stall, _distrust)
}


@pytest.mark.parametrize("move", MOVES)
def test_former_whatever_moves_a_packet_waits_for_who_had_it(tmp_path: Path, move: str) -> None:
    """A way in which a packet leaves an owner that hears nothing of it lets the next begin at once."""
    constraints = c.Constraints(allowed_regions=("us-east",))
    bound = 20 if move == "stall" else None
    with _fleet(tmp_path, constraints=constraints, progress_seconds=bound) as fleet:
        MOVES[move](fleet)
        fleet.engine.settle()
        assert fleet.engine.reader.packet("p").owner == "b"
        assert fleet.left() > 0
        if move != "fail":
            fleet.beat("a")
            fleet.beat("a")
            assert fleet.left() == 0
        fleet.clock.advance(LEASE * SECOND)
        assert fleet.left() == 0


@pytest.mark.parametrize("verb", ["hand_off", "requeue"])
def test_former_who_gives_a_packet_away_is_not_waited_for(tmp_path: Path, verb: str) -> None:
    """The ordinary handoff, and what a worker gives back, cost the next owner a lease."""
    with _fleet(tmp_path) as fleet:
        owner = claim(fleet.engine, "p")
        action: c.Action = c.HandOff(packet_id="p", target="b", owner=owner)
        if verb == "requeue":
            action = c.RequeuePacket(packet_id="p", owner=owner, elsewhere=True)
        submit(fleet.engine, action)
        fleet.engine.settle()
        assert fleet.engine.reader.packet("p").owner == "b"
        assert fleet.left() == 0


def test_former_a_lease_that_is_over_is_not_waited_for(tmp_path: Path) -> None:
    """What a dead member had waits for its lease twice."""
    with _fleet(tmp_path) as fleet:
        fleet.clock.advance(15 * SECOND)
        fleet.beat("b")
        fleet.clock.advance(5 * SECOND)
        fleet.engine.settle()
        assert fleet.engine.reader.packet("p").owner == "b"
        assert fleet.left() == 0


def test_former_a_wall_clock_that_steps_ends_no_lease_early(tmp_path: Path) -> None:
    """The server's clock is set forward, its members are held for dead, and their packets run twice."""
    with _fleet(tmp_path) as fleet:
        fleet.clock.step(LEASE * SECOND)
        fleet.beat("b")
        fleet.engine.settle()
        assert fleet.engine.reader.packet("p").owner == "b"
        assert fleet.left() == LEASE - 10


def test_former_a_life_that_was_declared_over_may_say_that_it_stopped(tmp_path: Path) -> None:
    """Whoever is declared failed and heard it is waited for; or anybody says it for another process."""
    with _fleet(tmp_path) as fleet:
        _fail(fleet)
        fleet.engine.settle()
        for session in ("a2", None, "a1"):
            assert fleet.left() > 0
            with pytest.raises(ConflictError) as caught:
                fleet.engine.hear("a", Heartbeat(1, session=session, leaves=True))
            assert caught.value.code == "member.gone"
        assert fleet.left() == 0


def test_former_a_process_that_leaves_is_not_waited_for(tmp_path: Path) -> None:
    """A worker that ended in order keeps what is taken from it afterwards from everybody for a lease."""
    with _fleet(tmp_path) as fleet:
        fleet.engine.hear("a", Heartbeat(1, session="a1", leaves=True))
        _hand_off(fleet.engine)
        assert fleet.left() == 0


# --- restarts and failures --------------------------------------------------------------------


def _again(engine: Engine, clock: ManualClock, directory: Path) -> Engine:
    engine.abandon()
    return opened(directory, clock)


def test_former_a_server_that_was_killed_does_not_forget(tmp_path: Path) -> None:
    """After the kill of a server the next owner begins, though the one before never heard that it lost the packet."""
    clock, directory = ManualClock(START + SECOND), fresh(tmp_path)
    engine = opened(directory, clock)
    _begun(engine, clock)
    _hand_off(engine)
    with _again(engine, clock, directory) as engine:
        fleet = Fleet(engine, clock)
        assert fleet.left() == LEASE  # it may have been heard just before
        clock.advance(10 * SECOND)
        fleet.beat("a")
        fleet.beat("a")
        assert fleet.left() == 0


@pytest.mark.parametrize("heard", ["second", "nobody"])
def test_former_a_server_that_was_killed_waits_for_all_of_them(tmp_path: Path, heard: str) -> None:
    """After a kill only the last owner is waited for; or a packet that nobody owned yet is nobody's concern."""
    clock, directory = ManualClock(START + SECOND), fresh(tmp_path)
    engine = opened(directory, clock)
    _begun(engine, clock)
    register(engine, "third", lease_seconds=LEASE)
    _hand_off(engine)
    submit(engine, c.UpdatePacket(packet_id="p", hold=True))
    submit(engine, c.RequeuePacket(packet_id="p"))
    with _again(engine, clock, directory) as engine:
        fleet = Fleet(engine, clock)
        submit(engine, c.UpdatePacket(packet_id="p", hold=False))
        submit(engine, c.PlacePacket(packet_id="p", target="third"))
        for _ in range(2 if heard == "second" else 0):
            fleet.beat("b")
        assert fleet.left() == LEASE
        for name in ("a", "a", "b", "b"):
            fleet.beat(name)
        assert fleet.left() == 0


def test_former_a_restart_does_not_hold_back_what_moved_long_ago(tmp_path: Path) -> None:
    """Each restart of a server stops all work for a lease."""
    clock, directory = ManualClock(START + SECOND), fresh(tmp_path)
    engine = opened(directory, clock)
    fleet = _begun(engine, clock)
    place(engine, "first")
    _hand_off(engine)
    for _ in range(LEASE // 10):
        clock.advance(10 * SECOND)
        for name in ("a", "b"):
            fleet.beat(name)
    with _again(engine, clock, directory) as engine:
        fleet = Fleet(engine, clock)
        assert fleet.left() == 0


def test_former_a_life_that_ended_just_before_a_kill_is_waited_for(tmp_path: Path) -> None:
    """A member is failed and back, and the server killed: its earlier process, which heard nothing, works on."""
    clock, directory = ManualClock(START + SECOND), fresh(tmp_path)
    engine = opened(directory, clock)
    _begun(engine, clock)
    submit(engine, c.FailMember(member_id="a"))
    submit(engine, c.RecoverMember(member_id="a"))
    with _again(engine, clock, directory) as engine:
        fleet = Fleet(engine, clock)
        engine.settle()
        for _ in range(2):
            fleet.beat("a", life=2)
        assert fleet.left() == LEASE
        clock.advance(LEASE * SECOND)
        assert fleet.left() == 0


def test_former_a_commit_that_failed_keeps_nobody(tmp_path: Path) -> None:
    """An owner that a move was decided for, and never committed, waits for itself."""
    with _fleet(tmp_path) as fleet:
        sequencer = fleet.engine._sequencer
        draft = sequencer.decider.begin(sequencer.now())
        move = c.HandOff(packet_id="p", target="b")
        sequencer._take(sequencer.decider, draft, Request(move, c.LOCAL_OPERATOR))
        sequencer._lose()
        assert fleet.left() == 0
        _hand_off(fleet.engine)
        assert fleet.left() == LEASE
        fleet.beat("a")
        fleet.beat("a")
        assert fleet.left() == 0


def test_former_what_is_over_is_forgotten(tmp_path: Path) -> None:
    """A server that runs for years remembers every packet that ever moved."""
    with _fleet(tmp_path) as fleet:
        _hand_off(fleet.engine)
        former = fleet.engine._sequencer.leases.former
        assert former._of_packet
        for _ in range(LEASE // 10):
            fleet.clock.advance(10 * SECOND)
            fleet.beat("b", ("p", 2))
            fleet.engine.tick()
        assert not former._of_packet
        submit(fleet.engine, c.UpdatePacket(packet_id="p", hold=True))
        submit(fleet.engine, c.RequeuePacket(packet_id="p"))
        assert former._of_packet
        submit(fleet.engine, c.CancelPacket(packet_id="p", reason="enough"))
        assert not former._of_packet
