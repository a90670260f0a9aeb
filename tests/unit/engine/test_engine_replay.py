"""Replay: a ledger runs again byte for byte, and whatever was changed is found at its position."""

import sqlite3
from pathlib import Path

import msgspec
import pytest
from support.ledgers import (
    SECOND,
    START,
    claim,
    fresh,
    opened,
    packet,
    place,
    register,
    submit,
    verified,
)

from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.engine import Engine, LedgerReader
from pfgov.engine.reading.replay import Replay, ReplayDifferenceError
from pfgov.engine.reading.rows import RowsDifferError
from pfgov.errors import PfgovError
from pfgov.storage import open_store
from pfgov_ledger.replaying import ReplayUnavailableError
from pfgov_ledger.verdicts import REPLAY


def story(engine: Engine, clock: ManualClock) -> None:
    """A bit of everything: leases, reviews, redaction, handoffs, refusals, erasure, an index."""
    register(engine, "m", lease_seconds=30)
    register(engine, "n", clearances=("pii",))
    for i in range(6):
        place(engine, f"p{i}")
    context = engine.attach("packet/s", "context", b'{"secret":1,"open":2}')
    submit(
        engine,
        packet("s", context=context.commitment, data_classes=("secret",)),
        attachments=(context,),
    )
    reviewed = c.Constraints(pii_review_required=True)
    submit(engine, packet("r", constraints=reviewed))
    submit(
        engine,
        c.ReviewPacket(packet_id="r", granted=True, version=engine.reader.packet("r").version),
    )
    mine = claim(engine, "p0")
    submit(
        engine,
        c.CommitCheckpoint(packet_id="p0", owner=mine, step="half", context=context.commitment),
    )
    submit(engine, c.HandOff(packet_id="p0"))
    with pytest.raises(PfgovError):
        submit(engine, c.CompletePacket(packet_id="p0", owner=mine))
    clock.advance(31 * SECOND)
    engine.settle()
    submit(engine, c.CompletePacket(packet_id="p1", owner=claim(engine, "p1")))
    submit(engine, c.EvaluateDecision(packet_id="p2", member_id="m"))
    submit(engine, c.Configure(settings=(("lease_seconds", "60"), ("scheduler", "ring"))))
    submit(engine, c.RecoverMember(member_id="m"))
    submit(engine, c.DrainMember(member_id="n"))
    engine.settle()
    place(engine, "p9")
    engine.commit_index()
    submit(
        engine,
        c.EraseAttachment(
            subject="packet/s", commitment=context.commitment.digest, why="retention"
        ),
    )
    engine.commit_index()


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """A closed ledger with a story in it."""
    directory = fresh(tmp_path)
    clock = ManualClock(START + SECOND)
    with opened(directory, clock) as engine:
        story(engine, clock)
    return directory


def test_replay_regenerates_every_entry_and_every_row(told: Path, tmp_path: Path) -> None:
    """Every command gives its recorded bodies again, and the fold gives every stored row, byte for byte."""
    with LedgerReader(open_store(told)) as reader:
        done = reader.replay()
        assert done.entries == reader.head().size
        assert done.rows == len(reader.members()) + len(reader.packets()) + 3
        assert 20 < done.commands < done.entries
    report = verified(told, tmp_path, replayer=Replay())
    assert report.verdicts[REPLAY].status.value == "pass"
    assert report.exit_status == 0


def _altered(told: Path, statement: str, values: tuple[object, ...] = ()) -> None:
    connection = sqlite3.connect(told / "ledger.db", isolation_level=None)
    kept = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    ).fetchall()
    for name, _ in kept:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement, values)
    for _, sql in kept:
        connection.execute(sql)
    connection.close()


@pytest.mark.parametrize("table", ["member", "packet", "ledger_state"])
def test_replay_finds_a_changed_missing_or_added_row(told: Path, table: str) -> None:
    """A folded row that was edited, deleted or added beside the ledger is named."""
    key = {"member": "member_id", "packet": "packet_id", "ledger_state": "key"}[table]
    names = {"member": "m", "packet": "p1", "ledger_state": "policy"}
    extra = {
        "member": "('x', 'ACTIVE', 1, x'7b7d')",
        "packet": "('x', 'FAILED', NULL, 1, 1, x'7b7d')",
        "ledger_state": "('x', 1, x'7b7d')",
    }
    for change in (
        f"UPDATE {table} SET body = x'7b7d' WHERE {key} = '{names[table]}'",
        f"INSERT INTO {table} VALUES {extra[table]}",
        f"DELETE FROM {table} WHERE {key} = '{names[table]}'",
    ):
        _altered(told, change)
        with LedgerReader(open_store(told)) as reader, pytest.raises(RowsDifferError, match=table):
            reader.replay()


def test_replay_finds_a_verdict_that_policy_would_not_give(told: Path) -> None:
    """A decision that was rewritten, whoever signed it, is found at its position with what it should have been."""
    with LedgerReader(open_store(told)) as reader:
        decisions = [r for r in reader.entries() if r.row.type == "assignment_decision"]
        chosen = decisions[2]
    other = {b"m": b"n", b"n": b"m"}
    owner = msgspec.json.decode(chosen.row.raw)["body"]["owner"]["member_id"].encode()
    raw = chosen.row.raw.replace(b'"member_id":"%b"' % owner, b'"member_id":"%b"' % other[owner])
    assert raw != chosen.row.raw
    _altered(told, "UPDATE entry SET raw = ? WHERE seq = ?", (raw, chosen.row.seq))
    with LedgerReader(open_store(told)) as reader, pytest.raises(ReplayDifferenceError) as caught:
        reader.replay()
    assert caught.value.position == chosen.row.seq
    assert owner.decode() in str(caught.value.expected)


def _replay(rows: list[tuple[bytes, bytes]], told: Path) -> None:
    with LedgerReader(open_store(told)) as reader, reader.snapshot() as queries:
        replay = Replay(queries.policy_set)
        for raw, leaf in rows:
            replay.take(raw, leaf)
        replay.finish()


def test_replay_finds_what_was_left_out_or_put_in(told: Path) -> None:
    """A command that lost its last entry, gained one, or lost its command is found."""
    with LedgerReader(open_store(told)) as reader:
        rows = [(r.row.raw, r.row.leaf) for r in reader.entries()]
        events = [r.event for r in reader.entries()]
    second = next(i for i, event in enumerate(events) if isinstance(event, e.AssignmentDecision))
    renamed = (rows[second - 1][0].replace(b'"command":{"do"', b'"comrade":{"do"'), b"")
    _replay(rows, told)
    for changed, position in (
        ([*rows[:second], *rows[second + 1 :]], second),
        ([*rows[: second + 1], rows[second], *rows[second + 1 :]], second),
        ([*rows[: second - 1], renamed, *rows[second:]], second - 1),
    ):
        with pytest.raises(ReplayDifferenceError) as caught:
            _replay(changed, told)
        assert caught.value.position == position


def test_replay_finds_a_command_that_would_have_been_refused(told: Path) -> None:
    """A recorded command that the rules refuse is a difference, not an error of the replay."""
    with LedgerReader(open_store(told)) as reader:
        rows = [(r.row.raw, r.row.leaf) for r in reader.entries()]
    forged = [
        (
            raw.replace(
                b'"rights":["admin","assessor","operator","reviewer","submitter"]', b'"rights":[]'
            ),
            leaf,
        )
        for raw, leaf in rows
    ]
    with pytest.raises(ReplayDifferenceError, match=r"access\.forbidden"):
        _replay(forged, told)


def test_replay_says_what_it_cannot_tell(told: Path) -> None:
    """Other rules, a missing policy set and a plug-in that may not run are not failures but unknowns."""
    with LedgerReader(open_store(told)) as reader:
        rows = [(r.row.raw, r.row.leaf) for r in reader.entries()]
    replay = Replay()
    replay.take(*rows[0])
    replay.take(*rows[1])
    with pytest.raises(ReplayUnavailableError, match="policy:"):
        replay.finish()
    ours = f'"semantics":{e.SEMANTICS}'.encode()
    with pytest.raises(ReplayUnavailableError, match="semantics:7"):
        _replay([(rows[0][0].replace(ours, b'"semantics":7'), b"")], told)
    mine = [(raw.replace(b'"ring"', b'"mine"'), leaf) for raw, leaf in rows]
    with pytest.raises(ReplayUnavailableError) as caught:
        _replay(mine, told)
    assert caught.value.why.startswith("scheduler:mine:")


def test_replay_regenerates_a_verdict_table_that_was_not_kept(tmp_path: Path) -> None:
    """A table that no retention kept is the same bytes when it is regenerated."""
    tables = []
    for keep in (True, False):
        directory = fresh(tmp_path / str(keep))
        with opened(directory, keep_tables=keep) as engine:
            register(engine, "m")
            register(engine, "n", capabilities=())
            receipt = submit(engine, packet("p", required_capabilities=("ocr",)))
            decision = receipt.events[1]
            assert isinstance(decision, e.AssignmentDecision)
            assert (engine.reader.verdict_table(decision.decision.table) is None) is not keep
            tables.append(engine.reader.table_of(receipt.position + 1))
            assert engine.reader.table_of(0) is None
    assert tables[0] == tables[1] is not None


def test_replay_a_ledger_goes_on_under_the_rules_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under rules 1 a review that came too late was recorded: such a ledger opens, goes on, replays and verifies."""
    clock = ManualClock(START)
    with monkeypatch.context() as patch:
        patch.setattr("pfgov.engine.engine.SEMANTICS", 1)
        with Engine.create(open_store(tmp_path / "old"), "pfgov.test/old", clock=clock):
            pass
    constraints = c.Constraints(pii_review_required=True)
    for again in (False, True):
        name = f"p{again}"
        with Engine.open(open_store(tmp_path / "old"), clock=clock) as engine:
            if not again:
                register(engine, "m")
            submit(
                engine,
                packet(
                    name,
                    constraints=constraints,
                    required_capabilities=("ocr",),
                ),
            )
            request = engine.reader.packet(name).request
            assert request is not None
            clock.advance(request.expires_at - clock.now() + SECOND)
            late = submit(engine, c.ReviewPacket(packet_id=name, granted=True))
            assert [event.type for event in late.events][:1] == ["review_recorded"]
            engine.reader.replay()
            assert engine.look(lambda state: state.semantics) == 1
    assert verified(tmp_path / "old", tmp_path, replayer=Replay()).exit_status == 0


def test_replay_decisions_of_older_rules_run_again_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under rules 2 an ended packet was judged and a late acceptance counted: such a history still replays."""
    clock = ManualClock(START)
    with monkeypatch.context() as patch:
        patch.setattr("pfgov.engine.engine.SEMANTICS", 2)
        with Engine.create(open_store(tmp_path / "old"), "pfgov.test/old", clock=clock):
            pass
    with Engine.open(open_store(tmp_path / "old"), clock=clock) as engine:
        register(engine, "m")
        submit(engine, packet("p"))
        submit(engine, c.EvaluateDecision(packet_id="p", member_id="m"))
        register(engine, "n", handoff_mode="accept")
        started = submit(engine, c.HandOff(packet_id="p", target="n"))
        pending = engine.reader.packet("p").pending
        assert pending is not None
        clock.advance(pending.deadline - clock.now() + SECOND)
        late = c.AcceptHandoff(
            packet_id="p", member_id="n", incarnation=1, handoff=started.position
        )
        assert submit(engine, late).events[0].type == "handoff_completed"
        submit(engine, c.CancelPacket(packet_id="p"))
        submit(engine, c.EvaluateDecision(packet_id="p", member_id="m"))
        engine.reader.replay()
        told = [one.event for one in engine.reader.entries()]
    outcomes = [event.outcome for event in told if isinstance(event, e.DecisionEvaluated)]
    assert outcomes == ["allowed", "allowed"]
    assert verified(tmp_path / "old", tmp_path, replayer=Replay()).exit_status == 0


def test_replay_does_not_count_packets_that_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound on live packets counts what is in memory: an auditor, who holds all, refuses what was taken."""
    monkeypatch.setattr("pfgov.core.decide.packets.LIVE_PACKETS_MAX", 3)
    directory, clock = fresh(tmp_path), ManualClock(START + SECOND)
    for again in range(2):
        with opened(directory, clock, seed=str(again)) as engine:
            for number in range(5):
                place(engine, f"p{again}{number}")
                submit(engine, c.CancelPacket(packet_id=f"p{again}{number}"))
                with pytest.raises(
                    PfgovError
                ):  # an ended packet that a command names is loaded, and counts no more
                    submit(engine, c.CancelPacket(packet_id="p00"))
            assert engine.status().live_packets == 0
            engine.reader.replay()
    with opened(directory, clock, seed="full") as engine:
        for number in range(3):
            place(engine, f"live{number}")
    with opened(directory, clock, seed="over") as engine:
        with pytest.raises(PfgovError) as caught:
            place(engine, "over")
        assert caught.value.code == "packet.too_many"
        submit(engine, c.CancelPacket(packet_id="live0"))
        place(engine, "room")
        engine.reader.replay()
