"""C2SP tlog-tiles: paths, tiles and bundles at every edge, and the same root as an export's."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfgov_ledger import errors, merkle, tiles
from pfgov_ledger.tiles import Tile, TileError, TileTree

SIZES = (0, 1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000)


def _leaves(count: int) -> list[bytes]:
    return [hashlib.sha256(str(n).encode()).digest() for n in range(count)]


@pytest.fixture(scope="module")
def tree() -> merkle.LeafTree:
    """A tree of the largest size, of which every smaller one is a prefix."""
    return merkle.LeafTree(_leaves(max(SIZES)))


@pytest.mark.parametrize("size", SIZES)
def test_tiles_lead_to_the_root_of_the_leaves(tree: merkle.LeafTree, size: int) -> None:
    """Whoever follows the log by its tiles comes to another root, or asks for a tile that is not published."""
    published = {
        tile.path: tiles.hashes(tree, tile)
        for tile in tiles.tiles_of(size)
        if tile.level is not None
    }
    read = TileTree(published.__getitem__, size)
    assert merkle.root(read, size) == merkle.root(tree, size)
    for index in {0, size // 2, size - 1} if size else ():
        proof = merkle.inclusion_proof(read, index, size)
        merkle.check_inclusion(tree.node(0, index), index, size, proof, merkle.root(tree, size))
    for old in (1, size // 3, size - 1) if size > 3 else ():
        found = merkle.consistency_proof(read, old, size)
        merkle.check_consistency(old, size, merkle.root(tree, old), merkle.root(tree, size), found)
    with pytest.raises(errors.UsageError):
        read.node(0, size)


def test_tiles_of_a_log_are_the_published_layout() -> None:
    """The tiles of 70,000 entries are not those that tlog-tiles lists for them."""
    found = [tile.path for tile in tiles.tiles_of(70_000)]
    assert len(found) == 3 * 274 + 2 + 1
    assert found[0] == "tile/entries/000"
    assert "tile/entries/273.p/112" in found
    assert {"tile/0/000", "tile/0/272", "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17"} <= set(
        found
    )
    assert found[-1] == "tile/2/000.p/1"
    assert list(tiles.tiles_of(0)) == []
    assert [tile.path for tile in tiles.tiles_of(1)] == [
        "tile/entries/000.p/1",
        "tile/signatures/000.p/1",
        "tile/0/000.p/1",
    ]


@given(before=st.integers(0, 1_200), more=st.integers(0, 1_200))
def test_tiles_that_are_missing_are_those_that_were_not_complete(before: int, more: int) -> None:
    """Bringing a folder up to date leaves a tile out that an earlier state did not have complete."""
    size = before + more
    held = {tile for tile in tiles.tiles_of(before) if tile.width == tiles.WIDTH}
    assert held | set(tiles.tiles_of(size, before)) == set(tiles.tiles_of(size))
    assert not held & set(tiles.tiles_of(size, before))
    assert all(tiles.exists(tile, size) for tile in tiles.tiles_of(size))


@given(
    level=st.none() | st.integers(0, tiles.LEVEL_MAX),
    index=st.integers(0, 2**45 - 1),
    width=st.integers(1, 256),
)
def test_tile_paths_are_read_as_they_are_written(level: int | None, index: int, width: int) -> None:
    """A tile's path names another tile, or none."""
    tile = Tile(level, index, width)
    assert tiles.parse_path(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "", "checkpoint", "tile/0", "tile/0/", "tile/0/0", "tile/0/0000", "tile/0/x001", "tile/0/x000/001",
        "tile/00/000",
        "tile/7/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/257", "tile/0/000.p/01", "tile/data/000",
        "tile/0/001/002", "tile/0/000/", "/tile/0/000", "tile/0/../000", "tile/0/00\u0660", "tile/entries/x1/001",
    ],
)  # fmt: skip
def test_other_paths_are_no_tiles(path: str) -> None:
    """A path in another spelling is answered, so that a cache holds two of one, or something outside the log is."""
    with pytest.raises(TileError):
        tiles.parse_path(path)


def test_bundles_hold_what_was_put_in() -> None:
    """An entry is cut, or something beside the entries is let through."""
    raws = [b"", b"{}", b"x" * 65_535]
    packed = tiles.bundle(raws)
    assert tiles.read_bundle(packed, 3) == raws
    for wrong in (packed[:-1], packed + b"\x00", packed[:1], b"", packed + packed):
        with pytest.raises(TileError):
            tiles.read_bundle(wrong, 3)
    with pytest.raises(TileError):
        tiles.read_bundle(packed, 2)
    with pytest.raises(errors.OversizeError):
        tiles.bundle([b"x" * 65_536])


def test_a_tile_of_another_length_is_refused(tree: merkle.LeafTree) -> None:
    """A server that hands out a cut tile makes a reader compute something from it."""
    read = TileTree(lambda path: tiles.hashes(tree, tiles.parse_path(path))[:-1], 300)
    with pytest.raises(TileError, match="length"):
        read.node(0, 0)
