"""Attacks by people who hold keys: the operator, thieves of one key, and honest logs turned false.

What an insider writes is signed, so only meaning is left to check: key events, custody, time, the
committed map, canonical bytes, and what the reader remembers.
"""

from collections.abc import Callable, Iterator

from conformance.ledger_verify.corpus.case import Case
from conformance.ledger_verify.corpus.key_events import rotate
from conformance.ledger_verify.corpus.memory_log import MemoryLog, signer
from conformance.ledger_verify.corpus.outsiders import PACKET, to_agent_b
from conformance.ledger_verify.corpus.story import (
    assign,
    begin,
    genesis,
    owner,
    register,
    tell,
)
from conformance.ledger_verify.corpus.tools import Export, Line, stolen

from pfgov_ledger import checkpoint, keys, note, strict64


def cases() -> Iterator[Case]:
    """Every attack with keys."""
    yield from _thieves()
    yield from _meaning()
    yield from _views()


# --- keys ------------------------------------------------------------------------------------


def _thieves() -> Iterator[Case]:
    log = tell()
    forged = MemoryLog()
    forged.issuer = stolen("issuer", "thief")
    forged.recovery = stolen("recovery", "thief")
    forged.sign_with(forged.issuer)
    genesis(forged)
    register(forged, "agent-x", "00" * 32)
    forged.commit()
    yield Case(
        "genesis_mismatch",
        "stolen_log_key",
        "A whole new log under the stolen log key.",
        forged.full(),
        {"authenticity": ("genesis_mismatch", 0)},
    )
    export = Export(log.full())
    export.edit(13, to_agent_b)
    export.rechain(14)
    export.remerkle(log.log_key)
    yield Case(
        "signature_invalid",
        "stolen_log_key_edit",
        "Entry 13 is edited and everything mended with the stolen log key; the issuer's is not there.",
        export.build(),
        {
            "authenticity": ("signature_invalid", 13),
            "completeness": ("index_mismatch", 19),
            "custody": ("not_owner", 20),
        },
    )
    export = Export(log.full())
    export.edit(24, lambda m: m["body"].update(outcome="denied"), stolen("issuer", "thief"))
    export.rechain(25, stolen("issuer", "thief"))
    export.remerkle(log.log_key)
    yield Case(
        "signature_invalid",
        "verdict_flipped",
        "A verdict is flipped and signed again by somebody who is not the issuer.",
        export.build(),
        {"authenticity": ("signature_invalid", 24), "completeness": ("index_mismatch", 25)},
    )
    export = Export(log.full())

    def as_log_key(members: Line) -> None:
        members["issuer"] = keys.key_id(log.log_key.public)

    export.edit(24, as_log_key, log.log_key)
    export.rechain(25, log.issuer)
    export.remerkle(log.log_key)
    yield Case(
        "key_role",
        "log_key_as_issuer",
        "The log key signs an entry.",
        export.build(),
        {"authenticity": ("key_role", 24), "completeness": ("index_mismatch", 25)},
    )
    export = Export(log.full())
    export.set_note(checkpoint.sign(log.appender.unsigned_checkpoint(), stolen("log", log.origin)))
    yield Case(
        "checkpoint_unsigned",
        "foreign_log_key",
        "The checkpoint is signed by a key of the log's name that the reader does not know.",
        export.build(),
        {"authenticity": ("checkpoint_unsigned", 26)},
    )
    fake = MemoryLog()
    fake.issuer, fake.recovery = stolen("issuer", "x"), stolen("recovery", "x")
    fake.sign_with(fake.issuer)
    genesis(fake)
    thief = stolen("log", fake.origin)
    rotate(fake, "log", None, thief, [fake.recovery, thief])
    fake.sign_with(fake.issuer, thief)
    fake.commit()
    yield Case(
        "checkpoint_unsigned",
        "log_key_only_recovery",
        "With the log key alone pinned, a forged genesis lends its own recovery key to add a log key.",
        fake.full(),
        {"authenticity": ("checkpoint_unsigned", 2)},
        anchor="log-key-only.txt",
    )


# --- meaning ---------------------------------------------------------------------------------


def resigned(
    log: MemoryLog, seq: int, change: Callable[[Line], None], *, is_indexed: bool = False
) -> bytes:
    """The full export with entry *seq* changed and everything after it signed anew."""
    export = Export(log.full())
    export.edit(seq, change, log.issuer)
    export.rechain(seq + 1, log.issuer)
    if is_indexed:
        reindex(export, log)
    export.remerkle(log.log_key)
    return export.build()


def reindex(export: Export, log: MemoryLog) -> None:
    """Make every committed map right again, signing anew."""
    from pfgov_ledger import entry, subject_map

    whole = subject_map.SubjectMap()
    for number, line in enumerate(export.entries()):
        of = entry.parse(strict64.decode(line["e"]))
        if of.type == "index_committed":
            root = whole.root().hex()
            export.edit(number, lambda m, root=root: m["body"].update(root=root), log.issuer)
            export.rechain(number + 1, log.issuer)
            of = entry.parse(strict64.decode(line["e"]))
        whole.update(of.subject, of.subject_seq, of.leaf)


def _meaning() -> Iterator[Case]:
    log = tell()
    yield Case(
        "time_decreased",
        "time_going_back",
        "Entry 13 says that it is earlier than entry 12.",
        resigned(log, 13, lambda m: m.update(time=m["time"] - 10_000), is_indexed=True),
        {"integrity": ("time_decreased", 13)},
    )
    yield Case(
        "subject_mismatch",
        "wrong_subject",
        "An event of fp-002 is filed under fp-001.",
        resigned(log, 15, lambda m: m.update(subject=PACKET), is_indexed=True),
        {"integrity": ("subject_mismatch", 15)},
    )
    yield Case(
        "event_unknown",
        "unknown_event",
        "An event that is not in the vocabulary.",
        resigned(log, 15, lambda m: m.update(type="packet_stolen"), is_indexed=True),
        {"integrity": ("event_unknown", 15)},
    )
    yield Case(
        "command_reference",
        "foreign_command",
        "An entry says that it belongs to a command that is not the one before it.",
        resigned(log, 21, lambda m: m.update(command={"index": 2, "seq": 19}), is_indexed=True),
        {"integrity": ("command_reference", 21)},
    )
    yield Case(
        "term_decreased",
        "term_going_back",
        "Entry 13 has a higher term than the one after it.",
        resigned(log, 13, lambda m: m.update(term=1), is_indexed=True),
        {"integrity": ("term_decreased", 14)},
    )
    export = Export(log.full())
    export.edit(13, lambda m: m.update(subject_prev="11" * 32), log.issuer)
    yield Case(
        "subject_chain_broken",
        "subject_prev",
        "Entry 13 does not name the packet's entry before it.",
        export.build(),
        {"integrity": ("subject_chain_broken", 13)},
    )
    export = Export(log.full())
    export.edit(0, lambda m: m.update(prev="11" * 32), log.issuer)
    yield Case(
        "chain_broken",
        "genesis_prev",
        "Genesis names an entry before it.",
        export.build(),
        {"integrity": ("chain_broken", 0)},
        anchor="log-key-only.txt",
    )
    yield from _lying_history()
    honest = tell()
    export = Export(honest.full())
    hidden = honest.map_at(21).root().hex()
    export.edit(25, lambda m: m["body"].update(root=hidden), honest.issuer)
    export.remerkle(honest.log_key)
    yield Case(
        "index_mismatch",
        "lying_index",
        "The committed map hides the last entries.",
        export.build(),
        {"completeness": ("index_mismatch", 25)},
    )
    export = Export(honest.full())
    export.set_note(note.sign(signed_text(honest) + b"an extension\n", [honest.log_key]))
    yield Case(
        "checkpoint_extension",
        "signed_extension",
        "A checkpoint with a line more, signed by the log.",
        export.build(),
        {"integrity": ("checkpoint_extension", 26)},
    )
    other = honest.commitment(PACKET, "context", b"{}")
    log, policy = begin()
    body: Line = {
        "constraints": {},
        "context": other,
        "created_at": log.time,
        "handoff": {},
        "lineage_id": "lineage-1",
        "packet_id": "fp-001",
        "workload_type": "summarise",
    }
    log.payloads.update(honest.payloads)
    log.add("packet_created", PACKET, body)
    assign(log, "fp-001", owner("agent-a"), 1, policy)
    log.add(
        "handoff_started",
        PACKET,
        {
            "deadline": log.time,
            "decision": {},
            "epoch": 1,
            "packet_id": "fp-001",
            "reason": "requested",
            "source": owner("agent-a"),
            "target": owner("agent-b"),
            "view": other,
        },
    )
    log.commit()
    export = Export(log.full())
    moved = dict(export.chunk(5), field="view")
    export.lines.insert(export.after(7), moved)
    yield Case(
        "commitment_mismatch",
        "moved_commitment",
        "A commitment made for one field is used for another.",
        export.build(),
        {"integrity": ("commitment_mismatch", 7)},
    )


def _lying_history() -> Iterator[Case]:
    for name, about, shown_until in (
        (
            "index_hides_last",
            "The committed map hides the packet's last entry; the history shows it.",
            21,
        ),
        (
            "index_names_other",
            "The committed map names another last entry than the history shows.",
            26,
        ),
    ):
        log = tell()
        log.shown_until = shown_until
        if shown_until == 26:
            log.leaf_of = {PACKET: bytes(32)}
        log.commit_index()
        yield Case(
            "subject_map_proof",
            name,
            about,
            log.of(PACKET),
            {"completeness": ("subject_map_proof", 26)},
        )


def signed_text(log: MemoryLog) -> bytes:
    """The text of the log's checkpoint."""
    return log.appender.unsigned_checkpoint().text()


# --- views -----------------------------------------------------------------------------------


def witness() -> keys.SeedSigner:
    """A witness whom the reader trusts."""
    return signer("witness", "witness.example/w1")


def _views() -> Iterator[Case]:
    log = tell()
    vkey = str(keys.vkey_of(witness()))
    export = Export(log.full())
    export.set_note(checkpoint.cosign(log.latest_checkpoint(), witness(), time=1_782_331_200))
    cosigned = export.build()
    yield Case(
        "stale",
        "stale_checkpoint",
        "The newest cosignature is two days old; the reader accepts one.",
        cosigned,
        {"freshness": ("stale", 26)},
        witnesses=(vkey,),
        quorum=1,
        max_age=86_400,
        now=1_782_331_200 + 172_800,
    )
    yield Case(
        "not_checked",
        "no_cosignature",
        "The reader asks for a witness and there is none.",
        log.full(),
        {},
        exit_status=4,
        witnesses=(vkey,),
        quorum=1,
    )
    forged = Export(cosigned)
    text: str = forged.tail("checkpoint")["checkpoint"]
    lines = text.rstrip("\n").split("\n")
    name, _, encoded = lines[-1].rpartition(" ")
    raw = bytearray(strict64.decode(encoded))
    raw[11] ^= 1
    forged.set_note(
        ("\n".join([*lines[:-1], f"{name} {strict64.encode(bytes(raw))}"]) + "\n").encode()
    )
    yield Case(
        "checkpoint_signature",
        "cosignature_time",
        "The time of a cosignature is changed.",
        forged.build(),
        {"authenticity": ("checkpoint_signature", 26)},
        witnesses=(vkey,),
        quorum=1,
    )
    yield Case(
        "origin_mismatch",
        "remembered_another_log",
        "The checkpoint that the reader remembers is that of another log with the same key.",
        log.full(),
        {"non_equivocation": ("origin_mismatch", 26)},
        remember="remembered-another.note",
    )
    other = Export(log.full())
    other.edit(24, lambda m: m["body"].update(outcome="denied"), log.issuer)
    other.rechain(25, log.issuer)
    reindex(other, log)
    other.remerkle(log.log_key)
    yield Case(
        "fork_same_size",
        "fork_same_size",
        "The operator shows another history of the same size.",
        other.build(),
        {"non_equivocation": ("fork_same_size", 26)},
        remember="remembered-26.note",
    )
    other = Export(log.full())
    other.edit(13, lambda m: m["body"].update(reason="rewritten"), log.issuer)
    other.rechain(14, log.issuer)
    reindex(other, log)
    other.remerkle(log.log_key)
    yield Case(
        "fork",
        "fork_larger",
        "The operator shows a longer history that does not continue the remembered one.",
        other.build(),
        {"non_equivocation": ("fork", 20)},
        remember="remembered-20.note",
    )
    export = Export(log.of(PACKET, since=20))
    path = export.tail("consistency")["consistency"]
    path[0] = strict64.encode(bytes(32))
    yield Case(
        "fork",
        "forged_consistency",
        "A packet's history with a forged proof that the log only grew.",
        export.build(),
        {"non_equivocation": ("fork", 20)},
        remember="remembered-20.note",
    )
    yield Case(
        "not_checked",
        "no_consistency_proof",
        "The reader remembers a checkpoint; the file does not show that the log continues it.",
        log.of(PACKET),
        {},
        exit_status=4,
        remember="remembered-20.note",
    )
