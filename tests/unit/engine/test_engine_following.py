"""An engine that follows another's ledger reads what is committed, remembers it, and writes nothing."""

import shutil
from pathlib import Path

import pytest
from support import postgres
from support.ledgers import (
    ORIGIN,
    START,
    Drawn,
    fresh,
    open_policy,
    opened,
    packet,
    register,
    submit,
    verified,
)
from support.roots import signer

from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.engine import Engine, Options
from pfgov.engine.committing.writer import Writer
from pfgov.engine.following import Follower
from pfgov.engine.maintenance.ceremony import rotate
from pfgov.errors import BusyError, NotFoundError, PfgovError, StandbyError, StoreCorruptError
from pfgov.storage import keep_in_database, open_store
from pfgov_ledger import checkpoint, note
from pfgov_ledger.entry import parse

ONE, TWO = "http://one.test:8000", "http://two.test:8000"


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """The folder of a ledger in a database."""
    keep_in_database(tmp_path / "one", postgres.server().url())
    options = Options(draw=Drawn("new"))
    store = open_store(tmp_path / "one")
    Engine.create(
        store, ORIGIN, clock=ManualClock(START), policy=open_policy(), options=options
    ).close()
    return tmp_path / "one"


@pytest.fixture
def second(first: Path) -> Path:
    """The same ledger's folder on another machine: the keys and the head lock of that moment."""
    shutil.copytree(first, first.with_name("two"))
    return first.with_name("two")


def _following(directory: Path) -> Follower:
    return Follower(open_store(directory), TWO, clock=ManualClock(START), options=Options())


def _terms(engine: Engine) -> list[tuple[str, int]]:
    with engine.reader.snapshot() as queries:
        return [(row.type, parse(row.raw).term) for row in queries.entries()]


def test_follower_a_leader_says_on_record_that_it_leads(first: Path, tmp_path: Path) -> None:
    """Nobody can tell from the ledger who wrote what, or a term's first entry is something else."""
    with opened(first, address=ONE) as engine:
        register(engine, "m")
        entries = _terms(engine)
        engine.exclusively(lambda sequencer: sequencer._lose())  # an unknown outcome
        register(engine, "n")
        again = _terms(engine)[len(entries) :]
    with opened(first, seed="alone") as engine:  # a command line
        register(engine, "o")
        last = _terms(engine)[-1]
    said = [at for at, (kind, _) in enumerate(entries) if kind == "leader_changed"]
    assert len(said) == 1
    assert entries[said[0] - 1][1] < entries[said[0]][1] == entries[-1][1]
    assert [kind for kind, _ in again] == ["leader_changed", "member_registered"]
    assert entries[-1][1] < again[0][1] == again[1][1] < last[1]
    assert last[0] == "member_registered"
    with opened(first) as engine, engine.reader.snapshot() as queries:
        rows = [row for row in queries.entries() if row.type == "leader_changed"]
        for row in rows:
            event = engine.reader.entry(row.seq).event
            assert isinstance(event, e.LeaderChanged)
            assert (event.term, event.address) == (parse(row.raw).term, ONE)
    assert verified(first, tmp_path).exit_status == 0


@pytest.mark.parametrize("committing", ["thread", "process"])
@pytest.mark.parametrize("lose", [False, True])
def test_follower_a_new_leaders_subject_map_is_of_all_entries(
    first: Path, tmp_path: Path, committing: str, lose: bool
) -> None:
    """The first command under a term commits a map that lacks the entry saying so, and the log fails for good."""
    with opened(first, address=ONE, committing=committing) as engine:
        if lose:  # an unknown outcome, after which the same process begins another term
            register(engine, "m")
            engine.exclusively(lambda sequencer: sequencer._lose())
        engine.commit_index()
        submit(engine, packet("p"))
        engine.exclusively(lambda sequencer: sequencer._lose())
        waiting = [
            engine.submit_nowait(action, principal=c.ENGINE)
            for action in (
                c.DrainMember(member_id="nobody"),
                c.CommitIndex(),
                c.CommitIndex(),
            )
        ]
        for one in waiting[1:]:
            assert one.result(30).events[0].type == "index_committed"
    found = verified(first, tmp_path)
    assert found.exit_status == 0, found


def test_follower_a_subject_map_of_other_entries_is_not_recorded(
    first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A map that covers less, or more, than is decided is recorded as the map of everything."""
    with opened(first) as engine:
        register(engine, "m")
        size = engine.status().size
        for covered in (size - 1, size + 1):
            monkeypatch.setattr(Writer, "index", lambda _, covered=covered: (covered, 1, "0" * 64))
            with pytest.raises(BusyError):
                engine.commit_index()
        assert engine.status().size == size
        monkeypatch.undo()
        engine.commit_index()


def test_follower_in_a_file_there_is_no_term(tmp_path: Path) -> None:
    """A ledger in a file gets entries that it never had, or a second server waits for it."""
    directory = fresh(tmp_path)
    with opened(directory, address=ONE) as engine:
        register(engine, "m")
        assert {term for _, term in _terms(engine)} == {0}
        assert "leader_changed" not in {kind for kind, _ in _terms(engine)}
        assert not engine.lock.is_lost
        assert engine.lock.standing is None
    store = open_store(directory)
    assert store.following() is store
    assert (store.nodes(), store.can_be_led) == ([], False)
    with pytest.raises(StandbyError):
        store.stand_by(TWO)
    with pytest.raises(NotFoundError):
        store.drain(ONE)


def test_follower_reads_what_is_committed_and_refuses_to_write(first: Path, second: Path) -> None:
    """A standby shows less than was acknowledged, cannot say how far it is, or writes."""
    with opened(first, address=ONE) as leader:
        register(leader, "m")
        submit(leader, packet("p"))
        follower = _following(second)
        try:
            size = leader.status().size
            standing = follower.follow()
            assert (standing.leader, standing.is_free, follower.size) == (ONE, False, size)
            assert follower.look(lambda state: set(state.members)) == {"m"}
            assert follower.status().size == size
            assert follower.dry_run(packet("q"), principal=c.LOCAL_OPERATOR).events
            register(leader, "n")
            assert follower.look(lambda state: set(state.members)) == {"m", "n"}
            assert follower.size == size
            follower.follow()
            assert (follower.size, follower.lag) == (size + 1, 0)
            for attempt in (
                lambda: follower.submit(packet("r"), principal=c.LOCAL_OPERATOR),
                lambda: follower.submit_nowait(packet("r"), principal=c.LOCAL_OPERATOR),
                follower.tick,
                lambda: follower.exclusively(lambda _: None),
                lambda: follower.heartbeat("m", 1),
                follower.commit_index,
            ):
                with pytest.raises(StandbyError) as caught:
                    attempt()
                assert f"standby of {ONE}, term {standing.term}, lag 0" in str(caught.value)
            assert leader.status().size == size + 1
        finally:
            follower.close()


def test_follower_remembers_what_it_followed(first: Path, second: Path) -> None:
    """A database that lost commits is followed, or led, by whoever had seen them."""
    with opened(first, address=ONE) as leader:
        register(leader, "m")
        follower = _following(second)
        follower.close()
        size = leader.status().size
    store = open_store(second)
    known = store.read_head(ORIGIN)
    assert known is not None
    assert known.size == size
    with postgres.connected(store) as connection:  # promoted without its last commit
        connection.execute("SET session_replication_role = replica")
        name = (first / "store.url").read_text().strip().partition("#")[2]
        ledger = connection.execute(
            "SELECT ledger FROM pfgov.head WHERE name = %s", (name,)
        ).fetchone()[0]
        for table, column in (("entry", "seq"), ("checkpoint", "size")):
            connection.execute(
                f"DELETE FROM pfgov.{table} WHERE ledger = %s AND {column} >= %s",
                (ledger, size - (table == "entry")),
            )
        kept = connection.execute(
            "SELECT max(size) FROM pfgov.checkpoint WHERE ledger = %s", (ledger,)
        ).fetchone()[0]
        connection.execute(
            "DELETE FROM pfgov.entry WHERE ledger = %s AND seq >= %s", (ledger, kept)
        )
        connection.execute("UPDATE pfgov.head SET size = %s WHERE ledger = %s", (kept, ledger))
    for attempt in (lambda: _following(second), lambda: opened(second)):
        with pytest.raises(StoreCorruptError) as caught:
            attempt()
        assert caught.value.code == "store.rolled_back"


def test_follower_publishes_nothing_that_no_key_of_the_log_signed(
    first: Path, second: Path
) -> None:
    """Whoever writes the database has a standby move its head lock to what he made up: it never follows again."""
    with opened(first, address=ONE) as leader:
        register(leader, "m")
        size, signed = leader.status().size, leader.reader.head().note
    forged = checkpoint.sign(checkpoint.parse_text(note.split(signed)[0]), signer(ORIGIN, salt=9))
    store = open_store(second)
    known = store.read_head(ORIGIN)
    with postgres.connected(store) as connection:
        connection.execute("SET session_replication_role = replica")
        name = (first / "store.url").read_text().strip().partition("#")[2]
        changed = connection.execute(
            "UPDATE pfgov.checkpoint c SET note = %s FROM pfgov.head h"
            " WHERE h.name = %s AND c.ledger = h.ledger AND c.size = %s",
            (forged, name, size),
        )
        assert changed.rowcount == 1
    with pytest.raises(StoreCorruptError) as caught:
        _following(second)
    assert caught.value.code == "store.altered"
    assert store.read_head(ORIGIN) == known


def test_follower_tells_of_no_other_policy_set_than_binds(first: Path, second: Path) -> None:
    """A row that somebody changed says what binds, and what would be decided, to whoever asks a standby."""
    with opened(first, address=ONE) as leader:
        register(leader, "m")
    follower = _following(second)
    try:
        assert follower.status().policy == open_policy().digest
        with postgres.connected(open_store(second)) as connection:
            name = (first / "store.url").read_text().strip().partition("#")[2]
            changed = connection.execute(
                "UPDATE pfgov.ledger_state s SET body = convert_to("
                "replace(convert_from(body, 'UTF8'), %s, %s), 'UTF8')"
                " FROM pfgov.head h WHERE h.name = %s AND s.ledger = h.ledger AND s.key = 'policy'",
                (open_policy().digest, "0" * 64, name),
            )
            assert changed.rowcount == 1
        follower._loaded = None  # as after the next entry, or a start
        with pytest.raises(StoreCorruptError):
            follower.status()
        with pytest.raises(StoreCorruptError):
            follower.dry_run(packet("p"), principal=c.LOCAL_OPERATOR)
    finally:
        follower.close()


def test_a_ledger_in_a_database_is_asked_from_one_view(first: Path) -> None:
    """Questions of an opening are answered by what is committed in between."""
    queries = open_store(first).open_queries()
    try:
        with queries.one_view():
            before = queries.size()
            with opened(first) as engine:
                register(engine, "m")
            with queries.one_view():  # within a snapshot it is that one
                assert queries.size() == before
            assert (queries.size(), queries.checkpoint()) == (before, queries.checkpoint(before))
        assert queries.size() > before
        queries.connection.close()  # the database was restarted
        with queries.one_view():
            assert queries.size() > before
    finally:
        queries.close()


def test_follower_follows_a_key_that_took_over_on_another_machine(
    first: Path, second: Path
) -> None:
    """A leader's log key is replaced, and a standby that has not got the new one yet takes its ledger for forged."""
    with opened(first, address=ONE) as leader:
        rotate(leader, "log")
        register(leader, "m")
        follower = _following(second)
        try:
            assert follower.size == leader.status().size
        finally:
            follower.close()


def test_follower_takes_over_when_the_lease_is_over(first: Path, second: Path) -> None:
    """A leader that sleeps is waited for for ever, or does not notice that another leads."""
    leader = opened(first, address=ONE)
    follower = _following(second)
    try:
        leader.lock._ended.set()  # type: ignore[attr-defined]  # it is stopped
        leader.lock._thread.join()  # type: ignore[attr-defined]
        with postgres.connected(leader.store) as connection:
            connection.execute("UPDATE pfgov.head SET until = clock_timestamp() - interval '1 s'")
        assert follower.follow().is_free
        with opened(second, seed="next", address=TWO) as successor:
            register(successor, "m")
            leader.lock._renew()  # type: ignore[attr-defined]  # it wakes up
            assert leader.lock.is_lost
            with pytest.raises(PfgovError):
                register(leader, "late")
            assert follower.follow().leader == TWO
            assert follower.look(lambda state: set(state.members)) == {"m"}
    finally:
        follower.close()
        leader.close()


def test_follower_two_of_one_folder_publish_once(first: Path) -> None:
    """Two servers over one folder move its head lock against each other."""
    with opened(first, address=ONE) as leader:
        one, two = _following(first), _following(first)
        try:
            assert one._presence.may_publish()
            assert not two._presence.may_publish()
            register(leader, "m")
            one.follow()
            two.follow()
            assert one.size == two.size == leader.status().size
        finally:
            one.close()
            two.close()
        register(leader, "n")


def test_follower_is_seen_and_is_told_to_leave(first: Path, second: Path) -> None:
    """Nobody can tell who is there and who leads, or a node that was told to leave leads on, or again."""
    store = open_store(first)
    with opened(first, address=ONE) as leader:
        follower = _following(second)
        try:
            follower.follow()
            shown = {node.address: node for node in store.nodes()}
            assert (shown[ONE].is_leader, shown[TWO].is_leader) == (True, False)
            assert shown[TWO].lag == 0
            register(leader, "m")
            assert [(n.address, n.lag) for n in store.nodes()] == [(ONE, 0), (TWO, 1)]
            with pytest.raises(NotFoundError) as caught:
                store.drain("http://three.test")
            assert caught.value.code == "node.not_found"
            store.drain(ONE)
            leader.lock._renew()  # type: ignore[attr-defined]
            assert leader.lock.is_lost
            assert follower.follow().is_free
            assert next(n for n in store.nodes() if n.address == ONE).is_draining
            store.drain(TWO)
            assert follower.follow().is_draining
        finally:
            follower.close()
        assert [node.address for node in store.nodes()] == [ONE]


def test_follower_an_older_schema_is_brought_up_to_date(first: Path, second: Path) -> None:
    """A database of an earlier version cannot be opened any more, or a changed one is taken for it."""
    from pfgov.storage.postgres import schema

    with postgres.connected(open_store(first)) as connection:
        # all ledgers of the database share the schema: the test puts it back, whatever happens
        postgres.as_version(connection, 1)
        schema._remember(connection)
    with opened(first, address=ONE) as leader:
        register(leader, "m")
        _following(second).close()
        assert [node.address for node in open_store(first).nodes()] == [ONE]
