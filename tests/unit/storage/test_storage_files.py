"""The store's files: schema, locks, readers, and every way in which a file can be wrong."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlite_utils import Database
from support.ledgers import fresh, opened, place, register

from pfgov.engine import Engine, LedgerReader
from pfgov.engine.committing.writer import reconcile
from pfgov.engine.maintenance.doctor import examine
from pfgov.errors import (
    PfgovError,
    StoreCorruptError,
    StoreError,
    StoreLockedError,
    StoreUnavailableError,
)  # fmt: skip
from pfgov.storage import open_store
from pfgov.storage.leases import LeaseRow
from pfgov.storage.port import AnswerRow, EntryRow, Published, WriteSet
from pfgov.storage.sqlite import schema
from pfgov.storage.sqlite.connections import open_reader, open_writer
from pfgov.storage.sqlite.errors import translated
from pfgov.storage.sqlite.head_lock import SqliteHeadLock, read_head
from pfgov.storage.sqlite.reading import SqliteReader
from pfgov.storage.sqlite.writer_lock import FileLock
from pfgov.storage.sqlite.writing import SqliteWriter

ENTRY = EntryRow(0, "ledger", 0, "ledger_created", 1, bytes(32), bytes(64), b"{}")


def _store(folder: Path) -> SqliteWriter:
    return SqliteWriter(folder / "ledger.db", must_exist=False)


# --- schema -------------------------------------------------------------------------------


def test_storage_a_new_database_has_the_literal_schema(tmp_path: Path) -> None:
    """What is created is exactly what is checked: tables, indexes and triggers, WAL, FULL, secure_delete."""
    store = _store(tmp_path)
    schema.check(store.connection)
    found = {
        name: store.connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in (
            "journal_mode",
            "synchronous",
            "secure_delete",
            "application_id",
            "user_version",
        )
    }
    ours = {"application_id": schema.APPLICATION_ID, "user_version": schema.VERSION}
    assert found == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, **ours}
    store.close()
    SqliteWriter(tmp_path / "ledger.db").close()


@pytest.mark.parametrize("table", schema.APPEND_ONLY)
def test_storage_append_only_tables_refuse_changes(tmp_path: Path, table: str) -> None:
    """Nobody updates or deletes an entry, a checkpoint, a node or a policy set through SQL."""
    store = _store(tmp_path)
    store.write(
        WriteSet(
            entries=[ENTRY],
            checkpoint=(1, b"note"),
            nodes=[(8, 0, bytes(32))],
            policy_sets=[("d", b"{}")],
        )
    )
    column = {"entry": "raw", "checkpoint": "note", "node": "hash", "policy_set": "document"}[table]
    for statement in (f"UPDATE {table} SET {column} = x'00'", f"DELETE FROM {table}"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            store.connection.execute(statement)
    store.close()


@pytest.mark.parametrize(
    "change",
    [
        "DROP TRIGGER entry_no_update",
        "DROP INDEX entry_subject",
        "ALTER TABLE member ADD COLUMN extra TEXT",
        "CREATE TABLE surprise (a)",
        "CREATE TRIGGER extra AFTER INSERT ON packet BEGIN DELETE FROM member; END",
        "CREATE TRIGGER beside AFTER INSERT ON _sqlite_migrations BEGIN DELETE FROM member; END",
    ],
)
def test_storage_a_changed_schema_is_named(tmp_path: Path, change: str) -> None:
    """Whatever was added, dropped or altered from outside is refused by name, by writers and readers."""
    store = _store(tmp_path)
    store.connection.execute(change)
    store.close()
    name = change.split()[2]
    with pytest.raises(StoreCorruptError, match=name):
        SqliteWriter(tmp_path / "ledger.db")
    with pytest.raises(StoreCorruptError, match=name):
        SqliteReader(tmp_path / "ledger.db", None)


def test_storage_a_trigger_does_not_hide_behind_a_table_of_its_name(tmp_path: Path) -> None:
    """Triggers have names of their own: one that is called like a later table runs with every commit, unseen."""
    path = tmp_path / "ledger.db"
    _store(tmp_path).close()
    with sqlite3.connect(path) as database:
        made = dict(schema.TABLES)
        last = made.pop("lease")
        for name in ("lease", *schema.INDEXES, *schema.TRIGGERS):
            kind = "TABLE" if name == "lease" else "INDEX" if name in schema.INDEXES else "TRIGGER"
            database.execute(f"DROP {kind} {name}")
        database.execute(
            "CREATE TRIGGER lease AFTER INSERT ON entry BEGIN DELETE FROM attachment; END"
        )
        for statement in (last, *schema.INDEXES.values(), *schema.TRIGGERS.values()):
            database.execute(statement)
    database.close()
    for attempt in (lambda: SqliteWriter(path), lambda: SqliteReader(path, None)):
        with pytest.raises(StoreCorruptError, match="lease"):
            attempt()


def test_storage_a_transform_by_the_sqlite_utils_tool_is_noticed(tmp_path: Path) -> None:
    """sqlite-utils' transform drops the triggers in silence; opening the store is not silent about it."""
    _store(tmp_path).close()
    tool = Database(str(tmp_path / "ledger.db"))
    tool.table("policy_set").transform()
    tool.close()
    with pytest.raises(StoreCorruptError, match="policy_set_no_delete"):
        SqliteWriter(tmp_path / "ledger.db")


def test_storage_a_newer_or_foreign_database_is_refused(tmp_path: Path) -> None:
    """A later version's file and somebody else's file each say what they are."""
    store = _store(tmp_path)
    store.connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    store.close()
    with pytest.raises(StoreError) as caught:
        SqliteWriter(tmp_path / "ledger.db")
    assert caught.value.code == "store.newer"
    foreign = tmp_path / "foreign.db"
    connection = sqlite3.connect(foreign)
    connection.execute("CREATE TABLE t (a)")
    connection.close()
    with pytest.raises(StoreError) as caught:
        SqliteWriter(foreign)
    assert caught.value.code == "store.foreign"


# --- files that are wrong -----------------------------------------------------------------


def test_storage_what_is_not_a_database_is_named(tmp_path: Path) -> None:
    """A text file in the database's place is corrupt, a missing one missing, a folder unavailable."""
    (tmp_path / "ledger.db").write_text("this is not a database, however long it may be " * 100)
    for opening in (SqliteWriter, lambda p: SqliteReader(p, None)):
        with pytest.raises(StoreCorruptError):
            opening(tmp_path / "ledger.db")
        with pytest.raises(StoreUnavailableError) as caught:
            opening(tmp_path / "missing.db")
        assert caught.value.code == "store.missing"
        with pytest.raises(StoreUnavailableError):
            opening(tmp_path)


def test_storage_damage_in_the_middle_is_found_or_harmless(tmp_path: Path) -> None:
    """With pages of the ledger overwritten the engine refuses with a store error, never with a traceback."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        register(engine, "m")
        for i in range(50):
            place(engine, f"p{i}")
    database = directory / "ledger.db"
    whole, codes = database.read_bytes(), set[str]()
    for page in range(0, len(whole) // 4096, 3):
        damaged = bytearray(whole)
        damaged[page * 4096 : page * 4096 + 4096] = b"\xa5" * 4096
        database.write_bytes(damaged)
        try:
            with opened(directory) as engine:
                list(engine.reader.entries())
        except PfgovError as error:
            codes.add(error.code)
    assert {code.split(".")[0] for code in codes} == {"store"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_storage_a_read_only_folder_is_named(tmp_path: Path) -> None:
    """In a folder that cannot be written the writer says so, and a reader reads."""
    directory = fresh(tmp_path)
    directory.chmod(0o500)
    try:
        with pytest.raises(StoreUnavailableError):
            opened(directory)
        with LedgerReader(open_store(directory), heed_head_lock=False) as reader:
            assert reader.head().size == 2
    finally:
        directory.chmod(0o700)


def test_storage_a_read_only_file_system_is_named(tmp_path: Path) -> None:
    """SQLite's and the system's refusals to write become one clear error each."""
    path = tmp_path / "x.db"
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY
    assert translated(error, path).code == "store.read_only"
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    assert translated(error, path).code == "store.busy"
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    assert translated(error, path).code == "store.full"
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    assert translated(error, path).code == "store.unavailable"
    error.sqlite_errorcode = sqlite3.SQLITE_ERROR
    assert translated(error, path).code == "store.error"
    assert translated(PermissionError(13, "Permission denied"), path).code == "store.unavailable"


# --- locks --------------------------------------------------------------------------------


def test_storage_a_second_writer_is_told_who_writes(tmp_path: Path) -> None:
    """The holder's process, host and address are named; after its release the next one gets the lock."""
    path = tmp_path / "writer.lock"
    with FileLock(path, address="http://127.0.0.1:8000"):
        with pytest.raises(StoreLockedError) as caught:
            FileLock(path)
        assert f"process {os.getpid()}" in caught.value.message
        assert "http://127.0.0.1:8000" in caught.value.message
        path.write_text("scribble")
        with pytest.raises(StoreLockedError, match="another process"):
            FileLock(path)
    with FileLock(path) as lock:
        lock.announce("there")
        assert json.loads(path.read_text())["address"] == "there"
    lock.release()


def test_storage_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """The kernel gives the lock back when its holder dies, however it dies."""
    path = tmp_path / "writer.lock"
    code = (
        "import sys, time, pathlib; from pfgov.storage.sqlite.writer_lock import FileLock;"
        "lock = FileLock(pathlib.Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        if child.stdout is None:
            raise AssertionError
        assert child.stdout.readline() == "held\n"
        with pytest.raises(StoreLockedError, match=f"process {child.pid}"):
            FileLock(path)
        child.kill()
        child.wait()
    FileLock(path).release()


ROOTS = {0: b"0" * 32, 2: b"2" * 32, 3: b"3" * 32}


@pytest.mark.parametrize(
    ("published", "head", "code"),
    [
        (None, 0, None),
        (Published(0, ROOTS[0]), 2, None),
        (Published(2, ROOTS[2]), 2, None),
        (Published(2, ROOTS[2]), 3, None),
        (None, 2, "store.head_missing"),
        (Published(3, ROOTS[3]), 2, "store.rolled_back"),
        (Published(2, b"x" * 32), 2, "store.forked"),
        (Published(2, b"x" * 32), 3, "store.forked"),
    ],
)
def test_storage_a_ledger_is_held_against_its_head_lock(
    tmp_path: Path, published: Published | None, head: int, code: str | None
) -> None:
    """Equal goes on, longer with the same prefix advances the lock; shorter, another root or no lock refuse to sign."""
    lock = SqliteHeadLock(tmp_path / "head.db", "log")
    if published is not None:
        lock.start(ROOTS[0])
        if published.size:
            lock.move(0, published, 0)
    now = Published(head, ROOTS[head])
    if code is None:
        reconcile(lock, now, ROOTS.__getitem__, 0)
        assert published is None or lock.read() == now
    else:
        with pytest.raises(PfgovError) as caught:
            reconcile(lock, now, ROOTS.__getitem__, 0)
        assert caught.value.code == code
        assert lock.read() == published
    lock.close()


def test_storage_the_head_lock_moves_only_from_where_it_stands(tmp_path: Path) -> None:
    """A move from anywhere else means that somebody else signs: it is refused and changes nothing."""
    path = tmp_path / "head.db"
    lock = SqliteHeadLock(path, "log", sync=True)
    lock.start(ROOTS[0])
    lock.move(0, Published(2, ROOTS[2]), 5_000_000)
    with pytest.raises(StoreCorruptError) as caught:
        lock.move(0, Published(3, ROOTS[3]), 6_000_000)
    assert caught.value.code == "store.head_moved"
    assert read_head(path, "log") == Published(2, ROOTS[2])
    assert read_head(path, "other") is None
    lock.close()


# --- writing and reading ------------------------------------------------------------------


def test_storage_a_failing_row_takes_the_whole_batch_with_it(tmp_path: Path) -> None:
    """When one row does not fit, nothing of the batch is there."""
    store = _store(tmp_path)
    store.write(WriteSet(entries=[ENTRY], checkpoint=(1, b"n")))
    batch = WriteSet(
        entries=[ENTRY._replace(seq=1, subject_seq=1), ENTRY], members=[("m", "ACTIVE", 1, b"{}")]
    )
    with pytest.raises(StoreCorruptError):
        store.write(batch)
    queries = store.queries
    assert (queries.size(), list(queries.members())) == (1, [])
    store.close()


def test_storage_readers_see_only_what_was_published(tmp_path: Path) -> None:
    """A commit that the head lock does not cover yet is not served; without the lock it is."""
    directory = fresh(tmp_path)
    store = SqliteWriter(directory / "ledger.db")
    rows = [ENTRY._replace(seq=2, subject="packet/x")]
    store.write(WriteSet(entries=rows))
    reader = SqliteReader(directory / "ledger.db", directory / "head.db")
    with pytest.raises(StoreUnavailableError) as caught, reader.snapshot():
        pass
    assert caught.value.code == "store.unpublished"
    reader.close()
    with SqliteReader(directory / "ledger.db", None) as reader, reader.snapshot() as queries:
        assert queries.size() == 3
    store.close()


def test_storage_a_snapshot_does_not_move(tmp_path: Path) -> None:
    """While a snapshot is held, commits go on and the snapshot stays as it was."""
    directory = fresh(tmp_path)
    with opened(directory) as engine, LedgerReader(open_store(directory)) as reader:
        with reader.snapshot() as queries:
            assert queries.size() == 2
            register(engine, "m")
            assert queries.size() == 2
        assert reader.head().size == 3


def test_storage_a_reader_cannot_write(tmp_path: Path) -> None:
    """A reader's connection refuses to write, and opening one leaves a closed ledger's bytes alone."""
    directory = fresh(tmp_path)
    before = (directory / "ledger.db").read_bytes()
    connection = open_reader(directory / "ledger.db")
    with pytest.raises(sqlite3.OperationalError):
        connection.execute("DELETE FROM member")
    connection.close()
    assert (directory / "ledger.db").read_bytes() == before


def test_storage_a_read_only_folder_is_read_as_immutable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no shared-memory file can be made, a cleanly closed database is read all the same."""
    _store(tmp_path).close()
    real = sqlite3.connect
    tried: list[str] = []

    def connect(target: str, **options: object) -> sqlite3.Connection:
        tried.append(target)
        if "immutable" not in target:
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            raise error
        return real(target, **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(sqlite3, "connect", connect)
    open_reader(tmp_path / "ledger.db").close()
    assert [("immutable" in target) for target in tried] == [False, True]
    (tmp_path / "ledger.db-wal").write_bytes(b"something")
    with pytest.raises(StoreUnavailableError):
        open_reader(tmp_path / "ledger.db")


def test_storage_leases_and_tables_can_be_replaced(tmp_path: Path) -> None:
    """Leases are replaced as a whole, verdict tables dropped by position, answers and attachments found by key."""
    store = _store(tmp_path)
    queries = store.queries
    store.write_leases([LeaseRow("a", 1, 2, 3, 4, 1, 5)])
    store.write_leases([LeaseRow("b", 1, 2, 3, 4, 0, 5)])
    assert list(queries.leases()) == [LeaseRow("b", 1, 2, 3, 4, 0, 5)]
    store.write(WriteSet(tables=[("x", 1, b"t"), ("y", 9, b"t")]))
    answers = [AnswerRow("p", f"k{i}", b"d", i, 1, i * 10, None) for i in range(4)]
    store.write(WriteSet(answers=answers))
    assert store.trim(tables_before=5, answers_before=20) == 3
    assert queries.answers([("p", f"k{i}") for i in range(4)]) == answers[2:]
    assert (queries.verdict_table("x"), queries.verdict_table("y")) == (None, b"t")
    assert queries.answers([("p", "k")]) == []
    assert queries.attachment_state("d") is None
    store.close()


def test_storage_a_connection_that_cannot_be_set_up_is_closed(tmp_path: Path) -> None:
    """A writer's connection to something that is no database raises our error."""
    (tmp_path / "x.db").write_bytes(b"x" * 5000)
    with pytest.raises(StoreCorruptError):
        open_writer(tmp_path / "x.db", must_exist=True)


# --- whose files ----------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o177, 0o277])
def test_storage_every_file_of_a_ledger_is_its_owners_alone(tmp_path: Path, mask: int) -> None:
    """In a folder that was there before, under any umask, nobody else may read any file but the anchor."""
    folder = tmp_path / "ledger"
    folder.mkdir(mode=0o755)
    before = os.umask(mask)
    try:
        with Engine.create(open_store(folder), "pfgov.test/private"):
            running = _modes(folder)
        with opened(folder):
            again = _modes(folder)
    finally:
        os.umask(before)
    assert {
        "ledger.db",
        "ledger.db-wal",
        "ledger.db-shm",
        "head.db",
        "head.db-wal",
        "writer.lock",
    } <= set(running)
    assert {mode for name, mode in {**running, **again}.items()} == {0o600}


def _modes(folder: Path) -> dict[str, int]:
    return {
        path.name: path.stat().st_mode & 0o777
        for path in folder.iterdir()
        if path.is_file() and path.name != "anchor.txt"
    }


def test_storage_files_that_an_administrator_shared_stay_shared(tmp_path: Path) -> None:
    """Opening an older ledger does not take a right away that somebody may have given; the doctor names it instead."""
    directory = fresh(tmp_path)
    for name in ("ledger.db", "head.db"):
        (directory / name).chmod(0o640)
    with opened(directory):
        pass
    assert (directory / "ledger.db").stat().st_mode & 0o777 == 0o640
    found = {finding.check: finding for finding in examine(open_store(directory))}["database_files"]
    assert found.outcome == "warning"
    assert found.hint is not None
    assert found.hint.startswith("chmod 600 ")
    named = [Path(word) for word in found.hint.split()[2:]]
    assert {"ledger.db", "head.db"} <= {path.name for path in named}
    for path in named:
        path.chmod(0o600)
    assert {f.check: f.outcome for f in examine(open_store(directory))}["database_files"] == "ok"
