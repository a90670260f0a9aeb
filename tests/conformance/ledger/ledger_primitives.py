"""Writes ``ledger/vectors/primitives.json``: one small log, piece by piece, for whoever writes a verifier.

``python tests/conformance/ledger/ledger_primitives.py`` writes the file; a test says when it is no longer what the
code gives.  Everything is derived from fixed seeds.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from pfgov_ledger import (
    appender,
    canonical,
    checkpoint,
    commitment,
    dsse,
    keys,
    merkle,
    note,
    proof,
    receipt,
    subject_map,
    vocabulary,
)

PATH = Path(__file__).parents[3] / "ledger" / "vectors" / "primitives.json"
ORIGIN = "pfgov.example/eu"
START = 1_782_331_200_000_000
EVENTS = [
    ("policy_activated", {"digest": "ab" * 32}),
    (
        "packet_created",
        {"labels": [["tier", "gold"], ["zone", "\u00e9"]], "packet_id": "fp-001", "priority": 3},
    ),
    ("member_registered", {"member_id": "agent@eu:1"}),
    ("assignment_decision", {"member_id": "agent@eu:1", "packet_id": "fp-001", "score": "0.75"}),
    ("packet_completed", {"packet_id": "fp-001"}),
]


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def build() -> dict[str, Any]:
    """The vectors, as they are written."""
    log = keys.SeedSigner(role="log", name=ORIGIN, seed=bytes([1]) * 32)
    issuer = keys.SeedSigner(role="issuer", name=f"{ORIGIN}/issuer-1", seed=bytes([2]) * 32)
    witness = keys.SeedSigner(role="witness", name="witness.example/w1", seed=bytes([3]) * 32)
    genesis: dict[str, Any] = {
        "engine": "0.1.0",
        "keys": [{"public": signer.public.hex(), "role": signer.role} for signer in (issuer, log)],
        "origin": ORIGIN,
        "predecessor": None,
        "semantics": 1,
    }
    writer = appender.Appender(head=appender.Head(ORIGIN), issuer=issuer, log=log)
    staged = []
    events: list[tuple[str, dict[str, Any]]] = [("ledger_created", genesis), *EVENTS]
    for seq, (kind, body) in enumerate(events):
        subject = vocabulary.subject_of(kind, body)
        at = {
            "type": kind,
            "body": body,
            "subject": subject,
            "time": START + seq,
            "command_seq": seq,
            "command_index": 0,
        }
        staged.append(writer.append(**at))
    tree = merkle.LeafTree(item.leaf for item in staged)
    whole = subject_map.SubjectMap()
    for item in staged:
        whole.update(item.subject, item.subject_seq, item.leaf)
    signed = checkpoint.cosign(writer.checkpoint(), witness, time=1_782_331_260)
    opening = {"origin": ORIGIN, "subject": "packet/fp-001", "field": "context"}
    salt, payload = bytes(range(32)), b"context of fp-001"
    return {
        "about": "One log of six entries from fixed seeds; ledger/FORMAT.md says what each member means.",
        "keys": [
            {
                "role": signer.role,
                "name": signer.name,
                "seed": seed.hex(),
                "public": signer.public.hex(),
                "key_id": keys.key_id(signer.public),
                "vkey": str(keys.vkey_of(signer)),
            }
            for signer, seed in ((log, bytes([1]) * 32), (issuer, bytes([2]) * 32), (witness, bytes([3]) * 32))
        ],
        "anchor": keys.Anchor(keys.vkey_of(log), staged[0].leaf).to_text(),
        "entries": [
            {
                "raw": item.raw.decode(),
                "leaf": item.leaf.hex(),
                "pae_sha256": hashlib.sha256(dsse.entry_pae(item.raw)).hexdigest(),
                "signature": _base64(item.signature or b""),
            }
            for item in staged
        ],
        "roots": [merkle.root(tree, size).hex() for size in range(len(staged) + 1)],
        "inclusion": [
            {"index": n, "size": 6, "proof": [h.hex() for h in merkle.inclusion_proof(tree, n, 6)]} for n in range(6)
        ],
        "consistency": [
            {"old": n, "new": 6, "proof": [h.hex() for h in merkle.consistency_proof(tree, n, 6)]} for n in range(7)
        ],
        "checkpoint": signed.decode(),
        "tlog_proof": proof.write(
            proof.make(tree, 4, signed, extra=receipt.write_extra(
                staged[4].raw, staged[4].signature or b"", issuer.public
            ))
        ).decode(),
        "subject_map": {
            "root": whole.root().hex(),
            "present": {"subject": "packet/fp-001", "proof": whole.prove("packet/fp-001").to_json()},
            "absent": {"subject": "packet/fp-002", "proof": whole.prove("packet/fp-002").to_json()},
        },
        "commitment": {
            **opening,
            "salt": salt.hex(),
            "payload": payload.decode(),
            "digest": commitment.commit(**opening, salt=salt, payload=payload).hex(),
            "size": commitment.size_bucket(len(payload)),
        },
        "canonical": {
            "accepted": [canonical.encode(value).decode() for value in (
                {}, [], 0, -9007199254740991, "\u20ac\U0001f600\ufb33\x7f\u2028/", '"\\\b\f\n\r\t\x01\x1f',
                {"a": [None, True, False, {"b_2": "1.5"}]},
            )],
            "refused_base64": {code: _base64(raw) for code, raw in REFUSED.items()},
        },
        "cosigned_at": 1_782_331_260,
        "note_key_id_of_log": note.key_id(ORIGIN, note.ED25519, log.public).hex(),
    }  # fmt: skip


REFUSED = {
    "ledger.not_json": b'{"a":1',
    "ledger.not_utf8": b'{"a":"\xff"}',
    "ledger.byte_order_mark": b"\xef\xbb\xbf{}",
    "ledger.duplicate_key": b'{"a":1,"a":1}',
    "ledger.key_name": b'{"A":1}',
    "ledger.float": b'{"a":1.0}',
    "ledger.negative_zero": b'{"a":-0}',
    "ledger.not_a_number": b'{"a":NaN}',
    "ledger.integer_range": b'{"a":9007199254740992}',
    "ledger.lone_surrogate": b'{"a":"\\ud800"}',
    "ledger.forbidden_character": b'{"a":"\\u0000"}',
    "ledger.too_deep": b"[" * 17 + b"]" * 17,
    "ledger.non_canonical": b'{"a": 1}',
}


def text() -> str:
    """The file's text."""
    return json.dumps(build(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
