"""The lines of a lineage export, written; :mod:`pfgov_ledger.export_format` is how they are read.

This module writes no files and does not know which lines belong into one.
"""

from collections.abc import Sequence

from pfgov_ledger import canonical, errors, strict64
from pfgov_ledger.export_format import (
    ATTACHMENT_CHUNKS_MAX,
    CHUNK_BYTES_MAX,
    LINE_BYTES_MAX,
    POLICY_CHUNKS_MAX,
    VERSION,
    Header,
)
from pfgov_ledger.subject_map import MapProof


def write_header(header: Header) -> bytes:
    """The first line."""
    return _line(
        {
            "kind": header.kind,
            "lineage": VERSION,
            "origin": header.origin,
            "size": header.size,
            "start": header.start,
            "stop": header.stop,
            "subject": header.subject,
            "writer": header.writer,
        }
    )


def write_entry(raw: bytes, signature: bytes, path: Sequence[bytes] | None = None) -> bytes:
    """An entry line; *path* in partial exports."""
    proof = "" if path is None else f'"p":[{",".join(_quoted(item) for item in path)}],'
    return f'{{"e":{_quoted(raw)},{proof}"s":{_quoted(signature)}}}\n'.encode()


def write_attachment(digest: str, field: str, salt: bytes, payload: bytes) -> list[bytes]:
    """The lines of a payload that opens the commitment *digest* (hex) under *field*."""
    extra: dict[str, object] = {"attachment": digest, "field": field, "salt": strict64.encode(salt)}
    return _chunk_lines(extra, payload, ATTACHMENT_CHUNKS_MAX)


def write_altered(digest: str) -> bytes:
    """The line that stands for a payload which does not open its commitment *digest* (hex) any more."""
    return _line({"altered": digest})


def write_policy(digest: str, content: bytes) -> list[bytes]:
    """The lines of a policy set."""
    return _chunk_lines({"policy": digest}, content, POLICY_CHUNKS_MAX)


def write_map(index: int, subject: str, proof: MapProof) -> bytes:
    """A subject map proof."""
    return _line({"index": index, "map": proof.to_json(), "subject": subject})


def write_consistency(since: int, path: Sequence[bytes]) -> bytes:
    """A consistency proof."""
    return _line({"consistency": [strict64.encode(item) for item in path], "since": since})


def write_checkpoint(note: bytes) -> bytes:
    """The checkpoint line."""
    return _line({"checkpoint": note.decode()})


def write_trailer(entries: int, lines: int, sha256: str) -> bytes:
    """The last line."""
    return _line({"entries": entries, "lines": lines, "sha256": sha256})


def _line(members: dict[str, object]) -> bytes:
    line = canonical.encode(members) + b"\n"
    if len(line) > LINE_BYTES_MAX:
        raise errors.OversizeError(expected=f"at most {LINE_BYTES_MAX} bytes", found=str(len(line)))
    return line


def _quoted(raw: bytes) -> str:
    return f'"{strict64.encode(raw)}"'


def _chunk_lines(members: dict[str, object], payload: bytes, chunks_max: int) -> list[bytes]:
    starts = range(0, max(len(payload), 1), CHUNK_BYTES_MAX)
    if len(starts) > chunks_max:
        raise errors.OversizeError(
            expected=f"at most {chunks_max * CHUNK_BYTES_MAX} bytes", found=str(len(payload))
        )
    return [
        _line(
            {
                **members,
                "chunk": number,
                "chunks": len(starts),
                "data": strict64.encode(payload[at : at + CHUNK_BYTES_MAX]),
            }
        )
        for number, at in enumerate(starts)
    ]
