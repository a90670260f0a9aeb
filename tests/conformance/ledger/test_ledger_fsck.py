"""Tessera's ``fsck``, which is not ours, reads our tiles at the edges of the layout.

``make peers`` builds it.  It exits 0 when it fails, so its line of success is what counts.
"""

import subprocess
from pathlib import Path

import pytest
from support.peers import missing, peer

from pfgov_ledger import checkpoint, entry, keys, merkle, tiles
from pfgov_ledger.checkpoint import Checkpoint

FSCK = peer("fsck")
SIZES = (1, 255, 256, 257, 65_536, 70_000)
ORIGIN = "pfgov.test/tiles"
needs_fsck = pytest.mark.skipif(not FSCK, reason=missing("fsck"))


def publish(folder: Path, size: int) -> tuple[str, bytes]:
    """Write a log of *size* entries into *folder*; return its verifier key and its root."""
    raws = [b"entry %d" % number for number in range(size)]
    tree = merkle.LeafTree(map(entry.leaf_hash, raws))
    for tile in tiles.tiles_of(size):
        path = folder / tile.path
        path.parent.mkdir(parents=True, exist_ok=True)
        span = raws[tile.start : tile.start + tile.width]
        path.write_bytes(tiles.bundle(span) if tile.level is None else tiles.hashes(tree, tile))
    signer = keys.SeedSigner(role="log", name=ORIGIN, seed=bytes(range(32)))
    root = merkle.root(tree, size)
    (folder / tiles.CHECKPOINT).write_bytes(checkpoint.sign(Checkpoint(ORIGIN, size, root), signer))
    return str(keys.vkey_of(signer)), root


def fsck(folder: Path, vkey: str, tmp: Path, *, seconds: int = 120) -> str:
    """Return what fsck says of the log in *folder*; for a log that it cannot accept it may never end."""
    key = tmp / "log.vkey"
    key.write_text(vkey)
    done = subprocess.run(
        [FSCK, "--ui=false", "--alsologtostderr", f"--storage_url=file://{folder}/", f"--public_key={key}"],
        capture_output=True, text=True, encoding="utf-8", timeout=seconds, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


@needs_fsck
@pytest.mark.long
@pytest.mark.process
@pytest.mark.parametrize("size", SIZES)
def test_fsck_accepts_tiles_at_every_edge(tmp_path: Path, size: int) -> None:
    """A tile, a bundle, their paths or the checkpoint are not what tlog-tiles says."""
    folder = tmp_path / "log"
    vkey, root = publish(folder, size)
    said = fsck(folder, vkey, tmp_path)
    assert f"Successfully fsck'd log with size {size}" in said, said
    assert root.hex() in said


@needs_fsck
@pytest.mark.long
@pytest.mark.process
def test_fsck_would_find_a_changed_tile(tmp_path: Path) -> None:
    """The line of success is printed whatever the tiles hold, so that it would prove nothing."""
    folder = tmp_path / "log"
    vkey, _ = publish(folder, 300)
    path = folder / "tile/entries/000"
    path.write_bytes(path.read_bytes().replace(b"entry 7", b"entry 8", 1))
    try:
        said = fsck(folder, vkey, tmp_path, seconds=4)
    except subprocess.TimeoutExpired as stopped:
        said = str(stopped.stderr)
    assert "Successfully" not in said
