"""What somebody changed in the database is neither signed upon nor handed out, and the doctor names it."""

import hashlib
import io
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.intruder import change as _change
from support.intruder import findings
from support.ledgers import ORIGIN, fresh, opened, packet, place, register, submit, verified
from support.roots import signer

from pfgov.core import commands as c
from pfgov.engine import EntryFilter, Idempotency, LedgerReader
from pfgov.engine.answers import decode_refusal
from pfgov.engine.loading import intact
from pfgov.engine.loading.tree import TILE, load_head
from pfgov.engine.maintenance.restoring import restore, succeed
from pfgov.engine.reading.exporting import stored_log, write_export
from pfgov.errors import NotFoundError, PfgovError, StoreCorruptError
from pfgov.policy import load_directory, shipped_directory
from pfgov.storage import open_store
from pfgov_ledger import dsse, keys
from pfgov_ledger.appender import Appender


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A ledger in which a packet has a context and has moved a little."""
    found = fresh(tmp_path)
    with opened(found) as engine:
        register(engine, "m")
        attached = engine.attach("packet/p", "context", b'{"a":1}')
        submit(engine, packet("p", context=attached.commitment), attachments=(attached,))
        place(engine, "q")
        for number in range(TILE // 2):  # what opening a ledger looks at has gone on
            place(engine, f"later-{number}")
    return found


def test_an_honest_ledger_is_found_whole(directory: Path) -> None:
    """Every entry and every payload is looked at, and nothing is wrong."""
    found = findings(directory)
    assert (found["entries"], found["payloads"]) == ("ok", "ok")


CHANGES = {
    "leaf": "UPDATE entry SET leaf = zeroblob(32) WHERE subject = 'packet/p' AND subject_seq = 1",
    "signature": "UPDATE entry SET signature = zeroblob(64) WHERE subject = 'packet/p' AND subject_seq = 1",
    "time": "UPDATE entry SET time = time + 1 WHERE subject = 'packet/p' AND subject_seq = 1",
    "type": "UPDATE entry SET type = 'packet_failed' WHERE subject = 'packet/p' AND subject_seq = 1",
    "raw": "UPDATE entry SET raw = CAST(replace(CAST(raw AS TEXT), 'allowed', 'allowee') AS BLOB)"
    " WHERE subject = 'packet/p' AND subject_seq = 1",
}  # fmt: skip


def _with_more(column: str) -> str:
    """SQL of a column's object with a field more, which nobody asks for and which is nested too deep to follow."""
    nested = "[" * 3_000 + "]" * 3_000
    return f"CAST('{{\"more\":{nested},' || substr(CAST({column} AS TEXT), 2) AS BLOB)"


UNREADABLE = {
    "member": "UPDATE member SET body = CAST('[]' AS BLOB)",
    "packet": "UPDATE packet SET body = x'00ff' WHERE packet_id = 'p'",
    "settings": "UPDATE ledger_state SET body = CAST('null' AS BLOB) WHERE key NOT IN ('keys', 'publishers', 'policy')",
    "no member": "DELETE FROM member",
    "another member": "UPDATE member SET body = CAST(replace(CAST(body AS TEXT), '\"m\"', '\"x\"') AS BLOB)",
    "another packet": "UPDATE packet SET body = CAST(replace(CAST(body AS TEXT), '\"packet_id\":\"p\"',"
    " '\"packet_id\":\"q\"') AS BLOB) WHERE packet_id = 'p'",
    "no owner": "UPDATE packet SET body = CAST(replace(CAST(body AS TEXT), '\"owner\":\"m\",', '') AS BLOB)"
    " WHERE packet_id = 'p'",
    "key": "UPDATE ledger_state SET body = CAST(replace(CAST(body AS TEXT), '\"public\":\"', '\"public\":\"zz')"
    " AS BLOB) WHERE key = 'keys'",
    "no settings": "DELETE FROM ledger_state WHERE key NOT IN ('keys', 'publishers', 'policy')",
    "entry": "UPDATE entry SET raw = CAST('null' AS BLOB) WHERE seq = 3",
    "type of an entry": "UPDATE entry SET type = 'attachment_erased' WHERE subject = 'packet/p' AND subject_seq = 0",
    "nested member": f"UPDATE member SET body = {_with_more('body')}",
    "nested packet": f"UPDATE packet SET body = {_with_more('body')} WHERE packet_id = 'p'",
    "nested settings": f"UPDATE ledger_state SET body = {_with_more('body')} WHERE key = 'ledger'",
    "nested entry": f"UPDATE entry SET raw = {_with_more('raw')} WHERE seq = 3",
    "body of an entry": "UPDATE entry SET raw = CAST(replace(CAST(raw AS TEXT), 'packet_created', 'no_such') AS BLOB)"
    " WHERE subject = 'packet/p' AND subject_seq = 0",
}  # fmt: skip
READS: dict[str, Callable[[LedgerReader], object]] = {
    "state": lambda reader: reader.state(),
    "members": lambda reader: reader.members(),
    "member": lambda reader: reader.member("m"),
    "packets": lambda reader: reader.packets(),
    "packet": lambda reader: reader.packet("p"),
    "entries": lambda reader: list(reader.entries()),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_row_that_is_none_any_more_is_named_and_not_taken_for_our_mistake(
    directory: Path, name: str
) -> None:
    """Whoever reads, opens or examines a database with a row that nobody wrote is told that it was changed."""
    _change(directory, UNREADABLE[name])
    told = set()
    with suppress(StoreCorruptError), opened(directory):
        pass
    for ask in READS.values():
        try:
            with LedgerReader(open_store(directory)) as reader:
                ask(reader)
        except NotFoundError:
            assert name in {"no member", "another member"}
        except StoreCorruptError as error:
            told.add(error.code)
    assert told <= {"store.altered"}
    assert told or name == "type of an entry", "only its column was changed: opening tells"
    assert "failed" in findings(directory).values()


@pytest.mark.parametrize(
    "numbers",
    [
        "1, -9223372036854775808, 1, 0",
        "1, 1, 9223372036854775807, 0",
        "1, 1, 1, 9223372036854775807",
    ],
)
def test_a_lease_that_nobody_kept_is_named(directory: Path, numbers: str) -> None:
    """A number that no clock shows, in the row of a lease, keeps a ledger from being opened as a mistake of ours."""
    _change(directory, f"INSERT INTO lease VALUES ('other', {numbers}, 0, 0, '')")
    with pytest.raises(StoreCorruptError) as caught, opened(directory):
        pass
    assert caught.value.code == "store.altered"


@pytest.mark.parametrize(
    "stored", [b"", b"null", b'{"kind":"\xff"}', b'{"more":' + b"[" * 3_000 + b"]" * 3_000 + b"}"]
)
def test_a_changed_answer_is_named_to_whoever_asks_again(directory: Path, stored: bytes) -> None:
    """A refusal that is repeated under its idempotency key is no JSON any more, and taken for a mistake of ours."""
    once = Idempotency("again", b"0" * 32)
    late = c.CompletePacket(
        packet_id="p", owner=c.OwnerClaim(member_id="m", incarnation=1, epoch=1)
    )
    with opened(directory) as engine:
        submit(engine, c.RequeuePacket(packet_id="p", reason="moved"))
        with pytest.raises(PfgovError) as first:
            submit(engine, late, idempotency=once)
    assert first.value.receipt is not None
    with sqlite3.connect(directory / "ledger.db") as database:
        changed = database.execute("UPDATE idempotency SET refusal = ?", (stored,)).rowcount
    database.close()
    assert changed == 1
    with opened(directory) as engine:
        with pytest.raises(StoreCorruptError) as again:
            submit(engine, late, idempotency=once)
        assert again.value.code == "store.altered"
        place(engine, "another")


@pytest.mark.parametrize("kind", ["Path", "file_errors", "__name__", "nothing", "KeyError"])
def test_a_stored_refusal_is_of_no_other_kind(kind: str) -> None:
    """A changed answer names something of ours that is no error, and is made one."""
    raw = json.dumps({"kind": kind, "code": "a.b", "message": "m"}).encode()
    assert type(decode_refusal(raw)) is PfgovError


@pytest.mark.parametrize("name", CHANGES)
def test_nothing_is_signed_upon_a_changed_entry(directory: Path, name: str) -> None:
    """The next entry of its packet is refused instead of signed upon it; others go on, and the doctor names it."""
    _change(directory, CHANGES[name])
    assert findings(directory)["entries"] == "failed"
    with opened(directory) as engine:
        size = engine.status().size
        with pytest.raises(PfgovError):
            submit(engine, c.CancelPacket(packet_id="p"))
        assert engine.status().size == size
        assert submit(engine, c.CancelPacket(packet_id="q")).count == 1


@pytest.mark.parametrize(
    "change", ["status = 'COMPLETED'", "status = 'ASSIGNEd'", "owner = NULL", "owner = 'n'"]
)
def test_a_packet_that_is_found_no_more_is_named(directory: Path, change: str) -> None:
    """By its columns a packet is loaded and listed: changed, the packet is lost, and the doctor finds every row as it
    should be.
    """
    _change(directory, f"UPDATE packet SET {change} WHERE packet_id = 'p'")
    assert findings(directory)["rows"] == "failed"


LAST_OF_P = "subject = 'packet/p' AND subject_seq = 1"

HIDDEN = {
    "renamed": f"UPDATE entry SET subject = 'packet/z' WHERE {LAST_OF_P}",
    "of another": f"UPDATE entry SET subject = 'packet/q', subject_seq = 2 WHERE {LAST_OF_P}",
    "counted down": f"UPDATE entry SET subject_seq = -1 WHERE {LAST_OF_P}",
    "gone": f"DELETE FROM entry WHERE {LAST_OF_P}",
}


@pytest.mark.parametrize("name", HIDDEN)
def test_nothing_is_signed_upon_another_entry_than_the_last(
    directory: Path, tmp_path: Path, name: str
) -> None:
    """The last entry of a packet is hidden, the one before it is signed upon, and no verifier passes the ledger again.

    Nor is a map of the subjects signed in which it is hidden.
    """
    _change(directory, HIDDEN[name])
    assert findings(directory)["entries"] == "failed"
    with opened(directory) as engine:
        size = engine.status().size
        with pytest.raises(PfgovError):
            submit(engine, c.CancelPacket(packet_id="p"))
        assert engine.status().size == size
        if name == "gone":
            with pytest.raises(PfgovError):
                engine.commit_index()
        else:
            engine.commit_index()
            assert verified(directory, tmp_path).exit_status == 0
        assert submit(engine, c.CancelPacket(packet_id="later-1")).count == 1


@pytest.mark.parametrize("name", ["renamed", "of another"])
def test_nothing_is_signed_upon_another_entry_once_there_is_an_index(
    directory: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """In a large ledger the same, from its first index on."""
    monkeypatch.setattr(intact, "AT_ONCE_MAX", 0)
    with opened(directory) as engine:
        engine.commit_index()
        _change(directory, HIDDEN[name])
        with pytest.raises(PfgovError):
            submit(engine, c.CancelPacket(packet_id="p"))
        assert submit(engine, c.CancelPacket(packet_id="later-1")).count == 1
        assert submit(engine, packet("new")).count == 2


def _added(directory: Path) -> int:
    """Add an entry about a member that nobody registered, signed by keys of one's own; return where it stands."""
    stranger, log = signer("stranger", "issuer"), signer(ORIGIN, salt=9)
    with LedgerReader(open_store(directory)) as reader, reader.snapshot() as queries:
        head, last = load_head(queries, ORIGIN), queries.entry(queries.size() - 1)
        registered = next(row for row in queries.entries() if row.type == "member_registered")
        known = json.loads(next(row.body for row in queries.ledger_state() if row.key == "keys"))
    assert last is not None
    appender = Appender(head=head, issuer=stranger, log=log)
    made = appender.append(
        type="member_registered",
        subject="member/ghost",
        time=last.time,
        command_seq=last.seq + 1,
        command_index=0,
        body=json.loads(registered.raw.replace(b'"m"', b'"ghost"'))["body"],
    )
    known += [
        {"role": "issuer", "public": stranger.public.hex(), "since": 0},
        {"role": "log", "public": log.public.hex(), "since": 0},
    ]
    database = sqlite3.connect(directory / "ledger.db")
    row = (
        made.seq,
        made.subject,
        0,
        "member_registered",
        last.time,
        made.leaf,
        made.signature,
        made.raw,
    )
    database.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    database.execute("INSERT INTO checkpoint VALUES (?, ?)", (made.seq + 1, appender.checkpoint()))
    database.execute(
        "UPDATE ledger_state SET body = ? WHERE key = 'keys'", (json.dumps(known).encode(),)
    )
    database.commit()
    database.close()
    return made.seq


@pytest.mark.parametrize("has_anchor", [True, False])
def test_nothing_is_signed_upon_an_entry_that_was_added(
    directory: Path, tmp_path: Path, has_anchor: bool
) -> None:
    """Whoever writes the database adds an entry and a checkpoint over it, and a key to the row of keys. With the next
    entry the log's own key vouches for it: its receipt passes every verifier, and the ledger never passes again.
    """
    before = shutil.copytree(directory, tmp_path / "before")
    _added(directory)
    assert findings(directory)["signers"] == "failed"
    if not has_anchor:
        (directory / "anchor.txt").unlink()
    with pytest.raises(StoreCorruptError) as refused:
        opened(directory)
    assert refused.value.code == "store.altered"
    for name in ("ledger.db", "anchor.txt"):
        shutil.copy(before / name, directory / name)
    with opened(directory) as engine:  # nothing was published of it
        register(engine, "n")
    assert verified(directory, tmp_path).exit_status == 0


@pytest.mark.parametrize("column", ["time = time + 2500000000000000", "type = 'packet_failed'"])
def test_nothing_is_signed_after_a_last_entry_whose_columns_were_changed(
    directory: Path, tmp_path: Path, column: str
) -> None:
    """The time of the last entry is changed by decades: what follows is signed with it, and every deadline has passed
    for good.
    """
    kept = shutil.copy(directory / "ledger.db", tmp_path / "kept.db")
    _change(directory, f"UPDATE entry SET {column} WHERE seq = (SELECT max(seq) FROM entry)")
    with pytest.raises(StoreCorruptError) as refused:
        opened(directory)
    assert refused.value.code == "store.altered"
    shutil.copy(kept, directory / "ledger.db")
    with opened(directory) as engine:
        register(engine, "n")


def test_what_a_stranger_signed_is_neither_restored_nor_continued(
    directory: Path, tmp_path: Path
) -> None:
    """The head lock is moved to it, so that the true ledger is refused; or a successor's genesis names it."""
    _added(directory)
    known = open_store(directory).read_head(ORIGIN)
    for attempt in (
        lambda: restore(open_store(directory), None, is_newest=True),
        lambda: succeed(open_store(tmp_path / "new"), open_store(directory)),
    ):
        with pytest.raises(StoreCorruptError) as refused:
            attempt()
        assert refused.value.code == "store.altered"
    assert open_store(directory).read_head(ORIGIN) == known


def test_a_key_that_stands_in_the_database_alone_signed_nothing(directory: Path) -> None:
    """Whoever writes the database changes the last entry of a packet, signs it anew, and names his key beside it."""
    stranger = signer("stranger", "issuer")
    with opened(directory) as engine:
        _change(
            directory,
            "UPDATE ledger_state SET body = CAST(substr(CAST(body AS TEXT), 1, length(CAST(body AS TEXT)) - 1) ||"
            f' \',{{"role":"issuer","public":"{stranger.public.hex()}","since":0}}]\' AS BLOB)'
            " WHERE key = 'keys'",
        )
        with sqlite3.connect(directory / "ledger.db") as database:
            raw = bytes(database.execute(f"SELECT raw FROM entry WHERE {LAST_OF_P}").fetchone()[0])
        database.close()
        mine = json.loads(raw)["issuer"].encode()
        forged = raw.replace(mine, keys.key_id(stranger.public).encode())
        signature = stranger.sign(dsse.entry_pae(forged))
        leaf = hashlib.sha256(b"\x00" + forged).digest()
        _change(
            directory,
            f"UPDATE entry SET raw = x'{forged.hex()}', signature = x'{signature.hex()}', leaf = x'{leaf.hex()}'"
            f" WHERE {LAST_OF_P}",
        )
        with pytest.raises(PfgovError, match="its signature does not hold"):
            submit(engine, c.CancelPacket(packet_id="p"))


def test_a_changed_hash_is_not_indexed(directory: Path) -> None:
    """The map of all subjects is worked out from the bytes, not from what stands beside them."""
    _change(directory, CHANGES["leaf"])
    with opened(directory) as engine, pytest.raises(PfgovError):
        engine.commit_index()


def test_an_entry_that_is_gone_isfindings(directory: Path) -> None:
    """Neither its packet's chain nor the tree closes over a hole."""
    _change(directory, "DELETE FROM entry WHERE subject = 'packet/p' AND subject_seq = 1")
    assert findings(directory)["entries"] == "failed"


NEWEST = "WHERE rowid = (SELECT max(rowid) FROM policy_set)"


@pytest.fixture
def governed(tmp_path: Path) -> Path:
    """A ledger with a policy set of its own, under which one decision was made."""
    found = fresh(tmp_path)
    with opened(found) as engine:
        engine.activate(load_directory(shipped_directory("starter")), principal=c.LOCAL_OPERATOR)
        register(engine, "m")
        place(engine, "p")
    return found


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE policy_set SET document = CAST(replace(CAST(document AS TEXT), 'deny', 'okay') AS BLOB) {NEWEST}",
        f"DELETE FROM policy_set {NEWEST}",
        "UPDATE verdict_table SET body = zeroblob(20)",
        "UPDATE verdict_table SET body = CAST(body || 'x' AS BLOB)",
    ],
)
def test_a_changed_document_is_neither_believed_nor_shown(governed: Path, statement: str) -> None:
    """A policy set or verdict table that was changed, or a set that is gone, is named; no export follows from it."""
    _change(governed, statement)
    assert findings(governed)["documents"] == "failed"
    with LedgerReader(open_store(governed)) as reader:
        if "verdict_table" in statement:
            with pytest.raises(StoreCorruptError) as caught:
                reader.verdict_table(_table(reader))
            assert caught.value.code == "store.altered"
        else:
            with pytest.raises(PfgovError), stored_log(reader) as log:
                write_export(log, io.BytesIO(), principal=c.LOCAL_OPERATOR, now=1)


def _table(reader: LedgerReader) -> str:
    (decided,) = reader.entries(EntryFilter(types=("assignment_decision",)))
    event: Any = decided.event
    return str(event.decision.table)
