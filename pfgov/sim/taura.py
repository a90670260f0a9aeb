"""Divide and conquer over 169 processors in three sites that join and leave, after Taura et al. (PPoPP 2003).

"Phoenix: a parallel programming model for accommodating dynamically joining/leaving resources" lets messages go to
*virtual nodes* of a fixed space, which processors hand to each other as they come and go; its divide-and-conquer
program ran on 169 processors of three sites with a speedup above a hundred.  Here each virtual node is a packet: it
has exactly one owner or is in transit at every moment, and moves when its owner leaves.  The tree of tasks is spread
over the virtual nodes; a processor works on one task at a time, in virtual time.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.core.lifecycle import OWNED, TERMINAL, PacketStatus
from pfgov.core.state import State
from pfgov.engine import Engine, Options
from pfgov.limits import INTEGER_MAX
from pfgov.sim.workload import workspace
from pfgov.sim.world import START, policy_sets
from pfgov.storage import open_store

PROCESSORS: Final = 169
SITES: Final = (("site-a", 63), ("site-b", 58), ("site-c", 48))
VIRTUAL_NODES: Final = 1_024
SECOND: Final = 1_000_000
DEPTH: Final = 15
"""Levels of the tree: 32,768 leaves, 194 a processor, so that the last ones to finish do not decide the speedup."""

TASK: Final = SECOND
"""Work of one leaf, in microseconds of one processor."""

SPLIT: Final = 1_000
"""Work of splitting a task, in microseconds."""

MESSAGE: Final = {True: 1_000, False: 15_000}
"""Microseconds that a message takes within a site, and between sites."""


@dataclass(slots=True)
class TauraResult:
    """What a run came to; times in seconds of virtual time."""

    leaves: int
    processors: int
    sequential: float
    elapsed: float
    speedup: float
    joined_midway: int
    used_of_joined: int
    first_use: float
    moves: int
    always_one_owner: bool


@dataclass(slots=True)
class _Processor:
    name: str
    site: str
    since: int
    ready: deque[tuple[int, int]] = field(default_factory=deque[tuple[int, int]])
    is_busy: bool = False
    done: int = 0
    first: int | None = None


class Taura:
    """One run: half the processors from the start, the others mid-run; a few leave."""

    def __init__(self, seed: int, directory: Path, *, depth: int = DEPTH) -> None:
        """Create the ledger, the virtual nodes and the first half of the processors."""
        self.source = random.Random(seed)
        self.depth = depth
        self.clock = ManualClock(START)
        self.processors: dict[str, _Processor] = {}
        self.owner: dict[int, str] = {}
        self.heap: list[tuple[int, int, Callable[[], None]]] = []
        self.count = 0
        self.leaves_done = 0
        self.moves = 0
        self.one_owner = True
        options = Options(draw=random.Random(seed).randbytes, keep_tables=False)
        self.engine = Engine.create(
            open_store(directory), "pfgov.sim/taura-2003", clock=self.clock, policy=policy_sets()[0],
            scheduler="ring:vnodes=64", options=options,
        )  # fmt: skip
        settings = (
            ("rebalance_budget", "256"),
            ("rebalance_cooldown", "0.001"),
            ("rebalance_gain_permille", "100"),
        )
        self._submit(c.Configure(settings=settings))
        names = [f"{site}-{n:03d}" for site, size in SITES for n in range(size)]
        self.source.shuffle(names)
        self.late = names[PROCESSORS // 2 :]
        for name in names[: PROCESSORS // 2]:
            self._join(name)
        for node in range(VIRTUAL_NODES):
            self._submit(
                c.SubmitPacket(
                    packet_id=f"vn-{node:04d}", workload_type="virtual-node", lineage_id="dnc"
                )
            )
        self._read_owners()

    def _submit(self, action: c.Action) -> None:
        self.engine.submit(action, principal=c.LOCAL_OPERATOR)

    def _join(self, name: str) -> None:
        self._submit(
            c.RegisterMember(
                member_id=name, type="node", region=name.rpartition("-")[0], trust_score="0.9"
            )
        )
        self.processors[name] = _Processor(name, name.rpartition("-")[0], self.clock.now())

    def _read_owners(self) -> None:
        """Take in who owns which virtual node now, and check that each has exactly one owner or is in transit."""

        def owners(state: State) -> dict[int, str]:
            found: dict[int, str] = {}
            for packet in state.packets.values():
                if packet.status in OWNED and packet.owner is not None:
                    found[int(packet.packet_id.removeprefix("vn-"))] = packet.owner
                elif packet.status in TERMINAL or packet.status is PacketStatus.AWAITING_REVIEW:
                    self.one_owner = False
            return found

        found = self.engine.look(owners)
        self.moves += sum(1 for node, name in found.items() if self.owner.get(node, name) != name)
        self.owner = found

    # --- the program -----------------------------------------------------------------------

    def _at(self, moment: int, do: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self.heap, (moment, self.count, do))

    def _node_of(self, task: tuple[int, int]) -> int:
        level, index = task
        return (level * 2_654_435_761 + index * 40_503) % INTEGER_MAX % VIRTUAL_NODES

    def _send(self, task: tuple[int, int], sender: _Processor | None) -> None:
        name = self.owner.get(self._node_of(task))
        if name is None:  # in transit: the message waits with the node
            self._at(self.clock.now() + SECOND // 10, lambda: self._send(task, sender))
            return
        target = self.processors[name]
        delay = MESSAGE[sender is None or sender.site == target.site]
        self._at(self.clock.now() + delay, lambda: self._arrive(task))

    def _arrive(self, task: tuple[int, int]) -> None:
        name = self.owner.get(self._node_of(task))
        if name is None:
            self._at(self.clock.now() + SECOND // 10, lambda: self._arrive(task))
            return
        processor = self.processors[name]
        processor.ready.append(task)
        self._work(processor)

    def _work(self, processor: _Processor) -> None:
        if processor.is_busy or not processor.ready:
            return
        processor.is_busy = True
        if processor.first is None:
            processor.first = self.clock.now()
        task = processor.ready.pop()  # newest first: depth first, as the paper's program
        took = TASK if task[0] == self.depth else SPLIT
        self._at(self.clock.now() + took, lambda: self._done(processor, task))

    def _done(self, processor: _Processor, task: tuple[int, int]) -> None:
        processor.is_busy = False
        processor.done += 1
        level, index = task
        if level == self.depth:
            self.leaves_done += 1
        else:
            for child in (2 * index, 2 * index + 1):
                self._send((level + 1, child), processor)
        self._work(processor)

    def _hand_over(self, name: str) -> None:
        """Send the waiting tasks of a processor after their virtual nodes."""
        processor = self.processors[name]
        mine = [task for task in processor.ready if self.owner.get(self._node_of(task)) != name]
        processor.ready = deque(task for task in processor.ready if task not in set(mine))
        for task in mine:
            self._send(task, processor)

    def _second_half_joins(self) -> None:
        for name in self.late:
            self._join(name)
        self._settle()

    def _some_leave(self) -> None:
        leaving = sorted(self.processors)[:: len(self.processors) // 8][:8]
        for name in leaving:
            self._submit(c.DrainMember(member_id=name))
        self._settle()

    def _settle(self) -> None:
        self.engine.settle()
        self._read_owners()
        for name in self.processors:
            self._hand_over(name)

    def run(self) -> TauraResult:
        """Run the program to its end."""
        leaves = 2**self.depth
        begun = self.clock.now()
        with self.engine:
            self._send((0, 0), None)
            quarter = begun + leaves * TASK // PROCESSORS // 4
            self._at(quarter, self._second_half_joins)
            self._at(begun + 3 * leaves * TASK // PROCESSORS // 4, self._some_leave)
            while self.heap and self.leaves_done < leaves:
                moment, _, do = heapq.heappop(self.heap)
                if moment > self.clock.now():
                    self.clock.advance(moment - self.clock.now())
                do()
        elapsed = (self.clock.now() - begun) / SECOND
        late = [self.processors[name] for name in self.late]
        used = [one for one in late if one.first is not None]
        sequential = (leaves * TASK + (leaves - 1) * SPLIT) / SECOND
        return TauraResult(
            leaves=leaves,
            processors=PROCESSORS,
            sequential=sequential,
            elapsed=elapsed,
            speedup=sequential / elapsed,
            joined_midway=len(late),
            used_of_joined=len(used),
            first_use=max(((one.first or 0) - one.since) / SECOND for one in used) if used else 0.0,
            moves=self.moves,
            always_one_owner=self.one_owner,
        )


def run_taura(seed: int = 1, *, depth: int = DEPTH) -> TauraResult:
    """Run the experiment in a temporary folder."""
    with workspace() as folder:
        return Taura(seed, folder / "ledger", depth=depth).run()
