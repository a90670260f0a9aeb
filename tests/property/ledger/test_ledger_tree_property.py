import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.searching import examples

from pfgov_ledger import errors, merkle, subject_map
from pfgov_ledger.entry import leaf_hash
from pfgov_ledger.subject_map import MapProof, SubjectMap

LEAVES = [leaf_hash(n.to_bytes(4, "big")) for n in range(300)]
TREE = merkle.LeafTree(LEAVES)
ROOTS = [merkle.root(TREE, size) for size in range(301)]


def _flip(data: st.DataObject, item: bytes) -> bytes:
    bit = data.draw(st.integers(0, len(item) * 8 - 1), label="flipped bit")
    return (int.from_bytes(item, "big") ^ 1 << bit).to_bytes(len(item), "big")


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(1, 300), st.data())
def test_inclusion_holds_for_exactly_this_leaf_place_and_size(
    size: int, data: st.DataObject
) -> None:
    """A proof passes as made; another leaf, index, proof or root, and a proof cut or longer, fail."""
    index = data.draw(st.integers(0, size - 1), label="index")
    proof = merkle.inclusion_proof(TREE, index, size)
    merkle.check_inclusion(LEAVES[index], index, size, proof, ROOTS[size])
    wrong = [
        (_flip(data, LEAVES[index]), index, proof, ROOTS[size]),
        (LEAVES[index], index, proof, _flip(data, ROOTS[size])),
        (LEAVES[index], index, [*proof, LEAVES[0]], ROOTS[size]),
        (LEAVES[index], (index + 1) % size, proof, ROOTS[size]) if size > 1 else None,
        (LEAVES[index], index, proof[:-1], ROOTS[size]) if proof else None,
    ]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1), label="changed hash")
        wrong.append(
            (
                LEAVES[index],
                index,
                [*proof[:at], _flip(data, proof[at]), *proof[at + 1 :]],
                ROOTS[size],
            )
        )
    for attempt in wrong:
        if attempt is not None:
            leaf, place, hashes, root = attempt
            with pytest.raises(errors.InclusionError):
                merkle.check_inclusion(leaf, place, size, hashes, root)


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(0, 300), st.integers(0, 300), st.data())
def test_honest_growth_never_alarms_and_a_changed_history_always_does(
    a: int, b: int, data: st.DataObject
) -> None:
    """Any later size is consistent with any earlier one; with a changed old root or proof it is not."""
    old, new = sorted((a, b))
    proof = merkle.consistency_proof(TREE, old, new)
    merkle.check_consistency(old, new, ROOTS[old], ROOTS[new], proof)
    with pytest.raises(errors.TreeError):
        merkle.check_consistency(old, new, _flip(data, ROOTS[old]), ROOTS[new], proof)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1), label="changed hash")
        changed = [*proof[:at], _flip(data, proof[at]), *proof[at + 1 :]]
        for hashes in (changed, proof[:-1], [*proof, LEAVES[0]]):
            with pytest.raises(errors.ConsistencyError):
                merkle.check_consistency(old, new, ROOTS[old], ROOTS[new], hashes)


NAMES = st.integers(0, 60).map(lambda n: f"packet/{n}")
UPDATES = st.lists(
    st.tuples(NAMES, st.integers(0, 2**40), st.binary(min_size=32, max_size=32)), max_size=80
)


@settings(max_examples=examples(150), deadline=None)
@given(UPDATES, st.integers(0, 80))
def test_the_map_depends_on_its_contents_alone(
    updates: list[tuple[str, int, bytes]], pause: int
) -> None:
    """Whatever the order and however often the root was asked for, equal contents give equal roots."""
    incremental = SubjectMap()
    final: dict[str, tuple[int, bytes]] = {}
    for at, (name, seq, leaf) in enumerate(updates):
        incremental.update(name, seq, leaf)
        final[name] = (seq, leaf)
        if at == pause:
            assert incremental.root() == subject_map.root_of(final)
    assert incremental.root() == subject_map.root_of(dict(sorted(final.items())))


@settings(max_examples=examples(150), deadline=None)
@given(UPDATES, NAMES, st.data())
def test_every_subject_is_provably_there_or_provably_not(
    updates: list[tuple[str, int, bytes]], sought: str, data: st.DataObject
) -> None:
    """One of presence and absence can be proven, never both, and a changed proof proves nothing."""
    whole, final = SubjectMap(), {}
    for name, seq, leaf in updates:
        whole.update(name, seq, leaf)
        final[name] = (seq, leaf)
    root, proof = whole.root(), whole.prove(sought)
    if sought in final:
        assert subject_map.check_present(proof, root, sought) == final[sought]
        with pytest.raises(errors.SubjectMapError):
            subject_map.check_absent(proof, root, sought)
    else:
        subject_map.check_absent(proof, root, sought)
        with pytest.raises(errors.SubjectMapError):
            subject_map.check_present(proof, root, sought)
    if proof.path:
        at = data.draw(st.integers(0, len(proof.path) - 1), label="changed step")
        bit, sibling = proof.path[at]
        for step in ((bit, _flip(data, sibling)), (bit ^ 1, sibling)):
            path = (*proof.path[:at], step, *proof.path[at + 1 :])
            changed = MapProof(proof.key, proof.seq, proof.leaf, path)
            for check in (subject_map.check_present, subject_map.check_absent):
                with pytest.raises(errors.SubjectMapError):
                    check(changed, root, sought)
