"""Opening what is there: the head lock, the tree's stored nodes, damage in pairs, leases after a recovery."""

import hashlib
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.faulty import Faulty
from support.ledgers import SECOND, START, fresh, opened, place, register, submit

from pfgov.clock import ManualClock, SystemClock
from pfgov.core import commands as c
from pfgov.engine import Engine, LedgerReader
from pfgov.engine.committing.writer import StoredNodes, Writer, frontier_at
from pfgov.engine.keys.signing import KeySources
from pfgov.engine.layout import Layout, make_keys
from pfgov.engine.reading import reader as reading
from pfgov.errors import PfgovError, StoreCorruptError, StoreError
from pfgov.storage import open_store
from pfgov.storage.port import EntryRow, WriteSet
from pfgov_ledger import merkle


def _refused(directory: Path) -> str:
    with pytest.raises(PfgovError) as caught:
        opened(directory)
    return caught.value.code


def _alter(directory: Path, statement: str) -> None:
    connection = sqlite3.connect(directory / "ledger.db", isolation_level=None)
    kept = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    ).fetchall()
    for name, _ in kept:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement)
    for _, sql in kept:
        connection.execute(sql)
    connection.close()


def test_engine_a_new_folder_is_its_owners_alone(tmp_path: Path) -> None:
    """Payloads lie in the database: nobody else on the machine may look into the folder that was made for it."""
    with Engine.create(open_store(tmp_path / "new"), clock=ManualClock(START)):
        assert (tmp_path / "new").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("origin", [None, "pfgov.test/one"])
def test_engine_a_ledger_whose_database_is_gone_does_not_begin_anew(
    tmp_path: Path, origin: str | None
) -> None:
    """Whoever takes the database away, or a volume that is missing after a restart, has the same keys sign a second
    history under the same name, and the anchor replaced by that of it.
    """
    directory = fresh(tmp_path)
    anchor = (directory / "anchor.txt").read_bytes()
    for path in (*directory.glob("ledger.db*"), *directory.glob("head.db*")):
        path.unlink()
    (directory / "store.url").unlink(missing_ok=True)
    with pytest.raises(StoreCorruptError) as refused:
        Engine.create(open_store(directory), origin, clock=ManualClock(START))
    assert refused.value.code == "store.rolled_back"
    assert (directory / "anchor.txt").read_bytes() == anchor
    assert not list(directory.glob("*.db"))


def test_engine_a_restored_backup_is_refused(tmp_path: Path) -> None:
    """A ledger that is shorter than what was published must not sign again; reading its evidence is possible."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        register(engine, "m")
    backup = tmp_path / "backup.db"
    shutil.copy(directory / "ledger.db", backup)
    with opened(directory) as engine:
        place(engine, "p")
    for file in directory.glob("ledger.db*"):
        file.unlink()
    shutil.copy(backup, directory / "ledger.db")
    assert _refused(directory) == "store.rolled_back"
    with LedgerReader(open_store(directory), heed_head_lock=False) as reader:
        assert reader.head().size == 3


def test_engine_a_backup_that_went_another_way_is_refused(tmp_path: Path) -> None:
    """Two copies of one ledger that both went on: the one whose head was not published is refused."""
    directory, other = fresh(tmp_path / "a"), tmp_path / "b"
    with opened(directory) as engine:
        register(engine, "m")
    shutil.copytree(directory, other)
    with opened(directory) as engine:
        register(engine, "here")
    with opened(other) as engine:
        for name in ("there", "more"):
            register(engine, name)
    shutil.copy(directory / "head.db", other / "head.db")
    assert _refused(other) == "store.forked"


def test_engine_a_lost_head_lock_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its head lock a ledger does not sign; the lock may lie elsewhere, as the environment says."""
    directory = fresh(tmp_path)
    elsewhere = tmp_path / "elsewhere.db"
    (directory / "head.db").rename(elsewhere)
    assert _refused(directory) == "store.head_missing"
    monkeypatch.setenv("PFGOV_HEAD_LOCK", str(elsewhere))
    with opened(directory) as engine:
        assert register(engine, "m").position == 2


def test_engine_a_commit_that_was_not_published_is_published_on_opening(tmp_path: Path) -> None:
    """After a death between COMMIT and the lock's move the next opening advances the lock, and only then serves."""
    directory = fresh(tmp_path)
    before = (directory / "head.db").read_bytes()
    with opened(directory) as engine:
        register(engine, "m")
    for file in directory.glob("head.db-*"):
        file.unlink()
    (directory / "head.db").write_bytes(before)
    with pytest.raises(PfgovError) as caught, LedgerReader(open_store(directory)) as reader:
        reader.head()
    assert caught.value.code == "store.unpublished"
    with opened(directory) as engine:
        assert engine.reader.head().size == 3


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM checkpoint WHERE size = 4",
        "UPDATE entry SET raw = CAST(replace(CAST(raw AS TEXT), '\"m\"', '\"n\"') AS BLOB) WHERE seq = 3",
        "UPDATE entry SET leaf = zeroblob(32) WHERE seq = 1",
        "UPDATE entry SET raw = x'7b7d' WHERE seq = 3",
        "DELETE FROM entry WHERE seq = 3",
    ],
)
def test_engine_a_damaged_end_is_refused(tmp_path: Path, change: str) -> None:
    """Last entry, leaf hashes, tree and checkpoint are stored in pairs; when they disagree nothing is signed on top."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        register(engine, "x")
        register(engine, "m")
    _alter(directory, change)
    with pytest.raises(StoreCorruptError):
        opened(directory)


def test_engine_keys_of_another_ledger_do_not_sign(tmp_path: Path) -> None:
    """With another ledger's keys in the folder nothing is signed."""
    directory = fresh(tmp_path)
    with Engine.create(open_store(tmp_path / "other"), "pfgov.test/other"):
        pass
    for role in ("log", "issuer"):
        shutil.copy(tmp_path / "other" / "keys" / f"{role}.key", directory / "keys" / f"{role}.key")
    with pytest.raises(StoreError) as caught:
        opened(directory)
    assert caught.value.code == "store.keys_changed"


@pytest.mark.long
def test_engine_the_stored_nodes_are_the_tree(tmp_path: Path) -> None:
    """Roots at any size, from one leaf to beyond 65,536, come from stored nodes as they come from all leaves."""
    layout = Layout(tmp_path)
    layout.make()
    make_keys(layout, "pfgov.test/one")
    writer = Writer(
        open_store(tmp_path), KeySources(layout), SystemClock().monotonic, must_exist=False
    )
    whole, size, end = merkle.LeafTree(), 0, 66_000
    steps = (1, 254, 1, 1, 600, 43)
    while size < end:
        step = steps[size % len(steps)] if size < 2_000 else 4_000
        rows = [
            EntryRow(n, "ledger", n, "t", 0, hashlib.sha256(b"\x00%d" % n).digest(), b"", b"%d" % n)
            for n in range(size, size + step)
        ]
        writer.store.write(WriteSet(entries=rows, nodes=writer._full_tiles(size, rows)))
        for row in rows:
            whole.add(row.leaf)
        size += step
    nodes = StoredNodes(writer.queries)
    for at in (0, 1, 255, 256, 257, 511, 1_000, 4_095, 65_535, 65_536, 65_537, size):
        assert frontier_at(nodes, at).root() == merkle.root(whole, at), at
    assert merkle.inclusion_proof(nodes, 300, size) == merkle.inclusion_proof(whole, 300, size)
    writer.close()


def test_engine_what_follows_from_a_commit_follows_after_a_recovery_too(tmp_path: Path) -> None:
    """A registration found after a failed commit has its lease, and a halt that was recorded holds."""
    clock = ManualClock(START + SECOND)
    faulty = Faulty("commit", "after", 1)
    with opened(fresh(tmp_path), clock, probe=faulty) as engine:
        faulty.armed = True
        register(engine, "m", lease_seconds=30)
        assert engine.status().reloads == 1
        clock.advance(31 * SECOND)
        assert engine.settle() > 0
    faulty = Faulty("commit", "after", 1)
    with opened(fresh(tmp_path / "second"), clock, probe=faulty) as engine:
        clock.step(86_400 * SECOND)
        faulty.armed = True
        assert engine.tick().halted == "clock_jump"
        assert engine.status().halted == "clock_jump"


def test_engine_questions_inside_a_snapshot_see_the_snapshot(tmp_path: Path) -> None:
    """A reader that is asked while it holds a snapshot answers from it."""
    directory = fresh(tmp_path)
    with opened(directory) as engine, LedgerReader(open_store(directory)) as reader:
        with reader.snapshot():
            assert reader.members() == []
            register(engine, "m")
            assert reader.members() == []
        assert len(reader.members()) == 1


def test_engine_a_command_line_keeps_what_it_learns_of_leases(tmp_path: Path) -> None:
    """Leases are kept across runs that ask for it, with the stretch that a late tick gave them forgotten."""
    directory = fresh(tmp_path)
    clock = ManualClock(START + SECOND)
    with opened(directory, clock, fresh_leases=False) as engine:
        register(engine, "m", lease_seconds=30)
        clock.advance(10 * SECOND)
        engine.heartbeat("m", 1)
    clock.advance(25 * SECOND)
    with opened(directory, clock, fresh_leases=False) as engine:
        engine.settle()
        assert engine.reader.member("m").status == "SUSPECT"
        submit(engine, c.FailMember(member_id="m"))


@pytest.mark.parametrize("ends", [True, False])
def test_engine_a_reader_is_not_closed_under_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    """SQLite crashes the process when a database is closed that another thread asks; or closing waits for ever."""
    monkeypatch.setattr(reading, "_CLOSING_SECONDS", 30.0 if ends else 0.05)
    reader, asks, goes_on = (
        LedgerReader(open_store(fresh(tmp_path))),
        threading.Event(),
        threading.Event(),
    )

    def ask() -> int:
        with reader.snapshot() as queries:
            asks.set()
            goes_on.wait(30)
            return queries.size()

    with ThreadPoolExecutor(2) as threads:
        asking = threads.submit(ask)
        asks.wait(30)
        closing = threads.submit(reader.close)
        if ends:
            with pytest.raises(TimeoutError):
                closing.result(0.05)
        else:
            closing.result(30)
        goes_on.set()
        assert asking.result(30) > 0
        closing.result(30)
    if ends:
        with pytest.raises(PfgovError):
            reader.head()
    else:
        assert reader.head().size > 0
        reader.close()
