"""Files that are damaged, bent or hostile as files, and payloads that are not what they should be."""

import hashlib
import io
import zlib
from collections.abc import Iterator
from typing import Any

from conformance.ledger_verify.corpus.case import Case
from conformance.ledger_verify.corpus.memory_log import MemoryLog
from conformance.ledger_verify.corpus.story import tell
from conformance.ledger_verify.corpus.tools import Export, Line, members_of

from pfgov_ledger import canonical, commitment, entry, strict64
from pfgov_ledger.export import GzipWriter


def cases() -> Iterator[Case]:
    """Every damaged or hostile file."""
    log = tell()
    yield from _payloads(log)
    yield from _altered(log)
    yield from _files(log)


def _payloads(log: MemoryLog) -> Iterator[Case]:
    salt, payload = tell_with_payload()
    export = Export(log.full())
    created = entry.parse(strict64.decode(export.line_of(8)["e"]))
    context: Any = created.body["context"]
    export.lines.insert(
        export.after(8),
        {
            "attachment": context["digest"],
            "chunk": 0,
            "chunks": 1,
            "data": strict64.encode(payload),
            "field": "context",
            "salt": strict64.encode(salt),
        },
    )
    yield Case(
        "payload_after_erasure",
        "payload_after_erasure",
        "A payload whose erasure entry 22 records is still there.",
        export.build(),
        {"integrity": ("payload_after_erasure", 22)},
    )
    export = Export(log.full())
    first, second = export.chunk(5), export.chunk(7)
    for name in ("data", "salt"):
        first[name], second[name] = second[name], first[name]
    yield Case(
        "commitment_mismatch",
        "swapped_payload",
        "Two payloads, with their salts, change places.",
        export.build(),
        {"integrity": ("commitment_mismatch", 5)},
    )
    export = Export(log.full())
    export.chunk(5)["salt"] = strict64.encode(bytes(32))
    yield Case(
        "commitment_mismatch",
        "wrong_salt",
        "A payload comes with another salt.",
        export.build(),
        {"integrity": ("commitment_mismatch", 5)},
    )
    export = Export(log.full())
    export.chunk(5)["field"] = "view"
    yield Case(
        "attachment_unnamed",
        "moved_payload",
        "A payload is said to belong to a field that the entry does not have.",
        export.build(),
        {"integrity": ("attachment_unnamed", 5)},
    )
    export = Export(log.full())
    export.chunk(1, "policy")["data"] = strict64.encode(b'{"policies":[],"semantics":1}')
    yield Case(
        "policy_bytes",
        "wrong_policy",
        "The bytes of an activated policy set are others.",
        export.build(),
        {"integrity": ("policy_bytes", 1), "completeness": ("policy_missing", 1)},
    )
    export = Export(log.full())
    export.lines.remove(export.chunk(1, "policy"))
    yield Case(
        "policy_missing",
        "no_policy",
        "The bytes of an activated policy set are left out.",
        export.build(),
        {"completeness": ("policy_missing", 1)},
    )


def altered(export: Export, seq: int) -> Line:
    """Put a line that the payload of entry *seq* was altered where that payload stands; return it."""
    line: Line = {"altered": export.chunk(seq)["attachment"]}
    export.lines[export.lines.index(export.chunk(seq))] = line
    return line


def _altered(log: MemoryLog) -> Iterator[Case]:
    stop = {"integrity": ("line_malformed", 6)}
    export = Export(log.full())
    digest = export.chunk(5)["attachment"]
    export.lines.insert(export.after(6), {"altered": digest})
    yield Case(
        "attachment_unnamed", "altered_unnamed",
        "A payload is said to be altered after an entry that does not name it.",
        export.build(), {"integrity": ("attachment_unnamed", 6)},
    )  # fmt: skip
    export = Export(log.full())
    export.lines.insert(export.after(5), altered(export, 5))
    yield Case(
        "line_malformed", "altered_twice", "A payload is said to be altered twice.", export.build(), stop
    )  # fmt: skip
    export = Export(log.full())
    export.lines.insert(export.lines.index(export.chunk(5)) + 1, {"altered": digest})
    yield Case(
        "line_malformed", "altered_and_disclosed", "A payload that is there is said to be altered.",
        export.build(), stop,
    )  # fmt: skip
    for name, value in (("upper", digest.upper()), ("short", digest[:-1]), ("number", 5)):
        export = Export(log.full())
        altered(export, 5)["altered"] = value
        yield Case(
            "line_malformed", f"altered_{name}", "The digest of an altered payload is none.",
            export.build(), stop,
        )  # fmt: skip


def tell_with_payload() -> tuple[bytes, bytes]:
    """The salt and payload that the story erases."""
    log = MemoryLog()
    payload = b'{"customer":"Grace"}'
    for _ in range(3):
        made = log.commitment("packet/fp-002", "context", payload)
    salt, _ = log.payloads[str(made["digest"])]
    commitment.check(
        bytes.fromhex(str(made["digest"])),
        origin=log.origin,
        subject="packet/fp-002",
        field="context",
        salt=salt,
        payload=payload,
    )
    return salt, payload


def zipped(data: bytes) -> bytes:
    """*data* in the one gzip form."""
    out = io.BytesIO()
    packed = GzipWriter(out, 9)
    packed.write(data)
    packed.close()
    return out.getvalue()


def _files(log: MemoryLog) -> Iterator[Case]:
    full = log.full()
    lines = full.splitlines(keepends=True)
    yield Case(
        "line_ending",
        "crlf",
        "Every line ends in carriage return and line feed.",
        full.replace(b"\n", b"\r\n"),
        {"integrity": ("line_ending", 0)},
    )
    yield Case(
        "byte_order_mark",
        "mark_before_header",
        "The file begins with a byte order mark.",
        b"\xef\xbb\xbf" + full,
        {"integrity": ("byte_order_mark", 0)},
    )
    yield Case(
        "not_an_export",
        "binary",
        "Bytes that are nothing.",
        bytes(range(256)) * 8,
        {"integrity": ("not_an_export", 0)},
    )
    yield Case(
        "not_an_export",
        "other_json",
        "JSON lines of another kind.",
        b'{"id":1}\n{"id":2}\n',
        {"integrity": ("not_an_export", 0)},
    )
    yield Case(
        "line_oversize",
        "long_line",
        "A line without end.",
        lines[0] + b"A" * 140_000 + b"\n",
        {"integrity": ("line_oversize", 0)},
    )
    yield Case(
        "line_oversize",
        "gzip_bomb",
        "Forty megabytes of zeros, compressed.",
        zipped(bytes(40_000_000)),
        {"integrity": ("line_oversize", 0)},
        suffix="lineage.jsonl.gz",
    )
    yield Case(
        "gzip_trailing",
        "second_member",
        "A second gzip member follows: two programs would read two files.",
        zipped(full) + zipped(b"{}\n"),
        {"integrity": ("gzip_trailing", 26)},
        suffix="lineage.jsonl.gz",
    )
    yield Case(
        "gzip_malformed",
        "named_member",
        "A gzip header with a time in it.",
        b"\x1f\x8b\x08\x00\x01\x02\x03\x04\x00\xff" + zipped(full)[10:],
        {"integrity": ("gzip_malformed", 0)},
        suffix="lineage.jsonl.gz",
    )
    yield Case(
        "gzip_malformed",
        "wrong_checksum",
        "The checksum of the compressed file does not fit.",
        zipped(full)[:-8] + (zlib.crc32(full) ^ 1).to_bytes(4, "little") + zipped(full)[-4:],
        {"integrity": ("gzip_malformed", 26)},
        suffix="lineage.jsonl.gz",
    )
    yield Case(
        "trailer_mismatch",
        "wrong_count",
        "The trailer counts one line too many.",
        b"".join(lines[:-1]) + lines[-1].replace(b'"lines":', b'"lines":1'),
        {"integrity": ("trailer_mismatch", 26)},
    )
    yield Case(
        "after_trailer",
        "more_lines",
        "A line follows the trailer.",
        full + lines[1],
        {"integrity": ("after_trailer", 26)},
    )
    yield Case(
        "line_malformed",
        "unknown_line",
        "A line of an unknown kind.",
        b"".join([*lines[:5], b'{"remark":"trust me"}\n', *lines[5:]]),
        {"integrity": ("line_malformed", 3)},
    )
    export = Export(log.of("packet/fp-001"))
    proof = next(line for line in export.lines if "map" in line)
    export.lines.insert(export.lines.index(proof), proof)
    yield Case(
        "line_malformed",
        "second_map_proof",
        "A map proof stands twice.",
        export.build(),
        {"integrity": ("line_malformed", 26)},
    )
    yield Case(
        "non_canonical",
        "space_in_line",
        "A line with a space in it.",
        full.replace(b'{"checkpoint":', b'{"checkpoint": '),
        {"integrity": ("non_canonical", 26)},
    )
    export = Export(full)
    seq, text = next(
        (members_of(line)["seq"], line["e"]) for line in export.entries() if line["e"].endswith("=")
    )
    padding = "=" * (len(text) - len(text.rstrip("=")))
    bent = text.rstrip("=")[:-1] + chr(ord(text.rstrip("=")[-1]) + 1) + padding
    yield Case(
        "base64",
        "unused_bits",
        "Base64 whose unused bits are not zero.",
        _with_trailer(full, text.encode(), bent.encode()),
        {"integrity": ("base64", seq)},
    )
    deep = b'{"checkpoint":' + b"[" * 30_000 + b"]" * 30_000 + b"}\n"
    yield Case(
        "too_deep",
        "deep_line",
        "A line that is nested thirty thousand times.",
        b"".join([*lines[:2], deep, *lines[2:]]),
        {"integrity": ("too_deep", 1)},
    )
    cut = full[: full.index(lines[12]) + 40]
    yield Case("truncated", "cut_in_line", "The file ends within a line.", cut, {}, exit_status=5)
    yield Case(
        "truncated",
        "no_trailer",
        "The file ends after an entry.",
        b"".join(lines[:9]),
        {},
        exit_status=5,
    )
    yield Case(
        "truncated",
        "cut_gzip",
        "The compressed file ends early.",
        zipped(full)[:5000],
        {},
        exit_status=5,
        suffix="lineage.jsonl.gz",
    )
    yield Case(
        "truncated",
        "cut_gzip_after_a_byte",
        "Of the compressed file the first byte is left.",
        zipped(full)[:1],
        {},
        exit_status=5,
        suffix="lineage.jsonl.gz",
    )
    yield Case(
        "version_unknown",
        "lineage_2",
        "A version of the format that nobody knows yet.",
        full.replace(b'"lineage":1', b'"lineage":2'),
        {},
        exit_status=4,
    )
    yield Case(
        "version_unknown",
        "lineage_true",
        "A version that is true, which some languages take for 1.",
        full.replace(b'"lineage":1', b'"lineage":true'),
        {},
        exit_status=4,
    )
    yield Case(
        "version_unknown",
        "line_with_a_version",
        "A line that says that it is of another version.",
        b"".join([*lines[:5], b'{"lineage":true}\n', *lines[5:]]),
        {"integrity": ("version_unknown", 3)},
    )


def _with_trailer(full: bytes, old: bytes, new: bytes) -> bytes:
    body, _, _ = full.replace(old, new).rstrip(b"\n").rpartition(b"\n")
    body += b"\n"
    lines = body.count(b"\n")
    entries = sum(line.startswith(b'{"e"') for line in body.splitlines())
    trailer = {"entries": entries, "lines": lines, "sha256": hashlib.sha256(body).hexdigest()}
    return body + canonical.encode(trailer) + b"\n"
