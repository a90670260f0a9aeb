"""No column or row beside what was signed decides who signs, what binds, or under which term."""

import hashlib
import io
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from support.intruder import change, findings
from support.ledgers import (
    OPERATOR,
    ORIGIN,
    fresh,
    opened,
    packet,
    place,
    register,
    submit,
    verified,
)

from pfgov.app.local.reading import LocalReading
from pfgov.core import commands as c
from pfgov.core.state import State
from pfgov.engine import Idempotency, LedgerReader
from pfgov.engine.committing import writer
from pfgov.engine.layout import Layout
from pfgov.engine.loading.tree import load_head
from pfgov.engine.maintenance import ceremony
from pfgov.engine.maintenance.restoring import restore, succeed
from pfgov.engine.reading.exporting import stored_log, write_export
from pfgov.engine.sequencing import sequencer
from pfgov.errors import PfgovError, StoreCorruptError
from pfgov.policy import load_directory, shipped_directory
from pfgov.storage import open_store
from pfgov.storage.port import Queries
from pfgov.storage.sqlite.writing import SqliteWriter
from pfgov_ledger import keys
from pfgov_ledger.appender import Appender, Head
from pfgov_ledger.keys import SeedSigner


def _refused(directory: Path, **options: Any) -> None:
    with pytest.raises(StoreCorruptError) as refused:
        opened(directory, **options)
    assert refused.value.code == "store.altered"


def _keys(directory: Path, body: list[dict[str, object]]) -> None:
    change(
        directory,
        f"UPDATE ledger_state SET body = x'{json.dumps(body).encode().hex()}' WHERE key = 'keys'",
    )


def _row(directory: Path, key: str) -> bytes:
    with sqlite3.connect(directory / "ledger.db") as database:
        found = database.execute("SELECT body FROM ledger_state WHERE key = ?", (key,)).fetchone()
    database.close()
    return bytes(found[0])


# --- who signs ----------------------------------------------------------------------------


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    """A ledger beside which a key lies ready that no entry names yet: a ceremony was interrupted."""
    found = fresh(tmp_path)
    layout = Layout(found)
    for role, name in (("issuer", f"{ORIGIN}/issuer"), ("log", ORIGIN)):
        keys.write_file(layout.next_key(role), keys.generate(role=role, name=name))
    return found


@pytest.mark.parametrize("role", ["issuer", "log"])
def test_no_key_signs_because_the_database_names_it(
    waiting: Path, tmp_path: Path, role: str
) -> None:
    """What a key signs that no entry brought in passes no verifier, for good; and files and the anchor followed it."""
    layout, anchor = Layout(waiting), (waiting / "anchor.txt").read_bytes()
    honest = _row(waiting, "keys")
    known = json.loads(honest)
    for one in known:
        if one["role"] == role:
            one["until"] = 1
    new = keys.file_signer(layout.next_key(role)).public.hex()
    _keys(waiting, [*known, {"role": role, "public": new, "since": 1}])
    assert findings(waiting)["rows"] == "failed"
    _refused(waiting)
    assert layout.next_key(role).exists()
    assert (waiting / "anchor.txt").read_bytes() == anchor
    _keys(waiting, json.loads(honest))
    with opened(waiting) as engine:
        register(engine, "m")
    assert verified(waiting, tmp_path).exit_status == 0


def _rotated(directory: Path, role: ceremony.Role) -> tuple[str, ...]:
    """Let another key take over; return where both are, the older first."""
    old = Path(shutil.copy(Layout(directory).key(role), directory / "old.key"))
    old.chmod(0o600)
    with opened(directory) as engine:
        ceremony.rotate(engine, role)
    with opened(directory, seed="after") as engine:
        register(engine, "m")
    return f"file:{old}", f"file:{Layout(directory).key(role)}"


@pytest.mark.parametrize("is_hidden", [False, True])
def test_a_key_that_was_replaced_signs_no_more_whatever_the_database_says(
    tmp_path: Path, is_hidden: bool
) -> None:
    """Both are configured, as during a ceremony; the row, and the entry's column, make the old one the newest."""
    directory = fresh(tmp_path)
    uris = _rotated(directory, "issuer")
    with opened(directory, issuer=uris, seed="honest") as engine:
        register(engine, "n")
    known = [one for one in json.loads(_row(directory, "keys")) if one["since"] == 0]
    for one in known:
        one.pop("until", None)
    _keys(directory, known)
    if is_hidden:
        change(directory, "UPDATE entry SET subject = 'keyz' WHERE type = 'key_rotated'")
    _refused(directory, issuer=uris)
    if not is_hidden:
        change(directory, "DELETE FROM ledger_state WHERE key = 'keys'")
        _refused(directory, issuer=uris)


def test_a_key_that_was_replaced_may_be_gone_from_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key service that has forgotten it, and says so in its own way, kept an honest ledger from being opened."""

    def gone(rest: str) -> keys.Signer:
        raise OSError(rest)

    monkeypatch.setitem(keys.SCHEMES, "gone", gone)
    directory = fresh(tmp_path)
    _, log = _rotated(directory, "log")
    with opened(directory, log=("gone:old", log), seed="honest") as engine:
        register(engine, "n")
    assert verified(directory, tmp_path).exit_status == 0


def _added_by(directory: Path, log: SeedSigner, issuer: SeedSigner) -> None:
    """Add an entry signed by *issuer*, and a checkpoint signed by *log*."""
    with LedgerReader(open_store(directory)) as reader, reader.snapshot() as queries:
        head, last = load_head(queries, ORIGIN), queries.entry(queries.size() - 1)
        registered = next(row for row in queries.entries() if row.type == "member_registered")
    assert last is not None
    appender = Appender(head=head, issuer=issuer, log=log)
    body = json.loads(registered.raw.replace(b'"m"', b'"ghost"'))["body"]
    made = appender.append(
        type="member_registered",
        subject="member/ghost",
        time=last.time,
        command_seq=last.seq + 1,
        command_index=0,
        body=body,
    )
    note = appender.checkpoint()
    change(
        directory,
        f"INSERT INTO entry VALUES ({made.seq}, 'member/ghost', 0, 'member_registered', {last.time},"
        f" x'{made.leaf.hex()}', x'{(made.signature or b'').hex()}', x'{made.raw.hex()}')",
        f"INSERT INTO checkpoint VALUES ({made.seq + 1}, x'{note.hex()}')",
    )


@pytest.mark.parametrize("stolen", ["replaced log key", "log key", "replaced issuer"])
def test_a_stolen_log_key_alone_adds_no_entry(tmp_path: Path, stolen: str) -> None:
    """Its checkpoint covers what no issuer signed; or it was replaced because it was stolen, and counts no more."""
    directory = fresh(tmp_path)
    role: ceremony.Role = "issuer" if stolen == "replaced issuer" else "log"
    old = keys.file_signer(Path(_rotated(directory, role)[0][5:]))
    layout = Layout(directory)
    log, issuer = (keys.file_signer(layout.key(one)) for one in ("log", "issuer"))
    if stolen == "log key":
        _added_by(directory, log, keys.generate(role="issuer", name=f"{ORIGIN}/issuer"))
    elif role == "log":
        _added_by(directory, old, issuer)
    else:
        _added_by(directory, log, old)
    assert findings(directory)["signers"] == "failed"
    _refused(directory)
    lock = open_store(directory).read_head(ORIGIN)
    with pytest.raises(StoreCorruptError):
        restore(open_store(directory), None, is_newest=True)
    assert open_store(directory).read_head(ORIGIN) == lock


def _made_up(directory: Path) -> None:
    """Put a whole history in the place of the ledger's, whose genesis names the ledger's keys beside one's own."""
    log = keys.generate(role="log", name=ORIGIN)
    issuer = keys.generate(role="issuer", name=f"{ORIGIN}/issuer")
    with LedgerReader(open_store(directory)) as reader, reader.snapshot() as queries:
        genesis, size = queries.entry(0), queries.size()
    assert genesis is not None
    body, known = json.loads(genesis.raw)["body"], json.loads(_row(directory, "keys"))
    own = [{"public": one.public.hex(), "role": one.role} for one in (log, issuer)]
    body["keys"] += own
    appender = Appender(head=Head(ORIGIN), issuer=issuer, log=log)
    made = appender.append(
        type="ledger_created",
        subject="ledger",
        time=genesis.time,
        command_seq=0,
        command_index=0,
        body=body,
    )
    note, nothing = appender.checkpoint(), b'{"active":null,"policies":[],"since":0}'
    _keys(directory, [*known, *({**one, "since": 0} for one in own)])
    change(
        directory,
        *(f"DELETE FROM entry WHERE seq = {seq}" for seq in range(size)),
        f"INSERT INTO entry VALUES (0, 'ledger', 0, 'ledger_created', {genesis.time}, x'{made.leaf.hex()}',"
        f" x'{(made.signature or b'').hex()}', x'{made.raw.hex()}')",
        f"DELETE FROM checkpoint WHERE size = {size}",
        f"INSERT OR REPLACE INTO checkpoint VALUES (1, x'{note.hex()}')",
        f"UPDATE ledger_state SET body = x'{nothing.hex()}' WHERE key = 'policy'",
    )


@pytest.mark.parametrize("has_anchor", [True, False])
def test_a_whole_history_that_was_made_up_is_nobodys(tmp_path: Path, has_anchor: bool) -> None:
    """It brings in the keys at hand by itself, and is signed throughout, but by nobody whom the folder knows."""
    directory = fresh(tmp_path)
    _made_up(directory)
    if not has_anchor:
        (directory / "anchor.txt").unlink()
    _refused(directory)
    if has_anchor:
        (directory / "head.db").unlink()
        with pytest.raises(StoreCorruptError) as refused:
            restore(open_store(directory), None, is_newest=True)
        assert refused.value.code == "store.altered"


# --- what binds ---------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["none", "a stranger's"])
def test_no_policy_set_binds_because_the_database_says_so(tmp_path: Path, which: str) -> None:
    """Nothing is decided, exported or continued under a set that no entry activated, or under the kernel alone."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        register(engine, "m")
        place(engine, "p")
    binding = json.loads(_row(directory, "policy"))
    binding["active"] = None
    if which != "none":
        document = load_directory(shipped_directory("starter")).document
        binding["active"] = hashlib.sha256(document).hexdigest()
        change(
            directory,
            f"INSERT INTO policy_set VALUES ('{binding['active']}', x'{document.hex()}')",
        )
    body = json.dumps(binding).encode().hex()
    change(directory, f"UPDATE ledger_state SET body = x'{body}' WHERE key = 'policy'")
    assert findings(directory)["rows"] == "failed"
    _refused(directory)
    with LedgerReader(open_store(directory)) as reader, stored_log(reader) as log:
        with pytest.raises(StoreCorruptError) as refused:
            write_export(log, io.BytesIO(), principal=c.LOCAL_OPERATOR, now=1)
        assert refused.value.code == "store.altered"
    with pytest.raises(StoreCorruptError, match="newest activation"):
        succeed(open_store(tmp_path / "new"), open_store(directory))


def test_no_export_is_allowed_by_an_activation_that_nobody_signed(tmp_path: Path) -> None:
    """Its entry was changed along with the row: to the digest of a set that somebody put beside, hash and all."""
    directory, strict = fresh(tmp_path), tmp_path / "strict"
    strict.mkdir()
    closed = """
        apiVersion: pfgov/v1
        kind: Policy
        metadata: {name: closed, version: "1", description: Nobody takes anything out.}
        on: [register, place, retain, export]
        rules:
          - {id: nobody, on: [export], require: principal.id == "nobody", message: "no"}
          - {id: named, on: [register, place, retain], require: member.id != "", message: "no"}
    """
    (strict / "closed.policy.yaml").write_text(closed)
    found = load_directory(strict)
    with opened(directory) as engine:
        engine.activate(found, principal=OPERATOR)
        engine.commit_index()
        row = next(
            one.row for one in engine.reader.entries() if found.digest.encode() in one.row.raw
        )
    document = load_directory(shipped_directory("starter")).document
    digest = hashlib.sha256(document).hexdigest()
    raw = row.raw.replace(found.digest.encode(), digest.encode())
    body = _row(directory, "policy").replace(found.digest.encode(), digest.encode())

    def exported() -> str:
        with LedgerReader(open_store(directory)) as reader, stored_log(reader) as log:
            with pytest.raises(PfgovError) as refused:
                write_export(log, io.BytesIO(), principal=c.LOCAL_OPERATOR, now=1)
            return refused.value.code

    assert exported() == "policy.denied"
    change(
        directory,
        f"INSERT INTO policy_set VALUES ('{digest}', x'{document.hex()}')",
        f"UPDATE ledger_state SET body = x'{body.hex()}' WHERE key = 'policy'",
        f"UPDATE entry SET raw = x'{raw.hex()}', leaf = x'{hashlib.sha256(bytes(1) + raw).hexdigest()}'"
        f" WHERE seq = {row.seq}",
    )
    assert exported() == "store.altered"
    with LedgerReader(open_store(directory)) as reader, pytest.raises(StoreCorruptError):
        LocalReading(reader).check_export()


@pytest.mark.parametrize(
    "stated",
    [
        {"origin": "bank.example/ledger"},
        {"semantics": 3},
        {"predecessor": {"origin": "bank.example/ledger", "size": 1, "root": "00" * 32}},
    ],
    ids=["name", "rules", "predecessor"],
)
def test_a_ledgers_name_and_rules_are_those_of_its_entries(
    tmp_path: Path, stated: dict[str, object]
) -> None:
    """Decisions were signed under rules that the row names, and commitments for a name under which none ever opens."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        register(engine, "m")
    honest = json.loads(_row(directory, "ledger"))
    body = json.dumps({**honest, **stated}).encode().hex()
    change(directory, f"UPDATE ledger_state SET body = x'{body}' WHERE key = 'ledger'")
    assert findings(directory)["rows"] == "failed"
    with pytest.raises(StoreCorruptError):
        opened(directory)
    with pytest.raises(StoreCorruptError):
        restore(open_store(directory), None, is_newest=True)
    after = succeed(open_store(tmp_path / "after"), open_store(directory))
    assert after.predecessor == ORIGIN


@pytest.mark.parametrize("read", ["by the writer", "by whoever decides"])
def test_what_is_loaded_is_what_was_held_to_the_entries(
    waiting: Path, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    """Rows were read, and read again to be looked at: whoever changes them in between has them believed."""
    honest = {key: _row(waiting, key) for key in ("keys", "policy")}
    document = load_directory(shipped_directory("starter")).document
    binding = {**json.loads(honest["policy"]), "active": hashlib.sha256(document).hexdigest()}
    known = json.loads(honest["keys"])
    known = [{**one, "until": 1} if one["role"] == "issuer" else one for one in known]
    new = keys.file_signer(Layout(waiting).next_key("issuer")).public.hex()
    forged = {"keys": [*known, {"role": "issuer", "public": new, "since": 1}], "policy": binding}

    def put(key: str, body: bytes) -> None:
        change(waiting, f"UPDATE ledger_state SET body = x'{body.hex()}' WHERE key = '{key}'")

    if read == "by the writer":
        check = writer.check_rows
        put("keys", json.dumps(forged["keys"]).encode())

        def checked(*arguments: Any) -> None:
            put("keys", honest["keys"])
            check(*arguments)

        monkeypatch.setattr(writer, "check_rows", checked)
    else:
        load = sequencer.load_state
        digest = binding["active"]
        change(waiting, f"INSERT INTO policy_set VALUES ('{digest}', x'{document.hex()}')")

        def loaded(queries: Queries) -> State:
            put("policy", json.dumps(forged["policy"]).encode())
            return load(queries)

        monkeypatch.setattr(sequencer, "load_state", loaded)
    _refused(waiting)


# --- what was answered --------------------------------------------------------------------


@pytest.mark.parametrize(
    "stated", ["first = 3", "first = 6", "first = 1000", "length = 1", "length = 3", "length = 0"]
)
def test_nobody_is_answered_with_what_another_asked_for(tmp_path: Path, stated: str) -> None:
    """Who asks again with a key got the receipt of any entries that the stored answer names, or an error of ours."""
    directory = fresh(tmp_path)
    key = Idempotency("again", hashlib.sha256(b"asked").digest())
    with opened(directory) as engine:
        register(engine, "m")
        other = c.Principal(id="another", rights=OPERATOR.rights)
        submit(engine, packet("a"), principal=other)
        made = submit(engine, packet("p"), idempotency=key)
        again = submit(engine, packet("p"), idempotency=key)
        assert (again.position, again.count) == (made.position, made.count) == (5, 2)
        change(directory, f"UPDATE idempotency SET {stated}")
        with pytest.raises(StoreCorruptError) as refused:
            submit(engine, packet("p"), idempotency=key)
        assert refused.value.code == "store.altered"


# --- under which term ---------------------------------------------------------------------


def test_no_term_is_signed_that_leaves_room_for_none_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Terms never go back: after the last that there is nobody could ever lead the ledger again."""
    directory = fresh(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(SqliteWriter, "term", 2**53 - 1)
        _refused(directory)
        patch.setattr(SqliteWriter, "term", 2**20)
        with opened(directory) as engine:
            register(engine, "m")
    assert verified(directory, tmp_path).exit_status == 0
