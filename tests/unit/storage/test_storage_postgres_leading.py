"""A ledger in PostgreSQL has one leader, whoever dies."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support import postgres
from support.ledgers import (
    opened,
    packet,
    register,
    submit,
    verified,
)

from pfgov.app.tenancy.claims import Claims
from pfgov.errors import (
    LeadershipLostError,
    PfgovError,
    StoreLockedError,
    StoreUnavailableError,
)
from pfgov.storage import open_store
from pfgov.storage.port import (
    Store,
    WriteSet,
)


def test_postgres_a_living_leader_is_named(place: Store) -> None:
    """A second process writes beside the first, or is not told whom to ask."""
    directory = postgres.created(place)
    with (
        opened(directory, address="http://one.test:8000"),
        pytest.raises(StoreLockedError) as caught,
    ):
        opened(directory)
    assert caught.value.address == "http://one.test:8000"
    assert "--url http://one.test:8000" in str(caught.value.hint)
    with opened(directory) as engine:
        register(engine, "m")


def test_postgres_a_dead_leader_is_waited_for_and_replaced(
    place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leader that was killed is the leader for ever, or its successor does not wait for the end of its lease."""
    monkeypatch.setattr("pfgov.storage.postgres.leading.LEASE_SECONDS", 0.5)
    directory = postgres.created(place)
    dead = open_store(directory).lock_writer("http://dead.test")
    dead._ended.set()  # type: ignore[attr-defined]
    dead._thread.join()  # type: ignore[attr-defined]
    dead._connection.close()  # type: ignore[attr-defined]
    with opened(directory) as engine:
        register(engine, "m")


def _lead_in_vain(directory: Path) -> StoreLockedError:
    """Try to lead what another leads; fail where that is waited for, for ever."""
    found: list[BaseException] = []

    def lead() -> None:
        try:
            open_store(directory).lock_writer("http://two.test").release()
        except PfgovError as error:
            found.append(error)

    thread = threading.Thread(target=lead, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "the lease of a leader that lives is waited for"
    assert isinstance(found[0], StoreLockedError)
    return found[0]


def _lose_connection(place: Store) -> None:
    with postgres.connected(place) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'pfgov'"
        )


def _is_locked(place: Store) -> bool:
    with postgres.connected(place) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE locktype = 'advisory' AND d.datname = current_database()"
        ).fetchone()
    return bool(row[0])


def _until(what: Callable[[], bool]) -> None:
    for _ in range(600):
        if what():
            return
        time.sleep(0.05)
    raise AssertionError(f"{what} does not come to hold")


def test_postgres_a_leader_with_a_new_connection_is_not_taken_for_dead(place: Store) -> None:
    """A leader that the database sent away, and that came back, counts as dead: a second server waits for ever."""
    directory = postgres.created(place)
    lock = place.lock_writer("http://one.test")
    try:
        assert _is_locked(place)
        _lose_connection(place)
        _until(lambda: not _is_locked(place))
        assert "http://one.test" in str(_lead_in_vain(directory).hint)
        _until(lambda: _is_locked(place))
        assert _lead_in_vain(directory).address == "http://one.test"
    finally:
        lock.release()
    with opened(directory) as engine:
        register(engine, "m")


def test_postgres_whoever_renews_lives(place: Store) -> None:
    """A leader whose advisory lock is gone, and which renews its lease, is waited for without end."""
    directory = postgres.created(place)
    lock = place.lock_writer("http://one.test")
    try:
        lock._connection.execute("SELECT pg_advisory_unlock_all()")  # type: ignore[attr-defined]
        assert not _is_locked(place)
        assert _lead_in_vain(directory).address == "http://one.test"
    finally:
        lock.release()


def _expire(place: Store) -> None:
    with postgres.connected(place) as connection:
        connection.execute("UPDATE pfgov.head SET until = clock_timestamp() - interval '1 second'")


def test_postgres_who_was_replaced_writes_nothing(place: Store, tmp_path: Path) -> None:
    """A leader that slept through the end of its lease writes beside its successor: a fork."""
    directory = postgres.created(place)
    with opened(directory) as first:
        register(first, "m")
        first.lock._ended.set()  # type: ignore[attr-defined]  # it is stopped, and so renews nothing
        _expire(place)
        with opened(directory, seed="second") as second:
            register(second, "n")
            size = second.status().size
            with pytest.raises(PfgovError):
                register(first, "late")
            assert second.status().size == size
            submit(second, packet("p"))
        register(first, "late")  # nobody leads any more: it looks again, and goes on from there
        assert set(first.reader.state().members) == {"m", "n", "late"}
        assert first.reader.packet("p").owner is not None
    assert verified(directory, tmp_path).exit_status == 0


def test_postgres_the_guard_is_what_refuses(place: Store) -> None:
    """A commit passes whose term is over, although nothing else of the ledger has changed."""
    postgres.created(place)
    lock = place.lock_writer(None)
    try:
        old, new = place.open_writer(must_exist=True), place.open_writer(must_exist=True)
        for attempt in (
            lambda: old.write(WriteSet(members=[("x", "ACTIVE", 0, b"")])),
            lambda: old.write_leases([]),
            lambda: old.apply_erasures(["x"]),
            lambda: old.trim(tables_before=9, answers_before=9),
        ):
            with pytest.raises(LeadershipLostError):
                attempt()
        assert old.queries.member("x") is None
        new.write(WriteSet(members=[("x", "ACTIVE", 0, b"")]))
        assert new.queries.member("x") is not None
        old.close()
        new.close()
    finally:
        lock.release()


def _ends(what: Callable[[], object]) -> PfgovError | None:
    """Do *what*; return what it raised, and fail where it does not end."""
    found: list[PfgovError | None] = []

    def do() -> None:
        try:
            what()
            found.append(None)
        except PfgovError as error:
            found.append(error)

    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "that does not end"
    return found[0]


@pytest.mark.parametrize("until", ["clock_timestamp() + interval '1 hour'", "'infinity'"])
def test_postgres_a_lease_that_no_leader_has_is_waited_for_by_nobody(
    place: Store, until: str
) -> None:
    """A row that somebody wrote, or a database's clock that went back, keeps everybody from leading, without end."""
    directory = postgres.created(place)
    with postgres.connected(place) as connection:
        connection.execute(
            f"UPDATE pfgov.head SET leader = 'gone', holder = 'nobody', until = {until}".encode()
        )
    assert _ends(lambda: open_store(directory).lock_writer(None).release()) is None
    with opened(directory) as engine:
        register(engine, "m")


def test_postgres_a_row_that_vanishes_while_it_is_waited_for(place: Store) -> None:
    """Whoever waits for a dead leader's lease asks for ever, and without a pause, for a row that somebody deleted."""
    directory = postgres.created(place)
    lock = place.lock_writer("http://one.test")
    try:
        waiting = lock._lead  # type: ignore[attr-defined]
        with postgres.connected(place) as connection:
            connection.execute("DELETE FROM pfgov.head WHERE ledger = %s", (waiting.ledger,))
        error = _ends(lambda: waiting.take("http://two.test"))
        assert isinstance(error, StoreUnavailableError)
        assert "holds no ledger" in error.message
    finally:
        lock.release()
    assert not open_store(directory).exists()


@pytest.mark.parametrize("seen", ["'infinity'", "clock_timestamp() + interval '1 hour'"])
def test_postgres_a_server_that_was_seen_at_no_time_is_none(place: Store, seen: str) -> None:
    """A time without an end keeps all from being listed; one that is yet to come keeps ledgers from them."""
    postgres.created(place)
    lock = place.lock_writer("http://one.test")
    try:
        with postgres.connected(place) as connection:
            connection.execute(
                f"INSERT INTO pfgov.server SELECT ledger, 'x', '', '', 0, {seen} FROM pfgov.head"
                " ON CONFLICT DO NOTHING".encode()
            )
        assert [node.address for node in place.nodes()] == ["http://one.test"]
    finally:
        lock.release()


def test_postgres_a_server_whose_last_word_is_ahead_is_silent(place: Store) -> None:
    """Where a database's clock goes back, a dead server has its ledgers until it has come so far again."""
    postgres.created(place)
    gone = "http://gone.test"
    with postgres.connected(place) as connection:
        connection.execute(
            "INSERT INTO pfgov.server SELECT ledger, 'x', '', %s, 0, clock_timestamp() + interval '30 seconds'"
            " FROM pfgov.head ON CONFLICT DO NOTHING",
            (gone,),
        )
    claims = Claims("http://one.test", place.nodes)
    claims.refresh()
    assert gone not in claims.servers
    assert all(claims.is_ours(f"ledger-{number}") for number in range(32))
