"""Seeded histories keep every promise, and a planted bug is caught: the second gives the first its meaning."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from support.searching import examples
from support.world import World

from pfgov.core import commands as c
from pfgov.core.apply import apply
from pfgov.core.decide import packets
from pfgov.engine import Engine
from pfgov.engine.sequencing.deciding import Decider
from pfgov.sim.history import History, ViolationError
from pfgov.sim.shrink import shrink
from pfgov.sim.simulation import run_plan
from pfgov.sim.steps import draw_plan, draw_swarm_plan
from pfgov.storage import open_store

SLICE = examples(60)
SWARM = examples(30)
ONCE_WRONG = (2832, 11321, 21999, 34749, 39495, 43584)
"""Seeds that once failed: a bug of the engine or of the checker."""

CAUGHT_WITHIN = 1_000


@pytest.mark.searched
def test_sim_a_slice_of_histories_keeps_every_promise(template: Path, workspace: Path) -> None:
    """A seeded history with faults breaks a promise; the seed in the message reproduces it."""
    for seed in (*range(SLICE), *ONCE_WRONG):
        run_plan(draw_plan(seed), template, workspace)


@pytest.mark.searched
def test_sim_a_slice_of_a_swarm_keeps_every_promise(template: Path, workspace: Path) -> None:
    """What takes many steps of one kind, or none of another, is never drawn."""
    for seed in range(SWARM):
        run_plan(draw_swarm_plan(seed), template, workspace)


def test_sim_equal_seeds_give_equal_ledgers(template: Path, workspace: Path) -> None:
    """A failing seed could not be replayed: the same plan gave another ledger."""
    leaves = []
    for _ in range(2):
        run = run_plan(draw_plan(7), template, workspace)
        with Engine.open(open_store(run.directory), clock=run.clock) as engine:
            leaves.append([recorded.row.leaf for recorded in engine.reader.entries()])
    assert leaves[0] == leaves[1]


def _first_violation(template: Path, workspace: Path) -> ViolationError:
    for seed in range(CAUGHT_WITHIN):
        try:
            run_plan(draw_plan(seed), template, workspace)
        except ViolationError as violation:
            return violation
    raise AssertionError(f"not caught within {CAUGHT_WITHIN} seeds")


def test_sim_catches_a_skipped_epoch_check(
    template: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checker misses a stale owner's write that was accepted."""
    monkeypatch.setattr(packets, "refuse_stale", lambda *_: None)
    assert _first_violation(template, workspace).promise in {2, 3}


def test_sim_catches_a_dropped_revoke(
    template: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checker misses a packet that stays with a dead owner when follow-ups forget to revoke."""
    due_module: Any = import_module("pfgov.core.decide.due")
    original = due_module._for_owned

    def forgetful(*args: Any, **options: Any) -> Any:
        return (one for one in original(*args, **options) if type(one).__name__ != "RevokeOwner")

    monkeypatch.setattr(due_module, "_for_owned", forgetful)
    assert _first_violation(template, workspace).promise == 3


def test_sim_catches_applying_before_the_commit(
    template: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checker misses a state that ran ahead of the ledger when a commit failed and memory was kept."""
    from pfgov.engine.sequencing.sequencer import Sequencer

    def keep_memory(self: Sequencer) -> None:
        self._under_way.clear()
        self._keys.clear()

    monkeypatch.setattr(Sequencer, "_lose", keep_memory)
    assert _first_violation(template, workspace).promise in {4, 5}


def test_sim_catches_an_unjudged_move(
    template: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checker misses an owner whom no policy would have."""
    from pfgov.core.decide import placement
    from pfgov.core.judging import of_verdicts
    from pfgov.core.verdicts import ALLOW

    def lenient(ctx: Any, packet: Any, point: Any, members: Any, **_: Any) -> Any:
        return of_verdicts(members, [ALLOW] * len(members), {})

    monkeypatch.setattr(placement, "judge", lenient)
    assert _first_violation(template, workspace).promise == 1


def test_sim_catches_a_lost_fold(
    template: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checker misses a change of the state that no entry explains."""
    original = Decider.take

    def meddling(self: Decider, draft: Any, request: Any) -> None:
        original(self, draft, request)
        for member in self.state.members.values():
            member.reliability += 1

    monkeypatch.setattr(Decider, "take", meddling)
    assert _first_violation(template, workspace).promise == 5


def test_sim_shrinks_a_failing_history(
    template: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing seed is printed with steps that have nothing to do with the failure."""
    monkeypatch.setattr(packets, "refuse_stale", lambda *_: None)
    for seed in range(CAUGHT_WITHIN):
        plan = draw_plan(seed)
        try:
            run_plan(plan, template, workspace)
        except ViolationError:
            break
    smaller = shrink(plan, template, workspace)
    assert len(smaller.steps) < len(plan.steps) // 4
    with pytest.raises(ViolationError):
        run_plan(smaller, template, workspace)


def test_sim_catches_what_older_rules_let_through() -> None:
    """The checker misses an acceptance that came too late, or an owner that is told it may get what it owns."""
    world = World()
    world.state.semantics = 2
    world.member("m")
    world.packet("p")
    world.do(c.EvaluateDecision(packet_id="p", member_id="m", point="retain"))
    world.member("n", handoff_mode="accept")
    world.do(c.HandOff(packet_id="p", target="n"))
    pending = world.state.packets["p"].pending
    assert pending is not None
    told = world.state.size
    world.do(c.EvaluateDecision(packet_id="p", member_id="m"))
    world.now = pending.deadline
    late = c.AcceptHandoff(packet_id="p", member_id="n", incarnation=1, handoff=pending.position)
    world.do(late)
    world.do(c.CancelPacket(packet_id="p"))
    world.do(c.EvaluateDecision(packet_id="p", member_id="m"))
    history = History()
    for stamp, event in world.entries[:told]:
        history.add(event, stamp)
    caught: list[str] = []
    for stamp, event in world.entries[told:]:
        try:
            history.add(event, stamp)
        except ViolationError as violation:
            caught.append(f"{event.type} {violation.promise}")
            apply(history.shadow, event, stamp)
            history.epochs["p"] = history.shadow.packets["p"].epoch
    assert caught == ["decision_evaluated 1", "handoff_completed 1", "decision_evaluated 3"]
