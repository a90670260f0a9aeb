import json
from typing import Any

import pytest
from unit.ledger import ledger_logs

from pfgov_ledger import canonical, entry, errors, vocabulary


def _fields() -> dict[str, Any]:
    staged = ledger_logs.fill(ledger_logs.appender(), 9)
    return dict(json.loads(staged[8].raw))


def test_an_entry_says_what_its_bytes_say() -> None:
    """Every field read from an entry is the one in its bytes, and the bytes are kept as they are."""
    fields = _fields()
    raw = canonical.encode(fields)
    found = entry.parse(raw)
    assert found.raw == raw
    assert found.leaf == entry.leaf_hash(raw)
    assert (found.seq, found.subject, found.subject_seq) == (8, "packet/fp-1", 1)
    for name in ("log", "term", "time", "type", "v", "body"):
        assert getattr(found, name) == fields[name]
    for name in ("prev", "subject_prev", "issuer"):
        assert getattr(found, name).hex() == fields[name]
    assert {"seq": found.command_seq, "index": found.command_index} == fields["command"]


def test_the_members_are_named_in_canonical_order() -> None:
    """KEYS is what an entry has, sorted as JCS sorts."""
    assert list(entry.KEYS) == sorted(_fields())


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("v", 2, "ledger.version_unknown"), ("v", True, "ledger.version_unknown"), ("v", "1", "ledger.version_unknown"),
        ("seq", -1, "ledger.entry_shape"), ("seq", "8", "ledger.entry_shape"), ("seq", True, "ledger.entry_shape"),
        ("seq", 9, "ledger.command_reference"), ("command", {"seq": 8, "index": 1}, "ledger.command_reference"),
        ("command", {"seq": 8}, "ledger.entry_shape"), ("command", None, "ledger.entry_shape"),
        ("command", {"seq": 8, "index": 0, "x": 1}, "ledger.entry_shape"),
        ("command", {"seq": 9, "index": -1}, "ledger.entry_shape"),
        ("term", None, "ledger.entry_shape"), ("time", "now", "ledger.entry_shape"), ("time", -5, "ledger.entry_shape"),
        ("prev", "00", "ledger.entry_shape"), ("prev", "AB" * 32, "ledger.entry_shape"),
        ("subject_prev", 0, "ledger.entry_shape"), ("issuer", "zz" * 32, "ledger.entry_shape"),
        ("log", "", "ledger.entry_shape"), ("log", "two words", "ledger.entry_shape"),
        ("log", "a+b", "ledger.entry_shape"),
        ("log", 'a"b', "ledger.entry_shape"), ("log", "a\\b", "ledger.entry_shape"),
        ("log", "x" * 256, "ledger.entry_shape"),
        ("subject", "packet/", "ledger.entry_shape"), ("subject", "packet/a b", "ledger.entry_shape"),
        ("subject", "other", "ledger.entry_shape"), ("subject", "packet/" + "x" * 129, "ledger.entry_shape"),
        ("type", "Packet", "ledger.entry_shape"), ("type", "", "ledger.entry_shape"),
        ("body", [], "ledger.entry_shape"),
        ("body", {"a": "x" * 65_535}, "ledger.oversize"), ("body", {"A": 1}, "ledger.key_name"),
        ("extra", 1, "ledger.entry_shape"),
    ],
    ids=repr,
)  # fmt: skip
def test_an_entry_of_another_shape_is_refused(name: str, value: object, code: str) -> None:
    """One member missing its rule is enough, and the code says what kind of fault it is."""
    fields = _fields()
    fields[name] = value
    raw = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(errors.LedgerError) as caught:
        entry.parse(raw)
    assert caught.value.code == code


def test_every_member_is_required() -> None:
    """An entry lacking any one member is not an entry."""
    for name in entry.KEYS:
        fields = _fields()
        del fields[name]
        with pytest.raises(errors.MalformedError):
            entry.parse(canonical.encode(fields))


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b'"x"', b"{}", b'{"body":{}}', b"\xff", b'{"body":{']
)
def test_other_json_is_not_an_entry(raw: bytes) -> None:
    """Bytes that are no entry are refused as malformed."""
    with pytest.raises(errors.MalformedError):
        entry.parse(raw)


def test_the_body_cannot_carry_a_second_tail() -> None:
    """Text in the body that looks like the rest of an entry changes nothing about where it ends."""
    fields = _fields()
    fields["body"]["note"] = 'x,"command":{"index":7,"seq":1},"issuer":"'
    assert entry.parse(canonical.encode(fields)).body == fields["body"]
    fields["body"] = {"a": 1, "command": {"index": 0, "seq": 8}, "packet_id": "x"}
    assert entry.parse(canonical.encode(fields)).body == fields["body"]
    raw = canonical.encode(_fields())
    with pytest.raises(errors.MalformedError):
        entry.parse(raw[:-1] + raw[raw.rfind(b',"command"') :])


def test_the_body_may_be_fifteen_deep() -> None:
    """The body's depth counts inside the entry's sixteen."""
    fields = _fields()
    value: object = 1
    for _ in range(14):
        value = [value]
    fields["body"] = {"a": value}
    entry.parse(canonical.encode(fields))
    fields["body"] = {"a": [value]}
    raw = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(errors.DepthError):
        entry.parse(raw)


@pytest.mark.parametrize("name", ["seq", "term", "time", "subject_seq"])
def test_numbers_stay_inside_the_profile(name: str) -> None:
    """2^53 is no position, term or time."""
    fields = _fields()
    fields[name] = 2**53
    if name == "seq":
        fields["command"] = {"index": 0, "seq": 2**53}
    raw = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(errors.IntegerRangeError):
        entry.parse(raw)


def test_an_entry_under_another_subject_is_refused() -> None:
    """Filing an event under a subject that its body does not name is found."""
    fields = _fields()
    entry.check_subject(entry.parse(canonical.encode(fields)))
    fields["subject"] = "packet/fp-2"
    with pytest.raises(errors.SubjectMismatchError) as caught:
        entry.check_subject(entry.parse(canonical.encode(fields)))
    assert (caught.value.position, caught.value.expected, caught.value.found) == (
        8,
        "packet/fp-1",
        "packet/fp-2",
    )


@pytest.mark.parametrize(
    ("event", "body", "subject"),
    [
        ("assignment_decision", {"packet_id": "fp-001", "member_id": "m"}, "packet/fp-001"),
        ("member_registered", {"member_id": "agent@eu:1", "packet_id": "p"}, "member/agent@eu:1"),
        ("pressure_changed", {"member_id": "m"}, "member/m"),
        ("policy_activated", {}, "policy"), ("key_revoked", {}, "keys"), ("index_committed", {}, "ledger"),
        ("attachment_erased", {"subject": "packet/fp-001"}, "packet/fp-001"),
        ("attachment_erased", {"subject": "policy"}, "policy"),
    ],
)  # fmt: skip
def test_subjects_follow_from_type_and_body(
    event: str, body: dict[str, object], subject: str
) -> None:
    """The vocabulary's rule gives one subject for each event."""
    assert vocabulary.subject_of(event, body) == subject


@pytest.mark.parametrize(
    ("event", "body", "code"),
    [
        ("packet_created", {}, "ledger.subject_mismatch"),
        ("packet_created", {"packet_id": 7}, "ledger.subject_mismatch"),
        ("packet_created", {"packet_id": "a/b"}, "ledger.subject_mismatch"),
        ("attachment_erased", {"subject": "nonsense"}, "ledger.subject_mismatch"),
        ("attachment_erased", {}, "ledger.subject_mismatch"), ("packet_exploded", {}, "ledger.event_unknown"),
    ],
)  # fmt: skip
def test_bodies_that_name_no_subject(event: str, body: dict[str, object], code: str) -> None:
    """An event whose body does not carry the id of its rule, or of an unknown type, is refused."""
    with pytest.raises(errors.LedgerError) as caught:
        vocabulary.subject_of(event, body)
    assert caught.value.code == code


def test_the_vocabulary_is_closed() -> None:
    """55 event types, each with a rule; adding one is a decision, not an accident."""
    assert len(vocabulary.EVENTS) == 55
    assert set(vocabulary.EVENTS.values()) == {
        "packet",
        "member",
        "policy",
        "keys",
        "ledger",
        "named",
    }


def test_error_codes_are_unique() -> None:
    """No two error classes share a code, so that a code names one fault."""
    found: dict[str, type[errors.LedgerError]] = {}
    pending = [errors.LedgerError]
    while pending:
        kind = pending.pop()
        assert found.setdefault(kind.code, kind) is kind, kind
        assert kind.code.startswith("ledger.")
        pending.extend(kind.__subclasses__())
    assert len(found) > 60
