"""Erasing: what goes together, what is recorded once, how much at a time, and that a failure in between is healed."""

from pathlib import Path
from typing import Any, cast

import pytest
from support.faulty import Faulty
from support.ledgers import claim, fresh, opened, packet, register, submit, verified

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.engine import Engine, LedgerReader
from pfgov.engine.answers import Caller, Idempotency
from pfgov.engine.loading import erased as of_log
from pfgov.engine.maintenance import erasing, payload_history
from pfgov.engine.maintenance.doctor import examine
from pfgov.engine.reading.replay import Replay
from pfgov.errors import ForbiddenError, PfgovError
from pfgov.storage import open_store
from pfgov.storage.port import EntryRow, Queries
from pfgov_ledger.commitments import Named

SECRET = b'{"secret":"Ms Unmistakable","step":%d}'


def carried(engine: Engine, count: int) -> None:
    """Submit packet p, whose owner sees a redacted view, and commit *count* contexts in all."""
    register(engine, "m")
    first = engine.attach("packet/p", "context", SECRET % 0)
    action = packet("p", context=first.commitment, data_classes=("secret",))
    submit(engine, action, attachments=(first,))
    for number in range(1, count):
        step = engine.attach("packet/p", "context", SECRET % number)
        save = c.CommitCheckpoint(
            packet_id="p", owner=claim(engine, "p"), context=step.commitment, step=str(number)
        )
        submit(engine, save, attachments=(step,))


def on_disk(directory: Path) -> bool:
    """Whether the name lies anywhere in the database's files."""
    return any(b"Unmistakable" in file.read_bytes() for file in directory.glob("ledger.db*"))


def erased(directory: Path) -> list[str]:
    """The commitments that entries name, in order."""
    with LedgerReader(open_store(directory)) as reader:
        return [
            found.event.commitment  # type: ignore[attr-defined]
            for found in reader.entries()
            if found.row.type == "attachment_erased"
        ]


def test_erasing_views_go_with_their_context_each_by_name(tmp_path: Path) -> None:
    """A redacted view is named by an entry of its own, before the context that it was made of."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        carried(engine, 2)
        with engine.reader.snapshot() as queries:
            found = erasing.Target(packet_id="p").payloads(queries)
        assert {one.field for one in found} >= {"context", "view"}
        assert on_disk(directory)
        done = erasing.erase(engine, erasing.Target(packet_id="p"), "retention")
        assert (done.is_done, done.left) == (True, 0)
        assert set(done.erased) == {one.digest for one in found}
        for one in found:
            if one.parent is not None:
                assert done.erased.index(one.digest) < done.erased.index(one.parent)
        assert not on_disk(directory)
    assert erased(directory) == list(done.erased)
    report = verified(directory, tmp_path, replayer=Replay())
    assert report.exit_status == 0


def test_erasing_takes_so_many_at_once_and_says_how_many_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More payloads than one commit takes are erased by asking again; the same key never records one twice."""
    monkeypatch.setattr(erasing, "ERASED_AT_ONCE", 2)
    directory = fresh(tmp_path)
    caller = Caller(idempotency=Idempotency("k", b"d"))
    target = erasing.Target(packet_id="p")
    with opened(directory) as engine:
        carried(engine, 3)
        with engine.reader.snapshot() as queries:
            count = len(target.payloads(queries))
        assert count > 4
        done = erasing.erase(engine, target, "retention", caller=caller)
        assert (len(done.erased), done.left, done.is_done) == (2, count - 2, False)
        more = erasing.erase(engine, target, "retention", caller=caller)
        assert more.erased[:2] == done.erased
        assert (len(more.erased), more.left) == (4, count - 4)
        last = erasing.erase_all(engine, target, "retention")
        assert (len(last.erased), last.is_done) == (count - 4, True)
        assert len(last.already) == 4
        assert erasing.erase_all(engine, target, "retention").erased == ()
        assert not on_disk(directory)
    assert len(erased(directory)) == len(set(erased(directory))) == count


def test_erasing_needs_an_administrator(tmp_path: Path) -> None:
    """An operator's key is refused where the command is decided, not only at the door; nothing is erased."""
    with opened(fresh(tmp_path)) as engine:
        carried(engine, 1)
        caller = Caller(c.Principal(id="key:ops", rights=("operator", "auditor")))
        with pytest.raises(ForbiddenError):
            erasing.erase(engine, erasing.Target(packet_id="p"), "retention", caller=caller)
        with engine.reader.snapshot() as queries:
            assert {one.state for one in erasing.Target(packet_id="p").payloads(queries)} == {
                "present"
            }


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "name", ["begin", "entries", "answers", "checkpoint", "erased", "commit", "publish"]
)
def test_faults_a_storage_call_of_an_erasure_fails(tmp_path: Path, name: str, when: str) -> None:
    """After a failure at any call the same request, asked again, is done: each payload named once, no byte left."""
    directory = fresh(tmp_path)
    faulty = Faulty(name, when, 1)
    caller = Caller(idempotency=Idempotency("k", b"d"))
    with opened(directory, probe=faulty) as engine:
        carried(engine, 2)
        faulty.armed = True
        target = erasing.Target(packet_id="p")
        try:
            first = erasing.erase(engine, target, "legal_order", caller=caller).erased
        except PfgovError:
            first = ()
        assert faulty.hits == 1
        done = erasing.erase(engine, target, "legal_order", caller=caller)
        assert done.is_done
        assert set(first) <= set(done.erased)
        assert not on_disk(directory)
    names = erased(directory)
    assert sorted(names) == sorted(done.erased)
    assert verified(directory, tmp_path, replayer=Replay()).exit_status == 0


def test_erasing_much_of_one_packet_is_looked_through_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export and the doctor go through all of a packet's erasures for each of them: hours for ten thousand."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        carried(engine, 8)
        done = erasing.erase_all(engine, erasing.Target(packet_id="p"), "retention")
    looked = 0
    really = of_log.erasure_of

    def counted(row: EntryRow) -> e.AttachmentErased:
        nonlocal looked
        looked += 1
        return really(row)

    monkeypatch.setattr(of_log, "erasure_of", counted)
    count = len(done.erased)
    assert count >= 8
    assert verified(directory, tmp_path).exit_status == 0
    assert 0 < looked <= count
    looked = 0
    findings = {one.check: one.outcome for one in examine(open_store(directory))}
    assert findings["payloads"] == findings["erasures"] == "ok"
    assert looked <= 2 * count


def test_erasing_one_payload_is_found_without_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads an erased context, or erases one more, has all erasures of the packet decoded and verified."""
    with opened(fresh(tmp_path)) as engine:
        carried(engine, 8)
        done = erasing.erase_all(engine, erasing.Target(packet_id="p"), "retention")
        looked: list[int] = []
        really = of_log.erasure_of
        monkeypatch.setattr(
            of_log, "erasure_of", lambda row: (looked.append(row.seq), really(row))[1]
        )
        assert len(done.erased) >= 8
        for digest in done.erased:
            assert engine.reader.named_payload(digest) is None
            one = erasing.Target(commitment=digest)
            assert digest in erasing.erase(engine, one, "retention").already
            with engine.reader.snapshot() as queries:
                shown = erasing.payload_objects(queries, engine.layout, one)
            assert {found["state"] for found in shown} == {"erased"}
            views = len(shown) - 1
            assert len(looked) <= 2 + 2 * (
                1 + views
            )  # two questions for the reader, then two of all that go with it
            looked.clear()


def test_erasing_reads_a_packet_once_and_before_anybody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each commit of an erasure reads the packet's whole history again, in the exclusive section: hours for many."""
    monkeypatch.setattr(erasing, "ERASED_AT_ONCE", 2)
    monkeypatch.setattr(payload_history, "_PAGE", 3)
    parsed: list[int] = []
    held: list[int] = []
    really, whole = payload_history.named_by, payload_history.PayloadHistory.read

    def counted(row: EntryRow) -> list[Named]:
        parsed.append(row.seq)
        return really(row)

    def read(self: Any, queries: Any, layout: Any, *, limit: int | None = None) -> bool:
        before = len(parsed)
        is_all = whole(self, queries, layout, limit=limit)
        (held if limit is None else []).append(len(parsed) - before)
        assert limit is None or len(parsed) - before <= limit
        return is_all

    monkeypatch.setattr(payload_history, "named_by", counted)
    monkeypatch.setattr(payload_history.PayloadHistory, "read", read)
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        carried(engine, 8)
        done = erasing.erase_all(engine, erasing.Target(packet_id="p"), "retention")
        assert len(done.erased) >= 8
        entries = len(engine.reader.lineage("packet/p"))
        assert len(parsed) == len(set(parsed)) <= entries
        assert sum(held) == 0
    assert erased(directory) == list(done.erased)


def test_erasing_lists_payloads_without_the_state_of_everything(tmp_path: Path) -> None:
    """A list of one packet's payloads reads all members and all packets, to learn what the ledger is called."""
    with opened(fresh(tmp_path)) as engine:
        carried(engine, 2)

        class Narrow:
            def __init__(self, queries: Queries) -> None:
                self._queries = queries

            def __getattr__(self, name: str) -> Any:
                assert name not in {"members", "packets"}
                return getattr(self._queries, name)

        with engine.reader.snapshot() as queries:
            narrow = cast("Queries", Narrow(queries))
            shown = erasing.payload_objects(narrow, engine.layout, erasing.Target(packet_id="p"))
        assert {one["state"] for one in shown} == {"present"}
