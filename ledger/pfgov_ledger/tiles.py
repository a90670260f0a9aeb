"""The log as C2SP tlog-tiles: static files from which any tile reader follows it.

A tile holds up to 256 hashes of one level of the tree, eight levels above the next lower one; an entry bundle holds the
entries under a tile of the lowest level, each behind its length, and beside it, which other logs do not have, lie the
issuer's signatures of the same entries, 64 bytes each.  A *resource* is a path below the log's prefix; those
of complete tiles never change.  What is read from tiles proves nothing until it leads to a checkpoint's root
(:class:`TileTree` gives the nodes for that).  This module knows no files and no network.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from pfgov_ledger import ed25519, entry, errors, merkle

CHECKPOINT: Final = "checkpoint"
"""The resource that changes: the newest signed checkpoint."""

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
"""Hashes in a complete tile, and entries in a complete bundle."""

ENTRIES: Final = "entries"
SIGNATURES: Final = "signatures"
SIGNATURE_BYTES: Final = ed25519.SIGNATURE_BYTES
LEVEL_MAX: Final = 6
"""The level of the one tile on top of the largest tree."""

_GROUP: Final = 1_000
_RESOURCE: Final = re.compile(
    r"tile/(entries|signatures|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?",
    re.ASCII,
)


class TileError(errors.TreeError, code="ledger.tile"):
    """Not a tile or bundle of this log: a wrong path, a wrong length, or hashes that lead to another root."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Which tile: its level (None for a bundle of entries, or of signatures), its index, and how many it holds."""

    level: int | None
    index: int
    width: int = WIDTH
    is_signatures: bool = False

    @property
    def start(self) -> int:
        """The index of the first hash (or entry) in it, on its level."""
        return self.index * WIDTH

    @property
    def path(self) -> str:
        """The resource's path below the log's prefix.

        >>> Tile(0, 1_234_067, 7).path
        'tile/0/x001/x234/067.p/7'
        """
        rest, last = divmod(self.index, _GROUP)
        groups = [f"{last:03}"]
        while rest:
            rest, group = divmod(rest, _GROUP)
            groups.append(f"x{group:03}")
        bundled = SIGNATURES if self.is_signatures else ENTRIES
        kind = bundled if self.level is None else str(self.level)
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{kind}/{'/'.join(reversed(groups))}{partial}"


def parse_path(path: str) -> Tile:
    """Read a resource's path.

    Raises:
        TileError: It names no tile, or a tile in another spelling than its own.
    """
    found = _RESOURCE.fullmatch(path)
    if found is None:
        raise TileError("not the path of a tile", found=repr(path)[:80])
    kind, groups, width = found.groups()
    index = 0
    for group in groups.split("/"):
        index = index * _GROUP + int(group.removeprefix("x"))
    tile = Tile(
        None if kind in {ENTRIES, SIGNATURES} else int(kind),
        index,
        WIDTH if width is None else int(width),
        kind == SIGNATURES,
    )
    if tile.width > WIDTH or (tile.level or 0) > LEVEL_MAX or tile.path != path:
        raise TileError("not the path of a tile", found=repr(path)[:80])
    return tile


def tiles_of(size: int, before: int = 0) -> Iterator[Tile]:
    """Every tile and bundle of a log of *size* entries that a log of *before* entries did not have complete.

    In the order in which they can be published: entries before the hashes over them, lower levels before higher.
    """
    for kind in (None, *range(LEVEL_MAX + 1)):
        level = kind or 0
        count, known = size >> (HEIGHT * level), before >> (HEIGHT * level)
        for index in range(known // WIDTH, (count + WIDTH - 1) // WIDTH):
            tile = Tile(kind, index, min(WIDTH, count - index * WIDTH))
            yield tile
            if kind is None:
                yield replace(tile, is_signatures=True)
        if not count:
            return


def exists(tile: Tile, size: int) -> bool:
    """Whether a log of *size* entries has *tile*; a partial one counts when it is no longer than what there is."""
    count = size >> (HEIGHT * (tile.level or 0))
    return tile.start + tile.width <= count


def hashes(nodes: merkle.Nodes, tile: Tile) -> bytes:
    """The bytes of a hash tile."""
    level = HEIGHT * (tile.level or 0)
    span = range(tile.start, tile.start + tile.width)
    return b"".join(nodes.node(level, index) for index in span)


def bundle(raws: Iterable[bytes]) -> bytes:
    """The bytes of an entry bundle.

    Raises:
        OversizeError: An entry is longer than its length field can say.
    """
    parts: list[bytes] = []
    for raw in raws:
        if len(raw) > entry.ENTRY_BYTES_MAX:
            raise errors.OversizeError(found=str(len(raw)))
        parts += (len(raw).to_bytes(2, "big"), raw)
    return b"".join(parts)


def read_signatures(raw: bytes, width: int) -> list[bytes]:
    """The signatures of a bundle of them.

    Raises:
        TileError: It does not hold *width* signatures and nothing else.
    """
    size = ed25519.SIGNATURE_BYTES
    if len(raw) != width * size:
        raise TileError(
            "not a bundle of that many signatures", expected=str(width * size), found=str(len(raw))
        )
    return [raw[at : at + size] for at in range(0, len(raw), size)]


def read_bundle(raw: bytes, width: int) -> list[bytes]:
    """The entries of a bundle.

    Raises:
        TileError: It does not hold *width* entries and nothing else.
    """
    found: list[bytes] = []
    at = 0
    while at < len(raw) and len(found) < width:
        end = at + 2 + int.from_bytes(raw[at : at + 2], "big")
        if end > len(raw):
            break
        found.append(raw[at + 2 : end])
        at = end
    if len(found) != width or at != len(raw):
        raise TileError(
            "not a bundle of that many entries", expected=str(width), found=str(len(found))
        )
    return found


class TileTree:
    """The nodes (:class:`merkle.Nodes`) of a tree of *size* leaves, from tiles that *fetch* gets by their paths.

    Proofs that are made from it hold only if the tiles are honest: check them against a signed root.
    """

    KEPT_MAX: Final = 256
    """Tiles kept in memory, 8 KiB each."""

    def __init__(self, fetch: Callable[[str], bytes], size: int) -> None:
        self._fetch = fetch
        self.size = size
        self._kept: dict[Tile, bytes] = {}

    def node(self, level: int, index: int) -> bytes:
        """See :class:`merkle.Nodes`.

        Raises:
            TileError: The tile is not one, or does not hold that node.
            UsageError: The subtree is not complete.
        """
        if (index + 1) << level > self.size or min(level, index) < 0:
            raise errors.UsageError(f"no node at level {level}, index {index}")
        height = level % HEIGHT
        first = index << height
        tile = self._tile(level // HEIGHT, first // WIDTH)
        at = (first % WIDTH) * merkle.HASH_BYTES
        part = tile[at : at + (merkle.HASH_BYTES << height)]
        leaves = [part[i : i + merkle.HASH_BYTES] for i in range(0, len(part), merkle.HASH_BYTES)]
        return merkle.root_of(leaves)

    def _tile(self, level: int, index: int) -> bytes:
        count = self.size >> (HEIGHT * level)
        tile = Tile(level, index, min(WIDTH, count - index * WIDTH))
        found = self._kept.get(tile)
        if found is None:
            found = self._fetch(tile.path)
            if len(found) != tile.width * merkle.HASH_BYTES:
                wanted = str(tile.width * merkle.HASH_BYTES)
                raise TileError(
                    f"{tile.path} has another length", expected=wanted, found=str(len(found))
                )
            if len(self._kept) >= self.KEPT_MAX:
                self._kept.clear()
            self._kept[tile] = found
        return found
