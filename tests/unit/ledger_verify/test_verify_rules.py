"""Key events and custody with bodies that nobody would write: each is refused by its code."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from conformance.ledger_verify.corpus.key_events import revoke, rotate, rotated
from conformance.ledger_verify.corpus.memory_log import MemoryLog, signer
from conformance.ledger_verify.corpus.story import assign, begin, create, genesis, owner, packet
from hypothesis import given, settings
from hypothesis import strategies as st
from support.searching import examples

from pfgov_ledger import keys, note
from pfgov_ledger.report import Report
from pfgov_ledger.verify import verify

Body = dict[str, Any]


def judged(log: MemoryLog, *, is_pinned: bool = True) -> Report:
    """The report of the log's full export."""
    log.commit()
    anchor = log.anchor()
    if not is_pinned:
        anchor = keys.Anchor(anchor.log_vkey, None)
    return verify(io.BytesIO(log.full()), anchor=anchor)


def key_row(role: str) -> Body:
    """A key of genesis."""
    log = MemoryLog()
    public = {"log": log.log_key, "issuer": log.issuer, "recovery": log.recovery}[role].public
    return {"public": public.hex(), "role": role}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"keys": None}, "ledger.entry_shape"),
        ({"keys": [7]}, "ledger.entry_shape"),
        ({"keys": [{"role": "log"}]}, "ledger.entry_shape"),
        ({"keys": [{"role": "log", "public": "AB"}]}, "ledger.entry_shape"),
        ({"keys": [{"role": "log", "public": "00" * 32}]}, "ledger.key_weak"),
        ({"keys": [key_row("log") | {"role": "owner"}]}, "ledger.key_role"),
        ({"keys": [key_row("log")]}, "ledger.genesis_mismatch"),
        ({"keys": [key_row("issuer")]}, "ledger.genesis_mismatch"),
        ({"keys": [key_row("log"), key_row("issuer"), key_row("log")]}, "ledger.key_role"),
        ({"origin": "another.example"}, "ledger.origin_mismatch"),
        ({"origin": 7}, "ledger.origin_mismatch"),
    ],
)
def test_a_genesis_that_names_no_sound_keys_is_refused(changes: Body, code: str) -> None:
    """A genesis without usable keys opens a log."""
    log = MemoryLog()
    genesis(log, **changes)
    report = judged(log)
    verdict = report.verdicts["authenticity"]
    assert (verdict.code, verdict.position) == (code, 0)


@pytest.mark.parametrize(
    ("event", "body"),
    [
        ("key_rotated", {"role": "issuer", "new": "xy", "signatures": []}),
        ("key_rotated", {"role": 7, "new": "KEY", "signatures": []}),
        ("key_rotated", {"role": "issuer", "new": "KEY", "old": 7, "signatures": []}),
        ("key_rotated", {"role": "issuer", "new": "KEY", "signatures": {}}),
        ("key_rotated", {"role": "issuer", "new": "KEY", "signatures": [["KEY", "00"]] * 9}),
        ("key_rotated", {"role": "issuer", "new": "KEY", "signatures": [["KEY"]]}),
        ("key_rotated", {"role": "issuer", "new": "KEY", "signatures": [["KEY", "0g"]]}),
        ("key_revoked", {"role": "issuer", "key": "KEY", "suspect_from": True, "signatures": []}),
        ("key_revoked", {"role": None, "key": "KEY", "signatures": []}),
        ("key_revoked", {"role": "issuer", "signatures": []}),
    ],
)
def test_a_malformed_key_event_is_refused(event: str, body: Body) -> None:
    """A key event without the members it needs is carried out, or makes the verifier raise."""
    log, _ = begin()
    public = signer("issuer", "another").public.hex()
    text = json.dumps(body).replace('"KEY"', json.dumps(public))
    at = log.add(event, "keys", json.loads(text))
    verdict = judged(log).verdicts["authenticity"]
    assert (verdict.code, verdict.position) == ("ledger.entry_shape", at)


def test_a_signature_of_a_key_event_must_hold() -> None:
    """One wrong signature beside the right ones is overlooked."""
    log, _ = begin()
    second, third = signer("issuer", "second"), signer("issuer", "third")
    at = rotate(log, "issuer", log.issuer, second, [log.issuer, second, third])
    good = log.rows[at].raw
    assert judged(log).exit_status == 0
    log, _ = begin()
    at = rotate(log, "issuer", log.issuer, second, [log.issuer, second, third])
    assert log.rows[at].raw == good
    log, _ = begin()
    body = {"new": second.public.hex(), "old": log.issuer.public.hex(), "role": "issuer"}
    signatures = [[key.public.hex(), "00" * 64] for key in (log.issuer, second)]
    at = log.add("key_rotated", "keys", body | {"signatures": signatures})
    verdict = judged(log).verdicts["authenticity"]
    assert (verdict.code, verdict.position) == ("ledger.signature_non_canonical", at)


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda log: rotate(log, "issuer", log.recovery, signer("issuer", "b"), [log.recovery, signer("issuer", "b")]),
         "ledger.rotation_unauthorised"),
        (lambda log: rotate(log, "issuer", None, log.recovery, [log.recovery]), "ledger.key_role"),
        (lambda log: rotate(log, "member", None, signer("issuer", "b"), [log.recovery, signer("issuer", "b")]),
         "ledger.key_role"),
        (lambda log: revoke(log, "log", log.issuer.public, [log.recovery]), "ledger.key_unknown"),
        (lambda log: revoke(log, "issuer", signer("issuer", "b").public, [log.recovery]), "ledger.key_unknown"),
    ],
)  # fmt: skip
def test_a_key_stays_in_its_role(act: Callable[[MemoryLog], int], code: str) -> None:
    """A key moves to another role, enters twice, or is revoked without ever having been there."""
    log, _ = begin()
    at = act(log)
    verdict = judged(log).verdicts["authenticity"]
    assert (verdict.code, verdict.position) == (code, at)


def test_a_statement_of_another_place_does_not_count() -> None:
    """The signatures of one key event authorise it again later, or in another log."""
    log, _ = begin()
    second = signer("issuer", "second")
    rotate(log, "issuer", None, second, [log.recovery, second])
    body = json.loads(log.rows[5].raw)["body"]
    third = signer("issuer", "third")
    revoke(log, "issuer", second.public, [log.recovery])
    replayed = body | {"new": third.public.hex()}
    at = log.add("key_rotated", "keys", replayed)
    verdict = judged(log).verdicts["authenticity"]
    assert (verdict.code, verdict.position) == ("ledger.signature_invalid", at)
    other, _ = begin("log.example/fixture-2")
    at = other.add("key_rotated", "keys", body)
    assert judged(other).verdicts["authenticity"].code == "ledger.signature_invalid"


def test_an_old_anchor_follows_a_rotation_of_the_log_key() -> None:
    """Whoever pinned the first log key cannot verify after it was rotated, or can without genesis."""
    log = rotated()
    assert judged(log).exit_status == 0
    report = judged(rotated(), is_pinned=False)
    assert report.verdicts["authenticity"].code == "ledger.checkpoint_unsigned"
    fresh = keys.Anchor(note.vkey(log.origin, log.log_key.public), log.rows[0].leaf)
    assert verify(io.BytesIO(log.full()), anchor=fresh).exit_status == 0
    foreign = keys.Anchor(note.vkey(log.origin, signer("log", "x").public), log.rows[0].leaf)
    report = verify(io.BytesIO(log.full()), anchor=foreign)
    assert report.verdicts["authenticity"].code == "ledger.key_unknown"


ANY = st.sampled_from(
    [None, 0, 1, 2, -1, "", "agent-a", [], {}, True, owner("agent-a"), owner("agent-b"), owner("agent-a", 2)]
)  # fmt: skip
EVENTS = [
    "packet_created", "assignment_decision", "handoff_started", "handoff_completed", "handoff_aborted",
    "handoff_denied", "handoff_escalated", "ownership_revoked", "packet_requeued", "checkpoint_committed",
    "packet_completed", "packet_failed", "packet_cancelled", "packet_updated", "write_refused",
    "review_requested", "attachment_erased",
]  # fmt: skip
MEMBER_EVENTS = [
    "member_registered",
    "member_recovered",
    "member_failed",
    "member_retired",
    "member_suspected",
]


@settings(max_examples=examples(150), deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(EVENTS + MEMBER_EVENTS),
            st.fixed_dictionaries(
                {},
                optional=dict.fromkeys(
                    ("epoch", "owner", "source", "target", "incarnation", "cause", "outcome"), ANY
                ),
            ),
        ),
        max_size=8,
    )
)
def test_custody_takes_any_bodies(events: list[tuple[str, Body]]) -> None:
    """A signed body of an odd shape makes the verifier raise, or fails something else than custody."""
    log, policy = begin()
    create(log, "fp-001")
    assign(log, "fp-001", owner("agent-a"), 1, policy)
    for kind, body in events:
        if kind in MEMBER_EVENTS:
            log.add(kind, "member/agent-a", body | {"member_id": "agent-a"})
        elif kind == "attachment_erased":
            log.add(
                kind,
                "packet/fp-001",
                {"commitment": "00" * 32, "subject": "packet/fp-001", "why": "x"},
            )
        else:
            packet(log, "fp-001", kind, **body)
    report = judged(log)
    failed = {name for name, verdict in report.verdicts.items() if verdict.code is not None}
    assert failed <= {"custody"}


@pytest.mark.parametrize("why", [None, 7])
def test_an_erasure_says_what_and_why(why: object) -> None:
    """An erasure without a reason is taken."""
    log, _ = begin()
    body = {"commitment": "00" * 32, "subject": "packet/fp-001", "why": why}
    log.add("attachment_erased", "packet/fp-001", body)
    assert judged(log).verdicts["integrity"].code == "ledger.entry_shape"
