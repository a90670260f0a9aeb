"""A server that shows whatever a test wants it to show, as a monitor reads it: the tiles and documents of an export."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pfgov_ledger import entry, merkle, tiles
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.export_format import CheckpointLine, ChunkLine, EntryLine, parse_line
from pfgov_ledger.tiles import Tile


@dataclass
class Shown:
    """What a server shows; every part can be changed.  Called with a path it answers like a server.

    Attributes:
        entries: Bytes and signatures.
        note: The newest checkpoint.
        documents: Policy documents by the digest under which they are served.
        anchor: What it gives others to pin; None for a host of files.
        asked: The paths that were asked for.
    """

    entries: list[tuple[bytes, bytes]]
    note: bytes
    documents: dict[str, bytes] = field(default_factory=dict[str, bytes])
    anchor: bytes | None = None
    asked: list[str] = field(default_factory=list[str])
    partial: bool = True

    def __call__(self, path: str, most: int) -> bytes | None:
        """Answer a request."""
        self.asked.append(path)
        found = self.answer(path)
        assert found is None or len(found) <= most, path
        return found

    def answer(self, path: str) -> bytes | None:
        """What stands at *path*."""
        if path == "tiles/checkpoint":
            return self.note
        if path == "api/ledger/key":
            return self.anchor
        if path.startswith("api/policies/document?digest="):
            return self.documents.get(path.partition("=")[2])
        tile = tiles.parse_path(path.removeprefix("tiles/"))
        if not tiles.exists(tile, len(self.entries)):
            return None
        if (
            tile.width < tiles.WIDTH
            and not self.partial
            and tiles.exists(_whole(tile), len(self.entries))
        ):
            return None
        span = self.entries[tile.start : tile.start + tile.width]
        if tile.is_signatures:
            return b"".join(signature for _, signature in span)
        if tile.level is None:
            return tiles.bundle(raw for raw, _ in span)
        leaves = (entry.leaf_hash(raw) for raw, _ in self.entries)
        return tiles.hashes(merkle.LeafTree(leaves), tile)


def _whole(tile: Tile) -> Tile:
    return Tile(tile.level, tile.index, is_signatures=tile.is_signatures)


def of_export(path: Path) -> Shown:
    """What a server shows whose log is the full export at *path*, as far as its lines can be read."""
    return of_lines(path.read_bytes().split(b"\n"))


def of_lines(lines: Iterable[bytes]) -> Shown:
    """As :func:`of_export`."""
    shown = Shown([], b"")
    chunks: dict[str, bytes] = {}
    for text in lines:
        try:
            line = parse_line(text)
        except LedgerError:
            continue
        match line:
            case EntryLine():
                shown.entries.append((line.raw, line.signature))
            case ChunkLine() if line.salt is None:
                chunks[line.digest] = chunks.get(line.digest, b"") + line.data
            case CheckpointLine():
                shown.note = line.note
            case _:
                pass
    shown.documents = chunks
    return shown


def digest(document: bytes) -> str:
    """What the log says of a document."""
    return hashlib.sha256(document).hexdigest()
