"""One history: steps are run in a world, and after each one what was committed is handed to the history checker."""

import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.core.records import Stamp
from pfgov.engine import Engine, Options
from pfgov.errors import PfgovError
from pfgov.sim.acts import ACTS
from pfgov.sim.history import ViolationError
from pfgov.sim.liveness import Liveness
from pfgov.sim.steps import Plan, Step
from pfgov.sim.truth import check_replay, check_states
from pfgov.sim.world import SECOND, START, EngineKilled, World, policy_sets
from pfgov.storage import open_store
from pfgov.storage.port import EntryFilter

QUIET: Final = 9 * SECOND
"""How far apart heartbeats are in the quiet time at the end: less than the shortest lease."""

QUIET_ROUNDS: Final = 44
"""Rounds of quiet time: longer than a doubted clock takes (300 s), and than two of the longest leases."""

LOOK_EVERY: Final = 16
"""Steps without an entry after which the whole state is compared anyway."""


def make_template(directory: Path, *, scheduler: str = "rendezvous") -> None:
    """Create the ledger that every history begins with, so that a thousand histories need not draw keys a thousand
    times.
    """
    source = random.Random(0)
    clock = ManualClock(START)
    options = Options(draw=source.randbytes)
    Engine.create(
        open_store(directory),
        "pfgov.sim/history",
        clock=clock,
        policy=policy_sets()[0],
        scheduler=scheduler,
        options=options,
    ).close()


class Simulation(World):
    """A history being run in *directory*, a copy of a template."""

    def __init__(
        self, plan: Plan, directory: Path, *, sabotage: Callable[[Engine], None] | None = None
    ) -> None:
        """Open the engine, and read what the template begins with; the arguments are the world's."""
        super().__init__(plan, directory, sabotage=sabotage)
        self.liveness = Liveness(self.policies()[0].digest)
        self._seen = 0
        self._read_new()

    @property
    def entries(self) -> int:
        """How many entries were committed and checked."""
        return self._seen

    def run(self) -> None:
        """Run every step, then let the dust settle and check the whole.

        Raises:
            ViolationError: a promise was broken; ``log`` says what led to it.
        """
        for step in self.plan.steps:
            self.step(step)
        self.settle()

    def step(self, step: Step) -> None:
        """Run one step and check everything that was committed by it."""
        self.log.append(str(step))
        self.liveness.step += 1
        is_faulty = self.fault is not None  # a tick that it cuts off has not looked at everything
        try:
            ACTS[step.name](self, step)
        except EngineKilled:
            self.reopen()
        except PfgovError as error:
            self.log[-1] += f" refused {error.code}"
        except ViolationError:
            raise
        except Exception as error:
            raise ViolationError(
                4, f"{type(error).__name__} came out of the engine: {error}"
            ) from error
        self._after()
        if step.name == "tick" and not is_faulty:
            self._look_for_who_waits()

    def _after(self, *, whole: bool = False) -> None:
        """Check what was committed; where nothing was, look at the rest only now and then."""
        idle = self.engine.look(lambda state: state.size) == self._seen
        if idle and not whole and len(self.log) % LOOK_EVERY:
            return
        for _ in range(3):
            try:
                if not idle:
                    self._read_new()
                self.engine.look(self.history.check_rest)
                if not idle or whole:
                    check_states(self.engine, self.history.shadow)
            except EngineKilled:
                self.reopen()
            except PfgovError as error:
                self.log.append(f"could not look: {error.code}")
            else:
                return
        raise ViolationError(4, "the engine does not come back")

    def _look_for_who_waits(self) -> None:
        """Hold the queue to promise 6, unless a fault came up meanwhile or nothing is due because of the clock."""
        shadow = self.history.shadow
        is_doubted = shadow.halt is not None and shadow.halt.cause == "clock_jump"
        if self.fault is None and not is_doubted:
            self.liveness.after_tick(
                shadow,
                max(self.clock.now(), shadow.time),
                lambda action: self.engine.dry_run(action, principal=c.ENGINE),
            )

    def _read_new(self) -> None:
        """Feed the history checker with what was committed since the last look."""
        for recorded in self.engine.reader.entries(EntryFilter(start=self._seen)):
            row = recorded.row
            known = self.receipts.leaves.get(row.seq)
            if known is not None and known != row.leaf:
                raise ViolationError(4, f"entry {row.seq} is not the one that was acknowledged")
            stamp = Stamp(row.seq, row.time)
            self.liveness.add(recorded.event, stamp, self.history.shadow)
            self.history.add(recorded.event, stamp)
            self._seen = row.seq + 1

    def settle(self) -> None:
        """Heal everything, let time pass, and see that nothing acknowledged is missing."""
        self.fault = None
        self._take_exits()
        for _ in range(40):
            self.clock.advance(20 * SECOND)
            self.engine.resume()
            if not self.engine.settle() and self.clock.now() > START + 3_600 * SECOND:
                break
        self._after(whole=True)
        self.history.check_settled()
        missing = [seq for seq in self.receipts.leaves if seq >= self._seen]
        if missing:
            raise ViolationError(4, f"acknowledged entries are gone: {missing[:5]}")
        check_replay(self.engine)

    def _take_exits(self) -> None:
        """Let quiet time pass, in which whoever lives is heard; every state that protects has to find its end."""
        self.set_clock_right()
        alive = [m for m in self.members if m.is_running and not m.is_dead]
        silent = set[str]()
        for _ in range(QUIET_ROUNDS):
            self.clock.advance(QUIET)
            silent = {member.member_id for member in self.members}
            for member in alive:
                with suppress(
                    PfgovError
                ):  # that life of it is over, from the start or by now: a drain ends in it
                    self.engine.heartbeat(member.member_id, member.incarnation)
                    silent.discard(member.member_id)
            self.engine.tick()
        self.liveness.step += 1
        self._after(whole=True)
        halt = self.history.shadow.halt
        if halt is not None and len(silent) < len(self.members):
            raise ViolationError(6, f"some are heard, and leases do not end any more: {halt.cause}")
        if halt is not None:  # nobody lives who could be heard: somebody has to say so
            self.engine.resume(share_permille=1_000)
        self.engine.settle()
        self._after(whole=True)
        shadow = self.history.shadow
        self.liveness.check_settled(shadow, max(self.clock.now(), shadow.time), silent)


def run_plan(
    plan: Plan, template: Path, workspace: Path, *, sabotage: Callable[[Engine], None] | None = None
) -> Simulation:
    """Run *plan* on a copy of *template* under *workspace*, close it, and return it.

    Raises:
        ViolationError: a promise was broken; its ``simulation`` note carries the log.
    """
    workspace.mkdir(parents=True, exist_ok=True)
    directory = workspace / f"seed-{plan.seed}"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(template, directory)
    simulation = Simulation(plan, directory, sabotage=sabotage)
    try:
        simulation.run()
    except ViolationError as error:
        error.add_note(" ".join(simulation.log[-12:]))
        raise
    finally:
        simulation.close()
    return simulation
