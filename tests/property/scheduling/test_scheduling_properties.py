"""What holds for every scheduler, whatever the fleet, the packet, the order and the history."""

import random
from collections import Counter
from collections.abc import Collection
from math import ceil

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.searching import examples
from unit.scheduling.naive_scheduling import choose as naive_choose
from unit.scheduling.scheduling_members import Member, asked, idle, machines

from pfgov.core.reliability import COUNT_MAX, Record, faded, observed, value
from pfgov.core.scheduler import MICRO, Choice, Pairs, Request, Scheduler, fits
from pfgov.scheduling.binpack import STRATEGIES, BinPack
from pfgov.scheduling.registry import BUILT_IN, scheduler
from pfgov.scheduling.ring import Ring
from pfgov.scheduling.vectorised import ONE_STEP_MAX

KINDS: list[tuple[str, Pairs]] = [
    ("rendezvous", ()),
    ("ring", (("vnodes", "8"),)),
    ("ring", (("bound_permille", "0"), ("vnodes", "3"))),
    ("agent", ()),
    ("agent", (("choices", "2"), ("max_active", "3"))),
    ("trust-weighted", (("choices", "3"),)),
    ("seed-ring", ()),
    *(("binpack", (("strategy", strategy),)) for strategy in STRATEGIES),
    ("binpack", (("dimensions", "gpu,tasks"), ("strategy", "balanced"))),
]
HASHING: list[tuple[str, Pairs]] = [("rendezvous", ()), ("ring", (("vnodes", "8"),))]

DIMENSIONS = ["cpu", "memory", "gpu", "tasks"]
amounts = st.one_of(
    st.integers(0, 10 * MICRO),
    st.sampled_from([0, 1, MICRO, ONE_STEP_MAX, ONE_STEP_MAX + 1, 999_999_999 * MICRO]),
)
ids = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6)


@st.composite
def members(draw: st.DrawFn, member_id: str = "m") -> Member:
    """A member in any state that capacities, use and loads can be in, overfull ones included."""
    return Member(
        member_id,
        weight=draw(st.sampled_from([1, 1, 2, 7])),
        capacity=draw(st.dictionaries(st.sampled_from(DIMENSIONS), amounts, max_size=4)),
        used=draw(st.dictionaries(st.sampled_from(DIMENSIONS[:3]), amounts, max_size=3)),
        active=draw(st.integers(0, 6)),
        trust=draw(st.none() | st.integers(0, MICRO)),
        reliability=draw(st.sampled_from([0, 500_000, 999_999])),
    )


@st.composite
def fleets(draw: st.DrawFn, low: int = 0, high: int = 9) -> list[Member]:
    """Members with distinct ids."""
    names = draw(st.lists(ids, min_size=low, max_size=high, unique=True))
    return [draw(members(name)) for name in names]


requests = st.builds(
    Request,
    packet_id=ids,
    epoch=st.integers(0, 2**53 - 1),
    workload_type=st.just("w"),
    demand=st.dictionaries(st.sampled_from(DIMENSIONS[:3]), amounts, max_size=3),
)
every_kind = pytest.mark.parametrize(("name", "parameters"), KINDS)


@every_kind
@settings(max_examples=examples(40))
@given(data=st.data(), fleet=fleets(), request=requests)
def test_the_choice_is_what_the_page_says(
    name: str, parameters: Pairs, data: st.DataObject, fleet: list[Member], request: Request
) -> None:
    """The fast code and the plain second implementation agree on any fleet, in any order."""
    made = scheduler(name, parameters)
    scores, chosen, runner_up = naive_choose(
        name, dict(parameters), request._asdict(), [member.as_dict() for member in fleet]
    )
    assert made.scores(request, fleet) == scores
    shuffled = data.draw(st.permutations(fleet))
    choice = made.choose(request, shuffled)
    assert (choice is None) == (chosen is None)
    if choice is not None:
        assert (choice.member_id, choice.runner_up) == (chosen, runner_up)


@every_kind
@settings(max_examples=examples(40))
@given(fleet=fleets(low=1), request=requests)
def test_nobody_is_overcommitted_and_nobody_waits_needlessly(
    name: str, parameters: Pairs, fleet: list[Member], request: Request
) -> None:
    """The chosen member has room; None means that really nobody has."""
    cap = int(dict(parameters).get("max_active", 0))
    choice = scheduler(name, parameters).choose(request, fleet)
    roomy = {m.member_id for m in fleet if fits(request, m) and not (cap and m.active >= cap)}
    if choice is None:
        assert not roomy
    else:
        assert choice.member_id in roomy
        assert choice.runner_up is None or choice.runner_up in roomy - {choice.member_id}


@pytest.mark.parametrize(("name", "parameters"), HASHING)
@given(data=st.data(), names=st.lists(ids, min_size=2, max_size=8, unique=True))
def test_only_the_leavers_packets_move(
    name: str, parameters: Pairs, data: st.DataObject, names: list[str]
) -> None:
    """Within any eligible subset: who leaves hands over its own packets, and nothing else moves."""
    fleet = [Member(member_id, weight=data.draw(st.integers(1, 4))) for member_id in names]
    eligible = data.draw(st.lists(st.sampled_from(fleet), min_size=2, unique_by=id))
    leaver = data.draw(st.sampled_from(eligible))
    rest = [member for member in eligible if member is not leaver]
    made = scheduler(name, parameters)
    for index in range(40):
        before = _chosen(made, asked(f"fp-{index}", epoch=0), eligible)
        after = _chosen(made, asked(f"fp-{index}", epoch=1), rest)
        assert before in {after, leaver.member_id}


@pytest.mark.parametrize(("name", "parameters"), HASHING)
@given(
    names=st.lists(ids, min_size=2, max_size=8, unique=True),
    weight=st.integers(1, 5),
    gain=st.integers(1, 5),
)
def test_a_joiner_and_a_heavier_member_only_take(
    name: str, parameters: Pairs, names: list[str], weight: int, gain: int
) -> None:
    """Joining or gaining weight moves packets to that member and nowhere else."""
    *others, joiner = names
    fleet = [Member(member_id) for member_id in others]
    made = scheduler(name, parameters)
    for index in range(40):
        request = asked(f"fp-{index}")
        without = _chosen(made, request, fleet)
        light = _chosen(made, request, [*fleet, Member(joiner, weight=weight)])
        heavy = _chosen(made, request, [*fleet, Member(joiner, weight=weight + gain)])
        assert light in {without, joiner}
        assert heavy in {light, joiner}


def _chosen(made: Scheduler, request: Request, fleet: list[Member]) -> str:
    choice = made.choose(request, fleet)
    assert choice is not None
    return choice.member_id


@given(
    weights=st.lists(st.integers(1, 5), min_size=1, max_size=8),
    permille=st.integers(1_000, 2_000),
    packets=st.integers(1, 120),
    salt=ids,
)
def test_bounded_load_holds(weights: list[int], permille: int, packets: int, salt: str) -> None:
    """Placing on the ring never lifts a member above ``ceil(bound x its weighted share)``."""
    made = scheduler("ring", (("bound_permille", str(permille)), ("vnodes", "4")))
    fleet = [Member(f"m{index}", weight=weight) for index, weight in enumerate(weights)]
    by_id = {member.member_id: member for member in fleet}
    for placed in range(1, packets + 1):
        request = asked(f"{salt}-{placed}")
        taker = by_id[_chosen(made, request, fleet)]
        taker.take(request)
        assert taker.active <= -(-permille * placed * taker.weight // (1_000 * sum(weights)))
    assert sum(member.active for member in fleet) == packets


@every_kind
@settings(max_examples=examples(40))
@given(fleet=fleets(low=1), wanted=st.lists(requests, min_size=1, max_size=12))
def test_capacity_is_never_exceeded(
    name: str, parameters: Pairs, fleet: list[Member], wanted: list[Request]
) -> None:
    """However many packets come, no member that started within its limits ends above them."""
    made = scheduler(name, parameters)
    by_id = {member.member_id: member for member in fleet}
    for member in fleet:
        member.used = {d: min(u, member.capacity.get(d, u)) for d, u in member.used.items()}
        member.active = min(member.active, member.capacity.get("tasks", 10**9) // MICRO)
    for request in wanted:
        choice = made.choose(request, fleet)
        if choice is not None:
            by_id[choice.member_id].take(request)
    for member in fleet:
        for dimension, limit in member.capacity.items():
            assert member.used.get(dimension, 0) <= limit
        assert member.active * MICRO <= member.capacity.get("tasks", 10**18)


def _untabled(choice: Choice | None) -> Choice | None:
    return None if choice is None else choice._replace(scores=())


@st.composite
def crowds(draw: st.DrawFn) -> list[Member]:
    """Many members of a few kinds, so that ties are common."""
    kinds = draw(st.lists(members(), min_size=1, max_size=5))
    count = draw(st.integers(65, 90))
    crowd: list[Member] = []
    for index in range(count):
        kind = kinds[index % len(kinds)]
        crowd.append(
            Member(
                f"n{index}",
                kind.weight,
                dict(kind.capacity),
                dict(kind.used),
                kind.active,
                kind.trust,
                kind.reliability,
            )
        )
    return crowd


@pytest.mark.parametrize(
    ("name", "parameters"), [kind for kind in KINDS if kind[0] in {"ring", "binpack"}]
)
@settings(max_examples=examples(20))
@given(fleet=crowds(), wanted=st.lists(requests, min_size=1, max_size=6))
def test_a_pool_and_numpy_choose_the_same(
    name: str, parameters: Pairs, fleet: list[Member], wanted: list[Request]
) -> None:
    """Prepared, accelerated, remembered or plain: one answer, ties included."""
    made = scheduler(name, parameters)
    pools = (
        [made.pool(fleet, accelerated=False), made.pool(fleet, accelerated=True)]
        if isinstance(made, BinPack)
        else [made.pool(fleet)]
        if isinstance(made, Ring)
        else []
    )
    assert pools
    by_id = {member.member_id: member for member in fleet}
    for request in [*wanted, *wanted]:
        reference = _untabled(scheduler(name, parameters).choose(request, list(reversed(fleet))))
        assert _untabled(made.choose(request, fleet)) == reference
        for pool in pools:
            assert pool.choose(request) == reference
        if reference is not None:
            by_id[reference.member_id].take(request)
            for pool in pools:
                pool.refresh(reference.member_id)


@pytest.mark.parametrize(
    ("name", "parameters"), [kind for kind in KINDS if kind[0] in {"ring", "binpack"}]
)
def test_pools_follow_a_fleet_that_fills_and_empties(name: str, parameters: Pairs) -> None:
    """Through placements and releases, with demands old and new, a pool never falls behind."""
    rnd = random.Random(9)
    made = scheduler(name, parameters)
    fleet = machines(80)
    by_id = {member.member_id: member for member in fleet}
    pools = (
        [made.pool(fleet, accelerated=False), made.pool(fleet, accelerated=True)]
        if isinstance(made, BinPack)
        else [made.pool(fleet)]
        if isinstance(made, Ring)
        else []
    )
    owned: list[tuple[Member, Request]] = []
    refused = 0
    for index in range(500):
        size = rnd.choice([rnd.randrange(1, 4), rnd.randrange(1, 4 * MICRO)])
        request = asked(f"fp-{index}", demand={"cpu": size, "memory": 3 * size})
        reference = _untabled(made.choose(request, fleet))
        assert [pool.choose(request) for pool in pools] == [reference] * len(pools)
        changed = []
        if reference is None:
            refused += 1
        else:
            owned.append((by_id[reference.member_id], request))
            owned[-1][0].take(request)
            changed.append(owned[-1][0])
        while owned and (rnd.random() < 0.4 or (reference is None and rnd.random() < 0.9)):
            member, request = owned.pop(rnd.randrange(len(owned)))
            member.release(request)
            changed.append(member)
        for member in changed:
            for pool in pools:
                pool.refresh(member.member_id)
    assert refused < 250


@every_kind
@settings(max_examples=examples(20))
@given(
    history=st.lists(st.tuples(fleets(low=1, high=5), requests), max_size=3),
    fleet=fleets(low=1),
    request=requests,
)
def test_no_history_changes_a_choice(
    name: str,
    parameters: Pairs,
    history: list[tuple[list[Member], Request]],
    fleet: list[Member],
    request: Request,
) -> None:
    """A scheduler that has seen much answers as a new one does."""
    seasoned = scheduler(name, parameters)
    for before, asked_before in history:
        seasoned.choose(asked_before, before)
        seasoned.choose(request, [*fleet, *before][: len(fleet)])
    assert seasoned.choose(request, fleet) == scheduler(name, parameters).choose(request, fleet)


@settings(max_examples=examples(15))
@given(data=st.data())
def test_merged_rings_answer_as_single_distances(data: st.DataObject) -> None:
    """Eligible sets that come and go, in any order, get from a pool what distances say."""
    made = scheduler("ring", (("vnodes", "4"),))
    assert isinstance(made, Ring)
    fleet = idle(90)
    for member in fleet:
        member.active = data.draw(st.integers(0, 2))
    for index in range(12):
        gone = data.draw(st.sets(st.integers(0, 89), max_size=20))
        eligible = [member for number, member in enumerate(fleet) if number not in gone]
        request = asked(f"fp-{index}")
        pool = made.pool(eligible)
        assert pool.choose(request) == _untabled(made.choose(request, eligible))


@pytest.mark.parametrize("name", ["rendezvous", "ring"])
def test_weights_are_respected(name: str) -> None:
    """Members of weight 1, 2 and 4 get packets about in that proportion (the ring less exactly)."""
    made = scheduler(name, (("bound_permille", "0"),) if name == "ring" else ())
    fleet = [Member(f"node-{index}", weight=(1, 2, 4)[index % 3]) for index in range(12)]
    counts = Counter(_chosen(made, asked(f"fp-{index}"), fleet) for index in range(14_000))
    for member in fleet:
        share = counts[member.member_id] / (14_000 * member.weight / 28)
        assert abs(share - 1) < (0.12 if name == "rendezvous" else 0.30)


@pytest.mark.parametrize("prefix", ["member", "a", "node-7"])
def test_draws_are_as_even_as_chance(prefix: str) -> None:
    """Winners and runners-up over 20 equal members pass a chi-square test at five sigma."""
    made = scheduler("rendezvous")
    fleet = idle(20, prefix)
    winners: Counter[str] = Counter()
    pairs: Counter[tuple[str, str | None]] = Counter()
    total = 19_000
    for index in range(total):
        choice = made.choose(asked(f"fp-{index}"), fleet)
        assert choice is not None
        winners[choice.member_id] += 1
        pairs[choice.member_id, choice.runner_up] += 1
    assert _sigmas(winners.values(), 20, total) < 5
    assert _sigmas(pairs.values(), 380, total) < 5


def _sigmas(counted: Collection[int], cells: int, total: int) -> float:
    expected = total / cells
    missing = (cells - len(counted)) * expected
    square = sum((count - expected) ** 2 / expected for count in counted) + missing
    return abs(square - (cells - 1)) / (2 * (cells - 1)) ** 0.5


def test_the_ring_is_balanced_by_its_bound() -> None:
    """50 members, 5,000 packets: nobody starves, and the fullest holds at most 1.25 times the mean."""
    made = scheduler("ring")
    fleet = idle(50)
    by_id = {member.member_id: member for member in fleet}
    for index in range(5_000):
        by_id[_chosen(made, asked(f"fp-{index}"), fleet)].active += 1
    loads = [member.active for member in fleet]
    assert min(loads) > 0
    assert max(loads) <= ceil(1.25 * 5_000 / 50)


def test_expected_movement_is_about_its_share() -> None:
    """One of 20 leaves: exactly its packets move, about K/N of them; K/N is no upper bound."""
    made = scheduler("rendezvous")
    fleet = idle(20)
    packets = [asked(f"fp-{index}") for index in range(4_000)]
    before = [_chosen(made, packet, fleet) for packet in packets]
    after = [_chosen(made, packet, fleet[1:]) for packet in packets]
    moved = [was for was, now in zip(before, after, strict=True) if was != now]
    assert set(moved) == {fleet[0].member_id}
    assert len(moved) == before.count(fleet[0].member_id)
    assert abs(len(moved) / (4_000 / 20) - 1) < 0.35


counts = st.integers(0, COUNT_MAX)
spans = st.integers(0, 10**15)


@given(count=counts, one=spans, two=spans, half_life=st.integers(1, 10**13))
def test_fading_never_grows_and_halves(count: int, one: int, two: int, half_life: int) -> None:
    """More time never leaves more, and a half-life leaves half."""
    assume(one <= two)
    assert 0 <= faded(count, two, half_life) <= faded(count, one, half_life) <= count
    assert faded(count, half_life, half_life) == count // 2


@given(
    record=st.builds(Record, counts, counts, spans),
    later=spans,
    half_life=st.integers(1, 10**13),
)
def test_success_never_hurts_and_failure_never_helps(
    record: Record, later: int, half_life: int
) -> None:
    """Reliability stays in its range and moves in the direction of the outcome."""
    now = record.as_of_us + later
    before = value(record, now, half_life)
    good = observed(record, now, success=True, half_life_us=half_life)
    bad = observed(record, now, success=False, half_life_us=half_life)
    assert 0 <= value(bad, now, half_life) <= before <= value(good, now, half_life) < MICRO


def test_every_scheduler_is_held_to_these_properties() -> None:
    """A scheduler added to the built-ins is added here."""
    assert {name for name, _ in KINDS} == set(BUILT_IN)
