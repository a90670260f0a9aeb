"""Writing lineage exports: the whole log, one subject's history with its proofs, or a range.

What is read comes through :class:`ExportSource`, so that neither the store nor the engine is known
here, and exporting never writes to either.  Entry bytes go out as they were signed; nothing is
re-serialised.  What an export proves is for the verifier to say.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from pfgov_ledger import (
    checkpoint,
    commitment,
    commitments,
    custody,
    entry,
    errors,
    export_lines,
    merkle,
    note,
    reader,
)
from pfgov_ledger.entry import Entry
from pfgov_ledger.export_format import Header
from pfgov_ledger.subject_map import SubjectMap

Progress = Callable[[int, int], None]
"""Called with (entries done, entries in all)."""

_PROGRESS_EVERY: Final = 1024
WRITER: Final = "pfgov"


class Writable(Protocol):
    """A binary file, or anything that is written to like one."""

    def write(self, data: bytes, /) -> object:
        """Write all of *data*."""
        ...


class ExportSource(Protocol):
    """A log that can be read.  All sizes count entries; every answer is for a committed state."""

    @property
    def origin(self) -> str:
        """The log's name."""
        ...

    def size(self) -> int:
        """The number of entries."""
        ...

    def entries(self, start: int, stop: int) -> Iterator[tuple[bytes, bytes]]:
        """(raw, signature) of the entries ``start <= seq < stop``, in order."""
        ...

    def subject_entries(self, subject: str) -> Iterator[tuple[bytes, bytes]]:
        """(raw, signature) of every entry of *subject*, in order."""
        ...

    def subject_heads(self, size: int) -> Iterable[tuple[str, int, bytes]]:
        """(subject, last ``subject_seq``, that entry's leaf hash) over the first *size* entries."""
        ...

    def leaf_hashes(self, start: int, stop: int) -> Iterator[bytes]:
        """The leaf hashes of the entries ``start <= seq < stop``, in order."""
        ...

    def checkpoint(self, size: int) -> bytes | None:
        """The signed checkpoint of exactly *size* entries, if there is one."""
        ...

    def latest_checkpoint(self) -> bytes:
        """The newest signed checkpoint."""
        ...

    def latest_index(self) -> int | None:
        """The ``seq`` of the newest ``index_committed`` entry."""
        ...

    def attachments(self, commitment: str) -> tuple[bytes, bytes] | None:
        """(salt, payload) of a commitment (hex); None if it was erased or is withheld."""
        ...

    def policy_set(self, digest: str) -> bytes | None:
        """The bytes whose SHA-256 is *digest* (hex)."""
        ...


@dataclass(slots=True)
class Written:
    """What went into an export: counts, the checkpoint's size, the file's digest before the trailer.

    ``altered`` counts payloads that the store gave but that do not open their commitments: a line says so for each.
    """

    kind: str
    size: int
    entries: int = 0
    attachments: int = 0
    policies: int = 0
    altered: int = 0
    lines: int = 0
    sha256: str = ""


class _Sink:
    """The file being written, its running digest and counts."""

    def __init__(self, out: Writable, source: ExportSource, written: Written) -> None:
        self._out = out
        self._digest = hashlib.sha256()
        self._source = source
        self._seen: set[str] = set()
        self.written = written

    def line(self, data: bytes) -> None:
        self._digest.update(data)
        self._out.write(data)
        self.written.lines += 1

    def entry(self, raw: bytes, signature: bytes, path: list[bytes] | None = None) -> Entry:
        """Write an entry, then what it names and nobody named before."""
        parsed = entry.parse(raw)
        self.line(export_lines.write_entry(raw, signature, path))
        self.written.entries += 1
        for digest, _ in commitments.named_in(parsed.body, raw):
            if digest not in self._seen:
                self._attachment(parsed, digest)
        activated = parsed.body.get("digest")
        if parsed.type == "policy_activated" and isinstance(activated, str):
            self._policy(activated)
        return parsed

    def _attachment(self, parsed: Entry, digest: str) -> None:
        self._seen.add(digest)
        found = self._source.attachments(digest)
        if found is None:
            return
        salt, payload = found
        fields = {f for d, f in commitments.named_in(parsed.body, parsed.raw) if d == digest}
        for field in sorted(fields) if len(salt) == commitment.SALT_BYTES else ():
            opened = commitment.commit(
                origin=parsed.log, subject=parsed.subject, field=field, salt=salt, payload=payload
            )
            if opened.hex() == digest:
                for line in export_lines.write_attachment(digest, field, salt, payload):
                    self.line(line)
                self.written.attachments += 1
                return
        self.line(export_lines.write_altered(digest))
        self.written.altered += 1

    def _policy(self, digest: str) -> None:
        if digest in self._seen:
            return
        self._seen.add(digest)
        content = self._source.policy_set(digest)
        if content is not None:
            for line in export_lines.write_policy(digest, content):
                self.line(line)
            self.written.policies += 1

    def close(self, signed: bytes) -> Written:
        self.line(export_lines.write_checkpoint(signed))
        written = self.written
        written.sha256 = self._digest.hexdigest()
        self._out.write(export_lines.write_trailer(written.entries, written.lines, written.sha256))
        return written


def write_full(
    source: ExportSource,
    out: Writable,
    *,
    progress: Progress | None = None,
    since: int | None = None,
    writer: str = WRITER,
) -> Written:
    """Write the whole log up to its newest checkpoint.

    Args:
        source: The log.
        out: Where the lines go; wrap it in :class:`GzipWriter` to compress.
        progress: Called now and then.
        since: A size that a reader remembers: adds the consistency proof from there.
        writer: The program's name and version, for people.

    Raises:
        UsageError: *since* is larger than the log.
    """
    signed = source.latest_checkpoint()
    size = checkpoint.parse_text(note.split(signed)[0]).size
    sink = _Sink(out, source, Written("full", size))
    sink.line(export_lines.write_header(Header("full", source.origin, size, 0, size, None, writer)))
    for done, (raw, signature) in enumerate(source.entries(0, size), 1):
        sink.entry(raw, signature)
        if progress is not None and (done % _PROGRESS_EVERY == 0 or done == size):
            progress(done, size)
    if since is not None:
        tree = merkle.LeafTree(source.leaf_hashes(0, size))
        sink.line(
            export_lines.write_consistency(since, merkle.consistency_proof(tree, since, size))
        )
    return sink.close(signed)


def write_subject(
    source: ExportSource,
    subject: str,
    out: Writable,
    *,
    progress: Progress | None = None,
    since: int | None = None,
    writer: str = WRITER,
) -> Written:
    """Write one subject's whole history up to the newest index, with the proof that it is whole.

    A packet's export also carries the histories of the members that it names and of the policy.  A
    subject that has no entry gets a proof of that.

    Raises:
        errors.IndexNeededError: No subject map was committed yet.
    """
    index = _newest_index(source)
    chosen = dict(_whole(source, subject, index))
    carried = {"keys", subject}
    if subject.startswith("packet/"):
        bodies = [entry.parse(raw).body for raw, _ in chosen.values()]
        members = {name for body in bodies for name in custody.members_named(body)}
        for other in [*sorted(members), "policy"]:
            chosen.update(_whole(source, other, index))
            carried.add(other)
    header = Header("subject", source.origin, index + 1, 0, index + 1, subject, writer)
    return _write_partial(source, out, header, chosen, carried, progress, since)


def write_range(
    source: ExportSource,
    start: int,
    stop: int,
    out: Writable,
    *,
    progress: Progress | None = None,
    since: int | None = None,
    writer: str = WRITER,
) -> Written:
    """Write the entries ``start <= seq < stop``, each with its proof of inclusion.

    Raises:
        errors.IndexNeededError: No committed subject map covers the range, so nobody could tell whether
            a key that signed it had been revoked.
        UsageError: The range is empty.
    """
    index = _newest_index(source)
    if not 0 <= start < stop:
        raise errors.UsageError(f"no entries from {start} to {stop}")
    if stop > index + 1:
        raise errors.IndexNeededError(
            "the range reaches beyond the newest committed index; ask for a fresh one",
            expected=f"at most {index + 1}",
            found=str(stop),
        )
    chosen = {start + i: pair for i, pair in enumerate(source.entries(start, stop))}
    header = Header("range", source.origin, index + 1, start, stop, None, writer)
    return _write_partial(source, out, header, chosen, {"keys"}, progress, since)


def _newest_index(source: ExportSource) -> int:
    index = source.latest_index()
    if index is None:
        raise errors.IndexNeededError("no subject map was committed yet; ask for a fresh one")
    return index


def _whole(
    source: ExportSource, subject: str, index: int
) -> Iterator[tuple[int, tuple[bytes, bytes]]]:
    for raw, signature in source.subject_entries(subject):
        seq = entry.parse(raw).seq
        if seq >= index:
            return
        yield seq, (raw, signature)


def _write_partial(
    source: ExportSource,
    out: Writable,
    header: Header,
    chosen: dict[int, tuple[bytes, bytes]],
    carried: set[str],
    progress: Progress | None,
    since: int | None,
) -> Written:
    size, index = header.size, header.size - 1
    signed = source.checkpoint(size)
    if signed is None:
        raise errors.IndexNeededError(
            f"there is no checkpoint of {size} entries; ask for a fresh index"
        )
    chosen.update(_whole(source, "keys", index))
    for seq in (0, index):
        chosen.update((seq + i, pair) for i, pair in enumerate(source.entries(seq, seq + 1)))
    tree = merkle.LeafTree(source.leaf_hashes(0, size))
    sink = _Sink(out, source, Written(header.kind, size))
    sink.line(export_lines.write_header(header))
    for done, seq in enumerate(sorted(chosen), 1):
        raw, signature = chosen[seq]
        sink.entry(raw, signature, merkle.inclusion_proof(tree, seq, size))
        if progress is not None and (done % _PROGRESS_EVERY == 0 or done == len(chosen)):
            progress(done, len(chosen))
    subjects = SubjectMap()
    for name, last, leaf in source.subject_heads(index):
        subjects.update(name, last, leaf)
    for name in sorted(carried):
        sink.line(export_lines.write_map(index, name, subjects.prove(name)))
    if since is not None:
        sink.line(
            export_lines.write_consistency(since, merkle.consistency_proof(tree, since, size))
        )
    return sink.close(signed)


class GzipWriter:
    """Compresses what is written to it onto *out*, in the one form that is read; :meth:`close` ends it."""

    def __init__(self, out: Writable, level: int = 6) -> None:
        self._out = out
        self._deflater = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._crc = 0
        self._size = 0
        out.write(reader.GZIP_HEADER)

    def write(self, data: bytes, /) -> None:
        """Compress *data*."""
        self._crc, self._size = zlib.crc32(data, self._crc), self._size + len(data)
        self._out.write(self._deflater.compress(data))

    def close(self) -> None:
        """Write what is left, the checksum and the size."""
        size = (self._size & 0xFFFFFFFF).to_bytes(4, "little")
        self._out.write(self._deflater.flush() + self._crc.to_bytes(4, "little") + size)
