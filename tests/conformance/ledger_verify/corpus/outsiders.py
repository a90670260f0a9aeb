"""Attacks by people without keys: they hold an export and change it, or answer another question."""

from collections.abc import Iterator

from conformance.ledger_verify.corpus.case import Case
from conformance.ledger_verify.corpus.memory_log import MemoryLog
from conformance.ledger_verify.corpus.story import assign, begin, create, owner, packet, tell
from conformance.ledger_verify.corpus.tools import Export, Line, members_of, stolen

from pfgov_ledger import canonical, keys, strict64
from pfgov_ledger.ed25519 import L

PACKET = "packet/fp-001"


def to_agent_b(members: Line) -> None:
    """The lie that most attacks tell: somebody else got the packet."""
    members["body"]["owner"]["member_id"] = "agent-b"


def cases() -> Iterator[Case]:
    """Every attack without keys."""
    log = tell()
    yield from _entries(log)
    yield from _signatures(log)
    yield from _ends(log)
    yield from _splices(log)
    yield from _subjects(log)


def _entries(log: MemoryLog) -> Iterator[Case]:
    export = Export(log.full())
    export.edit(13, to_agent_b)
    yield Case(
        "signature_invalid",
        "edit",
        "Entry 13 gives the packet to somebody else.",
        export.build(),
        {"integrity": ("chain_broken", 14), "authenticity": ("signature_invalid", 13)},
    )
    export = Export(log.full())
    export.drop(16)
    yield Case(
        "sequence",
        "delete",
        "Entry 16 is left out.",
        export.build(),
        {"integrity": ("sequence", 16)},
    )
    export = Export(log.full())
    forged: Line = dict(export.line_of(9))
    members = members_of(export.line_of(10))
    members["body"]["digest"] = "00" * 32
    export.put(forged, canonical.encode(members))
    export.lines.insert(export.after(9), forged)
    yield Case(
        "signature_invalid",
        "insert",
        "A forged activation is put before entry 10.",
        export.build(),
        {"integrity": ("sequence", 11), "authenticity": ("signature_invalid", 10)},
    )
    export = Export(log.full())
    a, b = (export.lines.index(export.line_of(seq)) for seq in (15, 17))
    export.lines[a], export.lines[b] = export.lines[b], export.lines[a]
    yield Case(
        "sequence",
        "reorder",
        "Entries 15 and 17 change places.",
        export.build(),
        {"integrity": ("sequence", 15)},
    )
    export = Export(log.full())
    export.lines.insert(export.after(9), dict(export.line_of(9)))
    yield Case(
        "sequence",
        "duplicate",
        "Entry 9 stands twice.",
        export.build(),
        {"integrity": ("sequence", 10)},
    )
    export = Export(log.full())
    export.edit(13, to_agent_b)
    export.rechain(14)
    yield Case(
        "root_mismatch",
        "edit_rechain",
        "Entry 13 is edited and every later link mended, without keys.",
        export.build(),
        {
            "integrity": ("root_mismatch", 26),
            "authenticity": ("signature_invalid", 13),
            "completeness": ("index_mismatch", 19),
            "custody": ("not_owner", 20),
        },
    )
    export.remerkle(stolen("log", log.origin))
    yield Case(
        "signature_invalid",
        "edit_rechain_remerkle",
        "As before, with a checkpoint that fits, signed by a key of the attacker's own.",
        export.build(),
        {
            "authenticity": ("signature_invalid", 13),
            "completeness": ("index_mismatch", 19),
            "custody": ("not_owner", 20),
        },
    )


def _signatures(log: MemoryLog) -> Iterator[Case]:
    export = Export(log.full())
    export.line_of(9)["s"] = ""
    yield Case(
        "signature_missing",
        "strip_one",
        "The signature of entry 9 is taken away.",
        export.build(),
        {"authenticity": ("signature_missing", 9)},
    )
    export = Export(log.full())
    for line in export.entries():
        line["s"] = ""
    yield Case(
        "signature_missing",
        "strip_all",
        "Every signature is taken away.",
        export.build(),
        {"authenticity": ("signature_missing", 0)},
    )
    export = Export(log.full())
    signature = strict64.decode(export.line_of(9)["s"])
    scalar = int.from_bytes(signature[32:], "little") + L
    export.line_of(9)["s"] = strict64.encode(signature[:32] + scalar.to_bytes(32, "little"))
    yield Case(
        "signature_non_canonical",
        "scalar_plus_order",
        "The group order is added to S: lax libraries accept it.",
        export.build(),
        {"authenticity": ("signature_non_canonical", 9)},
    )
    thief = stolen("issuer", "thief")

    def swap(members: Line) -> None:
        members["issuer"] = keys.key_id(thief.public)

    export = Export(log.full())
    export.edit(13, swap, thief)
    yield Case(
        "key_unknown",
        "swap_issuer",
        "Entry 13 names and is signed by a key that nobody introduced.",
        export.build(),
        {"integrity": ("chain_broken", 14), "authenticity": ("key_unknown", 13)},
    )


def _ends(log: MemoryLog) -> Iterator[Case]:
    export = Export(log.full())
    for seq in (25, 24, 23):
        export.drop(seq)
    yield Case(
        "tail_missing",
        "truncate_tail",
        "The last three entries are left out; the checkpoint stays.",
        export.build(),
        {"completeness": ("tail_missing", 23)},
    )
    older = older_of(log, 20)
    yield Case(
        "rollback",
        "truncate_to_older_checkpoint",
        "The log as it was at entry 20; the reader remembers 26.",
        older,
        {"freshness": ("rollback", 20)},
        remember="remembered-26.note",
    )
    export = Export(log.full())
    export.set_note(log.notes[20])
    yield Case(
        "beyond_checkpoint",
        "older_checkpoint",
        "All entries, but a checkpoint that does not cover the last six.",
        export.build(),
        {"integrity": ("header_mismatch", 20), "completeness": ("beyond_checkpoint", 20)},
    )
    export = Export(log.full())
    export.drop(0)
    export.drop(1)
    yield from _headers(log)
    yield Case(
        "head_missing",
        "truncate_head",
        "The first two entries are left out.",
        export.build(),
        {"integrity": ("head_missing", 0)},
    )
    export = Export(log.full())
    export.lines = [export.lines[0], export.tail("checkpoint")]
    yield Case(
        "empty", "no_entries", "No entry at all.", export.build(), {"integrity": ("empty", 0)}
    )
    yield Case("empty", "no_bytes", "A file of no bytes.", b"", {"integrity": ("empty", 0)})
    export = Export(log.full())
    export.lines.remove(export.tail("checkpoint"))
    yield Case(
        "checkpoint_missing",
        "no_checkpoint",
        "The checkpoint is left out.",
        export.build(),
        {"integrity": ("checkpoint_missing", 26)},
    )
    text = log.latest_checkpoint().decode()
    export = Export(log.full())
    export.set_note(text.replace("\n26\n", "\n27\n").encode())
    export.resize(27)
    yield Case(
        "checkpoint_signature",
        "checkpoint_size",
        "The checkpoint's size is changed.",
        export.build(),
        {"authenticity": ("checkpoint_signature", 27), "completeness": ("tail_missing", 26)},
    )
    export = Export(log.full())
    other = strict64.encode(bytes(32))
    export.set_note(text.replace(text.split("\n")[2], other).encode())
    yield Case(
        "checkpoint_signature",
        "checkpoint_root",
        "The checkpoint's root is changed.",
        export.build(),
        {"integrity": ("root_mismatch", 26), "authenticity": ("checkpoint_signature", 26)},
    )
    export = Export(log.full())
    export.set_note(text.replace("\n\n", "\nan extension\n\n").encode())
    yield Case(
        "checkpoint_extension",
        "unsigned_extension",
        "A line is added to the checkpoint.",
        export.build(),
        {"integrity": ("checkpoint_extension", 26)},
    )


def older_of(log: MemoryLog, size: int) -> bytes:
    """The full export that was right when the log had *size* entries."""
    export = Export(log.full())
    for seq in range(len(log.rows) - 1, size - 1, -1):
        export.drop(seq)
    export.set_note(log.notes[size])
    export.resize(size)
    return export.build()


def _headers(log: MemoryLog) -> Iterator[Case]:
    export = Export(log.full())
    export.lines[0]["origin"] = "log.example/another"
    yield Case(
        "header_mismatch",
        "header_origin",
        "The header names another log than the entries.",
        export.build(),
        {"integrity": ("header_mismatch", 0)},
    )
    export = Export(log.full())
    export.resize(30)
    yield Case(
        "header_mismatch",
        "header_size",
        "The header promises more entries than the checkpoint counts.",
        export.build(),
        {"integrity": ("header_mismatch", 26)},
    )


def _splices(log: MemoryLog) -> Iterator[Case]:
    other, _ = begin("log.example/fixture-2")
    other.sign_with(log.issuer)
    for number in range(5, 10):
        other.add(
            "member_updated",
            "member/agent-a",
            {"member_id": "agent-a", "region": f"eu-west/{number}"},
        )
    other.commit()
    export = Export(log.full())
    foreign = other.rows[9]
    export.put(export.line_of(9), foreign.raw)
    export.lines[export.lines.index(export.entries()[9])]["s"] = strict64.encode(
        foreign.signature or b""
    )
    yield Case(
        "origin_mismatch",
        "cross_log_splice",
        "Entry 9 of another log by the same issuer, with its good signature.",
        export.build(),
        {"integrity": ("origin_mismatch", 9)},
    )
    yield Case(
        "origin_mismatch",
        "another_log",
        "The whole export of another log.",
        begin("log.example/fixture-2")[0].full(),
        {"authenticity": ("origin_mismatch", 0)},
    )
    export = Export(log.of(PACKET))
    donor = Export(log.of("packet/fp-002"))
    export.lines.insert(export.after(7), donor.line_of(8))
    yield Case(
        "entry_unexpected",
        "cross_subject_splice",
        "The history of one packet holds an entry of another, with its good proof.",
        export.build(),
        {"integrity": ("entry_unexpected", 8)},
    )


def _subjects(log: MemoryLog) -> Iterator[Case]:
    export = Export(log.of(PACKET))
    export.drop(12)
    yield Case(
        "subject_entry_missing",
        "omit_one",
        "The revocation, entry 12, is left out of the packet's history.",
        export.build(),
        {"integrity": ("subject_entry_missing", 13)},
    )
    export = Export(log.of(PACKET))
    export.drop(21)
    yield Case(
        "subject_tail_missing",
        "hide_last",
        "The packet's last entry, the refused write, is left out.",
        export.build(),
        {"completeness": ("subject_tail_missing", 25)},
    )
    export = Export(log.of(PACKET))
    for seq in (5, 6, 7, 12, 13, 20, 21):
        export.drop(seq)
    yield Case(
        "subject_tail_missing",
        "hide_all",
        "The packet's whole history is left out.",
        export.build(),
        {"completeness": ("subject_tail_missing", 25)},
    )
    export = Export(log.of(PACKET))
    absent = Export(log.of("packet/fp-009")).lines
    proof = next(
        line for line in absent if line.get("subject") == "packet/fp-009" and "map" in line
    )
    for seq in (5, 6, 7, 12, 13, 20, 21):
        export.drop(seq)
    for line in export.lines:
        if line.get("subject") == PACKET and "map" in line:
            line["map"] = proof["map"]
    yield Case(
        "subject_map_proof",
        "claim_absence",
        "The packet is said to be absent, with the absence proof of another.",
        export.build(),
        {"completeness": ("subject_map_proof", 25)},
    )
    export = Export(log.of(PACKET))
    export.lines = [line for line in export.lines if line.get("subject") != "keys"]
    yield Case(
        "subject_map_proof",
        "no_keys_proof",
        "The proof that no key event is hidden is left out.",
        export.build(),
        {"completeness": ("subject_map_proof", 25)},
    )
    yield from _histories_beside(log)
    yield Case(
        "other_question",
        "another_packet",
        "The reader asks for fp-001 and gets fp-002.",
        log.of("packet/fp-002"),
        {"completeness": ("other_question", 0)},
        question=("subject", PACKET),
    )
    yield Case(
        "other_question",
        "part_for_whole",
        "The reader asks for the whole log and gets one packet.",
        log.of(PACKET),
        {"completeness": ("other_question", 0)},
        question=("full", None),
    )
    export = Export(log.of(PACKET))
    path = export.line_of(13)["p"]
    path[0], path[1] = path[1], path[0]
    yield Case(
        "inclusion_invalid",
        "edit_proof",
        "Two hashes of an inclusion proof change places.",
        export.build(),
        {"integrity": ("inclusion_invalid", 13)},
    )
    export = Export(log.of(PACKET))
    export.edit(20, lambda members: members.update(time=members["time"] + 1))
    yield Case(
        "inclusion_invalid",
        "edit_in_history",
        "An entry in a packet's history is edited.",
        export.build(),
        {
            "integrity": ("inclusion_invalid", 20),
            "authenticity": ("signature_invalid", 20),
        },
    )
    export = Export(log.range(5, 9))
    export.drop(8)
    yield Case(
        "sequence",
        "range_cut_short",
        "The last entry of a range is left out.",
        export.build(),
        {"integrity": ("sequence", 8)},
    )
    export = Export(log.of(PACKET))
    export.lines[0]["size"] = export.lines[0]["stop"] = 20
    yield Case(
        "entry_unexpected",
        "smaller_header",
        "The header promises a smaller log than the entries come from.",
        export.build(),
        {"integrity": ("entry_unexpected", 20)},
    )
    export = Export(log.range(5, 9))
    export.drop(7)
    yield Case(
        "sequence",
        "gap_in_range",
        "An entry is left out of a range.",
        export.build(),
        {"integrity": ("sequence", 7)},
    )


def _without(data: bytes, subject: str, *, is_proof_kept: bool = False) -> bytes:
    """The export without the history of *subject* and, as a rule, without its map proof."""
    export = Export(data)
    for members in [members_of(line) for line in export.entries()]:
        if members["subject"] == subject:
            export.drop(members["seq"])
    if not is_proof_kept:
        export.lines = [
            line for line in export.lines if "map" not in line or line["subject"] != subject
        ]
    return export.build()


def _histories_beside(log: MemoryLog) -> Iterator[Case]:
    """What a packet's history names is left out beside it."""
    for code, name, about, data in (
        ("subject_map_proof", "no_policy_history", "The history of the policy is left out, with its proof.",
         _without(log.of(PACKET), "policy")),
        ("subject_tail_missing", "hidden_policy_history", "The history of the policy is left out; its proof stays.",
         _without(log.of(PACKET), "policy", is_proof_kept=True)),
        ("subject_map_proof", "absent_without_policy", "A packet that is absent, without the proof of the policy.",
         _without(log.of("packet/fp-009"), "policy")),
    ):  # fmt: skip
        yield Case(code, name, about, data, {"completeness": (code, 25)})
    moving, policy = begin()
    create(moving, "fp-001")
    assign(moving, "fp-001", owner("agent-a"), 1, policy)
    both = {"source": owner("agent-a"), "target": owner("agent-b")}
    packet(moving, "fp-001", "handoff_started", **both, epoch=1, reason="", deadline=0, decision={})
    at = moving.commit_index()
    for kept, code in ((False, "subject_map_proof"), (True, "subject_tail_missing")):
        yield Case(
            code,
            "hidden_target" if kept else "no_target",
            "The history of the member that a packet is being handed to is left out.",
            _without(moving.of(PACKET), "member/agent-b", is_proof_kept=kept),
            {"completeness": (code, at)},
        )
