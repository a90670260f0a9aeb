"""How fast schedulers choose: ``python tests/bench/scheduling.py [rounds]``.

All cases run in turn, round after round, so that a busy machine slows all of them alike: read the
ratios, not the rates.  Nothing is asserted.  A rate is the median over the rounds; the ratio is to
the baseline of the case's group, in the same run.
"""

import random
import sys
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import md5
from itertools import cycle, islice
from statistics import median
from time import perf_counter
from typing import NamedTuple

from pfgov.core.scheduler import MICRO, Pool, Request
from pfgov.scheduling.binpack import BinPack
from pfgov.scheduling.draws import position
from pfgov.scheduling.registry import scheduler
from pfgov.scheduling.ring import Ring
from pfgov.scheduling.ring_pool import RingPool
from pfgov.scheduling.vectorised import Owners

HALF_A_MILLION = "500,000/s"


@dataclass(slots=True)
class Member:
    """A member with the shape of ``Candidate``."""

    member_id: str
    weight: int = 1
    capacity: dict[str, int] = field(default_factory=dict[str, int])
    used: dict[str, int] = field(default_factory=dict[str, int])
    active: int = 0
    trust: int | None = 900_000
    reliability: int = 900_000
    region: str | None = None


class Case(NamedTuple):
    """One line of the table: *run* makes that many choices."""

    group: str
    name: str
    choices: int
    run: Callable[[], object]
    bar: str = ""


def fleet(count: int) -> list[Member]:
    """Return machines of three sizes, up to half full."""
    rnd = random.Random(1)
    sizes = [(4, 16), (8, 32), (16, 128)]
    return [
        Member(
            f"member-{index:04d}",
            capacity={"cpu": cpu * MICRO, "memory": memory * MICRO, "tasks": 1_000 * MICRO},
            used={
                "cpu": rnd.randrange(cpu * MICRO // 2),
                "memory": rnd.randrange(memory * MICRO // 2),
            },
            reliability=rnd.randrange(MICRO),
        )
        for index in range(count)
        for cpu, memory in [sizes[index % 3]]
    ]


def requests(count: int, *, demands: int) -> list[Request]:
    """Return packets that ask for one of *demands* different amounts."""
    rnd = random.Random(2)
    amounts = [
        {"cpu": rnd.randrange(MICRO), "memory": rnd.randrange(4 * MICRO)} for _ in range(demands)
    ]
    return [Request(f"packet-{index}", 0, "w", amounts[index % demands]) for index in range(count)]


def choosing(
    choose: Callable[[Request], object], asked: list[Request], count: int
) -> Callable[[], None]:
    """Return a run that chooses for *count* of the packets."""
    packets = cycle(asked)

    def run() -> None:
        for request in islice(packets, count):
            choose(request)

    return run


def placing(pool: Pool, members: list[Member]) -> Callable[[Request], None]:
    """Return a choice followed by what the engine does next: load the member, tell the pool."""
    by_id = {member.member_id: member for member in members}

    def place(request: Request) -> None:
        choice = pool.choose(request)
        assert choice is not None
        member = by_id[choice.member_id]
        member.active = (member.active + 1) % 500
        pool.refresh(member.member_id)

    return place


def ring_cases() -> list[Case]:
    """Ring lookups over 1,000 members."""
    members = fleet(1_000)
    by_id = {member.member_id: member for member in members}
    made = Ring()
    pool = made.pool(members)
    assert isinstance(pool, RingPool)
    for index in range(20_000):
        taker = pool.lookup(Request(f"warm-{index}", 0, "w", {}))
        assert taker is not None
        by_id[taker].active += 1
        pool.refresh(taker)
    printed = sorted(
        (int(md5(f"{m.member_id}-vnode-{i}".encode()).hexdigest(), 16) % 10_000, m.member_id)
        for m in members[:50]
        for i in range(100)
    )
    slots = [slot for slot, _ in printed]

    def linear(request: Request) -> str:
        start = int(md5(request.packet_id.encode()).hexdigest(), 16) % 10_000
        for slot, holder in printed:
            if slot >= start:
                return holder
        return printed[0][1]

    def bare(request: Request) -> str:
        start = int(md5(request.packet_id.encode()).hexdigest(), 16) % 10_000
        return printed[bisect_left(slots, start) % len(printed)][1]

    ring = pool.ring
    batched = Owners(ring)
    asked = requests(20_000, demands=16)

    def batch() -> None:
        batched.of([position(packet_id) for packet_id in packets])

    packets = [request.packet_id for request in asked]
    group = "ring, 1,000 members x 128 tokens"

    def case(name: str, count: int, choose: Callable[[Request], object], bar: str = "") -> Case:
        return Case(group, name, count, choosing(choose, asked, count), bar)

    return [
        case("printed ring, bisect, 50 x 100", 20_000, bare),
        case("printed ring, linear scan, 50 x 100", 500, linear),
        case(
            "owner of a position",
            20_000,
            lambda r: ring.owner(position(r.packet_id)),
            HALF_A_MILLION,
        ),
        case("chosen member: bound and capacity", 20_000, pool.lookup, HALF_A_MILLION),
        case("choice with runner-up and scores", 10_000, pool.choose),
        case("choose() without a pool", 50, lambda r: made.choose(r, members)),
        Case(group, "owners in a batch (numpy)", 20_000, batch),
    ]


def binpack_cases() -> list[Case]:
    """Bin packing over 1,000 members."""
    members = fleet(1_000)
    cold, warm = requests(2_000, demands=2_000), requests(2_000, demands=16)
    made = BinPack()

    def printed(request: Request) -> Member:
        cpu, memory = request.demand["cpu"], request.demand["memory"]
        best, winner = -1.0, members[0]
        for member in members:
            capacity, used = member.capacity, member.used
            left_cpu = capacity["cpu"] - used["cpu"]
            left_memory = capacity["memory"] - used["memory"]
            if left_cpu >= cpu and left_memory >= memory:
                score = left_cpu / capacity["cpu"] + left_memory / capacity["memory"]
                if score > best:
                    best, winner = score, member
        return winner

    group = "binpack, 1,000 members, 2 dimensions"
    plain = [made.pool(members, accelerated=False) for _ in range(2)]
    fast = [made.pool(members, accelerated=True) for _ in range(2)]

    def case(
        name: str, count: int, choose: Callable[[Request], object], asked: list[Request], bar: str
    ) -> Case:
        return Case(group, name, count, choosing(choose, asked, count), bar)

    return [
        case("printed formula (floats, before placement)", 100, printed, warm, ""),
        case("plain: every demand new", 200, plain[0].choose, cold, "5,000/s"),
        case("plain: 16 demands, placing", 500, placing(plain[1], members), warm, "5,000/s"),
        case("numpy: every demand new", 1_000, fast[0].choose, cold, "50,000/s"),
        case("numpy: 16 demands, placing", 2_000, placing(fast[1], members), warm, "50,000/s"),
        case("choose() without a pool", 20, lambda r: made.choose(r, members), warm, ""),
    ]


def small_cases() -> list[Case]:
    """Twenty candidates: what one decision usually sees."""
    members = fleet(20)
    asked = requests(4_000, demands=16)

    def printed(request: Request) -> Member:
        return max(members, key=lambda member: member.reliability / (1 + member.active))

    heavy = fleet(20)
    for index, member in enumerate(heavy):
        member.weight = 1 + index % 5
    group = "20 candidates, choice with runner-up and all scores"

    def case(name: str, choose: Callable[[Request], object], bar: str = "") -> Case:
        return Case(group, name, 2_000, choosing(choose, asked, 2_000), bar)

    def ours(name: str, candidates: list[Member], note: str = "", bar: str = "") -> Case:
        made = scheduler(name)
        return case(name + note, lambda request: made.choose(request, candidates), bar)

    return [
        case("printed agent formula, winner only", printed),
        ours("rendezvous", members, bar="100,000/s"),
        ours("rendezvous", heavy, ", weights 1..5"),
        *(
            ours(name, members)
            for name in ("agent", "trust-weighted", "ring", "binpack", "seed-ring")
        ),
    ]


def main(rounds: int) -> None:
    """Run all cases interleaved and print the table."""
    cases = [*small_cases(), *ring_cases(), *binpack_cases()]
    rates: list[list[float]] = [[] for _ in cases]
    for case in cases:
        case.run()
    for _ in range(rounds):
        for case, seen in zip(cases, rates, strict=True):
            start = perf_counter()
            case.run()
            seen.append(case.choices / (perf_counter() - start))
    group, base = "", 1.0
    for case, seen in zip(cases, rates, strict=True):
        rate = median(seen)
        if case.group != group:
            group, base = case.group, rate
            print(f"\n{group}")
            print(f"{'':46}{'median/s':>12}{'ratio':>8}{'min/s':>12}{'max/s':>12}  bar")
        figures = f"{rate:12,.0f}{rate / base:8.2f}{min(seen):12,.0f}{max(seen):12,.0f}"
        print(f"  {case.name:44}{figures}  {case.bar}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
