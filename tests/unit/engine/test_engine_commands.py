"""The engine as its callers see it: receipts, refusals, idempotency, attachments, time."""

import json
import stat
from pathlib import Path

import pytest
from support.ledgers import (
    OPERATOR,
    ORIGIN,
    SECOND,
    START,
    claim,
    fresh,
    open_policy,
    opened,
    packet,
    place,
    register,
    submit,
    types,
    verified,
)  # fmt: skip

from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.lifecycle import PacketStatus
from pfgov.engine import Engine, EntryFilter, Idempotency, LedgerReader, Options, PacketFilter
from pfgov.engine.layout import SigningKeyError
from pfgov.engine.maintenance.erasing import Target, erase
from pfgov.errors import (
    DuplicateError,
    EngineStoppedError,
    InvalidError,
    NotFoundError,
    PfgovError,
    StaleEpochError,
    StateConflictError,
    StoreCorruptError,
    StoreUnavailableError,
    TooLargeError,
)  # fmt: skip
from pfgov.storage import open_store
from pfgov_ledger import dsse, ed25519, entry


def test_engine_a_receipt_holds_what_is_stored_and_signed(tmp_path: Path) -> None:
    """A receipt's bytes are the stored ones, their leaf hash and the issuer's signature hold."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        register(engine, "m")
        receipt = place(engine, "p")
        issuer = next(k for k in engine.reader.state().keys.values() if k.role == "issuer")
        stored = engine.reader.entry(receipt.position).row
    assert (receipt.position, receipt.count, receipt.size) == (3, 2, 5)
    assert [event.type for event in receipt.events] == ["packet_created", "assignment_decision"]
    assert (stored.raw, stored.leaf, stored.signature) == (
        receipt.entry, receipt.leaf, receipt.signature,
    )  # fmt: skip
    assert entry.leaf_hash(receipt.entry) == receipt.leaf
    ed25519.check(bytes.fromhex(issuer.public), dsse.entry_pae(receipt.entry), receipt.signature)
    assert verified(directory, tmp_path).exit_status == 0


def test_engine_the_first_entry_carries_the_command_and_the_others_name_it(tmp_path: Path) -> None:
    """Who asked for what stands in the first entry of a command; all its entries have one time."""
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m")
        receipt = submit(engine, packet("p"), request_id="req-1")
    first, second = (json.loads(row.raw) for row in receipt.entries)
    assert first["body"]["command"]["principal"]["id"] == OPERATOR.id
    assert first["body"]["command"]["do"]["kind"] == "submit_packet"
    assert first["body"]["command"]["request_id"] == "req-1"
    assert "command" not in second["body"]
    assert first["command"] == {"index": 0, "seq": 3}
    assert second["command"] == {"index": 1, "seq": 3}
    assert first["time"] == second["time"]


def test_engine_a_refusal_that_is_not_recorded_leaves_nothing(tmp_path: Path) -> None:
    """A plain refusal raises its error and makes no entry."""
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m")
        size = engine.reader.head().size
        with pytest.raises(DuplicateError) as caught:
            register(engine, "m")
        with pytest.raises(NotFoundError):
            submit(engine, c.PlacePacket(packet_id="nothing"))
        assert caught.value.receipt is None
        assert engine.reader.head().size == size


def test_engine_a_recorded_refusal_is_raised_with_its_receipt(tmp_path: Path) -> None:
    """A stale owner's write raises, and the error carries the receipt of the refusal's entry."""
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m")
        place(engine, "p")
        late = claim(engine, "p")
        submit(engine, c.RequeuePacket(packet_id="p"))
        with pytest.raises(StaleEpochError) as caught:
            submit(engine, c.CompletePacket(packet_id="p", owner=late))
        receipt = caught.value.receipt
        assert receipt is not None
        assert list(types(engine))[-1] == "write_refused"


def test_engine_a_command_without_effect_gets_an_empty_receipt(tmp_path: Path) -> None:
    """Setting what is set already records nothing and says so."""
    with opened(fresh(tmp_path)) as engine:
        settings = (("lease_seconds", "30"),)
        receipt = submit(engine, c.Configure(settings=settings))
        assert (receipt.count, receipt.entry, receipt.leaf, receipt.signature) == (0, b"", b"", b"")
        assert engine.reader.head().size == 2


def test_engine_the_same_key_gets_the_same_answer(tmp_path: Path) -> None:
    """A repeated idempotency key returns the first receipt, now and after a restart, and appends nothing."""
    directory = fresh(tmp_path)
    key = Idempotency("k", b"digest")
    with opened(directory) as engine:
        register(engine, "m")
        first = submit(engine, packet("p"), idempotency=key)
        again = submit(engine, packet("p"), idempotency=key)
    with opened(directory) as engine:
        later = submit(engine, packet("p"), idempotency=key)
        assert engine.reader.head().size == first.size
    assert not first.replayed
    for other in (again, later):
        assert other.replayed
        assert (other.position, other.entries, other.events) == (
            first.position, first.entries, first.events,
        )  # fmt: skip


def test_engine_a_key_with_another_request_is_refused(tmp_path: Path) -> None:
    """A key is bound to its request: another digest under it is refused, another principal's key is another key."""
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m")
        submit(engine, packet("p"), idempotency=Idempotency("k", b"one"))
        with pytest.raises(PfgovError) as caught:
            submit(engine, packet("q"), idempotency=Idempotency("k", b"two"))
        assert caught.value.code == "idempotency.mismatch"
        other = c.Principal(id="other", rights=("submitter",))
        receipt = submit(engine, packet("q"), principal=other, idempotency=Idempotency("k", b"two"))
        assert not receipt.replayed


def test_engine_a_recorded_refusal_is_repeated_under_its_key(tmp_path: Path) -> None:
    """The same key gets the same refusal again, with the receipt of the entry that recorded it."""
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m")
        place(engine, "p")
        late = claim(engine, "p")
        submit(engine, c.RequeuePacket(packet_id="p"))
        write = c.CompletePacket(packet_id="p", owner=late)
        refusals = []
        for _ in range(2):
            with pytest.raises(StaleEpochError) as caught:
                submit(engine, write, idempotency=Idempotency("k", b"d"))
            refusals.append(caught.value)
        first, again = refusals
        assert (first.code, first.message, first.hint) == (again.code, again.message, again.hint)
        assert again.receipt is not None
        assert again.receipt.replayed  # type: ignore[attr-defined]


def test_engine_only_recorded_outcomes_are_kept_under_a_key(tmp_path: Path) -> None:
    """A refusal without an entry does not use the key up."""
    with opened(fresh(tmp_path)) as engine:
        key = Idempotency("k", b"d")
        with pytest.raises(NotFoundError):
            submit(engine, c.PlacePacket(packet_id="p"), idempotency=key)
        register(engine, "m")
        submit(engine, packet("p", hold=True))
        assert submit(engine, c.PlacePacket(packet_id="p"), idempotency=key).count == 1


def test_engine_time_never_goes_back(tmp_path: Path) -> None:
    """With the clock set back, entries carry the last entry's time."""
    clock = ManualClock(START + SECOND)
    with opened(fresh(tmp_path), clock) as engine:
        register(engine, "m")
        clock.step(-3_600 * SECOND)
        receipt = place(engine, "p")
        assert receipt.entries[0].time == START + SECOND


def test_engine_ended_packets_leave_memory_and_are_found_again(tmp_path: Path) -> None:
    """A completed packet is not in memory, refuses a second completion by name, and its id stays taken."""
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m")
        place(engine, "p")
        mine = claim(engine, "p")
        submit(engine, c.CompletePacket(packet_id="p", owner=mine))
        assert engine.status().live_packets == 0
        with pytest.raises(PfgovError) as caught:
            submit(engine, c.CompletePacket(packet_id="p", owner=mine))
        assert caught.value.code == "lifecycle.illegal"
        with pytest.raises(DuplicateError):
            place(engine, "p")
        assert engine.status().live_packets == 0
        assert engine.reader.packet("p").status is PacketStatus.COMPLETED


def test_engine_a_payload_lies_beside_the_ledger_and_can_be_erased(tmp_path: Path) -> None:
    """A context's payload opens its commitment, never enters an entry, and is gone after an erasure, pages included."""
    directory = fresh(tmp_path)
    secret = b'{"name":"Ms Unmistakable"}'
    with opened(directory) as engine:
        register(engine, "m")
        context = engine.attach("packet/p", "context", secret)
        submit(engine, packet("p", context=context.commitment), attachments=(context,))
        digest = context.commitment.digest
        assert engine.reader.payload(digest) == secret
        assert not any(secret in found.row.raw for found in engine.reader.entries())
        assert verified(directory, tmp_path).attachments["disclosed"] == 1
        erase = c.EraseAttachment(subject="packet/p", commitment=digest, why="data_subject_request")
        submit(engine, erase)
        assert engine.reader.payload(digest) is None
        engine.tick()
        assert not engine.status().erasure_pending
        for file in directory.glob("ledger.db*"):
            assert b"Unmistakable" not in file.read_bytes()
    report = verified(directory, tmp_path)
    assert (report.exit_status, report.attachments["erased"]) == (0, 1)


def test_engine_an_attachment_must_open_its_commitment(tmp_path: Path) -> None:
    """A payload under somebody else's commitment is refused before anything is recorded."""
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m")
        context = engine.attach("packet/q", "context", b"{}")
        forged = type(context)(
            context.commitment, "packet/p", "context", context.salt, context.payload
        )
        with pytest.raises(InvalidError) as caught:
            submit(engine, packet("p", context=context.commitment), attachments=(forged,))
        assert caught.value.code == "attachment.mismatch"
        assert engine.reader.head().size == 3
        with pytest.raises(TooLargeError):
            engine.attach("packet/p", "context", bytes(1_048_577))


def test_engine_a_redacted_owner_reads_a_view(tmp_path: Path) -> None:
    """Where policy redacts, the entry names a view's commitment, and its payload lacks the withheld values."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        register(engine, "m")
        context = engine.attach("packet/p", "context", b'{"open":1,"secret":2}')
        action = packet("p", context=context.commitment, data_classes=("secret",))
        receipt = submit(engine, action, attachments=(context,))
        decision = receipt.events[1]
        assert isinstance(decision, e.AssignmentDecision)
        assert decision.view is not None
        assert engine.reader.payload(decision.view.digest) == b'{"open":1}'
        report = verified(directory, tmp_path)
        assert (report.exit_status, report.attachments["disclosed"]) == (0, 2)
        erase(engine, Target(commitment=context.commitment.digest), "legal_order")
        assert engine.reader.payload(decision.view.digest) is None


def test_engine_a_redacted_owner_saves_without_losing_what_it_never_saw(tmp_path: Path) -> None:
    """A checkpoint of a redacted owner drops the withheld values, or lets it overwrite them."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        register(engine, "m")
        context = engine.attach("packet/p", "context", b'{"open":1,"secret":2}')
        submit(
            engine,
            packet("p", context=context.commitment, data_classes=("secret",)),
            attachments=(context,),
        )
        written = engine.attach("packet/p", "context", b'{"open":3,"secret":"forged"}')
        save = c.CommitCheckpoint(
            packet_id="p",
            owner=c.OwnerClaim(member_id="m", incarnation=1, epoch=1),
            context=written.commitment,
        )
        receipt = submit(engine, save, attachments=(written,))
        saved = receipt.events[0]
        assert isinstance(saved, e.CheckpointCommitted)
        assert saved.view is not None
        assert engine.reader.payload(saved.context.digest) == b'{"open":3,"secret":2}'
        assert engine.reader.payload(saved.view.digest) == b'{"open":3}'
        assert engine.reader.payload(written.commitment.digest) is None
        assert engine.reader.packet("p").view == saved.view
        assert verified(directory, tmp_path).exit_status == 0


def test_engine_a_view_of_a_lost_context_is_refused(tmp_path: Path) -> None:
    """A redaction of a context that is no longer there says so instead of letting it pass."""
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m")
        context = engine.attach("packet/p", "context", b"{}")
        action = packet("p", context=context.commitment, data_classes=("secret",))
        with pytest.raises(StateConflictError) as caught:
            submit(engine, action)
        assert caught.value.code == "attachment.missing"


def test_engine_policy_sets_survive_a_restart(tmp_path: Path) -> None:
    """The active policy set is compiled from the store; an unknown digest is refused."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        assert engine.status().policy == open_policy().digest
        assert engine.reader.policy_document(open_policy().digest) == open_policy().document
        register(engine, "m")
        with pytest.raises(NotFoundError) as caught:
            submit(engine, c.ActivatePolicy(digest="0" * 64, policies=(), points=()))
        assert caught.value.code == "policy.not_found"
        with pytest.raises(NotFoundError):
            engine.reader.policy_document("0" * 64)
        assert engine.activate(open_policy(), principal=OPERATOR).count == 0


def test_engine_a_subject_map_is_committed_and_reused(tmp_path: Path) -> None:
    """An index stands alone at the end of its group and is not repeated while nothing was appended."""
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m")
        first = engine.commit_index()
        assert engine.commit_index() == first
        place(engine, "p")
        second = engine.commit_index()
        event = engine.reader.entry(second).event
        assert isinstance(event, e.IndexCommitted)
        assert (event.size, event.subjects) == (second, 4)
    assert second == first + 3


def test_engine_create_makes_everything_that_opening_needs(tmp_path: Path) -> None:
    """A new ledger has keys for its owner alone, an anchor, an active policy set, and refuses to be made twice."""
    directory = tmp_path / "deep" / "ledger"
    with Engine.create(
        open_store(directory), policy=open_policy(), clock=ManualClock(START)
    ) as engine:
        assert engine.origin.startswith("pfgov.local/")
    for role in ("log", "issuer", "recovery"):
        assert stat.S_IMODE((directory / "keys" / f"{role}.key").stat().st_mode) == 0o600
    with pytest.raises(DuplicateError) as caught:
        Engine.create(open_store(directory), policy=open_policy())
    assert caught.value.code == "ledger.exists"
    (directory / "anchor.txt").unlink()
    with Engine.open(open_store(directory)) as engine:
        assert engine.status().size == 2
    assert verified(directory, tmp_path).exit_status == 0


def test_engine_an_interrupted_creation_is_taken_up(tmp_path: Path) -> None:
    """A creation that stopped after its keys, or before its genesis, can be run again with the same keys."""

    def no_commit(name: str, when: str) -> None:
        if name == "begin":
            raise OSError("the power went out")

    with pytest.raises(PfgovError):
        Engine.create(
            open_store(tmp_path), ORIGIN, policy=open_policy(), options=Options(probe=no_commit)
        )
    with pytest.raises(PfgovError) as caught:
        Engine.open(open_store(tmp_path))
    assert caught.value.code == "store.unfinished"
    with Engine.create(open_store(tmp_path), policy=open_policy()) as engine:
        assert engine.origin == ORIGIN


def test_engine_refuses_names_and_keys_that_do_not_fit(tmp_path: Path) -> None:
    """An origin with a space, a readable key and another ledger's key are refused before anything is written."""
    with pytest.raises(InvalidError):
        Engine.create(open_store(tmp_path / "a"), "two words", policy=open_policy())
    directory = fresh(tmp_path)
    key = directory / "keys" / "issuer.key"
    key.chmod(0o644)
    with pytest.raises(SigningKeyError):
        opened(directory)
    key.unlink()
    with pytest.raises(SigningKeyError):
        opened(directory)


def test_engine_a_missing_folder_is_named(tmp_path: Path) -> None:
    """Opening or reading nothing says what is missing and how to make it."""
    for opening in (Engine.open, LedgerReader):
        with pytest.raises(StoreUnavailableError) as caught:
            opening(open_store(tmp_path / "nothing"))
        assert caught.value.code == "store.missing"
        assert "pfgov init" in str(caught.value.hint)


def test_engine_a_closed_engine_takes_nothing(tmp_path: Path) -> None:
    """After close every command is refused, and closing twice is harmless."""
    engine = opened(fresh(tmp_path))
    engine.close()
    engine.close()
    with pytest.raises(EngineStoppedError):
        register(engine, "m")
    with pytest.raises(EngineStoppedError):
        engine.submit_nowait(packet("p"), principal=OPERATOR)


def test_engine_reading_answers_questions(tmp_path: Path) -> None:
    """Members, packets, entries and lineages are found by id and filter; what is absent is named."""
    with opened(fresh(tmp_path)) as engine:
        for member_id in ("a", "b"):
            register(engine, member_id)
        for name in ("p1", "p2", "p3"):
            place(engine, name)
        submit(engine, c.CancelPacket(packet_id="p2"))
        reader = engine.reader
        assert [m.member_id for m in reader.members()] == ["a", "b"]
        assert reader.member("a").kind == "agent"
        assert [p.packet_id for p in reader.packets()] == ["p1", "p2", "p3"]
        assert [p.packet_id for p in reader.packets(PacketFilter(statuses=("CANCELLED",)))] == [
            "p2"
        ]
        assert [p.packet_id for p in reader.packets(PacketFilter(after="p1", limit=1))] == ["p2"]
        owner = reader.packet("p1").owner
        assert owner is not None
        assert "p1" in [p.packet_id for p in reader.packets(PacketFilter(owner=owner))]
        assert [r.row.type for r in reader.lineage("packet/p2")] == [
            "packet_created", "assignment_decision", "packet_cancelled",
        ]  # fmt: skip
        newest = reader.entries(EntryFilter(newest_first=True, limit=1))
        assert newest[0].row.seq == reader.head().size - 1
        by_type = reader.entries(
            EntryFilter(types=("member_registered",), since=START, until=2**60)
        )
        assert len(by_type) == 2
        assert reader.packet_counts() == {"ASSIGNED": 2, "CANCELLED": 1}
        table = by_type[0].event
        assert isinstance(table, e.MemberRegistered)
        decision = reader.lineage("packet/p1")[1].event
        assert isinstance(decision, e.AssignmentDecision)
        assert reader.verdict_table(decision.decision.table) is not None
        assert reader.verdict_table("0" * 64) is None
        assert reader.payload("0" * 64) is None
        with pytest.raises(StoreCorruptError):
            reader.named_payload("0" * 64)
        for missing in (
            lambda: reader.member("x"), lambda: reader.packet("x"), lambda: reader.entry(99),
        ):  # fmt: skip
            with pytest.raises(NotFoundError):
                missing()
