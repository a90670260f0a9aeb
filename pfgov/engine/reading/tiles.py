"""The log as C2SP tlog-tiles from the store: one resource for a server, or all of them in a folder for static hosting.

A folder is brought up to date, never written over: complete tiles are immutable, and the checkpoint is replaced last,
so that whoever reads meanwhile finds everything that the checkpoint they hold names.  The format is
:mod:`pfgov_ledger.tiles`'s business; nothing here signs.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pfgov.core.commands import Principal
from pfgov.engine.loading.tree import StoredNodes
from pfgov.engine.reading.exporting import StoredLog, stored_log
from pfgov.engine.reading.reader import LedgerReader
from pfgov.errors import NotFoundError, StateConflictError, file_errors
from pfgov.files import make_public, read_regular, replace_public
from pfgov.storage.port import Queries
from pfgov_ledger import checkpoint, merkle, note, tiles
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.tiles import Tile

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Published:
    """What a folder holds now: the log's size, and the resources that were written for it."""

    size: int
    written: int


def content(queries: Queries, tile: Tile) -> bytes:
    """Return the bytes of *tile*, which the log has."""
    span = tile.start, tile.start + tile.width
    if tile.is_signatures:
        return b"".join(signature for _, signature in queries.signed(*span))
    if tile.level is None:
        return tiles.bundle(raw for raw, _ in queries.signed(*span))
    if tile.level == 0:
        return b"".join(queries.leaves(*span))
    return tiles.hashes(StoredNodes(queries), tile)


def resource(reader: LedgerReader, path: str) -> tuple[bytes, bool]:
    """Return the bytes of the tile or bundle at *path*, and whether entries or their signatures are in it.

    Raises:
        NotFoundError: ``tile.not_found``, no such resource, or none yet.
    """
    try:
        tile = tiles.parse_path(path)
    except LedgerError:
        tile = None
    with reader.snapshot() as queries:
        latest = queries.checkpoint()
        if tile is None or latest is None or not tiles.exists(tile, latest[0]):
            raise NotFoundError(
                f"there is no {path[:80]}",
                code="tile.not_found",
                hint="the checkpoint says how large the log is; paths are those of C2SP tlog-tiles",
            )
        return content(queries, tile), tile.level is None


def write_tiles(
    reader: LedgerReader,
    folder: Path,
    *,
    principal: Principal,
    now: int,
    progress: Progress | None = None,
) -> Published:
    """Bring *folder* up to date with the log; it may be empty or missing.

    Raises:
        PolicyDeniedError: policy does not allow *principal* to take everything out at *now*.
        StateConflictError: ``tile.other_log``, the folder holds another log, or a longer or different one of this name.
        StoreUnavailableError: a file cannot be written.
    """
    with stored_log(reader) as log, reader.snapshot() as queries, file_errors(folder):
        log.check_export(principal, now, subject=None, span=None)
        before = _published(folder, log, queries)
        missing = list(tiles.tiles_of(log.size(), before))
        for count, tile in enumerate(missing):
            _write(folder / tile.path, content(queries, tile))
            if progress is not None:
                progress(count + 1, len(missing))
        _write(folder / tiles.CHECKPOINT, log.latest_checkpoint())
    _drop_partial(folder, before, log.size())
    return Published(log.size(), len(missing))


def _published(folder: Path, log: StoredLog, queries: Queries) -> int:
    """Return the size of the log that *folder* holds, which must be a prefix of this one."""
    try:
        raw = read_regular(folder / tiles.CHECKPOINT)
    except FileNotFoundError:
        return 0
    try:
        held = checkpoint.parse_text(note.split(raw)[0])
    except LedgerError as error:
        raise _other(folder, f"its checkpoint cannot be read: {error}") from None
    if held.origin != log.origin:
        raise _other(folder, f"it holds {held.origin}, and this is {log.origin}")
    if held.size > log.size():
        raise _other(folder, f"it holds {held.size} entries, and there are {log.size()}")
    if merkle.root(StoredNodes(queries), held.size) != held.root:
        raise _other(folder, f"its first {held.size} entries are not those of this log")
    return held.size


def _other(folder: Path, why: str) -> StateConflictError:
    return StateConflictError(
        f"{folder} is not this log's: {why}",
        code="tile.other_log",
        hint="keep it as evidence if the name is this log's, and write to another folder",
    )


def _write(path: Path, raw: bytes) -> None:
    make_public(path.parent)
    replace_public(path, raw)


def _drop_partial(folder: Path, before: int, size: int) -> None:
    """Remove the partial tiles of those that are complete now; a reader whose checkpoint names them asks for these."""
    for tile in tiles.tiles_of(before):
        if tile.width < tiles.WIDTH and tiles.exists(replace(tile, width=tiles.WIDTH), size):
            shutil.rmtree((folder / tile.path).parent, ignore_errors=True)
