"""What runs, what is loaded and what is folded are one state in one order, whatever the process was started with."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.older import plant

from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.core.state import State
from pfgov.engine import Engine, LedgerReader, Options
from pfgov.engine.reading.replay import Replay
from pfgov.policy.judging.columns import Reasons
from pfgov.sim import simulation
from pfgov.sim.history import ViolationError
from pfgov.sim.likeness import difference
from pfgov.sim.simulation import SECOND, START, make_template, run_plan
from pfgov.sim.steps import Plan, draw_plan, draw_swarm_plan
from pfgov.storage import open_store

CAUGHT_WITHIN = 100
CORPUS = 2
SCHEDULERS = ("rendezvous", "ring", "binpack", "agent", "trust-weighted")

SURROUNDINGS: dict[str, dict[str, str]] = {
    "hashes-0": {"PYTHONHASHSEED": "0"},
    "hashes-1-ascii": {
        "PYTHONHASHSEED": "1",
        "LC_ALL": "POSIX",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
    },
    "hashes-4242-tokyo": {"PYTHONHASHSEED": "4242", "TZ": "Asia/Tokyo", "PYTHONTZPATH": ""},
    "drawn-turkish": {"LC_ALL": "tr_TR.ISO-8859-9", "PYTHONUTF8": "0"},
    "optimised": {"PYTHONOPTIMIZE": "1", "PYTHONINTMAXSTRDIGITS": "640"},
}
"""What a process may be started with that must not matter."""


def _first_violation(
    template: Path, workspace: Path, plans: Iterable[Plan] | None = None
) -> ViolationError:
    for plan in plans or map(draw_plan, range(CAUGHT_WITHIN)):
        try:
            run_plan(plan, template, workspace)
        except ViolationError as violation:
            return violation
    raise AssertionError(f"not caught within {CAUGHT_WITHIN} seeds")


def test_truth_catches_offers_in_the_order_in_which_they_were_given(
    template: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checker misses the fault by which an honest ledger did not replay once it had been reloaded."""
    plant(monkeypatch)
    violation = _first_violation(template, workspace)
    assert violation.promise == 5
    assert "and folded: member" in str(violation)


def test_truth_catches_it_by_replay_alone(
    template: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault that no comparison of states knows of is missed: the replay at a history's end finds nothing."""
    plant(monkeypatch)
    monkeypatch.setattr("pfgov.engine.reading.replay.is_canonical", lambda _: True)
    monkeypatch.setattr(simulation, "check_states", lambda *_: None)
    violation = _first_violation(template, workspace)
    assert violation.promise == 5
    assert "a replay parts at" in str(violation)


def test_truth_catches_a_load_that_is_told_as_it_was_first(
    template: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Histories whose reasons tell of everything miss what one in 22,000 of the usual ones found."""
    really = Reasons.__init__

    def deaf(self: Reasons, *parts: Any, **_: object) -> None:
        really(self, *parts, is_moving=False)

    monkeypatch.setattr(Reasons, "__init__", deaf)
    telling = map(draw_swarm_plan, range(1, 2 * CAUGHT_WITHIN, 2))
    assert "a replay parts at" in str(_first_violation(template, workspace, telling))


def test_truth_catches_a_walk_in_the_order_of_hashes(
    template: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Collections that are walked as they were filled look alike to the checker."""
    monkeypatch.setattr("pfgov.core.ordered.Rows.items", dict.items)
    assert _first_violation(template, workspace).promise == 5


def test_truth_says_where_two_states_part(template: Path, workspace: Path) -> None:
    """Two states that a walk tells apart are called alike, or the report does not name the place."""
    done = run_plan(draw_plan(3), template, workspace)
    with Engine.open(open_store(done.directory), clock=done.clock) as engine:
        folded = done.history.shadow
        assert engine.look(lambda state: difference(state, folded)) is None
        member_id = next(iter(folded.members))
        member = folded.members[member_id]
        kept = member.capabilities
        member.capabilities = dict(reversed(list(kept.items())))
        if len(kept) > 1:
            assert f"member 0 is ('{member_id}'" in str(_look(engine, folded))
        member.capabilities = kept
        folded.time += 1
        assert str(_look(engine, folded)).startswith("time is ")
        folded.time -= 1
        folded.unowned.add("nobody")
        assert str(_look(engine, folded)).startswith("waiting packet")
        folded.unowned.discard("nobody")
        assert _look(engine, folded) is None


def _look(engine: Engine, folded: State) -> str | None:
    return engine.look(lambda state: difference(state, folded))


# --- the same histories in every surrounding ------------------------------------------------------


@pytest.fixture(scope="module")
def corpus(workspace: Path) -> list[Path]:
    """Give a template ledger for each scheduler."""
    folders = [workspace / f"corpus-{name}" for name in SCHEDULERS]
    for name, folder in zip(SCHEDULERS, folders, strict=True):
        make_template(folder, scheduler=name)
    return folders


def _run(templates: list[Path], surrounding: dict[str, str]) -> str:
    dropped = ("LC_", "LANG", "TZ", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    script = Path(__file__).parents[1] / "support" / "corpus.py"
    done = subprocess.run(
        [sys.executable, str(script), str(CORPUS), *map(str, templates)],
        env={**kept, **surrounding}, capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
@pytest.mark.process
@pytest.mark.unmeasured
def test_truth_the_corpus_is_the_same_in_every_surrounding(corpus: list[Path]) -> None:
    """The seed of the hashes, the locale, the time zone or a flag of the interpreter reaches the ledger."""
    found = {name: _run(corpus, surrounding) for name, surrounding in SURROUNDINGS.items()}
    assert len(found["hashes-0"].splitlines()) == CORPUS * len(SCHEDULERS)
    assert set(found.values()) == {found["hashes-0"]}


# --- what is in memory, and who commits -----------------------------------------------------------


@pytest.mark.long
@pytest.mark.process
def test_truth_the_committing_process_and_memory_do_not_reach_the_ledger(
    template: Path, tmp_path: Path
) -> None:
    """A writer process, kept tables or ended packets in memory change what is recorded."""
    bodies = [
        _lived(template, tmp_path / name, options, reopen=reopen)
        for name, options, reopen in (
            ("inline", {"committing": "inline"}, False),
            ("process", {"committing": "process"}, False),
            ("no-tables", {"committing": "inline", "keep_tables": False}, False),
            ("reloaded", {"committing": "inline"}, True),
        )
    ]
    assert bodies[0] == bodies[1] == bodies[2] == bodies[3]


def _lived(
    template: Path, directory: Path, options: dict[str, object], *, reopen: bool
) -> list[bytes]:
    """Run one life of a ledger; return the bodies of its entries, without the ids that each run of an engine draws."""
    import shutil

    shutil.copytree(template, directory)
    clock = ManualClock(START + SECOND)
    engine = _opened(directory, clock, options)
    for number, action in enumerate(_story()):
        if reopen and number:
            engine.close()
            engine = _opened(directory, clock, options)
        clock.advance(SECOND)
        engine.submit(action, principal=c.LOCAL_OPERATOR)
    engine.close()
    replay = Replay()
    with LedgerReader(open_store(directory)) as reader:
        reader.replay()
        found = []
        for one in reader.entries():
            event = one.event
            if event.command is not None:
                event = msgspec.structs.replace(
                    event, command=msgspec.structs.replace(event.command, id="")
                )
            found.append(msgspec.json.encode(event, order="sorted"))
    assert replay.reordered == 0
    return found


def _opened(directory: Path, clock: ManualClock, options: dict[str, object]) -> Engine:
    return Engine.open(open_store(directory), clock=clock, options=Options(draw=bytes, **options))  # type: ignore[arg-type]


def _story() -> Iterator[c.Action]:
    offers = ("ocr", "kyc", "zeta", "a")
    for member_id in ("z", "M", "n", "m10", "m2", "0", "a.b", "b~", "Q", "p"):
        yield c.RegisterMember(
            member_id=member_id,
            type="agent",
            capabilities=tuple(c.Capability(name=name, version="1.2") for name in offers),
            capacity=(("tasks", "2"), ("cpu", "4")),
            region="us-east",
            clearances=("pii", "finance"),
            labels=(("team", "x"), ("a", "y")),
            trust_score="0.9",
        )
    for number in range(12):
        yield c.SubmitPacket(
            packet_id=f"{'zP.~'[number % 4]}{number}"[::-1],
            workload_type="w",
            lineage_id="l",
            required_capabilities=("kyc", "ocr>=1.1"),
            data_classes=("pii",),
            demand=(("cpu", "0.5"),),
            priority=number,
        )
    for number in range(0, 12, 3):
        yield c.CancelPacket(packet_id=f"{'zP.~'[number % 4]}{number}"[::-1])
    yield c.UpdateMember(member_id="z", withdrawn=("ocr", "kyc"))
    yield c.UpdateMember(
        member_id="M", discovered=(c.Capability(name="b"), c.Capability(name="a0"))
    )
    yield c.SubmitPacket(
        packet_id="again",
        workload_type="w",
        lineage_id="l",
        again="0z",
        required_capabilities=("nobody",),
    )
