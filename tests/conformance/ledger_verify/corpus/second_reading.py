"""What a stranger found who wrote a verifier from FORMAT.md alone, and what an attacker found after that.

Each case is a place where the text and the verifiers, or two verifiers, once said different things.
"""

import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from conformance.ledger_verify.corpus.case import Case, Failures
from conformance.ledger_verify.corpus.damage import altered
from conformance.ledger_verify.corpus.insiders import witness
from conformance.ledger_verify.corpus.key_events import rotate
from conformance.ledger_verify.corpus.memory_log import MemoryLog, signer
from conformance.ledger_verify.corpus.outsiders import PACKET
from conformance.ledger_verify.corpus.receipts import RECEIPT, dumped, receipt_of
from conformance.ledger_verify.corpus.story import (
    assign,
    begin,
    create,
    genesis,
    owner,
    packet,
    tell,
)
from conformance.ledger_verify.corpus.tools import Export, Line, stolen

from pfgov_ledger import checkpoint, keys, lifecycle, note, strict64
from pfgov_ledger.reader import GZIP_HEADER

HOSTILE = "\x1b[2J\x1b[H\u202ePASSED\u2066\x85\u2028" + "x" * 200
"""What steers a terminal: it clears the screen and turns the direction of writing."""


def cases() -> Iterator[Case]:
    """Every case."""
    log = tell()
    yield from _headers(log)
    yield from _receipts(log)
    yield from _maps_of_names()
    yield from _key_events()
    yield from _custody()
    yield from _order(log)
    yield from _places(log)
    yield from _witnesses(log)
    yield from _texts(log)


def goldens() -> Iterator[tuple[str, str, bytes, dict[str, Any]]]:
    """(name, about, file, what else the case says) of honest files."""
    log = tell()
    yield (
        "packet-and-more",
        "A packet, and the whole history of a member that it does not name.",
        _more(log),
        {},
    )
    export = Export(log.full())
    old, new = _cosigned(log, 1_782_000_000, 1_782_331_200)
    export.set_note(old)
    trusted = (str(keys.vkey_of(witness())),)
    asked: dict[str, Any] = {
        "witnesses": trusted, "quorum": 1, "max_age": 86_400, "now": 1_782_331_260,
    }  # fmt: skip
    yield (
        "witnessed-twice",
        "One witness cosigned twice, the older line first.",
        export.build(),
        asked,
    )
    export.set_note(new)
    yield "witness-ahead", "The witness's clock is two minutes ahead.", export.build(), asked | {
        "now": 1_782_331_080
    }  # fmt: skip
    ended, policy = begin()
    create(ended, "fp-001")
    assign(ended, "fp-001", owner("agent-a"), 1, policy)
    packet(ended, "fp-001", "packet_cancelled", epoch=1, cause="owner")
    ended.commit_index()
    yield "cancelled", "A cancellation that names no owner.", ended.of(PACKET), {}
    export = Export(log.full())
    unknown = note.signature_line("\ufeffx\u200b", b"\0\1\2\3", bytes(64)).encode()
    export.set_note(log.latest_checkpoint() + unknown)
    changed = Export(log.full())
    altered(changed, 5)
    altered(changed, 7)
    yield (
        "altered",
        "Two payloads do not open their commitments any more where the exporter keeps them.",
        changed.build(),
        {},
    )
    yield (
        "unknown-signer",
        "An unknown key whose name begins with U+FEFF signed, too.",
        export.build(),
        {},
    )


def _cosigned(log: MemoryLog, older: int, newer: int) -> tuple[bytes, bytes]:
    once = checkpoint.cosign(log.latest_checkpoint(), witness(), time=older)
    return (
        checkpoint.cosign(once, witness(), time=newer),
        checkpoint.cosign(log.latest_checkpoint(), witness(), time=newer),
    )


def _more(log: MemoryLog) -> bytes:
    """The export of a packet, merged with the entries and the map proof of a member's."""
    export, member = Export(log.of("packet/fp-003")), Export(log.of("member/agent-b"))
    blocks: dict[int, list[Line]] = {}
    for lines in (member.lines, export.lines):
        for line in lines[1:]:
            if "e" in line:
                at: int = json.loads(strict64.decode(line["e"]))["seq"]
                blocks[at] = [line]
            elif "data" in line:
                blocks[at].append(line)
    maps = {line["subject"]: line for line in [*member.lines, *export.lines] if "map" in line}
    export.lines = [
        export.lines[0],
        *(line for seq in sorted(blocks) for line in blocks[seq]),
        *(maps[name] for name in sorted(maps)),
        export.tail("checkpoint"),
    ]
    return export.build()


def _headers(log: MemoryLog) -> Iterator[Case]:
    for name, data, changed, size in (
        ("subject_start", log.of(PACKET), {"start": 1}, 26),
        ("subject_stop", log.of(PACKET), {"stop": 25}, 26),
        ("range_backwards", log.range(0, 1), {"start": 25, "stop": 3}, 26),
        ("range_beyond", log.range(20, 26), {"stop": 27}, 26),
    ):
        export = Export(data)
        export.lines[0].update(changed)
        failed: Failures = {"integrity": ("header_mismatch", size)}
        if name == "range_beyond":
            failed = {"integrity": ("sequence", 26)}
        yield Case(
            "sequence" if name == "range_beyond" else "header_mismatch", name,
            "A header whose range is not what its kind calls for.", export.build(), failed,
        )  # fmt: skip
    for name, data, subject in (
        ("full_with_number", log.full(), 5),
        ("full_with_subject", log.full(), PACKET),
        ("range_with_text", log.range(5, 9), "nothing"),
    ):
        export = Export(data)
        export.lines[0]["subject"] = subject
        yield Case(
            "not_an_export", name, "A header that names a subject although its kind has none.",
            export.build(), {"integrity": ("not_an_export", 0)},
        )  # fmt: skip
    export = Export(log.full())
    export.lines.insert(4, dict(export.lines[0], lineage=True))
    yield Case(
        "version_unknown", "second_header_true", "A second header, whose version is true.",
        export.build(), {"integrity": ("version_unknown", 2)},
    )  # fmt: skip
    export = Export(log.full())
    export.lines.insert(4, dict(export.lines[0]))
    yield Case(
        "line_malformed", "second_header", "A second header.", export.build(),
        {"integrity": ("line_malformed", 2)},
    )  # fmt: skip
    yield Case(
        "other_question", "truncated", "A packet's file, cut short, as the answer about the whole log.",
        log.of(PACKET)[:900], {"completeness": ("other_question", 0)}, question=("full", None),
    )  # fmt: skip


def _receipts(log: MemoryLog) -> Iterator[Case]:
    members = receipt_of(log)
    yield Case(
        "header_mismatch", "receipt_null", "A position that is null.",
        dumped(members | {"position": None}), {"integrity": ("header_mismatch", 13)}, suffix=RECEIPT,
    )  # fmt: skip
    foreign = checkpoint.sign(log.appender.unsigned_checkpoint(), stolen("log", log.origin))
    yield Case(
        "checkpoint_unsigned", "receipt", "A receipt under a checkpoint that the log did not sign.",
        dumped(receipt_of(log, foreign)), {"authenticity": ("checkpoint_unsigned", 26)}, suffix=RECEIPT,
    )  # fmt: skip


def _maps_of_names() -> Iterator[Case]:
    for name, body in (
        ("null_labels", {"labels": None}),
        ("null_labels_nested", {"terms": [{"demand": None}]}),
        ("null_labels_in_command", {"command": {"update": {"capacity": None}}}),
    ):
        log, _ = begin()
        at = log.add("member_updated", "member/agent-a", {"member_id": "agent-a", **body})
        log.commit()
        yield Case(
            "pairs_unsorted", name, "Null where a map of names belongs.", log.full(),
            {"integrity": ("pairs_unsorted", at)},
        )  # fmt: skip


def _key_events() -> Iterator[Case]:
    log, _ = begin()
    message = lifecycle.revocation(
        origin=log.origin, seq=0, prev=log.rows[0].leaf, role="issuer",
        key=log.issuer.public, suspect_from=-1,
    )  # fmt: skip
    body: Line = {
        "key": log.issuer.public.hex(), "role": "issuer", "suspect_from": -1,
        "signatures": [[log.recovery.public.hex(), log.recovery.sign(message).hex()]],
    }  # fmt: skip
    at = log.add("key_revoked", "keys", body)
    log.commit()
    yield Case(
        "entry_shape", "negative_suspect", "A revocation suspects a key from entry -1 on.",
        log.full(), {"authenticity": ("entry_shape", at)},
    )  # fmt: skip
    second = signer("issuer", "log.example/fixture-1/engine-2")
    for role in ("member", "witness"):
        log, _ = begin()
        at = rotate(log, role, None, second, [log.recovery, second])
        log.commit()
        yield Case(
            "key_role", f"rotated_{role}", "A key event for a role that the log itself has no keys of.",
            log.full(), {"authenticity": ("key_role", at)},
        )  # fmt: skip
    for name, about, act in _unsound_events(second):
        log, _ = begin()
        at = act(log)
        log.commit()
        yield Case(
            "signature_invalid",
            name,
            about,
            log.full(),
            {"authenticity": ("signature_invalid", at)},
        )
    log = MemoryLog()
    other = stolen("log", log.origin)
    named = [{"public": k.public.hex(), "role": k.role} for k in (other, log.issuer, log.recovery)]
    genesis(log, keys=named)
    log.commit()
    yield Case(
        "key_unknown", "anchored_key_not_named", "A genesis that names another log key than the anchored one.",
        log.full(), {"authenticity": ("key_unknown", 1)}, anchor="log-key-only.txt",
    )  # fmt: skip


def _unsound_events(
    second: keys.SeedSigner,
) -> Iterator[tuple[str, str, Callable[[MemoryLog], int]]]:
    class Wrong:
        """Signs something else than it is asked to."""

        public = stolen("issuer", "else").public

        @staticmethod
        def sign(message: bytes) -> bytes:
            return stolen("issuer", "else").sign(message + b"!")

    def both(log: MemoryLog) -> int:
        at = rotate(log, "issuer", None, second, [second])
        staged = log.rows[at]
        log.rows[at] = staged._replace(signature=log.issuer.sign(b"something else"))
        return at

    yield (
        "further_signature", "A rotation with all that it needs and a further signature that does not hold.",
        lambda log: rotate(log, "issuer", log.issuer, second, [log.issuer, second, Wrong]),
    )  # fmt: skip
    yield (
        "unauthorised_and_unsigned",
        "A rotation that nobody allowed and the issuer did not sign.",
        both,
    )


def _custody() -> Iterator[Case]:
    log, policy = begin()
    at = log.add("member_recovered", "member/agent-z", {"incarnation": 1, "member_id": "agent-z"})
    create(log, "fp-001")
    assign(log, "fp-001", owner("agent-z"), 1, policy)
    log.commit()
    yield Case(
        "custody_order", "recovered_unregistered", "A member that was never registered comes back and owns a packet.",
        log.full(), {"custody": ("custody_order", at)},
    )  # fmt: skip
    log, policy = begin()
    at = log.add(
        "member_registered", "member/agent-z",
        {"incarnation": 0, "kind": "agent", "member_id": "agent-z", "policy": policy, "principal": "x"},
    )  # fmt: skip
    log.commit()
    yield Case(
        "custody_order", "incarnation_zero", "A first registration in incarnation 0.", log.full(),
        {"custody": ("custody_order", at)},
    )  # fmt: skip
    log, policy = begin()
    create(log, "fp-001")
    assign(log, "fp-001", owner("agent-a"), 1, policy)
    at = packet(log, "fp-001", "packet_failed", epoch=1, cause="owner")
    log.commit()
    yield Case(
        "entry_shape", "failed_by_nobody", "An owner's giving up that names no owner.", log.full(),
        {"custody": ("entry_shape", at)},
    )  # fmt: skip


def _order(log: MemoryLog) -> Iterator[Case]:
    forged = MemoryLog()
    genesis(forged, origin="log.example/another")
    forged.commit()
    export = Export(forged.full())
    export.edit(0, lambda m: m.update(prev="11" * 32), forged.issuer)
    export.remerkle(forged.log_key)
    yield Case(
        "genesis_mismatch", "and_a_broken_chain",
        "A first entry that is not the anchored one and says that it follows another.",
        export.build(), {"authenticity": ("genesis_mismatch", 0), "integrity": ("chain_broken", 0)},
    )  # fmt: skip
    export = Export(log.full())
    export.edit(0, lambda m: m.update(time=1), stolen("issuer", "thief"))
    yield Case(
        "genesis_mismatch", "and_unsigned", "A first entry that is not the anchored one, unsigned by its issuer.",
        export.build(), {"authenticity": ("genesis_mismatch", 0), "integrity": ("chain_broken", 1)},
    )  # fmt: skip
    export = Export(log.full())
    line = export.line_of(20)
    raw = strict64.decode(line["e"]).replace(b'"seq":20', b'"seq":9007199254740993')
    export.put(line, raw, log.issuer)
    yield Case(
        "integer_range", "seq_two_to_53", "A seq beyond what is exact, that does not fit its command either.",
        export.build(), {"integrity": ("integer_range", 20)},
    )  # fmt: skip
    export = Export(log.full())
    line = export.line_of(20)
    raw = strict64.decode(line["e"]).replace(b'"type":"packet_completed"', b'"type":"constructor"')
    export.put(line, raw, log.issuer)
    yield Case(
        "event_unknown", "constructor", "A type that is a name of the language that a verifier is written in.",
        export.build(), {"integrity": ("event_unknown", 20)},
    )  # fmt: skip


def _places(log: MemoryLog) -> Iterator[Case]:
    export = Export(log.of("policy"))
    proof = export.tail("map")
    export.lines.remove(proof)
    export.lines.insert(1, proof)
    yield Case(
        "line_malformed", "map_before_entries", "A map proof on the second line.", export.build(),
        {"completeness": ("subject_map_proof", 25), "integrity": ("line_malformed", 0)},
    )  # fmt: skip
    export = Export(log.of("policy"))
    export.drop(25)
    yield Case(
        "subject_map_proof", "no_index_entry", "The entry that commits the map is left out.", export.build(),
        {"completeness": ("subject_map_proof", 25)},
    )  # fmt: skip
    foreign = Export(log.of("policy"))
    line = foreign.line_of(10)
    raw = strict64.decode(line["e"]).replace(
        b'"log":"log.example/fixture-1"', b'"log":"log.example/fixture-2"'
    )
    foreign.put(line, raw, log.issuer)
    yield Case(
        "origin_mismatch", "entry_in_history", "An entry of another log in a history with gaps.", foreign.build(),
        {"integrity": ("origin_mismatch", 10)},
    )  # fmt: skip

    export = Export(log.range(20, 26))
    export.line_of(25)["s"] = export.line_of(24)["s"]
    export.tail("map")["map"]["leaf"] = "00" * 32
    yield Case(
        "signature_invalid", "and_a_map_proof", "The entry that commits the map is unsigned, a proof leads elsewhere.",
        export.build(), {"authenticity": ("signature_invalid", 25)},
    )  # fmt: skip
    export = Export(log.full())
    export.edit(20, lambda m: m.update(subject_seq=9), log.issuer)
    yield Case(
        "subject_sequence", "number_skipped", "An entry says that it is another one of its subject's.", export.build(),
        {"integrity": ("subject_sequence", 20)},
    )  # fmt: skip
    export = Export(log.full())
    export.set_note(log.latest_checkpoint().replace(b"\n\n", b"\n"))
    yield Case(
        "note_malformed", "no_empty_line", "A checkpoint whose text and signatures stand in one.", export.build(),
        {"integrity": ("note_malformed", 26)},
    )  # fmt: skip
    export = Export(log.full())
    export.set_note(
        note.sign(f"{log.origin}\n026\n{strict64.encode(bytes(32))}\n".encode(), [log.log_key])
    )
    yield Case(
        "checkpoint_malformed", "padded_size", "A checkpoint whose size begins with 0.", export.build(),
        {"integrity": ("checkpoint_malformed", 26)},
    )  # fmt: skip


def _witnesses(log: MemoryLog) -> Iterator[Case]:
    export = Export(log.full())
    export.set_note(_cosigned(log, 1_782_331_200, 1_782_999_999)[1])
    trusted = (str(keys.vkey_of(witness())),)
    yield Case(
        "not_checked", "future_cosignature", "A cosignature from a week ahead says nothing of the age.",
        export.build(), {}, 4, witnesses=trusted, quorum=1, max_age=86_400, now=1_782_331_260,
    )  # fmt: skip
    yield Case(
        "not_checked", "remembered_unsigned", "A remembered checkpoint that no key of the log signed.",
        log.full(), {}, 4, remember="remembered-unsigned.note",
    )  # fmt: skip

    before, _ = _rotated()
    yield Case(
        "rollback", "retired_signer",
        "A checkpoint by a log key that was rotated out, smaller than one by the key that follows it.",
        before, {"authenticity": ("key_retired", 6), "freshness": ("rollback", 6)},
        remember="remembered-rotated.note",
    )  # fmt: skip


def _rotated() -> tuple[bytes, bytes]:
    """An export under the log key that its last entry rotates out, and a later checkpoint under the new one."""
    log, _ = begin()
    old, new = log.log_key, keys.SeedSigner(role="log", name=log.origin, seed=b"\x07" * 32)
    rotate(log, "log", old, new, [old, new])
    log.commit()
    before = log.full()
    log.sign_with(log.issuer, new)
    create(log, "fp-001")
    return before, log.commit()


def rotated_note() -> bytes:
    """A checkpoint under a log key that the log rotated to."""
    return _rotated()[1]


def _texts(log: MemoryLog) -> Iterator[Case]:
    odd, _ = begin()
    create(odd, "fp-001", b"{}")
    context: Any = json.loads(odd.rows[-1].raw)["body"]["context"]
    del odd.payloads[context["digest"]]
    odd.add(
        "attachment_erased", PACKET,
        {"commitment": context["digest"], "subject": PACKET, "why": HOSTILE},
    )  # fmt: skip
    at = packet(odd, "fp-001", "packet_completed", epoch=HOSTILE, owner=owner(HOSTILE))
    odd.commit()
    yield Case(
        "not_owner", "hostile_text", "Texts that steer a terminal, in an erasure and in an owner's name.",
        odd.full(), {"custody": ("not_owner", at)},
    )  # fmt: skip
    yield Case(
        "gzip_malformed", "no_distance_code", "A block that refers back although it has no code for a distance.",
        GZIP_HEADER + _without_distances(), {"integrity": ("gzip_malformed", 0)}, suffix="lineage.jsonl.gz",
    )  # fmt: skip
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(log.full() * 6) + packer.flush(zlib.Z_FULL_FLUSH)
    yield Case(
        "after_trailer", "before_damage", "A second file after the first, and damaged compression far behind both.",
        GZIP_HEADER + packed + b"\x07", {"integrity": ("after_trailer", 26)},
        suffix="lineage.jsonl.gz",
    )  # fmt: skip


def _without_distances() -> bytes:
    """One block with codes for "a", the end and length 3, and one for a distance, whose other half is used."""
    bits: list[int] = []

    def put(value: int, count: int) -> None:
        bits.extend(value >> i & 1 for i in range(count))

    def code(value: int, count: int) -> None:
        bits.extend(value >> i & 1 for i in reversed(range(count)))

    put(1, 1), put(2, 2), put(257 + 1 - 257, 5), put(0, 5), put(18 - 4, 4)
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1)
    for symbol in order:  # the code lengths' code: 18 and 1 with one bit less than 2
        put({18: 1, 1: 2, 2: 2}.get(symbol, 0), 3)

    def zeros(count: int) -> None:
        while count:
            some = min(count, 138)
            code(0, 1), put(some - 11, 7)
            count -= some

    zeros(97), code(0b11, 2)  # "a" has length 2
    zeros(256 - 98), code(0b11, 2), code(0b10, 2)  # the end has length 2, length 3 has length 1
    code(0b10, 2)  # one distance code, of length 1
    code(0b10, 2), code(0, 1), put(1, 1)  # "a", length 3, and the half that has no distance
    bits += [0] * (-len(bits) % 8)
    return bytes(
        sum(bit << i for i, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8)
    )


def unsigned_note(log: MemoryLog) -> bytes:
    """A larger checkpoint than the log has, signed by a thief under the log's name."""
    claimed = checkpoint.Checkpoint(log.origin, 30, bytes(32))
    return note.sign(claimed.text(), [stolen("log", log.origin)])
