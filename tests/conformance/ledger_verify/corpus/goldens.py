"""Honest files that every later release must still accept, each with the report it must give."""

from collections.abc import Iterator

from conformance.ledger_verify.corpus import second_reading
from conformance.ledger_verify.corpus.case import Case
from conformance.ledger_verify.corpus.damage import zipped
from conformance.ledger_verify.corpus.insiders import witness
from conformance.ledger_verify.corpus.key_events import rotated
from conformance.ledger_verify.corpus.memory_log import MemoryLog
from conformance.ledger_verify.corpus.outsiders import PACKET, older_of
from conformance.ledger_verify.corpus.receipts import dumped, receipt_of
from conformance.ledger_verify.corpus.story import tell
from conformance.ledger_verify.corpus.tools import Export

from pfgov_ledger import checkpoint, keys, proof, receipt

GENERATION = "v1"
"""The folder of goldens that this release writes; later releases add folders, never change one."""


def cases() -> Iterator[Case]:
    """Every honest file."""
    log = tell()
    full = log.full()
    yield _case("full", "A whole log.", full)
    yield _case("full-asked", "A whole log, asked for.", full, question=("full", None))
    yield _case(
        "full-for-packet", "A whole log answers for a packet.", full, question=("subject", PACKET)
    )
    yield _case("full-gzip", "A whole log, compressed.", zipped(full), suffix="lineage.jsonl.gz")
    yield _case(
        "full-log-key-only", "With the log key alone pinned.", full, anchor="log-key-only.txt"
    )
    yield _case("full-quick", "Without entry signatures.", full, quick=True)
    yield _case("older", "The log as it was.", older_of(log, 20))
    yield _case("grown", "A log that grew since.", full, remember="remembered-20.note")
    yield _case("unchanged", "A log that did not grow.", full, remember="remembered-26.note")
    for name in ("fp-001", "fp-002"):
        subject = f"packet/{name}"
        yield _case(f"packet-{name}", "A packet.", log.of(subject), question=("subject", subject))
    yield _case(
        "packet-absent",
        "A packet that is not there.",
        log.of("packet/fp-009"),
        question=("subject", "packet/fp-009"),
    )
    yield _case(
        "packet-since",
        "A packet, with proof of growth.",
        log.of(PACKET, since=20),
        remember="remembered-20.note",
    )
    yield _case(
        "member", "A member.", log.of("member/agent-a"), question=("subject", "member/agent-a")
    )
    yield _case("policy", "The policy's history.", log.of("policy"))
    yield _case("range", "Five entries.", log.range(7, 12), question=("range", None))
    changed = rotated()
    yield _case("keys-full", "A log whose keys changed.", changed.full())
    yield _case("keys-packet", "A packet under changed keys.", changed.of(PACKET))
    yield _case("keys-history", "The history of the keys.", changed.of("keys"))
    export = Export(full)
    export.set_note(checkpoint.cosign(log.latest_checkpoint(), witness(), time=1_782_331_200))
    yield _case(
        "witnessed",
        "A cosigned checkpoint.",
        export.build(),
        witnesses=(str(keys.vkey_of(witness())),),
        quorum=1,
        max_age=86_400,
        now=1_782_331_260,
    )
    yield from _receipts(log)
    for name, about, data, more in second_reading.goldens():
        yield _case(name, about, data, **more)


def _case(name: str, about: str, data: bytes, **more: object) -> Case:
    return Case(GENERATION, name, about, data, {}, 0, **more)  # type: ignore[arg-type]


def _receipts(log: MemoryLog) -> Iterator[Case]:
    row = log.rows[13]
    extra = receipt.write_extra(row.raw, row.signature or b"", log.issuer.public)
    text = proof.write(proof.make(log.tree(), 13, log.latest_checkpoint(), extra=extra))
    yield _case("entry-13", "A proof of one entry.", text, suffix="tlog-proof")
    inner = proof.write(
        proof.make(
            log.tree(),
            13,
            log.latest_checkpoint(),
            extra=receipt.write_extra(row.raw, row.signature or b"", None),
        )
    )
    whole = receipt.write(row.raw, row.signature or b"", issuer=log.issuer.public, proof=inner)
    yield _case("entry-13", "A receipt with a proof.", whole, suffix="receipt.json")
    answer = dumped({"events": [], "receipt": receipt_of(log), "result": {"kind": 1.5}})
    yield _case(
        "answer-13",
        "A server's answer, its members in another order, indented.",
        b"\r\n" + b"\t" * 70 + answer,
        suffix="receipt.json",
    )
    yield _case(
        "unchanged-13",
        "A receipt under the remembered checkpoint.",
        answer,
        remember="remembered-26.note",
        suffix="receipt.json",
    )
    cosigned = checkpoint.cosign(log.latest_checkpoint(), witness(), time=1_782_331_200)
    yield _case(
        "witnessed-13",
        "A receipt under a cosigned checkpoint.",
        dumped(receipt_of(log, cosigned)),
        witnesses=(str(keys.vkey_of(witness())),),
        quorum=1,
        max_age=86_400,
        now=1_782_331_260,
        suffix="receipt.json",
    )
