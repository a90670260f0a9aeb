"""Attacks on one entry alone: receipts and tlog-proofs that do not show what their reader asks.

A receipt travels through many hands, so that most of these need no key.  Entry 13 is the one that
the honest receipts among the goldens vouch for.
"""

import json
from collections.abc import Iterator
from typing import Any

from conformance.ledger_verify.corpus.case import Case, Failures
from conformance.ledger_verify.corpus.insiders import witness
from conformance.ledger_verify.corpus.memory_log import MemoryLog
from conformance.ledger_verify.corpus.story import tell
from conformance.ledger_verify.corpus.tools import stolen

from pfgov_ledger import checkpoint, keys, merkle, proof, receipt, strict64

SEQ = 13
RECEIPT, PROOF = "receipt.json", "tlog-proof"
Members = dict[str, Any]


def proof_of(log: MemoryLog, note: bytes, extra: bytes | None = None) -> bytes:
    """The tlog-proof of entry 13 under the checkpoint *note*."""
    return proof.write(proof.make(log.tree(), SEQ, note, extra=extra))


def receipt_of(log: MemoryLog, note: bytes | None = None) -> Members:
    """The members of an honest receipt under *note*, the newest checkpoint by default."""
    row = log.rows[SEQ]
    raw = receipt.write(
        row.raw,
        row.signature or b"",
        issuer=log.issuer.public,
        proof=proof_of(log, note or log.latest_checkpoint()),
    )
    members: Members = json.loads(raw)
    return members


def dumped(members: Members) -> bytes:
    """The bytes of a receipt, sorted and indented as ``jq -S`` would."""
    return json.dumps(members, indent=2, sort_keys=True).encode() + b"\n"


def cases() -> Iterator[Case]:
    """Every attack on a receipt."""
    log = tell()
    yield from _other_questions(log)
    yield from _signatures(log)
    yield from _positions(log)
    yield from _texts(log)
    yield from _elsewhere(log)


def _other_questions(log: MemoryLog) -> Iterator[Case]:
    row = log.rows[SEQ]
    extra = receipt.write_extra(row.raw, row.signature or b"", log.issuer.public)
    text = proof_of(log, log.latest_checkpoint(), extra)
    whole = dumped(receipt_of(log))
    failed: Failures = {"completeness": ("other_question", 0)}
    for name, asked, kind, subject in (
        ("full", "the whole log", "full", None),
        ("absent", "a packet that it does not name", "subject", "packet/nope"),
        ("own_subject", "the history of its own entry's packet", "subject", "packet/fp-001"),
        ("keys", "the history of the keys", "subject", "keys"),
        ("range", "a range", "range", None),
    ):
        about = f"One entry as the answer to a question about {asked}."
        for suffix, data in ((RECEIPT, whole), (PROOF, text)):
            yield Case(
                "other_question", f"receipt_{name}", about, data, failed,
                question=(kind, subject), suffix=suffix,
            )  # fmt: skip


def _signatures(log: MemoryLog) -> Iterator[Case]:
    def damaged(**changed: Any) -> Members:
        members = receipt_of(log) | changed
        return {name: value for name, value in members.items() if value is not None}

    zeros = strict64.encode(bytes(64))
    another = strict64.encode(log.rows[12].signature or b"")
    thief = stolen("issuer", "thief").public.hex()
    for code, name, about, changed in (
        ("signature_non_canonical", "zeros", "The issuer's signature is zeros.", {"signature": zeros}),
        ("signature_invalid", "foreign", "The signature of another entry.", {"signature": another}),
        ("signature_missing", "removed", "There is no signature.", {"signature": None}),
        ("key_unknown", "foreign_issuer", "The key of somebody else as the issuer's.", {"issuer": thief}),
    ):  # fmt: skip
        failed: Failures = {"authenticity": (code, SEQ)}
        members = damaged(**changed)
        yield Case(code, f"receipt_{name}", about, dumped(members), failed, suffix=RECEIPT)
        del members["proof"]
        text = proof_of(log, log.latest_checkpoint(), dumped(members))
        yield Case(code, f"receipt_{name}", about, text, failed, suffix=PROOF)
    members = damaged(issuer=None)
    about = "The issuer's key is left out, so that nobody can check its signature."
    yield Case("not_checked", "receipt_no_issuer", about, dumped(members), {}, 4, suffix=RECEIPT)
    del members["proof"]
    text = proof_of(log, log.latest_checkpoint(), dumped(members))
    yield Case("not_checked", "receipt_no_issuer", about, text, {}, 4, suffix=PROOF)
    members = damaged(proof=None)
    about = "There is no proof, so that nothing anchors the issuer."
    yield Case("not_checked", "receipt_no_proof", about, dumped(members), {}, 4, suffix=RECEIPT)


def _positions(log: MemoryLog) -> Iterator[Case]:
    failed: Failures = {"integrity": ("header_mismatch", SEQ)}
    for name, position in (
        ("next", 14), ("negative", -13), ("text", "13"), ("fraction", 13.5), ("boolean", True),
        ("huge", 10**400),
    ):  # fmt: skip
        data = dumped(receipt_of(log) | {"position": position})
        about = f"A position that is not the entry's: {str(position)[:5]}."
        yield Case("header_mismatch", f"receipt_{name}", about, data, failed, suffix=RECEIPT)


def _texts(log: MemoryLog) -> Iterator[Case]:
    members = receipt_of(log)
    deep: Any = []
    for _ in range(64):
        deep = [deep]
    for code, name, about, changed in (
        ("proof_malformed", "surrogate", "Half of a surrogate pair in the proof.",
         {"proof": f"{members['proof']}\ud800"}),
        ("key_malformed", "issuer_number", "A number as the issuer's key.", {"issuer": 0}),
        ("not_an_export", "too_deep", "A receipt in an answer that nests too deep.", {"a": deep}),
        ("not_an_export", "no_entry", "A receipt without an entry.", {"entry": None}),
    ):  # fmt: skip
        failed: Failures = {"integrity": (code, None)}
        data = json.dumps({"receipt": members | changed}).encode()
        yield Case(code, f"receipt_{name}", about, data, failed, suffix=RECEIPT)


def _elsewhere(log: MemoryLog) -> Iterator[Case]:
    older = dumped(receipt_of(log, log.notes[20]))
    yield Case(
        "rollback", "receipt", "A receipt under an older checkpoint than the remembered one.",
        older, {"freshness": ("rollback", 20)}, remember="remembered-26.note", suffix=RECEIPT,
    )  # fmt: skip
    yield Case(
        "fork_same_size", "receipt", "A receipt under another tree of the remembered size.",
        dumped(_forked(log)), {"non_equivocation": ("fork_same_size", 20)},
        remember="remembered-20.note", suffix=RECEIPT,
    )  # fmt: skip
    whole = dumped(receipt_of(log))
    yield Case(
        "not_checked", "receipt_grown", "A larger checkpoint, and no proof that the log only grew.",
        whole, {}, 4, remember="remembered-20.note", suffix=RECEIPT,
    )  # fmt: skip
    trusted = (str(keys.vkey_of(witness())),)
    yield Case(
        "not_checked", "receipt_no_witness", "A receipt that the trusted witness did not see.",
        whole, {}, 4, witnesses=trusted, quorum=1, suffix=RECEIPT,
    )  # fmt: skip
    seen = checkpoint.cosign(log.latest_checkpoint(), witness(), time=1_782_331_200)
    yield Case(
        "stale", "receipt", "A receipt whose newest cosignature is too old.",
        dumped(receipt_of(log, seen)), {"freshness": ("stale", 26)}, witnesses=trusted, quorum=1,
        max_age=60, now=1_782_331_261, suffix=RECEIPT,
    )  # fmt: skip


def _forked(log: MemoryLog) -> Members:
    """A receipt in a log of 20 entries whose last one is another: whoever holds the log key can sign it."""
    leaves = [row.leaf for row in log.rows[:19]] + [log.rows[20].leaf]
    tree = merkle.LeafTree(leaves)
    note = checkpoint.sign(
        checkpoint.Checkpoint(log.origin, len(leaves), merkle.root_of(leaves)), log.log_key
    )
    text = proof.write(proof.make(tree, SEQ, note))
    return receipt_of(log) | {"proof": text.decode()}
