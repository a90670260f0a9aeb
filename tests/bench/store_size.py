"""Whether a decision takes longer in a large store: ``make bench`` prints the ratio.

Two ledgers, one with a thousand packets and one with a hundred thousand, nine tenths of them completed, the rest owned
or waiting; the same twenty members and the starter policies.  One submitter assigns a packet at a time, in turns of a
few on each store, until it is durable.  Printed: median and 99th percentile, wall and processor time, and the ratio of
the large store to the small one.  The bar: at most 1.2.
"""

import argparse
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from core import OPERATOR, Bench

from pfgov.core import commands as c
from pfgov.core.records import Packet
from pfgov.engine import Receipt

BATCH = 2_048
LIVE_PER_MILLE = 100
WAITING_PER_MILLE = 10
BAR = 1.2


class Store(Bench):
    """A ledger with so many packets, and the times that assignments on it took."""

    def __init__(self, folder: Path, packets: int) -> None:
        super().__init__(folder, "thread")
        self.wall: list[float] = []
        self.processor: list[float] = []
        for first in range(0, packets, BATCH):
            self._fill(min(BATCH, packets - first))

    def _fill(self, count: int) -> None:
        """Submit *count* packets; leave some waiting and some owned, complete the others."""
        names = self.prepare(count)
        placed = names[: count - count * WAITING_PER_MILLE // 1_000]
        self._all([c.PlacePacket(packet_id=name) for name in placed])
        done = placed[: count - count * LIVE_PER_MILLE // 1_000]
        claims = self.engine.look(
            lambda state: [_claim(name, state.packets[name]) for name in done]
        )
        self._all(claims)

    def _all(self, actions: Sequence[c.Action]) -> None:
        futures: list[Future[Receipt]] = [
            self.engine.submit_nowait(action, principal=OPERATOR) for action in actions
        ]
        for future in futures:
            future.result()

    def turn(self, count: int) -> None:
        """Assign *count* packets one by one, and note how long each took."""
        for name in self.prepare(count):
            wall, processor = time.perf_counter(), time.process_time()
            self.engine.submit(c.PlacePacket(packet_id=name), principal=OPERATOR)
            self.processor.append(time.process_time() - processor)
            self.wall.append(time.perf_counter() - wall)


def _claim(name: str, packet: Packet) -> c.CompletePacket:
    owner = c.OwnerClaim(
        member_id=packet.owner or "", incarnation=packet.incarnation, epoch=packet.epoch
    )
    return c.CompletePacket(packet_id=name, owner=owner)


def main() -> None:
    """Fill both stores, take turns, print the ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--small", type=int, default=1_000)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--turn", type=int, default=50, help="assignments per store and round")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pfgov-bench-")))
        stores: list[Store] = []
        for size in (options.small, options.large):
            start = time.perf_counter()
            store = Store(folder / str(size), size)
            stack.enter_context(closing(store.engine))
            stores.append(store)
            print(f"{size:,} packets filled in {time.perf_counter() - start:.0f} s")
        gc.collect()
        gc.freeze()
        for store in stores:
            store.turn(options.turn)  # warm
            store.wall.clear()
            store.processor.clear()
        for number in range(options.rounds):
            for store in stores if number % 2 else reversed(stores):
                store.turn(options.turn)
    _print(stores[0], stores[1], options.small, options.large)


def _print(small: Store, large: Store, few: int, many: int) -> None:
    print(f"\n{'one governed assignment, us':34}{f'{few:,}':>10}{f'{many:,}':>10}{'ratio':>8}")
    for name, one, other in (
        ("wall", small.wall, large.wall),
        ("processor", small.processor, large.processor),
    ):
        for part, of in (("median", statistics.median), ("p99", _p99)):
            before, after = of(one) * 1e6, of(other) * 1e6
            print(f"{f'{name}, {part}':34}{before:>10.0f}{after:>10.0f}{after / before:>8.2f}")
    ratio = statistics.median(large.wall) / statistics.median(small.wall)
    print(f"bar {BAR}: {'kept' if ratio <= BAR else 'missed'} at the median")


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


if __name__ == "__main__":
    main()
