import pytest

from pfgov_ledger import errors, merkle
from pfgov_ledger.entry import leaf_hash

LEAVES = [leaf_hash(bytes([n])) for n in range(70)]


def test_the_classic_tree() -> None:
    """The eight-leaf tree of the Certificate Transparency tests has its published roots."""
    data = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
    roots = {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    hashes = [leaf_hash(bytes.fromhex(item)) for item in data]
    for size, root in roots.items():
        assert merkle.root_of(hashes[:size]).hex() == root
    assert (
        merkle.root_of([]).hex()
        == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


def test_the_frontier_and_the_tree_agree_at_every_size() -> None:
    """The incremental root, the root from stored nodes and the restored frontier's root are one."""
    tree = merkle.LeafTree()
    frontier = merkle.Frontier()
    for size, leaf in enumerate(LEAVES, 1):
        tree.add(leaf)
        frontier = merkle.Frontier.from_bytes(frontier.to_bytes())
        frontier.add(leaf)
        assert frontier.size == tree.size == size
        assert frontier.root() == merkle.root(tree, size) == merkle.root_of(LEAVES[:size])


def test_a_copied_frontier_is_independent() -> None:
    """Adding to a copy leaves the original where it was."""
    frontier = merkle.Frontier()
    frontier.add(LEAVES[0])
    before = frontier.to_bytes()
    frontier.copy().add(LEAVES[1])
    assert frontier.to_bytes() == before


@pytest.mark.parametrize(
    "state",
    [b"", b"\x00" * 7, b"\x00" * 9, (1).to_bytes(8, "big"), (2**60).to_bytes(8, "big") + bytes(32)],
)
def test_a_damaged_frontier_is_not_restored(state: bytes) -> None:
    """Size and number of hashes must fit."""
    with pytest.raises(errors.ProofShapeError):
        merkle.Frontier.from_bytes(state)


def test_nodes_that_are_not_complete_are_not_given() -> None:
    """Asking for a subtree beyond the leaves is refused, not answered with a short hash."""
    tree = merkle.LeafTree(LEAVES[:5])
    for level, index in [(0, 5), (2, 1), (3, 0), (-1, 0)]:
        with pytest.raises(errors.UsageError):
            tree.node(level, index)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5)])
def test_no_proof_of_a_leaf_that_is_not_there(index: int, size: int) -> None:
    """Proofs are made and checked for leaves inside the tree only."""
    with pytest.raises(errors.UsageError):
        merkle.inclusion_proof(merkle.LeafTree(LEAVES), index, size)
    with pytest.raises(errors.InclusionError):
        merkle.root_from_inclusion(LEAVES[0], index, size, [])


def test_rollback_fork_and_growth_are_told_apart() -> None:
    """Shorter, other root at one size, and other history each have their own code; growth passes."""
    tree = merkle.LeafTree(LEAVES)
    other = merkle.LeafTree([LEAVES[1], *LEAVES[1:]])

    def attempt(old: int, new: int, new_tree: merkle.LeafTree) -> str:
        proof = merkle.consistency_proof(new_tree, min(old, new), new)
        try:
            merkle.check_consistency(
                old, new, merkle.root(tree, old), merkle.root(new_tree, new), proof
            )
        except errors.LedgerError as error:
            return error.code
        return "pass"

    assert attempt(20, 33, tree) == "pass"
    assert attempt(0, 33, tree) == "pass"
    assert attempt(20, 20, tree) == "pass"
    assert attempt(33, 20, tree) == "ledger.rollback"
    assert attempt(20, 20, other) == "ledger.fork_same_size"
    assert attempt(20, 33, other) == "ledger.fork"
    with pytest.raises(errors.UsageError):
        merkle.consistency_proof(tree, 5, 4)
    with pytest.raises(errors.ConsistencyError):
        merkle.check_consistency(0, 5, bytes(32), merkle.root(tree, 5), [])


def test_proofs_hold_only_hashes() -> None:
    """A proof item that is not 32 bytes, or too many of them, is refused."""
    with pytest.raises(errors.InclusionError):
        merkle.root_from_inclusion(LEAVES[0], 0, 2, [b"short"])
    with pytest.raises(errors.InclusionError):
        merkle.root_from_inclusion(LEAVES[0], 0, 2, [LEAVES[0]] * 200)
