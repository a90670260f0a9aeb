"""One question after another to three verifiers: random logs, what is asked of them, and damage to their files.

``python tests/conformance/ledger_verify/differential.py COUNT [SEED]`` compares the package, the one-file verifier
and the page (in Node.js) on COUNT cases and says where they differ: in a verdict, a code, or any byte of the report.
"""

import base64
import io
import json
import random
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    ROOT = Path(__file__).parents[3]
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "ledger")]

import pytest
from browser.mutations import damaged
from conformance.ledger_verify.corpus.memory_log import MemoryLog
from conformance.ledger_verify.corpus.run import ask
from conformance.ledger_verify.corpus.tools import Export, stolen
from conformance.ledger_verify.random_logs import ODD, WITNESSES, Teller
from support.other_verifiers import Verifier, one_file, page_in_node

from pfgov_ledger import checkpoint, export, keys, merkle, note, proof, receipt
from pfgov_ledger.report import dumps

CASES_A_LOG = 12


@dataclass
class Asked:
    """A file, what the reader pins and asks, and how the file came about."""

    data: bytes
    anchor: str | None
    case: dict[str, Any]
    remembered: bytes | None
    how: str


@dataclass
class Outcome:
    """How many cases were compared, what came out of them, and where two verifiers differ."""

    cases: int = 0
    seen: Counter[str] = field(default_factory=Counter[str])
    differing: list[str] = field(default_factory=list[str])


def questions(seed: int) -> Iterator[Asked]:
    """Cases without end, :data:`CASES_A_LOG` of each log."""
    while True:
        teller = Teller(seed)
        log = teller.tell()
        for _ in range(CASES_A_LOG):
            data, how = _file(teller, log)
            yield _asked(teller, log, data, f"seed {seed}: {how}")
        seed += 1


def _file(teller: Teller, log: MemoryLog) -> tuple[bytes, str]:
    """A file of the log, as it is in half of the cases."""
    pick = teller.chosen
    data, how = _honest(teller, log)
    if pick.random() < 0.5:
        return data, how
    if how in {"receipt", "proof"} or pick.random() < 0.3:
        data = damaged(pick, data)
        how = f"{how}, damaged"
    else:
        try:
            data, change = _changed(pick, data, log)
        except Exception:  # the attacker's tools could not make sense of their own damage
            data, change = damaged(pick, data), "damaged"
        how = f"{how}, {change}"
    if pick.random() < 0.12:
        data, how = _zipped(pick, data), f"{how}, compressed"
    return data, how


def _honest(teller: Teller, log: MemoryLog) -> tuple[bytes, str]:
    pick, index = teller.chosen, log.latest_index()
    kind = pick.choice(("full", "full", "subject", "subject", "range", "receipt", "proof"))
    since = pick.choice((None, None, pick.randrange(1, len(log.rows))))
    if kind in {"receipt", "proof"}:
        return _receipt(teller, log, kind), kind
    if kind == "full" or index is None or log.checkpoint(index + 1) is None:
        data, kind = log.full(since=since), "full"
    elif kind == "subject":
        subject = pick.choice([*sorted(log.subjects), "packet/none", "member/none"])
        since = None if since is None or since > index else since
        data, kind = log.of(subject, since=since), f"subject {subject}"
    else:
        start = pick.randrange(0, index + 1)
        data = log.range(start, pick.randrange(start + 1, index + 2))
    if pick.random() < 0.3:
        made = Export(data)
        raw, _ = teller.cosigned(made.tail("checkpoint")["checkpoint"].encode())
        made.set_note(raw)
        data = made.build()
    return data, kind


def _receipt(teller: Teller, log: MemoryLog, kind: str) -> bytes:
    pick = teller.chosen
    seq = pick.randrange(len(log.rows))
    row, signed = log.rows[seq], teller.cosigned(log.latest_checkpoint())[0]
    by = {keys.key_id(k.public): k.public for k in (log.issuer, stolen("issuer", "x"))}
    issuer = by.get(json.loads(row.raw)["issuer"], log.issuer.public)
    size = checkpoint.parse_text(note.split(signed)[0]).size
    if seq >= size:
        return b"{}"
    given = None if pick.random() < 0.1 else issuer
    extra = receipt.write_extra(row.raw, row.signature or b"", given)
    text = proof.write(
        proof.make(merkle.LeafTree(r.leaf for r in log.rows), seq, signed, extra=extra)
    )
    if kind == "proof":
        return text
    whole: Any = json.loads(
        receipt.write(
            row.raw, row.signature or b"", issuer=given, proof=None if pick.random() < 0.1 else text
        )
    )
    if pick.random() < 0.2:
        whole[pick.choice(sorted(whole))] = pick.choice((*ODD, 13.0, 1e300, -0.0))
    if pick.random() < 0.3:
        whole = {"receipt": whole, "constructor": [1.5], "z": {"entry": 1}}
    return json.dumps(whole, indent=pick.choice((None, 2)), sort_keys=pick.random() < 0.5).encode()


def _changed(pick: random.Random, data: bytes, log: MemoryLog) -> tuple[bytes, str]:
    """The lines of an export, changed by somebody who writes a trailer that fits, and perhaps holds keys."""
    made = Export(data)
    lines = made.lines
    entries = made.entries()
    at = pick.randrange(len(lines))
    match pick.randrange(10):
        case 0:
            how = "a line less"
            del lines[at]
        case 1:
            how = "a line twice"
            lines.insert(pick.randrange(len(lines) + 1), dict(lines[at]))
        case 2:
            how = "two lines changed places"
            other = pick.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            how = "a header's value"
            name = pick.choice(sorted(lines[0]))
            values = (*ODD, "full", "subject", "range", 5, "packet/a", lines[0]["size"] - 1)
            lines[0][name] = pick.choice(values)
        case 4:
            how = "a line's value"
            name = pick.choice(sorted(lines[at]))
            lines[at][name] = pick.choice(ODD)
        case 5 if any("map" in line for line in lines):
            how = "a map proof"
            line = pick.choice([line for line in lines if "map" in line])
            name = pick.choice(sorted(line["map"]))
            line["map"][name] = pick.choice((*ODD, "00" * 32))
        case 6 if entries:
            how = "an entry's value, signed"
            _resigned(pick, made, log)
        case 7 if entries:
            how = "an entry's value, signed, chained and in the tree"
            seq = _resigned(pick, made, log)
            if lines[0]["kind"] == "full" and seq is not None:
                made.rechain(seq + 1, log.issuer)
                made.remerkle(log.log_key)
        case 8:
            how = "another checkpoint"
            known = sorted(log.notes)
            if any("checkpoint" in line for line in lines):
                made.set_note(log.notes[pick.choice(known)])
        case _:
            how = "entries left out"
            for line in pick.sample(entries, min(len(entries), pick.randrange(1, 3))):
                lines.remove(line)
    return made.build(), how


def _resigned(pick: random.Random, made: Export, log: MemoryLog) -> int | None:
    line = pick.choice(made.entries())
    members: Any = json.loads(base64.b64decode(line["e"]))
    place: Any = members if pick.random() < 0.4 else members["body"]
    name = pick.choice(sorted(place) or ["x"])
    place[name] = pick.choice((*ODD, "keys", "policy", "packet_created", members["seq"], 2**53))
    text = json.dumps(members, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    made.put(line, text.encode("utf-8", "surrogatepass"), log.issuer)
    seq: int | None = members["seq"] if type(members["seq"]) is int else None
    return seq if seq is not None and 0 <= seq < len(made.entries()) else None


def _zipped(pick: random.Random, data: bytes) -> bytes:
    out = io.BytesIO()
    packed = export.GzipWriter(out, pick.choice((0, 1, 6, 9)))
    packed.write(data)
    packed.close()
    raw = bytearray(out.getvalue())
    match pick.randrange(5):
        case 0:
            raw[pick.randrange(len(raw))] ^= 1 << pick.randrange(8)
        case 1:
            del raw[pick.randrange(len(raw)) :]
        case 2:
            raw += pick.randbytes(pick.randrange(1, 9))
        case 3:
            deflate = zlib.compressobj(
                strategy=pick.choice((zlib.Z_FIXED, zlib.Z_RLE, zlib.Z_HUFFMAN_ONLY)), wbits=-15
            )
            body = deflate.compress(data) + deflate.flush()
            raw[10:-8] = body
            if pick.random() < 0.7:
                raw[pick.randrange(10, len(raw))] = pick.randrange(256)
        case _:
            pass
    return bytes(raw)


def _asked(teller: Teller, log: MemoryLog, data: bytes, how: str) -> Asked:
    pick = teller.chosen
    fixed = keys.Anchor(note.vkey(log.origin, teller.first_log_key.public), log.rows[0].leaf)
    anchors = [fixed] * 7 + [
        keys.Anchor(fixed.log_vkey, None),
        keys.Anchor(note.vkey(log.origin, log.log_key.public), log.rows[0].leaf),
        keys.Anchor(note.vkey("log.example/other", fixed.log_vkey.public), log.rows[0].leaf),
        keys.Anchor(fixed.log_vkey, bytes(32)),
    ]
    anchor = None if pick.random() < 0.05 else pick.choice(anchors).to_text()
    vkeys = pick.sample(WITNESSES, pick.randrange(0, 3)) if pick.random() < 0.3 else []
    now = 1_782_331_200 + pick.randrange(-1000, 200_000)
    question = {"kind": "file", "subject": None}
    if pick.random() < 0.3:
        kind = pick.choice(("full", "range", "subject"))
        subject = pick.choice([*sorted(log.subjects), "packet/none"]) if kind == "subject" else None
        question = {"kind": kind, "subject": subject}
    remembered = None
    if pick.random() < 0.3:
        other = note.sign(
            checkpoint.Checkpoint(log.origin, 9, bytes(32)).text(), [stolen("log", log.origin)]
        )
        remembered = pick.choice([*log.notes.values(), *log.notes.values(), other])
    case = {
        "question": question,
        "quick": pick.random() < 0.1,
        "witnesses": [str(keys.vkey_of(one)) for one in vkeys],
        "quorum": pick.randrange(0, len(vkeys) + 1),
        "max_age": pick.choice((None, 60, 100_000)) if vkeys else None,
        "now": now,
    }
    return Asked(data, anchor, case, remembered, how)


def compare(count: int, seed: int, others: dict[str, Verifier]) -> Outcome:
    """Put *count* questions to the package and to *others*."""
    outcome = Outcome()
    for asked in questions(seed):
        if outcome.cases >= count:
            return outcome
        outcome.cases += 1
        kept = None if asked.remembered is None else base64.b64encode(asked.remembered).decode()
        encoded = base64.b64encode(asked.data).decode()
        report = ask(encoded, asked.anchor, asked.case, kept)
        mine = dumps(report)
        outcome.seen.update({f"exit {report.exit_status}"})
        outcome.seen.update(
            {str(v.code or v.why or v.status.value) for v in report.verdicts.values()}
        )
        for name, other in others.items():
            theirs = other.report(asked.data, asked.anchor, asked.case, asked.remembered)
            if theirs != mine:
                outcome.differing.append(
                    f"{name}, case {outcome.cases}, {asked.how}\n{_difference(mine, theirs)}"
                )
    return outcome


def _difference(mine: str, theirs: str) -> str:
    if theirs.startswith("!"):
        return theirs[:800]
    pairs = zip(mine.splitlines(), theirs.splitlines(), strict=False)
    return "\n".join(f"  {a.strip()} | {b.strip()}" for a, b in pairs if a != b)[:800]


def main(arguments: list[str]) -> int:
    """Compare, print what differs and what was covered; 1 if anything differs."""
    count, seed = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 0
    with ExitStack() as stack:
        others = {"one file": stack.enter_context(one_file())}
        try:
            others["page"] = stack.enter_context(page_in_node())
        except pytest.skip.Exception as reason:
            print(f"without the page: {reason}")
        outcome = compare(count, seed, others)
    for text in outcome.differing[:50]:
        print(text)
    for name, times in sorted(outcome.seen.items()):
        print(f"{times:8} {name}")
    print(f"{outcome.cases} cases from seed {seed}, {len(outcome.differing)} disagreements")
    return bool(outcome.differing)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
