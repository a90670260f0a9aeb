"""Real exports with random damage, the same for a seed: what two verifiers are compared on.

Half of the damage is inside an entry's bytes or a line's members, where it reaches deep into a
verifier; the other half is anywhere in the file.
"""

import base64
import json
import random
from typing import Any

from conformance.ledger_verify.corpus.build import VECTORS

GOLDEN = VECTORS / "golden" / "v1"
_BYTES = b'0123456789abc{}[]",:.-\\x \xff\xed\xa0\x80'
_INSERTED = (
    b'"a":1,', b"-", b"0", b"\\u0000", b"1e5", b"NaN", b"\xc3\xa9", b"\xef\xbf\xbf", b"[", b"}", b'\\"',
    b"\xf0\x9f\xbf\xbe", b"\\ud83f\\udffe",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (None, 0, -1, "", "x", [], {}, True, 2**53, 1.5)


def mutated(seed: int, count: int) -> list[bytes]:
    """*count* damaged files."""
    chosen = random.Random(seed)
    files = [
        path.read_bytes()
        for path in sorted(GOLDEN.iterdir())
        if path.name.endswith((".lineage.jsonl", ".tlog-proof", ".receipt.json"))
    ]
    return [damaged(chosen, chosen.choice(files)) for _ in range(count)]


def damaged(chosen: random.Random, data: bytes) -> bytes:
    """*data* with some damage."""
    return _inside(chosen, data) if chosen.random() < 0.5 else _anywhere(chosen, data)


def _inside(chosen: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    at = chosen.randrange(len(lines))
    try:
        members = json.loads(lines[at])
    except ValueError:
        return _anywhere(chosen, data)
    if not isinstance(members, dict) or not members:
        return _anywhere(chosen, data)
    if isinstance(members.get("e"), str):
        members["e"] = base64.b64encode(_bent(chosen, base64.b64decode(members["e"]))).decode()
    else:
        members[chosen.choice(list(members))] = chosen.choice(_VALUES)
    text = json.dumps(members, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    lines[at] = text.encode() + b"\n"
    return b"".join(lines)


def _bent(chosen: random.Random, data: bytes) -> bytes:
    raw = bytearray(data)
    at = chosen.randrange(len(raw))
    match chosen.randrange(4):
        case 0:
            raw[at] = chosen.choice(_BYTES)
        case 1:
            del raw[at : at + chosen.randrange(1, 6)]
        case 2:
            raw[at:at] = chosen.choice(_INSERTED)
        case _:
            raw[at] ^= 1 << chosen.randrange(8)
    return bytes(raw)


def _anywhere(chosen: random.Random, data: bytes) -> bytes:
    raw = bytearray(data)
    for _ in range(chosen.randrange(1, 3)):
        at = chosen.randrange(len(raw))
        match chosen.randrange(4):
            case 0:
                raw[at] ^= 1 << chosen.randrange(8)
            case 1:
                del raw[at : at + chosen.randrange(1, 40)]
            case 2:
                raw[at:at] = chosen.randbytes(chosen.randrange(1, 9))
            case _:
                lines = bytes(raw).splitlines(keepends=True)
                a, b = chosen.randrange(len(lines)), chosen.randrange(len(lines))
                lines[a], lines[b] = lines[b], lines[a]
                raw = bytearray(b"".join(lines))
        raw = raw or bytearray(b"x")
    return bytes(raw)
