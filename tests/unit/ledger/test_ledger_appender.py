import pytest
from unit.ledger import ledger_logs
from unit.ledger.ledger_logs import ISSUER, LOG, LOG_VKEY, ORIGIN, TIME

from pfgov_ledger import appender, canonical, checkpoint, dsse, ed25519, entry, errors, keys, merkle
from pfgov_ledger.appender import Appender, Head


def _append(writer: Appender, **changes: object) -> appender.Staged:
    seq = writer.head.size
    arguments: dict[str, object] = {
        "type": "packet_created", "body": {"packet_id": "a"}, "subject": "packet/a", "time": TIME,
        "command_seq": seq, "command_index": 0, **changes,
    }  # fmt: skip
    return writer.append(**arguments)  # type: ignore[arg-type]


def test_entries_follow_one_another() -> None:
    """seq, prev, subject_seq and subject_prev chain; leaf and signature are those of the bytes."""
    previous, subjects = entry.ZERO, {}
    for seq, staged in enumerate(ledger_logs.fill(ledger_logs.appender(), 30)):
        found = entry.parse(staged.raw)
        entry.check_subject(found)
        assert (found.seq, found.prev, found.log) == (seq, previous, ORIGIN)
        assert (found.subject_seq, found.subject_prev) == subjects.get(
            found.subject, (0, entry.ZERO)
        )
        assert (staged.seq, staged.subject, staged.subject_seq) == (
            seq,
            found.subject,
            found.subject_seq,
        )
        assert found.issuer.hex() == keys.key_id(ISSUER.public)
        assert staged.signature is not None
        ed25519.check(ISSUER.public, dsse.entry_pae(staged.raw), staged.signature)
        previous = staged.leaf
        subjects[found.subject] = (found.subject_seq + 1, staged.leaf)


def test_another_issuer_takes_over_between_two_entries() -> None:
    """After a hand-over the next entry bears the new key, and chains as before; a log key cannot take over."""
    writer = ledger_logs.appender()
    first = _append(writer)
    new = keys.generate(role="issuer", name="next")
    writer.hand_over(new)
    second = _append(writer)
    found = entry.parse(second.raw)
    assert (found.prev, found.issuer.hex()) == (first.leaf, keys.key_id(new.public))
    ed25519.check(new.public, dsse.entry_pae(second.raw), second.signature or b"")
    for wrong in (LOG, keys.generate(role="log", name=ORIGIN)):
        with pytest.raises(errors.KeyRoleError):
            writer.hand_over(wrong)
    assert entry.parse(_append(writer).raw).issuer == found.issuer


def test_the_checkpoint_covers_what_was_staged() -> None:
    """Size and root of the signed checkpoint are those of the entries."""
    writer = ledger_logs.appender()
    staged = ledger_logs.fill(writer, 13)
    opened = checkpoint.open_checkpoint(writer.checkpoint(), [LOG_VKEY]).checkpoint
    assert (opened.size, opened.root) == (13, merkle.root_of(ledger_logs.leaves(staged)))


def test_an_entry_can_be_signed_later_elsewhere() -> None:
    """Staging without the private key and signing afterwards gives the same entry and signature."""
    away = Appender(
        head=Head(ORIGIN), issuer=keys.PublicSigner("issuer", "i", ISSUER.public), log=LOG
    )
    staged, usual = _append(away, sign=False), _append(ledger_logs.appender())
    assert staged.signature is None
    assert staged.raw == usual.raw
    assert appender.sign_entry(ISSUER, staged.raw) == usual.signature


def test_a_body_already_encoded_is_taken_as_it_is() -> None:
    """Handing in canonical bytes gives the same entry as handing in the body."""
    body = {"packet_id": "a", "text": '\u00e9"\\'}
    raw = _append(ledger_logs.appender(), body=None, body_raw=canonical.encode(body)).raw
    assert raw == _append(ledger_logs.appender(), body=body).raw


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": "packet_exploded"}, "ledger.event_unknown"),
        ({"type": "packet_exploded", "body": None, "body_raw": b"{}"}, "ledger.event_unknown"),
        ({"subject": "packet/b"}, "ledger.subject_mismatch"),
        ({"subject": "packet/a b", "body": None, "body_raw": b"{}"}, "ledger.entry_shape"),
        ({"time": TIME - 1}, "ledger.time_decreased"), ({"time": 2**53}, "ledger.time_decreased"),
        ({"command_seq": 5}, "ledger.command_reference"), ({"command_index": 1}, "ledger.command_reference"),
        ({"command_seq": 2, "command_index": -1}, "ledger.command_reference"),
        ({"body": None}, "ledger.usage"), ({"body": {"packet_id": "a", "n": 1.5}}, "ledger.float"),
        ({"body": {"packet_id": "a", "n": "x" * 65_535}}, "ledger.oversize"),
    ],
    ids=repr,
)  # fmt: skip
def test_what_would_not_verify_is_not_staged(changes: dict[str, object], code: str) -> None:
    """A refused entry leaves head, frontier and subjects as they were."""
    writer = ledger_logs.appender()
    _append(writer)
    before = (writer.head.copy(), writer.unsigned_checkpoint())
    with pytest.raises(errors.LedgerError) as caught:
        _append(writer, **changes)
    assert caught.value.code == code
    assert (writer.head.last_leaf, writer.unsigned_checkpoint()) == (before[0].last_leaf, before[1])
    assert entry.parse(_append(writer).raw).subject_seq == 1


def test_rolling_back_undoes_everything_since_the_mark() -> None:
    """After a failed commit the same events give the same bytes again."""
    writer = ledger_logs.appender()
    ledger_logs.fill(writer, 5)
    mark = writer.mark()
    first = ledger_logs.fill(writer, 9)
    writer.rollback(mark)
    assert ledger_logs.fill(writer, 9) == first
    writer.rollback(mark)
    assert writer.head.size == 5


def test_what_is_durable_cannot_be_rolled_back() -> None:
    """A mark before what was forgotten is refused; a later one still works."""
    writer = ledger_logs.appender()
    early = writer.mark()
    ledger_logs.fill(writer, 3)
    done = writer.mark()
    writer.forget(done)
    writer.forget(early)
    with pytest.raises(errors.UsageError):
        writer.rollback(early)
    ledger_logs.fill(writer, 2)
    writer.rollback(done)
    assert writer.head.size == 3


def test_a_restored_head_goes_on_where_the_log_ends() -> None:
    """With head and subject heads loaded from a store, the next entry is the one it would have been."""
    writer = ledger_logs.appender()
    staged = ledger_logs.fill(writer, 20)
    stored = {item.subject: (item.subject_seq + 1, item.leaf) for item in staged}
    head = Head(
        ORIGIN,
        frontier=merkle.Frontier.from_bytes(writer.head.frontier.to_bytes()),
        last_leaf=staged[-1].leaf,
        time=TIME + 19,
    )
    resumed = Appender(head=head, issuer=ISSUER, log=LOG, subject_head=stored.get)
    assert ledger_logs.fill(resumed, 10) == ledger_logs.fill(writer, 10)
    assert resumed.checkpoint() == writer.checkpoint()


def test_an_evicted_subject_is_loaded_again() -> None:
    """Dropping a finished subject from memory does not restart its chain."""
    stored: dict[str, tuple[int, bytes]] = {}
    writer = Appender(head=Head(ORIGIN), issuer=ISSUER, log=LOG, subject_head=stored.get)
    first = _append(writer)
    stored["packet/a"] = (1, first.leaf)
    writer.evict("packet/a")
    assert entry.parse(_append(writer).raw).subject_prev == first.leaf


@pytest.mark.parametrize(
    ("issuer", "log", "code"),
    [
        (ISSUER, keys.SeedSigner(role="log", name="other", seed=bytes(32)), "ledger.origin_mismatch"),
        (LOG, LOG, "ledger.key_role"),
        (keys.SeedSigner(role="issuer", name="i", seed=bytes([1]) * 32), LOG, "ledger.key_role"),
        (ISSUER, keys.SeedSigner(role="issuer", name=ORIGIN, seed=bytes(32)), "ledger.key_role"),
    ],
)  # fmt: skip
def test_roles_are_distinct_keys(issuer: keys.SeedSigner, log: keys.SeedSigner, code: str) -> None:
    """One key in two roles, or a log key of another name, cannot open a log."""
    with pytest.raises(errors.LedgerError) as caught:
        Appender(head=Head(ORIGIN), issuer=issuer, log=log)
    assert caught.value.code == code
