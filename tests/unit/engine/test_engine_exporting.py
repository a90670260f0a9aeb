"""Exports over the store: what is read is one published snapshot, and what is written verifies alone."""

from io import BytesIO
from pathlib import Path

import pytest
from support.ledgers import claim, fresh, opened, packet, place, register, submit

from pfgov.core import commands as c
from pfgov.engine import LedgerReader
from pfgov.engine.reading.exporting import stored_log
from pfgov.errors import NotFoundError
from pfgov.storage import open_store
from pfgov.storage.sqlite.writing import SqliteWriter
from pfgov_ledger import export, keys
from pfgov_ledger.conclusions import Question
from pfgov_ledger.errors import IndexNeededError
from pfgov_ledger.verify import verify


def test_engine_a_subject_and_a_range_are_exported_and_verify(tmp_path: Path) -> None:
    """A packet's whole history, a range and the absence of a subject verify against the anchor."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        register(engine, "m")
        register(engine, "n")
        context = engine.attach("packet/p", "context", b'{"a":1}')
        submit(engine, packet("p", context=context.commitment), attachments=(context,))
        submit(engine, c.HandOff(packet_id="p"))
        submit(engine, c.CompletePacket(packet_id="p", owner=claim(engine, "p")))
        with stored_log(engine.reader) as log, pytest.raises(IndexNeededError):
            export.write_subject(log, "packet/p", BytesIO())
        index = engine.commit_index()
        place(engine, "later")
        anchor = keys.parse_anchor((directory / "anchor.txt").read_text())
        with stored_log(engine.reader) as log:
            assert (log.size(), log.latest_index(), log.origin) == (
                index + 3,
                index,
                anchor.log_vkey.name,
            )
            assert log.checkpoint(index) is not None or log.checkpoint(index + 1) is not None
            for subject in ("packet/p", "member/m", "packet/never"):
                target = tmp_path / "subject.jsonl"
                with target.open("wb") as out:
                    export.write_subject(log, subject, out)
                report = verify(target, anchor=anchor, question=Question("subject", subject))
                assert report.exit_status == 0, report.to_text()
                assert report.is_absent is (subject == "packet/never")
            with target.open("wb") as out:
                export.write_range(log, 2, 5, out)
            assert verify(target, anchor=anchor, question=Question("range")).exit_status == 0


def test_engine_an_export_does_not_see_what_comes_later(tmp_path: Path) -> None:
    """While an export is written the ledger goes on, and the export stays one state."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        with LedgerReader(open_store(directory)) as reader, stored_log(reader) as log:
            register(engine, "m")
            assert log.size() == 2
            assert len(list(log.entries(0, 99))) == 2
            assert len(list(log.subject_entries("member/m"))) == 0
        assert engine.status().size == 3


def test_engine_an_empty_ledger_has_nothing_to_export(tmp_path: Path) -> None:
    """A database without entries says so, for exports and heads."""
    SqliteWriter(tmp_path / "ledger.db", must_exist=False).close()
    with LedgerReader(open_store(tmp_path), heed_head_lock=False) as reader:
        with pytest.raises(NotFoundError):
            reader.head()
        with pytest.raises(NotFoundError), stored_log(reader):
            pass
