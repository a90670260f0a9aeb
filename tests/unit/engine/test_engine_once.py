"""Each thing is done once on the write path: a commitment is hashed, an entry's body crosses to the writer, once."""

import dataclasses
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.ledgers import OPERATOR, Drawn, fresh, opened, packet, register, verified
from support.writers import threaded

from pfgov import model
from pfgov.engine import Engine
from pfgov.engine.answers import Attachment, attach
from pfgov.engine.committing.batch import Batch, Body, Committed
from pfgov.engine.committing.process import with_bodies, without_bodies
from pfgov.errors import InvalidError
from pfgov.model import border
from pfgov.storage.port import EntryRow
from pfgov_ledger import commitment
from pfgov_ledger.appender import START


def _submit(engine: Engine, packet_id: str, attachment: Attachment, **fields: Any) -> Any:
    action = packet(packet_id, context=attachment.commitment, **fields)
    return engine.submit(action, principal=OPERATOR, attachments=(attachment,))


def test_engine_a_commitment_is_hashed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A payload that this process committed to is hashed again before it is stored."""
    hashed: list[bytes] = []
    real = commitment.commit

    def counted(**given: Any) -> bytes:
        hashed.append(given["payload"])
        return real(**given)

    monkeypatch.setattr(commitment, "commit", counted)
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m")
        made = engine.attach("packet/p", "context", b'{"a":1}')
        _submit(engine, "p", made)
        assert hashed == [b'{"a":1}']
        assert engine.reader.payload(made.commitment.digest) == b'{"a":1}'
    assert len(hashed) == 2, "and checked when it is read"


@pytest.mark.parametrize(
    "change", [{"payload": b"x"}, {"salt": bytes(32)}, {"subject": "packet/q"}, {"field": "view"}]
)
def test_engine_a_commitment_made_elsewhere_or_changed_is_checked(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    """A payload that does not open its commitment is stored under it."""
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m")
        made = engine.attach("packet/p", "context", b"{}")
        with pytest.raises(InvalidError) as caught:
            _submit(engine, "p", dataclasses.replace(made, **change))
        assert caught.value.code == "attachment.mismatch"
        other = attach("another/ledger", "packet/p", "context", b"{}", Drawn("x"))
        with pytest.raises(InvalidError):
            _submit(engine, "p", other)
        _submit(engine, "p", dataclasses.replace(made))


def test_engine_an_entrys_bytes_cross_to_the_writer_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The body of an entry is sent to the writer and back again."""
    sent: list[bytes] = []
    real = Connection.send_bytes

    def kept(self: Connection, message: bytes, *rest: Any) -> None:
        sent.append(bytes(message))
        real(self, message, *rest)

    monkeypatch.setattr(Connection, "send_bytes", kept)
    directory = fresh(tmp_path)
    start = threaded(lambda *_: None)
    with opened(directory, committing="process", start_writer=start) as engine:
        register(engine, "m")
        receipts = [
            engine.submit(packet(f"p{i}", labels=(("n", "x" * i),)), principal=OPERATOR)
            for i in range(8)
        ]
        for receipt in receipts:
            for row in receipt.entries:
                assert row == engine.reader.entry(row.seq).row
                body = bytes(msgspec.json.decode(row.raw, type=dict[str, msgspec.Raw])["body"])
                assert sum(message.count(body) for message in sent) == 1
                assert not any(row.raw in message for message in sent)
    assert verified(directory, tmp_path).exit_status == 0


def test_engine_what_comes_back_makes_the_same_entry() -> None:
    """An entry that is put together again differs from what was signed."""
    body = b'{"a":"\xc3\xa4","body":{}}'
    raw = START + body + b',"v":1}'
    batch = Batch(7, [Body("packet_created", "packet/p", 5, 7, 0, body)])
    row = EntryRow(7, "packet/p", 0, "packet_created", 5, bytes(32), bytes(64), raw)
    chained = without_bodies(batch, Committed(7, [row], b"note"))
    assert with_bodies(batch, chained) == Committed(7, [row], b"note")
    assert body not in msgspec.msgpack.encode(chained)


def test_engine_nothing_is_encoded_only_to_be_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A submission as most are is encoded at the border, to be measured, and again as its entry."""
    encoded: list[object] = []

    class Counted:
        def encode(self, value: object) -> bytes:
            encoded.append(value)
            return msgspec.json.encode(value)

    monkeypatch.setattr(border, "_ENCODER", Counted())
    body = {"workload_type": "scan", "labels": {"team": "a"}, "required_capabilities": ["ocr>=1"]}
    action = model.parse(model.FlightPacket, body).to_action(packet_id="p")
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m")
        receipt = engine.submit(action, principal=OPERATOR)
    assert receipt.count == 2
    assert encoded == []
