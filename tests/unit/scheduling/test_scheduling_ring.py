"""The ring's array, its pool, its cache, and the printed ring kept for comparison."""

import random

import pytest
from unit.scheduling.naive_scheduling import seed_holders
from unit.scheduling.scheduling_members import Member, asked, idle

from pfgov.core.scheduler import BadWeightError
from pfgov.scheduling import draws, hash_ring, seed_ring, vectorised
from pfgov.scheduling import ring as ring_module
from pfgov.scheduling.draws import position, token
from pfgov.scheduling.hash_ring import CIRCLE, HashRing, tokens
from pfgov.scheduling.registry import scheduler
from pfgov.scheduling.ring import Ring
from pfgov.scheduling.ring_pool import RINGS_KEPT, RingCache, RingPool


def test_virtual_nodes_are_named_as_specified() -> None:
    """``{node}-vnode-{i}``: the tokens can be found again by name."""
    assert tokens("node-0", 1, 3) == tuple(sorted(token(f"node-0-vnode-{i}") for i in range(3)))


def test_more_weight_only_adds_tokens() -> None:
    """Raising a weight takes packets from others and gives none away."""
    assert set(tokens("ada", 1, 16)) < set(tokens("ada", 2, 16))
    assert len(tokens("ada", 5, 16)) == 80


def test_a_ring_changed_step_by_step_equals_one_built_anew() -> None:
    """Adding and removing members leaves no trace of the way there."""
    rnd = random.Random(4)
    members = {f"m{index}": rnd.choice([1, 2, 5]) for index in range(12)}
    ring = HashRing({}, 8)
    present: dict[str, int] = {}
    for _ in range(60):
        member_id = rnd.choice(sorted(members))
        if member_id in present:
            ring = ring.without(member_id)
            del present[member_id]
        else:
            ring = ring.with_member(member_id, members[member_id])
            present[member_id] = members[member_id]
        fresh = HashRing(present, 8)
        assert ring.members == present
        for _ in range(10):
            where = rnd.randrange(CIRCLE)
            assert ring.owner(where) == fresh.owner(where)
            assert [(d, ring.slots[s]) for d, s in ring.walk(where)] == [
                (d, fresh.slots[s]) for d, s in fresh.walk(where)
            ]


def test_the_ring_closes() -> None:
    """A position after the last token belongs to the first, and a token owns its own position."""
    ring = HashRing({"ada": 1, "bob": 1}, 4)
    last = max(*tokens("ada", 1, 4), *tokens("bob", 1, 4))
    first = min(*tokens("ada", 1, 4), *tokens("bob", 1, 4))
    assert ring.owner(last + 1 if last + 1 < CIRCLE else 0) == ring.owner(first)
    assert ring.owner(first) == ring.owner(first - 1)
    assert next(iter(ring.walk(last)))[0] == 0


def test_refusals_of_the_ring() -> None:
    """Nobody is twice on a ring, nobody leaves who is not there, nobody has no weight."""
    ring = HashRing({"ada": 1}, 4)
    with pytest.raises(ValueError, match="already"):
        ring.with_member("ada")
    with pytest.raises(KeyError):
        ring.without("bob")
    with pytest.raises(BadWeightError):
        ring.with_member("bob", 0)
    assert HashRing({}, 4).owner(7) is None
    assert list(HashRing({}, 4).walk(7)) == []


def test_a_ring_that_changes_for_long_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots of members that left are used again, and a full ring takes nobody more."""
    ring = HashRing({"m0": 1, "m1": 1}, 2)
    for index in range(2, 50):
        ring = ring.without(f"m{index - 2}").with_member(f"m{index}")
    assert len(ring.slots) == 2
    monkeypatch.setattr(hash_ring, "RING_MEMBERS_MAX", 2)
    with pytest.raises(ValueError, match="too many"):
        ring.with_member("more")
    with pytest.raises(ValueError, match="too many"):
        HashRing({"a": 1, "b": 1, "c": 1}, 2)


def test_batches_find_the_same_owners() -> None:
    """The numpy search and the plain search agree, also at tokens and at both ends."""
    rnd = random.Random(5)
    ring = HashRing({f"m{index}": 1 for index in range(9)}, 32).without("m3")
    edges = [entry >> hash_ring.SLOT_BITS for entry in ring.entries[:50]]
    where = [0, CIRCLE - 1, *edges, *(edge + 1 for edge in edges)]
    where += [rnd.randrange(CIRCLE) for _ in range(500)]
    assert vectorised.Owners(ring).of(where) == [ring.owner(at) for at in where]
    assert vectorised.Owners(HashRing({}, 4)).of([1]) == [None]


def test_preference_lists_who_would_follow() -> None:
    """Each next in the list is who the packet goes to when those before have left."""
    made = Ring()
    members = idle(7)
    order = made.preference(asked(), members, 7)
    assert sorted(order) == [member.member_id for member in members]
    for gone in range(7):
        choice = made.choose(asked(), [m for m in members if m.member_id not in order[:gone]])
        assert choice is not None
        assert choice.member_id == order[gone]
        assert choice.runner_up == (order[gone + 1] if gone < 6 else None)


def test_a_member_above_its_share_is_passed_over() -> None:
    """The bound moves new work to the next member clockwise, and back when there is no bound."""
    members = idle(4)
    order = Ring().preference(asked(), members, 2)
    busy = next(member for member in members if member.member_id == order[0])
    busy.active = 3
    bounded = Ring().choose(asked(), members)
    unbounded = Ring((("bound_permille", "0"),)).choose(asked(), members)
    assert bounded is not None
    assert unbounded is not None
    assert (bounded.member_id, unbounded.member_id) == (order[1], order[0])


def test_shares_are_taken_anew_when_only_busy_members_have_room() -> None:
    """A packet is not kept waiting for a bound while somebody has room."""
    made = Ring()
    members = idle(4)
    for member in members[1:]:
        member.capacity["tasks"] = 0
    members[0].active = 50
    pool = made.pool(members)
    choice = made.choose(asked(), members)
    assert choice is not None
    assert choice.member_id == members[0].member_id
    assert pool.choose(asked()) == choice._replace(scores=())
    assert isinstance(pool, RingPool)
    assert pool.lookup(asked()) == members[0].member_id
    members[0].capacity["tasks"] = 0
    assert made.choose(asked(), members) is None
    assert pool.choose(asked()) is pool.lookup(asked()) is None


def test_equal_tokens_are_settled_by_the_tie_break(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members on the very same position share its packets, by the same rule in every path."""

    def coarse(vnode: str) -> int:
        return token(vnode) % 8 * (CIRCLE // 8)

    monkeypatch.setattr(hash_ring, "token", coarse)
    monkeypatch.setattr(hash_ring, "_tokens", {})
    made = Ring()
    members = idle(100, "twin")
    pool = made.pool(members)
    assert isinstance(pool, RingPool)
    chosen: set[str] = set()
    for index in range(200):
        request = asked(f"fp-{index}", epoch=index)
        reference = made.choose(request, members)
        assert reference is not None
        assert pool.choose(request) == reference._replace(scores=())
        assert pool.lookup(request) == reference.member_id
        chosen.add(reference.member_id)
    assert len(chosen) > 60


def test_the_smallest_ring_answers() -> None:
    """One member with one token, one with none of the room: no search runs off the end."""
    made = Ring((("vnodes", "1"),))
    for members in ([], idle(1), idle(2)):
        pool = made.pool(members)
        assert isinstance(pool, RingPool)
        for index in range(20):
            choice = made.choose(asked(f"fp-{index}"), members)
            assert pool.lookup(asked(f"fp-{index}")) == (choice and choice.member_id)


def test_the_cache_derives_and_forgets() -> None:
    """Kept rings stay few, and a ring derived from another owns what a fresh one owns."""
    cache = RingCache(4)
    members = idle(100)
    assert cache.ring(list(reversed(members))) is cache.ring(members)
    rnd = random.Random(6)
    for _ in range(3 * RINGS_KEPT):
        some = rnd.sample(members, 95)
        some[0] = Member(some[0].member_id, weight=3)
        ring = cache.ring(some)
        fresh = HashRing({member.member_id: member.weight for member in some}, 4)
        assert ring.members == fresh.members
        for index in range(50):
            where = position(f"fp-{index}")
            assert ring.owner(where) == fresh.owner(where)
    assert len(cache._rings) == RINGS_KEPT
    other = cache.ring(idle(10, "other"))
    assert other.entries == HashRing({f"other-{i:04d}": 1 for i in range(10)}, 4).entries


def test_caches_start_again_when_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet that never repeats a name does not grow the memory without end."""
    monkeypatch.setattr(hash_ring, "_CACHED_MAX", 8)
    monkeypatch.setattr(hash_ring, "_tokens", {})
    monkeypatch.setattr(ring_module, "CLOSED_MAX", 8)
    made = Ring()
    for index in range(70):
        assert made.choose(asked(), [Member(f"m{index}")]) is not None
        assert len(made._closed) <= 8
    monkeypatch.setattr(draws, "_CACHED_MAX", 32)
    monkeypatch.setattr(draws, "_numbers", {})
    monkeypatch.setattr(draws, "_extra", {})
    for index in range(70):
        name = f"m{index}"
        assert tokens(name, 1, 2) == tuple(sorted(token(f"{name}-vnode-{i}") for i in range(2)))
        assert draws.member_numbers(name, 2)[0] == draws.member_number(name)
        assert len(hash_ring._tokens) <= 8
        assert len(draws._numbers) <= 32
        assert len(draws._extra) <= 2


def test_the_printed_ring_starves_members() -> None:
    """At 1,000 members of 128 virtual nodes the printed formula leaves 573 members without a slot."""
    ids = tuple(sorted(f"node-{index}" for index in range(1_000)))
    held = seed_ring.ring(ids, 128)
    starved = [member_id for member_id in ids if not held[member_id]]
    assert sum(len(slots) for slots in held.values()) <= seed_ring.SLOTS
    holders = seed_holders(ids, 128)
    assert {m for m in ids if held[m]} == set(holders.values())
    assert len(starved) == 573
    assert len(ids) * 128 - len(holders) == 118_000


def test_a_starved_member_works_only_when_all_others_are_full() -> None:
    """The printed formula gives a starved member nothing; it still beats losing the packet."""
    made = scheduler("seed-ring", (("vnodes", "1024"),))
    members = [Member(f"node-{index:02d}") for index in range(80)]
    scores = made.scores(asked(), members)
    starved = [m for m, score in zip(members, scores, strict=True) if score == 0]
    assert starved
    for index in range(50):
        choice = made.choose(asked(f"fp-{index}"), members)
        assert choice is not None
        assert choice.score > 0
    for member in members:
        if member not in starved:
            member.capacity["tasks"] = 0
    choice = made.choose(asked(), members)
    assert choice is not None
    assert choice.member_id in {member.member_id for member in starved}
