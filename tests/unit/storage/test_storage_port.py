"""The port of the store: a place is opened from its URL alone, and nothing above it sees what is behind it."""

import inspect
from pathlib import Path

import pytest
from support.ledgers import fresh, opened, register, verified
from support.writers import threaded

from pfgov.errors import InvalidError
from pfgov.storage import open_store, port
from pfgov.storage.sqlite.head_lock import SqliteHeadLock
from pfgov.storage.sqlite.queries import SqliteQueries
from pfgov.storage.sqlite.reading import SqliteReader
from pfgov.storage.sqlite.store import SqliteStore
from pfgov.storage.sqlite.writer_lock import FileLock
from pfgov.storage.sqlite.writing import SqliteWriter

HOSTILE = ("a b", "100%", "what?#", "ünï", "sqlite:x", "a:b", "line\nbreak", "'; --", "%41", "..")


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("parent", [Path(), Path("here"), Path("/abs/olute")])
def test_storage_a_url_makes_the_same_store(parent: Path, name: str) -> None:
    """A store that another process opens from the URL is at another place."""
    store = open_store(parent / name)
    assert open_store(store.url) == store
    assert store.directory == parent / name


@pytest.mark.parametrize("url", ["", "sqlite", "sqlite:", "ledger", "./x", "postgresql://h/db"])
def test_storage_a_url_of_no_known_kind_is_refused(url: str) -> None:
    """A text that names no store is taken for one."""
    with pytest.raises(InvalidError) as caught:
        open_store(url)
    assert caught.value.code == "store.scheme"
    assert "sqlite:" in str(caught.value.hint)


@pytest.mark.parametrize("name", HOSTILE[:-1])
def test_storage_a_writer_finds_its_store_wherever_it_is(tmp_path: Path, name: str) -> None:
    """A writer that is given nothing but the URL commits somewhere else, or fails."""
    (tmp_path / name).mkdir()
    directory = fresh(tmp_path / name)
    start = threaded(lambda *_: None)
    with opened(directory, committing="process", start_writer=start) as engine:
        register(engine, "m")
        assert engine.reader.head().size == 3
    assert verified(directory, tmp_path).exit_status == 0


@pytest.mark.parametrize(
    ("protocol", "made"),
    [
        (port.Queries, SqliteQueries),
        (port.StoreReader, SqliteReader),
        (port.StoreWriter, SqliteWriter),
        (port.WriterLock, FileLock),
        (port.HeadLock, SqliteHeadLock),
        (port.Store, SqliteStore),
    ],
)
def test_storage_the_port_leaves_no_question_out(protocol: type, made: type) -> None:
    """The SQLite store answers to something that the port does not name, or not to all that it names.

    ``connection`` and the names of files are the store's own.
    """
    own = {"connection", "database", "head", "lock", "commit_lock", "announce", "sync"}
    named = {name for name, _ in inspect.getmembers(protocol) if not name.startswith("_")}
    public = {name for name, _ in inspect.getmembers(made) if not name.startswith("_")} - own
    assert public - named == set()
    assert named - public <= {"queries"}, "an attribute that is set on opening"
