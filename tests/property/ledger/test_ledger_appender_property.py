import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property.ledger.ledger_strategies import VALUES
from support.searching import examples
from unit.ledger import ledger_logs
from unit.ledger.ledger_logs import LOG_VKEY, TIME, WITNESS, WITNESS_VKEY

from pfgov_ledger import canonical, checkpoint, entry, errors, merkle, vocabulary

IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@~-]{0,20}", fullmatch=True)


@st.composite
def _events(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    kind = draw(st.sampled_from(sorted(vocabulary.EVENTS)))
    body: dict[str, Any] = draw(
        st.dictionaries(st.sampled_from(["x", "y", "z_1"]), VALUES, max_size=3)
    )
    body |= {
        "packet_id": draw(IDS),
        "member_id": draw(IDS),
        "subject": draw(st.sampled_from(["policy", "packet/a"])),
    }
    return kind, body


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(_events(), max_size=12), st.integers(0, 12))
def test_assembled_entries_are_canonical(
    events: list[tuple[str, dict[str, Any]]], failed_at: int
) -> None:
    """Byte assembly equals canonical.encode of the object, entries chain, and a rollback leaves no trace."""
    writer, previous, time = ledger_logs.appender(), entry.ZERO, TIME
    heads: dict[str, tuple[int, bytes]] = {}
    leaves = []
    for at, (kind, body) in enumerate(events):
        subject = vocabulary.subject_of(kind, body)
        time += at % 3
        first = at - at % 2
        for attempt in range(2 if at == failed_at else 1):
            mark = writer.mark()
            staged = writer.append(
                type=kind,
                body=body,
                subject=subject,
                time=time,
                command_seq=first,
                command_index=at - first,
                sign=False,
            )
            if attempt == 0 and at == failed_at:
                writer.rollback(mark)
        found = entry.parse(staged.raw)
        assert canonical.encode(json.loads(staged.raw)) == staged.raw
        assert (found.prev, found.body) == (previous, body)
        assert (found.subject_seq, found.subject_prev) == heads.get(subject, (0, entry.ZERO))
        previous = staged.leaf
        heads[subject] = (found.subject_seq + 1, staged.leaf)
        leaves.append(staged.leaf)
    assert writer.unsigned_checkpoint().root == merkle.root_of(leaves)


@settings(max_examples=examples(300), deadline=None)
@given(st.data())
def test_no_changed_byte_of_a_checkpoint_changes_what_is_read(data: st.DataObject) -> None:
    """Whatever is done to a cosigned note, it opens to the tree that was signed or not at all."""
    writer = ledger_logs.appender()
    ledger_logs.fill(writer, 3)
    raw = bytearray(checkpoint.cosign(writer.checkpoint(), WITNESS, time=77))
    at = data.draw(st.integers(0, len(raw) - 1))
    end = data.draw(st.integers(at, min(len(raw), at + 3)))
    raw[at:end] = data.draw(st.binary(max_size=3))
    try:
        opened = checkpoint.open_checkpoint(bytes(raw), [LOG_VKEY], [WITNESS_VKEY])
    except errors.LedgerError:
        return
    assert opened.checkpoint == writer.unsigned_checkpoint()
    assert all(item.time == 77 for item in opened.witnesses)


@settings(max_examples=examples(500), deadline=None)
@given(st.data())
def test_a_changed_entry_is_another_entry_or_none(data: st.DataObject) -> None:
    """Any change to an entry's bytes is refused or gives another leaf; nothing else is ever raised."""
    staged = ledger_logs.fill(ledger_logs.appender(), 9)[8]
    raw = bytearray(staged.raw)
    at = data.draw(st.integers(0, len(raw) - 1))
    end = data.draw(st.integers(at, min(len(raw), at + 3)))
    raw[at:end] = data.draw(st.binary(max_size=3))
    try:
        found = entry.parse(bytes(raw))
    except errors.LedgerError:
        return
    assert canonical.encode(json.loads(bytes(raw))) == bytes(raw) == found.raw
    assert (found.leaf == staged.leaf) is (bytes(raw) == staged.raw)


def test_the_strategies_reach_every_event_type() -> None:
    """The vocabulary's rules are all exercised: each type gives a subject from such a body."""
    body = {"packet_id": "a", "member_id": "b", "subject": "policy"}
    for kind in vocabulary.EVENTS:
        assert vocabulary.is_subject(vocabulary.subject_of(kind, body))
    with pytest.raises(errors.EventUnknownError):
        vocabulary.subject_of("none", body)
