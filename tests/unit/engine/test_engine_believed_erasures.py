"""No column or row beside what was signed decides what was erased, and what is erased."""

import io
import json
from pathlib import Path

import pytest
from support.intruder import change, findings
from support.ledgers import (
    fresh,
    opened,
    packet,
    register,
    submit,
)

from pfgov.core import commands as c
from pfgov.engine import LedgerReader
from pfgov.engine.maintenance.erasing import Target, erase, payload_objects
from pfgov.engine.reading.exporting import StoredLog, stored_log, write_export
from pfgov.errors import StoreCorruptError
from pfgov.storage import open_store


@pytest.fixture
def carrying(tmp_path: Path) -> Path:
    """A ledger with two packets that carry a context; what one of them carried is erased."""
    found = fresh(tmp_path)
    with opened(found) as engine:
        register(engine, "m")
        for name in ("p", "x"):
            attached = engine.attach(f"packet/{name}", "context", b'{"a":1}')
            submit(engine, packet(name, context=attached.commitment), attachments=(attached,))
    return found


def _context(directory: Path, name: str) -> str:
    with LedgerReader(open_store(directory)) as reader:
        found = reader.packet(name).context
    assert found is not None
    return found.digest


@pytest.mark.parametrize("subject", ["packet/p", "packet/x"])
def test_what_was_taken_away_as_the_view_of_an_erased_payload_is_named(
    carrying: Path, subject: str
) -> None:
    """A row says itself what it is a view of, and of which packet: whoever writes it had anything pass for erased."""
    with opened(carrying) as engine:
        erase(engine, Target(packet_id="p"), "retention")
        engine.commit_index()
    erased, taken = _context(carrying, "p"), _context(carrying, "x")
    change(
        carrying,
        f"UPDATE attachment SET state = 'erased', salt = NULL, payload = NULL, parent = '{erased}',"
        f" subject = '{subject}' WHERE digest = '{taken}'",
    )
    assert findings(carrying)["payloads"] == "failed"
    with LedgerReader(open_store(carrying)) as reader:
        with pytest.raises(StoreCorruptError) as refused:
            reader.payload(taken)
        assert refused.value.code == "attachment.altered"
        with stored_log(reader) as log:
            written = write_export(log, io.BytesIO(), principal=c.LOCAL_OPERATOR, now=1)
        assert written.altered == 1
        with reader.snapshot() as queries:
            shown = payload_objects(
                queries, reader.layout, Target(packet_id=subject.removeprefix("packet/"))
            )
    assert {str(one["commitment"]): one["state"] for one in shown}[taken] == "altered"


def test_nothing_is_erased_in_somebodys_name_that_only_a_row_calls_a_view(carrying: Path) -> None:
    """Another packet's payload was erased with it, by an entry that names the operator."""
    asked, other = _context(carrying, "p"), _context(carrying, "x")
    change(carrying, f"UPDATE attachment SET parent = '{asked}' WHERE digest = '{other}'")
    assert findings(carrying)["payloads"] == "failed"
    with opened(carrying) as engine:
        with pytest.raises(StoreCorruptError) as refused:
            erase(engine, Target(commitment=asked), "legal_order")
        assert refused.value.code == "attachment.altered"
        assert engine.reader.payload(other) == b'{"a":1}'


def _said_to_be_erased(directory: Path, name: str) -> str:
    """Put into the place of another entry one that says that a packet's context was erased; return which."""
    digest = _context(directory, name)
    with LedgerReader(open_store(directory)) as reader:
        entries = reader.entries()
        other = next(one.row for one in entries if one.row.type == "member_registered")
    erased = {"commitment": digest, "subject": f"packet/{name}", "why": "retention"}
    body = {**json.loads(other.raw), "type": "attachment_erased", "body": erased}
    change(
        directory,
        f"UPDATE entry SET type = 'attachment_erased', subject = 'packet/{name}', subject_seq = 99,"
        f" raw = x'{json.dumps(body).encode().hex()}' WHERE seq = {other.seq}",
    )
    return digest


def test_nothing_was_erased_by_an_entry_that_nobody_signed(carrying: Path) -> None:
    """Whoever writes the row of a payload can write that of an entry, too, which says that it was erased."""
    taken = _said_to_be_erased(carrying, "x")
    change(
        carrying,
        "UPDATE attachment SET state = 'erased', salt = NULL, payload = NULL"
        f" WHERE digest = '{taken}'",
    )
    assert findings(carrying)["payloads"] == "failed"
    with LedgerReader(open_store(carrying)) as reader:
        for read in (reader.payload, reader.named_payload):
            with pytest.raises(StoreCorruptError) as refused:
                read(taken)
            assert refused.value.code == "attachment.altered"
        with reader.snapshot() as queries:
            shown = payload_objects(queries, reader.layout, Target(packet_id="x"))
            assert StoredLog(queries, reader.layout).attachments(taken) is not None
    assert [one["state"] for one in shown] == ["altered"]


def test_nothing_is_called_erased_that_is_here_still(carrying: Path) -> None:
    """Asked to erase it, an operator was told that it was done: the row of an entry said so."""
    asked = _said_to_be_erased(carrying, "x")
    with opened(carrying) as engine:
        assert engine.reader.payload(asked) == b'{"a":1}'  # nor is it erased by such a row
        with pytest.raises(StoreCorruptError) as refused:
            erase(engine, Target(packet_id="x"), "data_subject_request")
        assert refused.value.code == "store.altered"


@pytest.mark.parametrize("is_reopened", [False, True])
def test_nothing_is_erased_with_another_because_its_row_names_that(
    carrying: Path, is_reopened: bool
) -> None:
    """By packet, and again at each opening, what a column calls a view of something erased went with it, unnamed."""
    asked, other = _context(carrying, "p"), _context(carrying, "x")
    called = f"UPDATE attachment SET parent = '{asked}' WHERE digest = '{other}'"
    if not is_reopened:
        change(carrying, called)
    with opened(carrying) as engine:
        assert erase(engine, Target(packet_id="p"), "legal_order").erased == (asked,)
    if is_reopened:
        change(carrying, called)
    with opened(carrying) as engine:
        assert engine.reader.payload(asked) is None
        assert engine.reader.payload(other) == b'{"a":1}'


@pytest.mark.parametrize("moved", ["into it", "out of it"])
def test_a_packets_payloads_are_those_that_its_entries_name(carrying: Path, moved: str) -> None:
    """Another's was erased with it, in an operator's name; or its own was left out, and called erased."""
    asked, other = _context(carrying, "p"), _context(carrying, "x")
    digest, subject = (other, "packet/p") if moved == "into it" else (asked, "packet/y")
    change(carrying, f"UPDATE attachment SET subject = '{subject}' WHERE digest = '{digest}'")
    with opened(carrying) as engine:
        with pytest.raises(StoreCorruptError) as refused:
            erase(engine, Target(packet_id="p"), "data_subject_request")
        assert refused.value.code == "attachment.altered"
        assert [one for one in engine.reader.lineage("packet/p") if "erased" in one.row.type] == []
