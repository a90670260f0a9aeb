"""A payload that somebody changed or took away in the database is not handed out, and is named at every door."""

import io
from pathlib import Path

import pytest
from support.intruder import change as _change
from support.intruder import findings
from support.ledgers import fresh, opened, packet, register, submit

from pfgov.core import commands as c
from pfgov.engine import LedgerReader
from pfgov.engine.maintenance.erasing import Target, erase, payload_objects
from pfgov.engine.reading.exporting import stored_log, write_export
from pfgov.errors import StoreCorruptError
from pfgov.storage import open_store


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A ledger in which a packet has a context."""
    made = fresh(tmp_path)
    with opened(made) as engine:
        register(engine, "m")
        attached = engine.attach("packet/p", "context", b'{"a":1}')
        submit(engine, packet("p", context=attached.commitment), attachments=(attached,))
    return made


@pytest.mark.parametrize(
    "what",
    [
        "payload = CAST('{\"a\":2}' AS BLOB)",
        "salt = zeroblob(32)",
        "salt = x'00'",
        "field = 'view'",
        "subject = 'packet/q'",
    ],
)
def test_a_changed_payload_is_not_handed_out(directory: Path, what: str) -> None:
    """It does not open the commitment that it lies under, and whoever asks is told so."""
    _change(directory, f"UPDATE attachment SET {what}")
    assert findings(directory)["payloads"] == "failed"
    with LedgerReader(open_store(directory)) as reader:
        digest = reader.packet("p").context
        assert digest is not None
        with pytest.raises(StoreCorruptError) as caught:
            reader.payload(digest.digest)
    assert caught.value.code == "attachment.altered"
    assert digest.digest in caught.value.message


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE attachment SET state = 'erased', salt = NULL, payload = NULL",
        "UPDATE attachment SET payload = CAST('{\"a\":2}' AS BLOB)",
        "UPDATE attachment SET salt = zeroblob(33)",
        "UPDATE attachment SET subject = 'packet/nobody'",
    ],
)
def test_a_changed_payload_is_named_at_every_door(
    directory: Path, tmp_path: Path, statement: str
) -> None:
    """Marked as erased without an entry, changed, or moved away: the doctor, lists, reads and exports say altered."""
    _change(directory, statement)
    assert findings(directory)["payloads"] == "failed"
    with LedgerReader(open_store(directory)) as reader:
        digest = reader.packet("p").context
        assert digest is not None
        with pytest.raises(StoreCorruptError, match=digest.digest):
            reader.payload(digest.digest)
        with reader.snapshot() as queries:
            shown = payload_objects(queries, reader.layout, Target(commitment=digest.digest))
        assert [one["state"] for one in shown] == ["altered"]
    with opened(directory) as engine:
        engine.commit_index()
    with LedgerReader(open_store(directory)) as reader, stored_log(reader) as log:
        for subject in (None, "packet/p"):
            out = io.BytesIO()
            written = write_export(log, out, principal=c.LOCAL_OPERATOR, now=1, subject=subject)
            if "subject" in statement:  # what it is of, an export takes from the entry
                assert (written.attachments, written.altered) == (1, 0)
                continue
            assert (written.attachments, written.altered) == (0, 1)
            assert b'{"altered":"' + digest.digest.encode() + b'"}\n' in out.getvalue()


def test_an_erased_payload_is_not_called_altered(directory: Path) -> None:
    """What an entry says was erased is erased, for the doctor, lists, reads and exports."""
    with opened(directory) as engine:
        erase(engine, Target(packet_id="p"), "retention")
        engine.commit_index()
    found = findings(directory)
    assert (found["payloads"], found["erasures"]) == ("ok", "ok")
    with LedgerReader(open_store(directory)) as reader:
        digest = reader.packet("p").context
        assert digest is not None
        assert reader.payload(digest.digest) is None
        with reader.snapshot() as queries:
            shown = payload_objects(queries, reader.layout, Target(packet_id="p"))
        assert [one["state"] for one in shown] == ["erased"]
        with stored_log(reader) as log:
            written = write_export(log, io.BytesIO(), principal=c.LOCAL_OPERATOR, now=1)
        assert written.altered == 0


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM attachment", "UPDATE attachment SET digest = replace(digest, 'a', 'b')"],
)
def test_a_payload_that_is_not_there_is_missed(directory: Path, statement: str) -> None:
    """Of a row that is gone nobody says that the ledger tells why; a row that no entry names is counted."""
    _change(directory, statement)
    assert findings(directory)["payloads"] == "warning"
    with LedgerReader(open_store(directory)) as reader:
        digest = reader.packet("p").context
        assert digest is not None
        with pytest.raises(StoreCorruptError, match="no entry says that it was erased"):
            reader.named_payload(digest.digest)
