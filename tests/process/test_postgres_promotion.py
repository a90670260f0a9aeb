"""A standby that lagged is promoted: what was lost is found, nobody signs a second history, and there is a way on."""

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support import postgres
from support.api_process import Server
from support.commandline import Said, spawn

from pfgov.storage import keep_in_database

pytestmark = pytest.mark.process

PATIENCE_SECONDS = 120
LOST = 3

JOINS = (
    "member",
    "register",
    "--id",
    "a",
    "--type",
    "agent",
    "--capability",
    "x",
    "--trust",
    "0.9",
)


@pytest.fixture
def databases() -> Iterator[tuple[postgres.Server, postgres.Server]]:
    """A primary, and a standby that follows it as PostgreSQL does by default: asynchronously."""
    primary = postgres.Server(postgres.server()._binaries)
    standby = postgres.Server(primary._binaries, follows=primary)
    try:
        yield primary, standby
    finally:
        for one in (primary, standby):
            one.stop()
            shutil.rmtree(one.folder, ignore_errors=True)


def _until(what: Callable[[], Any]) -> Any:
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE_SECONDS:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} does not come to hold")


def _pfgov(folder: Path, *words: str, status: int = 0) -> Said:
    done = spawn(*words, "--dir", str(folder))
    assert done.status == status, done.out + done.err
    return done


def _submit(folder: Path, name: str, *, status: int = 0) -> Said:
    return _pfgov(
        folder,
        "packet",
        "submit",
        "--id",
        name,
        "--workload",
        "report",
        "--needs",
        "x",
        status=status,
    )


def _follows(primary: postgres.Server, standby: postgres.Server) -> bool:
    """Whether the standby holds every byte of the primary's log."""
    with postgres.connect_to(primary) as one, postgres.connect_to(standby) as other:
        written = one.execute("SELECT pg_current_wal_lsn()").fetchone()[0]
        found = other.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [written])
        return bool(found.fetchone()[0])


def _ledger(folder: Path, url: str) -> None:
    keep_in_database(folder, url)
    _pfgov(folder, "init", "--origin", "ledger.example/eu")
    _pfgov(folder, *JOINS)
    for number in range(3):
        _submit(folder, f"before-{number}")


def _both(primary: postgres.Server, standby: postgres.Server) -> str:
    """The address of whichever of the two takes writes, as libpq finds it."""
    hosts = f"{primary.folder},{standby.folder}"
    return f"postgresql://pfgov@/postgres?host={hosts}&target_session_attrs=read-write#l"


def _lose(
    primary: postgres.Server, standby: postgres.Server, meanwhile: Callable[[], None]
) -> None:
    """Promote the standby without what happened *meanwhile*, and lose the primary."""
    _until(lambda: _follows(primary, standby))
    standby.stop(signal.SIGINT)
    meanwhile()
    primary.stop()
    standby.start()
    standby.promote()


def _submitting(folder: Path, name: str) -> Callable[[], None]:
    def meanwhile() -> None:
        for number in range(LOST):
            _submit(folder, f"{name}-{number}")

    return meanwhile


def test_a_backup_waits_in_the_database_for_what_speaks_for_it(tmp_path: Path) -> None:
    """A file's backup is not put into a database, is written on nobody's word, or a second try has no way on."""
    old, new, backup = tmp_path / "old", tmp_path / "new", str(tmp_path / "old" / "ledger.db")
    _pfgov(old, "init", "--origin", "ledger.example/eu")
    _pfgov(old, *JOINS)
    store = ("--store", postgres.server().url())
    waits = _pfgov(new, "ledger", "restore", backup, *store, status=4)
    assert "restore.no_evidence" in waits.err
    again = _pfgov(new, "ledger", "restore", backup, *store, "--newest", status=1)
    assert "ledger.exists" in again.err
    assert "pfgov ledger restore" in again.err
    _pfgov(new, "ledger", "restore", "--newest")
    shutil.copytree(old / "keys", new / "keys", dirs_exist_ok=True)
    _submit(new, "p")
    _pfgov(new, "ledger", "verify", "--full", "--replay")


def test_a_folder_remembers_what_its_database_lost(
    databases: tuple[postgres.Server, postgres.Server], tmp_path: Path
) -> None:
    """A command signs from where the promoted standby ends, or nobody says what was lost and how to go on."""
    folder, url = tmp_path / "ledger", _both(*databases)
    _ledger(folder, url)
    assert "synchronous" in _pfgov(folder, "ledger", "doctor").out
    _lose(*databases, _submitting(folder, "lost"))
    refused = _submit(folder, "after", status=4)
    assert "store.rolled_back" in refused.err
    assert "an older copy was put back" in _pfgov(folder, "status").err
    assert "were published" in _pfgov(folder, "ledger", "doctor", status=1).out
    export = str(tmp_path / "what-is-left.jsonl")
    _pfgov(folder, "ledger", "export", "-o", export)
    _pfgov(folder, "ledger", "verify", export, "--full", "--replay")

    following = tmp_path / "following"
    _pfgov(following, "ledger", "succeed", str(folder), "--store", url.replace("#l", "#l2"))
    _pfgov(following, *JOINS)
    assert "a" in _submit(following, "again").out
    _pfgov(following, "ledger", "verify", "--full", "--replay")

    primary, standby = databases  # and where the old primary's disk is found nothing was lost
    standby.stop()
    primary.start()
    _submit(folder, "found-again")
    assert _pfgov(folder, "status").err == ""
    _pfgov(folder, "ledger", "verify", "--full", "--replay")


def test_a_second_history_is_found_by_who_remembers(
    databases: tuple[postgres.Server, postgres.Server], tmp_path: Path
) -> None:
    """A machine that never saw what was lost signs a second history, and a kept checkpoint or the head lock agrees."""
    folder, other, kept = tmp_path / "ledger", tmp_path / "other" / "ledger", tmp_path / "seen.note"
    _ledger(folder, _both(*databases))
    shutil.copytree(folder, other)

    def verify(place: Path, name: str, *words: str) -> Said:
        export = str(tmp_path / f"{name}.jsonl")
        _pfgov(place, "ledger", "export", "-o", export)
        pinned = ("--key", str(folder / "anchor.txt"), "--remember", str(kept))
        return spawn("ledger", "verify", export, "--full", *pinned, *words)

    def meanwhile() -> None:
        _submitting(folder, "lost")()
        assert verify(folder, "whole", "--init").status == 0

    _lose(*databases, meanwhile)
    rolled_back = verify(other, "short")
    assert rolled_back.status == 1
    for number in range(LOST + 1):
        _submit(other, f"second-{number}")
    forked = verify(other, "forked")
    assert forked.status == 1
    assert "fork" in forked.out
    refused = _submit(folder, "after", status=4)
    assert "store.forked" in refused.err


def test_a_server_signs_nothing_after_its_database_lost_commits(
    databases: tuple[postgres.Server, postgres.Server], tmp_path: Path
) -> None:
    """A server goes on after the promotion and signs a second history, hangs, or does not say why it refuses."""
    folder = tmp_path / "ledger"
    _ledger(folder, _both(*databases))
    server = Server(folder)
    server.start()
    try:
        acknowledged: list[int] = []

        def meanwhile() -> None:
            for number in range(LOST):
                body = {"packet_id": f"lost-{number}", "workload_type": "x"}
                answer = httpx2.post(f"{server.url}/api/packets", json=body, timeout=30)
                assert answer.status_code == 201, answer.text
                acknowledged.append(answer.json()["position"])

        _lose(*databases, meanwhile)

        def refused() -> bool:
            body = {"packet_id": "after", "workload_type": "x"}
            answer = httpx2.post(f"{server.url}/api/packets", json=body, timeout=60)
            assert answer.status_code >= 500, answer.text
            return "store.rolled_back" in answer.text

        _until(refused)
        ready = httpx2.get(f"{server.url}/api/health/ready", timeout=30)
        assert ready.status_code == 503
        print(ready.text)
        assert httpx2.get(f"{server.url}/api/health/live", timeout=30).status_code == 200
        assert server.terminate()[0] == 0
    finally:
        server.stop()
    print(server.errors.read_text())
    export = str(tmp_path / "what-is-left.jsonl")
    found = _pfgov(folder, "ledger", "export", "-o", export, "--json")
    assert found is not None
    with postgres.connect_to(databases[1]) as connection:
        size = connection.execute("SELECT count(*) FROM pfgov.entry").fetchone()[0]
    assert size < max(acknowledged)


def test_a_backup_and_the_log_since_then_are_the_ledger(
    databases: tuple[postgres.Server, postgres.Server], tmp_path: Path
) -> None:
    """A base backup with the archived log does not bring every entry back, or the ledger does not go on from there."""
    primary, copy = databases
    archive = primary.folder / "archive"
    with postgres.connect_to(primary) as one:
        one.execute("ALTER SYSTEM SET archive_mode = on")
        one.execute(
            f"ALTER SYSTEM SET archive_command = 'mkdir -p {archive} && cp %p {archive}/%f'"
        )
    primary.stop(signal.SIGINT)
    primary.start()
    folder = tmp_path / "ledger"
    _ledger(folder, _both(primary, copy))
    _until(lambda: _follows(primary, copy))
    copy.stop(signal.SIGINT)  # from here on it is a base backup, and no standby
    _submitting(folder, "since")()
    with postgres.connect_to(primary) as one:
        name = one.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()[0]
        one.execute("SELECT pg_switch_wal()")
        _until((archive / name).exists)
    size = json.loads(_pfgov(folder, "status", "--json").out)["size"]
    primary.stop()
    with (copy.data / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"restore_command = 'cp {archive}/%f %p'\nprimary_conninfo = ''\n")
    (copy.data / "standby.signal").rename(copy.data / "recovery.signal")
    copy.start()
    _until(lambda: not _recovers(copy))
    assert json.loads(_pfgov(folder, "status", "--json").out)["size"] == size
    _submit(folder, "after")
    _pfgov(folder, "ledger", "verify", "--full", "--replay")


def _recovers(server: postgres.Server) -> bool:
    with postgres.connect_to(server) as connection:
        return bool(connection.execute("SELECT pg_is_in_recovery()").fetchone()[0])
