"""The log as static files: the same root as an export, brought up to date without writing anything twice."""

import json
import shutil
from pathlib import Path

import pytest
from support.api_server import Api
from support.commandline import CommandLine
from support.ledgers import fresh, opened, place, register, verified

from pfgov.core import commands as c
from pfgov.engine import LedgerReader
from pfgov.engine.reading.tiles import write_tiles
from pfgov.errors import NotFoundError, StateConflictError
from pfgov.storage import open_store
from pfgov_ledger import checkpoint, entry, merkle, note, tiles
from pfgov_ledger.tiles import TileTree


def _grown(directory: Path, packets: range) -> None:
    with opened(directory, seed=str(packets.start)) as engine:
        if not packets.start:
            register(engine, "m", capacity=())
        for number in packets:
            place(engine, f"p{number}")


def _check(folder: Path, directory: Path, tmp: Path) -> int:
    """Follow the log by its files alone; return its size."""
    signed = checkpoint.parse_text(note.split((folder / "checkpoint").read_bytes())[0])
    tree = TileTree(lambda path: (folder / path).read_bytes(), signed.size)
    assert merkle.root(tree, signed.size) == signed.root
    raws: list[bytes] = []
    for tile in tiles.tiles_of(signed.size):
        if tile.level is None and not tile.is_signatures:
            raws += tiles.read_bundle((folder / tile.path).read_bytes(), tile.width)
    assert merkle.root_of(entry.leaf_hash(raw) for raw in raws) == signed.root
    report = verified(directory, tmp)
    assert report.checkpoint is not None
    assert (report.checkpoint.size, report.checkpoint.root) == (signed.size, signed.root.hex())
    return signed.size


def test_tiles_of_a_growing_log_lead_to_the_exports_root(tmp_path: Path) -> None:
    """A tile reader and an export part, or a tile that is complete is written again."""
    directory, folder = fresh(tmp_path), tmp_path / "www"
    _grown(directory, range(20))
    with LedgerReader(open_store(directory)) as reader:
        first = write_tiles(reader, folder, principal=c.LOCAL_OPERATOR, now=0)
    assert _check(folder, directory, tmp_path) == first.size < 256
    _grown(directory, range(20, 300))
    stamp = folder / "tile/entries/000"
    with LedgerReader(open_store(directory)) as reader:
        write_tiles(reader, folder, principal=c.LOCAL_OPERATOR, now=0)
        before = stamp.stat().st_mtime_ns
        again = write_tiles(reader, folder, principal=c.LOCAL_OPERATOR, now=0)
    assert _check(folder, directory, tmp_path) == again.size > 512
    assert stamp.stat().st_mtime_ns == before
    assert not (folder / "tile/0/000.p").exists()
    assert again.written == len([t for t in tiles.tiles_of(again.size) if t.width < tiles.WIDTH])


def test_tiles_of_another_log_or_a_longer_one_are_left_alone(tmp_path: Path) -> None:
    """A restored backup or a fork publishes over what readers have seen."""
    directory, folder = fresh(tmp_path), tmp_path / "www"
    shutil.copytree(directory, tmp_path / "older")
    _grown(directory, range(3))
    with LedgerReader(open_store(directory)) as reader:
        write_tiles(reader, folder, principal=c.LOCAL_OPERATOR, now=0)
    kept = (folder / "checkpoint").read_bytes()
    with LedgerReader(open_store(tmp_path / "older")) as reader:
        with pytest.raises(StateConflictError, match="there are 2") as caught:
            write_tiles(reader, folder, principal=c.LOCAL_OPERATOR, now=0)
        assert caught.value.code == "tile.other_log"
    forked = tmp_path / "older"
    with opened(forked, seed="fork") as engine:
        for number in range(9):
            register(engine, f"other{number}")
    with (
        LedgerReader(open_store(forked)) as reader,
        pytest.raises(StateConflictError, match="are not those"),
    ):
        write_tiles(reader, folder, principal=c.LOCAL_OPERATOR, now=0)
    for text in (b"nonsense", kept.replace(b"pfgov.test/one", b"pfgov.test/two")):
        (folder / "checkpoint").write_bytes(text)
        with LedgerReader(open_store(directory)) as reader, pytest.raises(StateConflictError):
            write_tiles(reader, folder, principal=c.LOCAL_OPERATOR, now=0)


def test_tiles_at_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command leaves something out, or says a wrong number."""
    pfgov = CommandLine(tmp_path / "ledger", capsys)
    pfgov.ok("init")
    done = pfgov.ok("ledger", "tiles", str(tmp_path / "www"))
    assert done["size"] == pfgov.ok("status")["size"]
    assert done["written"] == 3
    assert (
        "holds the log of 2 entries; 3 resources written"
        in pfgov("ledger", "tiles", str(tmp_path / "www")).out
    )


def test_tiles_over_http_are_those_on_disk(tmp_path: Path) -> None:
    """The server's tiles are other bytes, can be had without a key that may read the log, or beyond its end."""
    with Api(tmp_path) as api:
        api.member()
        for number in range(130):
            place(api.engine, f"p{number}")
        folder = tmp_path / "www"
        write_tiles(api.engine.reader, folder, principal=c.LOCAL_OPERATOR, now=0)
        signed = api.get("/tiles/checkpoint")
        assert signed.content == (folder / "checkpoint").read_bytes()
        for tile in tiles.tiles_of(checkpoint.parse_text(note.split(signed.content)[0]).size):
            found = api.get(f"/tiles/{tile.path}")
            assert (found.status_code, found.content) == (200, (folder / tile.path).read_bytes())
        for path in (
            "tile/0/009",
            "tile/0/001.p/255",
            "tile/1/001",
            "tile/entries/x001/000",
            "tile/2/000.p/1",
        ):
            missing = api.get(f"/tiles/{path}")
            assert (missing.status_code, json.loads(missing.content)["code"]) == (
                404,
                "tile.not_found",
            ), path
        assert api.get("/tiles/tile/entries/000", scope="submitter").status_code == 403
        assert api.get("/tiles/tile/entries/000", scope="auditor").status_code == 200
        assert api.get("/tiles/checkpoint").status_code == 200


def test_a_resource_that_is_none_is_not_found(tmp_path: Path) -> None:
    """A path that leads out of the log is looked for."""
    from pfgov.engine.reading.tiles import resource

    with LedgerReader(open_store(fresh(tmp_path))) as reader:
        assert resource(reader, "tile/0/000.p/2")
        for path in ("../anchor.txt", "checkpoint", "tile/0/000", "tile/0/000.p/3"):
            with pytest.raises(NotFoundError):
                resource(reader, path)
