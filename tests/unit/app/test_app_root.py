"""A root in a folder: what it takes in, what it refuses, and what it does when its files are not those it wrote."""

import io
import json
import os
import shutil
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from support.ledgers import opened, register
from support.roots import Tenant, ledger_at, signer

from pfgov.app.local.folder import reading_folder
from pfgov.app.root import feeding
from pfgov.app.root import folder as roots
from pfgov.app.root.feeding import feed
from pfgov.app.root.keeping import Root
from pfgov.app.root.proving import path
from pfgov.engine.maintenance.ceremony import rotate
from pfgov.errors import (
    DuplicateError,
    InvalidError,
    NotFoundError,
    PfgovError,
    StoreCorruptError,
    StoreLockedError,
)
from pfgov.storage.root import Offer, RootLostError, RootReader, RootWriter
from pfgov_ledger import checkpoint, keys, merkle, note, proof, via
from pfgov_ledger.conclusions import Witnessing
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.verify import verify

ORIGIN = "root.example/all"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A root with nothing in it."""
    roots.create(tmp_path / "root", ORIGIN)
    return tmp_path / "root"


def offer(tenant: Tenant, size: int | None = None, *, old: int = 0) -> Offer:
    """What *tenant* says at *size*, for a root that knows *old* entries of it."""
    size = tenant.tree.size if size is None else size
    return Offer(tenant.note(size), tenant.consistency(old, size), (keys.vkey_of(tenant.log),))


def codes(root: RootWriter, *offers: Offer) -> list[str]:
    """The codes of what is refused."""
    return [one.error.code for one in root.add(offers)]


def size_of(folder: Path) -> int:
    """How many checkpoints are published."""
    with RootReader(folder) as root:
        return root.head().size


def test_root_takes_in_what_extends_and_nothing_else(folder: Path) -> None:
    """A rollback, a fork, a root's own name or an unsigned note gets in; or one refusal keeps others out."""
    a, b, fork = (
        Tenant("a.example/t").grow(5),
        Tenant("b.example/t").grow(2),
        Tenant("a.example/t", 1).grow(7),
    )
    with roots.writing(folder) as root:
        assert codes(root, offer(a, 3), offer(b)) == []
        assert codes(root, offer(a, 3), offer(b)) == []
        assert root.head().size == 2
        assert codes(root, offer(a, 2), offer(a, 5, old=3)) == ["ledger.rollback"]
        assert root.head().size == 3
        assert codes(root, offer(fork, 5, old=5), offer(fork, 7, old=5)) == [
            "ledger.fork_same_size",
            "ledger.fork",
        ]
        own = Tenant(ORIGIN).grow(1)
        assert codes(root, offer(own)) == ["ledger.via_origin"]
        stranger = Offer(b.grow(1).note(), b.consistency(2), (keys.vkey_of(a.log),))
        assert codes(root, stranger) == ["ledger.checkpoint_unsigned"]
        assert codes(root, Offer(b"nothing", (), ())) == ["ledger.note_malformed"]
        assert root.head().size == 3
    assert roots.examine(folder) == roots.Examined(3, 2)


def test_root_one_origin_twice_at_once(folder: Path) -> None:
    """Of two checkpoints of one ledger in one call, both get in as if each were the first."""
    a = Tenant("a.example/t").grow(5)
    with roots.writing(folder) as root:
        assert codes(root, offer(a, 3), offer(a, 5)) == ["ledger.fork"]  # its proof is from nothing
        assert codes(root, offer(a, 4, old=3), offer(a, 5, old=4)) == []
        assert root.head().size == 3
    assert roots.examine(folder).ledgers == 1


def test_root_names_in_other_letters_are_other_ledgers(folder: Path) -> None:
    """``A.example`` is taken for ``a.example``."""
    with roots.writing(folder) as root:
        assert (
            codes(root, offer(Tenant("a.example/t").grow(3)), offer(Tenant("A.example/t").grow(2)))
            == []
        )
        found = [root.known(name) for name in ("a.example/t", "A.example/t", "a.Example/t")]
    assert [one and one.size for one in found] == [3, 2, None]


def test_root_an_empty_ledger_is_not_taken_in(folder: Path) -> None:
    """A ledger without entries gets a place."""
    with roots.writing(folder) as root:
        assert codes(root, offer(Tenant("a.example/t"))) == []
        assert root.head().size == 0


def test_root_carries_no_signatures_of_strangers(folder: Path) -> None:
    """Whatever stands below a ledger's note is kept, and travels with every path."""
    a = Tenant("a.example/t").grow(1)
    junk = note.signature_line("junk.example", b"junk", b"x" * 64).encode()
    with roots.writing(folder) as root:
        root.add([Offer(a.note() + junk, (), (keys.vkey_of(a.log),))])
        found = root.last(a.origin, within=1)
    assert found is not None
    assert found.signed == a.note()


def test_root_of_real_ledgers(folder: Path, tmp_path: Path) -> None:
    """An entry of a ledger in a folder is not proven through the root, or one that the root lacks is."""
    ledgers = {name: ledger_at(tmp_path / name) for name in ("a", "b")}
    with roots.writing(folder) as root:
        assert feed(root, ledgers.items()) == []
        _goes_on(ledgers["a"], "m1")
        assert feed(root, ledgers.items()) == []
        assert feed(root, ledgers.items()) == []
        assert root.head().size == 3
        signed = root.head().note
    for directory in ledgers.values():
        anchor = keys.parse_anchor((directory / "anchor.txt").read_text())
        with reading_folder(directory) as ledger:
            for seq in range(ledger.size()):
                file = tmp_path / "entry.path"
                file.write_bytes(path(ledger, folder, seq))
                assert via.read(file.read_bytes()).note == signed
                report = verify(file, anchor=anchor, via=roots.vkey(folder))
                assert report.exit_status == 0, report.to_text()
    _goes_on(ledgers["a"], "m2")
    with reading_folder(ledgers["a"]) as ledger:
        newest = ledger.size() - 1
        with pytest.raises(NotFoundError, match="not yet") as caught:
            path(ledger, folder, newest)
        assert caught.value.code == "root.behind"
        with pytest.raises(NotFoundError) as caught:
            path(ledger, folder, 999)
        assert caught.value.code == "entry.not_found"


def test_root_alarms_about_a_ledger_that_was_put_back(folder: Path, tmp_path: Path) -> None:
    """A ledger of which an older copy was put back is taken in, or keeps the others out."""
    old, other, copy = ledger_at(tmp_path / "a"), ledger_at(tmp_path / "b"), tmp_path / "copy"
    shutil.copytree(old, copy)
    _goes_on(old, "m1", "m2")
    with roots.writing(folder) as root:
        assert feed(root, [("a", old)]) == []
        troubles = feed(root, [("a", copy), ("gone", tmp_path / "gone"), ("b", other)])
        assert [(one.name, one.code, one.is_alarm) for one in troubles] == [
            ("gone", "store.missing", False),
            ("a", "ledger.rollback", True),
        ]
        for member, code in (("x", "rollback"), ("y", "fork_same_size"), ("z", "fork")):
            _goes_on(copy, member)
            (alarm,) = feed(root, [("a", copy)])
            assert (alarm.code, alarm.is_alarm) == (f"ledger.{code}", True)
        assert feed(root, [("a", old)]) == []
    assert roots.examine(folder) == roots.Examined(2, 2)


def test_root_takes_a_ledgers_keys_from_its_folder_and_not_from_its_database(
    folder: Path, tmp_path: Path
) -> None:
    """Whoever writes a ledger's database, without its keys, has a history of his own signed upon: the ledger's own is
    an alarm for ever after, for what a root has signed it never takes back.
    """
    place, other = ledger_at(tmp_path / "a"), ledger_at(tmp_path / "b")
    _goes_on(place, "m1")
    honest = shutil.copy(place / "ledger.db", tmp_path / "honest.db")
    for origin in ("a.example/t", "b.example/t"):  # its own name, or another ledger's
        _forge(place, origin)
        with roots.writing(folder) as root:
            (alarm,) = feed(root, [("a", place)])
            assert (alarm.is_alarm, root.head().size) == (True, 0)
        shutil.copy(honest, place / "ledger.db")
    with roots.writing(folder) as root:
        assert feed(root, [("a", place), ("b", other)]) == []
        with opened(place) as engine:
            rotate(engine, "log")
        assert feed(root, [("a", place)]) == []
        (place / "anchor.txt").rename(tmp_path / "anchor.txt")
        (trouble,) = feed(root, [("a", place), ("b", other)])
        assert (trouble.name, trouble.is_alarm) == ("a", False)
    assert roots.examine(folder) == roots.Examined(3, 2)


def _forge(place: Path, origin: str) -> None:
    """Let the database hold another history of *origin*, signed by a key of which only its row of keys knows."""
    stranger = signer(origin, salt=7)
    database = sqlite3.connect(place / "ledger.db")
    triggers = database.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    ).fetchall()
    for name, _ in triggers:
        database.execute(f"DROP TRIGGER {name}")
    tree = merkle.LeafTree()
    leaves = [leaf for (leaf,) in database.execute("SELECT leaf FROM entry ORDER BY seq")]
    for leaf in (*leaves[:-1], b"x" * 32):
        tree.add(leaf)
    size = tree.size
    stated = checkpoint.Checkpoint(origin, size, merkle.root(tree, size))
    database.execute("UPDATE entry SET leaf = ? WHERE seq = ?", (b"x" * 32, size - 1))
    database.execute(
        "UPDATE checkpoint SET note = ? WHERE size = ?", (checkpoint.sign(stated, stranger), size)
    )
    (body,) = database.execute("SELECT body FROM ledger_state WHERE key = 'keys'").fetchone()
    known = [*json.loads(body), {"role": "log", "public": stranger.public.hex(), "since": 0}]
    database.execute(
        "UPDATE ledger_state SET body = ? WHERE key = 'keys'", (json.dumps(known).encode(),)
    )
    for _, statement in triggers:
        database.execute(statement)
    database.commit()
    database.close()


def _goes_on(directory: Path, *members: str) -> None:
    with opened(directory, seed=members[0]) as engine:
        for member in members:
            register(engine, member)


# --- its own files ---------------------------------------------------------------------------


def test_root_is_made_once(folder: Path, tmp_path: Path) -> None:
    """A root is made over another one, or is called what no log can be called."""
    with pytest.raises(DuplicateError) as taken:
        roots.create(folder, ORIGIN)
    assert taken.value.code == "root.exists"
    for odd in ("", "a b", "a+b", "\u0430.example", "x" * 256):
        with pytest.raises(InvalidError) as refused:
            roots.create(tmp_path / "odd", odd)
        assert refused.value.code == "root.origin"
    for act in (roots.vkey, roots.examine, roots.stored, RootReader):
        with pytest.raises(NotFoundError) as missing:
            act(tmp_path / "nowhere")
        assert missing.value.code == "root.missing"
    assert size_of(folder) == 0


@pytest.mark.parametrize(
    "left", [["root.key"], ["root.key", "root.db"], ["root.key", "root.db", "root.note"]]
)
def test_root_an_interrupted_creation_goes_on(
    folder: Path, tmp_path: Path, left: list[str]
) -> None:
    """A root whose creation was interrupted cannot be made any more, or gets another key."""
    half = tmp_path / "half"
    half.mkdir()
    for name in left:
        shutil.copy(folder / name, half / name)
    with pytest.raises(NotFoundError), roots.writing(half):
        pass
    with pytest.raises(InvalidError):
        roots.create(half, "other.example/all")
    assert roots.create(half, ORIGIN) == roots.vkey(folder)
    with roots.writing(half) as root:
        assert codes(root, offer(Tenant("a.example/t").grow(1))) == []


def _grown(folder: Path, tenant: Tenant, *, old: int = 0) -> None:
    with roots.writing(folder) as root:
        assert codes(root, offer(tenant, old=old)) == []


def test_root_does_not_go_on_from_an_older_copy(folder: Path, tmp_path: Path) -> None:
    """A root of which an older database was put back signs again what it signed before, over something else."""
    a = Tenant("a.example/t").grow(1)
    _grown(folder, a)
    shutil.copy(folder / "root.db", tmp_path / "old.db")
    _grown(folder, a.grow(1), old=1)
    shutil.copy(tmp_path / "old.db", folder / "root.db")
    with (
        pytest.raises(RootLostError, match="2 checkpoints were published, and it has 1") as lost,
        roots.writing(folder),
    ):
        pass
    assert lost.value.code == "root.lost"
    (folder / "root.db").unlink()
    with pytest.raises(RootLostError, match="empty"), roots.writing(folder):
        pass
    with pytest.raises(DuplicateError):
        roots.create(folder, ORIGIN)


def test_root_does_not_go_on_from_another_history(folder: Path, tmp_path: Path) -> None:
    """The database of another history of the same root is taken for the published one."""
    shutil.copytree(folder, tmp_path / "twin")
    _grown(folder, Tenant("a.example/t").grow(1))
    _grown(tmp_path / "twin", Tenant("b.example/t").grow(1))
    shutil.copy(tmp_path / "twin" / "root.db", folder / "root.db")
    with pytest.raises(RootLostError, match="others than published"), roots.writing(folder):
        pass


def test_root_does_not_go_on_without_knowing_what_it_published(folder: Path) -> None:
    """A root signs although the file is gone that says what it signed last; or there is no way on."""
    _grown(folder, Tenant("a.example/t").grow(1))
    (folder / "root.note").unlink()
    with pytest.raises(RootLostError) as lost, roots.writing(folder):
        pass
    assert lost.value.code == "root.published_missing"
    assert "pfgov root show --stored" in str(lost.value.hint)
    (folder / "root.note").write_bytes(b"nothing\n")
    with pytest.raises(RootLostError, match="no checkpoint"), roots.writing(folder):
        pass
    (folder / "root.note").write_bytes(roots.stored(folder))
    _grown(folder, Tenant("b.example/t").grow(1))
    assert size_of(folder) == 2


def test_root_does_not_go_on_from_a_note_of_another_key(folder: Path, tmp_path: Path) -> None:
    """A note that somebody else signed moves what counts as published."""
    _grown(folder, Tenant("a.example/t").grow(1))
    stated = checkpoint.parse_text(note.split((folder / "root.note").read_bytes())[0])
    forged = checkpoint.sign(stated, keys.generate(role="log", name=ORIGIN))
    (folder / "root.note").write_bytes(forged)
    with pytest.raises(RootLostError, match="not signed by its key"), roots.writing(folder):
        pass


def test_root_has_one_writer(folder: Path) -> None:
    """Two processes add to one root, and sign two trees of one size."""
    with roots.writing(folder), pytest.raises(StoreLockedError), roots.writing(folder):
        pass
    with roots.writing(folder):
        pass


CHANGES = {
    "a leaf is gone": "DELETE FROM leaf WHERE seq = 1",
    "a leaf is another ledger's": "UPDATE leaf SET note = (SELECT note FROM leaf WHERE seq = 0) WHERE seq = 1",
    "a proof is another one": "UPDATE leaf SET proof = zeroblob(32) WHERE seq = 2",
    "a key is none": "UPDATE leaf SET logs = 'nothing' WHERE seq = 0",
    "leaves changed places": "UPDATE leaf SET seq = 3 - seq",
}


@pytest.mark.parametrize("change", CHANGES)
def test_root_check_goes_through_everything(folder: Path, change: str) -> None:
    """Somebody changed the root's database, and the check does not see it."""
    a, b = Tenant("a.example/t").grow(2), Tenant("b.example/t").grow(2)
    _grown(folder, a)
    _grown(folder, b)
    _grown(folder, a.grow(2), old=2)
    _grown(folder, b.grow(2), old=2)
    assert roots.examine(folder) == roots.Examined(4, 2)
    with sqlite3.connect(folder / "root.db") as file:
        for statement in (
            ("UPDATE leaf SET seq = seq + 100", "UPDATE leaf SET seq = 103 - seq")
            if "places" in change
            else (CHANGES[change],)
        ):
            file.execute(statement)
    with pytest.raises((LedgerError, PfgovError)):
        roots.examine(folder)


def test_root_a_damaged_tree_is_not_signed(folder: Path) -> None:
    """A node of the tree was changed, and the root signs on."""
    _grown(folder, Tenant("a.example/t").grow(1))
    with sqlite3.connect(folder / "root.db") as file:
        file.execute("UPDATE node SET hash = zeroblob(32)")
    with pytest.raises(RootLostError), roots.writing(folder):
        pass


def test_root_witnesses_of_a_path_are_the_roots(folder: Path) -> None:
    """A path without cosignatures passes for one that witnesses vouch for."""
    a = Tenant("a.example/t").grow(2)
    _grown(folder, a)
    witness = keys.generate(role="witness", name="w.example/w")
    with RootReader(folder) as root:
        raw = via.write(a.prove(1), proof.make(root, 0, root.head().note))
        signed = via.write(
            a.prove(1), proof.make(root, 0, checkpoint.cosign(root.head().note, witness, time=5))
        )
    asked = Witnessing((keys.vkey_of(witness),), 1)
    for text, status in ((raw, 4), (signed, 0)):
        report = verify(io.BytesIO(text), anchor=a.anchor, via=roots.vkey(folder), witnessing=asked)
        assert report.exit_status == status


ENDLESS = """CREATE VIEW leaf AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
    SELECT x AS seq, 'a' AS origin, x'00' AS note, '' AS logs, x'' AS proof FROM n"""

CHANGED = {
    "a trigger that takes leaves away": "CREATE TRIGGER t AFTER UPDATE ON head BEGIN DELETE FROM leaf; END",
    "a view without end": f"DROP INDEX leaf_of; ALTER TABLE leaf RENAME TO kept; {ENDLESS}",
    "an index that is gone": "DROP INDEX leaf_of",
    "a table more": "CREATE TABLE more (a INTEGER)",
    "a trigger that has a table's name": "CREATE TRIGGER head BEFORE UPDATE ON head BEGIN SELECT 1; END",
    "a column more": "ALTER TABLE leaf ADD COLUMN b TEXT",
}


@pytest.mark.parametrize("what", CHANGED)
def test_root_of_which_the_database_was_changed_signs_nothing(folder: Path, what: str) -> None:
    """A root is signed over leaves that a trigger took away, or a view in a table's place keeps a reader for ever."""
    a = Tenant("a.example/t").grow(3)
    with roots.writing(folder) as root:
        assert codes(root, offer(a, 2)) == []
    before = (folder / "root.note").read_bytes()
    connection = sqlite3.connect(folder / "root.db")
    connection.executescript(CHANGED[what])
    connection.close()
    doors = (
        lambda: roots.writing(folder).__enter__(),
        lambda: RootReader(folder),
        lambda: roots.examine(folder),
        lambda: roots.stored(folder),
    )
    for door in doors:
        with pytest.raises(StoreCorruptError, match="was changed from outside"):
            door()
    assert (folder / "root.note").read_bytes() == before


def test_root_looks_go_on_whatever_is_wrong_with_the_list_of_ledgers(folder: Path) -> None:
    """A list of ledgers that cannot be had for a moment ends the thread, and nobody is told."""
    wrong = [RuntimeError("the list changed")]

    def ledgers() -> list[tuple[str, Path]]:
        if wrong:
            raise wrong.pop()
        return []

    root = Root(folder, ledgers)
    try:
        root.look()
        assert root.gauges()["pfgov_root_failing"] == 1
        root.look()
        assert root.gauges()["pfgov_root_failing"] == 0
    finally:
        root.stop()


ROWS = {
    "leaf": "UPDATE leaf SET note = x'00'",
    "tree": "UPDATE head SET frontier = x'00'",
    "node": "UPDATE node SET hash = x'00'",
}


@pytest.mark.parametrize("name", ROWS)
def test_root_a_changed_row_is_the_roots_own_and_no_ledgers_alarm(
    folder: Path, tmp_path: Path, name: str
) -> None:
    """A row of the root that somebody changed is taken for a ledger's fault, or for a mistake of ours."""
    place = ledger_at(tmp_path / "a")
    with roots.writing(folder) as root:
        assert feed(root, [("a", place)]) == []
    with sqlite3.connect(folder / "root.db") as database:
        assert database.execute(ROWS[name]).rowcount == 1
    database.close()
    with opened(place) as engine:
        register(engine, "m")
    troubles: list[feeding.Trouble] = []
    with suppress(StoreCorruptError, RootLostError), roots.writing(folder) as root:
        troubles = feed(root, [("a", place)])
    assert not any(one.is_alarm for one in troubles)


def test_root_a_leaf_under_another_name_is_found(folder: Path) -> None:
    """A leaf by whose name it is not found any more lets another history in, and going through it all says nothing."""
    with roots.writing(folder) as root:
        root.add([offer(Tenant("a.example/t").grow(3))])
    with sqlite3.connect(folder / "root.db") as database:
        database.execute("UPDATE leaf SET origin = 'x'")
    database.close()
    with pytest.raises(StoreCorruptError, match="is not about"):
        roots.examine(folder)


def test_root_a_ledger_that_fails_as_nobody_foresaw_keeps_no_other_out(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One ledger whose look raises what nobody expects keeps all others from being taken in."""
    places = [(name, ledger_at(tmp_path / name)) for name in ("a", "b")]
    looked = feeding.offer_of

    def look(directory: Path, known: feeding.Known) -> Offer | None:
        if directory.name == "a":
            raise ValueError("nobody foresaw that")
        return looked(directory, known)

    monkeypatch.setattr(feeding, "offer_of", look)
    with roots.writing(folder) as root:
        troubles = feed(root, places)
        assert [(one.name, one.is_alarm) for one in troubles] == [("a", False)]
        assert root.head().size == 1


def test_root_a_pipe_for_its_key_is_waited_for_by_nobody(folder: Path) -> None:
    """Whoever goes through a root waits for a pipe in the place of its verifier key."""
    (folder / "root.vkey").unlink()
    os.mkfifo(folder / "root.vkey")
    found: list[PfgovError] = []

    def look() -> None:
        try:
            roots.examine(folder)
        except PfgovError as error:
            found.append(error)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert "no regular file" in found[0].message
