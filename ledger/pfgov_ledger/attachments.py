"""Payloads beside the entries: opened, withheld, altered or erased; and the policy sets that must travel.

``FORMAT.md`` section "Attachments".  A payload follows the entry that names its commitment, under
the field that the entry names it by, and opens it; after an ``attachment_erased`` it must be gone.
A policy set follows the entry that activates it.  What payloads mean is not known here.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from pfgov_ledger import canonical, commitment, errors
from pfgov_ledger.commitments import Named
from pfgov_ledger.disk_map import DiskMap
from pfgov_ledger.entry import Entry
from pfgov_ledger.export_format import AlteredLine, ChunkLine

ERASURES_SHOWN_MAX: Final = 100
"""Erasures listed one by one in a report; all are counted."""

WHY_SHOWN_MAX: Final = 80
"""Characters of an erasure's reason in a report."""

_DISCLOSED, _ERASED, _NAMED, _ALTERED = 1, 2, 4, 8
_SEQ_SHIFT: Final = 4
"""Above the flags: the ``seq`` of the erasure."""


class Attachments:
    """What the entries so far name, and what of it is there.

    Attributes:
        counts: How many distinct commitments are ``disclosed``, ``withheld``, ``altered`` and ``erased``.
        erasures: (seq, why) of the first erasures.
        missing: The first activation whose policy set is not there.
    """

    def __init__(self, limit: int) -> None:
        self._flags: DiskMap[int] = DiskMap(limit, pack=str, unpack=int)
        self._entry: Entry | None = None
        self._named: Sequence[Named] = ()
        self._policy: str | None = None
        self._chunks: list[ChunkLine] = []
        self.counts = {"disclosed": 0, "erased": 0, "withheld": 0, "altered": 0}
        self.erasures: list[tuple[int, str]] = []
        self._policies: DiskMap[int] = DiskMap(limit, pack=str, unpack=int)
        self.missing: errors.PolicyMissingError | None = None

    def close(self) -> None:
        """Remove what lies on disk."""
        self._flags.close()
        self._policies.close()

    def entry(self, of: Entry, named: Sequence[Named]) -> None:
        """Take note of what *of* names, which is *named*.

        Raises:
            ErasedPayloadError: It erases a payload that is there.
            errors.LineError: A payload before it is not complete.
        """
        if self._chunks or self._policy is not None:
            self.settle()
        self._entry, self._named = of, named
        for digest, _ in named:
            if not self._flags.get(digest):
                self._flags.put(digest, _NAMED)
                self.counts["withheld"] += 1
        if of.type == "policy_activated":
            activated = of.body.get("digest")
            self._policy = activated if isinstance(activated, str) else None
        elif of.type == "attachment_erased":
            self._erase(of)

    def settle(self) -> None:
        """Say that no more lines belong to the last entry.

        Raises:
            errors.LineError: A payload is not complete.
        """
        if self._chunks:
            raise errors.LineError("a payload ends before its last chunk")
        if (
            self._policy is not None
            and not self._policies.get(self._policy)
            and self._entry is not None
        ):
            self.missing = self.missing or errors.PolicyMissingError(
                position=self._entry.seq,
                expected=canonical.text_of(self._policy, 64),
                found="no policy line",
            )
        self._policy = None

    def chunk(self, line: ChunkLine) -> tuple[str, bytes] | None:
        """Take a piece; returns (digest, content) when a policy set is complete.

        Raises:
            errors.LineError: Not the next piece.
            AttachmentError: The payload is complete and wrong, or must not be there.
        """
        chunks = self._chunks
        if line.chunk != len(chunks) or (chunks and not _continues(line, chunks[0])):
            raise errors.LineError("not the next chunk", expected=str(len(chunks)))
        content = line.data
        if line.chunks > 1:
            chunks.append(line)
            if len(chunks) < line.chunks:
                return None
            content = b"".join(piece.data for piece in chunks)
            chunks.clear()
        of = self._entry
        if of is None:
            raise errors.LineError("a payload before the first entry")
        try:
            if line.salt is None:
                self._take_policy(line.digest, content)
                return line.digest, content
            self._take_payload(of, line, line.salt, content)
        except errors.LedgerError as error:
            raise error.at(of.seq) from None
        return None

    def altered(self, line: AlteredLine) -> None:
        """Take note that the exporter's copy of a payload was changed: nobody can be shown it.

        Raises:
            errors.LineError: A payload before it is not complete, or this one is known to be there, or gone.
            AttachmentError: The last entry names no such commitment.
        """
        of, digest = self._entry, line.digest
        if self._chunks or of is None:
            raise errors.LineError("a payload ends before its last chunk")
        if not any(named == digest for named, _ in self._named):
            raise errors.AttachmentUnnamedError(
                position=of.seq, expected="no commitment", found=digest
            )
        flags = self._flags.get(digest) or 0
        if flags & (_DISCLOSED | _ERASED | _ALTERED):
            raise errors.LineError("a payload is altered once, and neither shown nor erased before")
        self._flags.put(digest, flags | _ALTERED)
        self.counts["withheld"] -= 1
        self.counts["altered"] += 1

    def _take_policy(self, digest: str, content: bytes) -> None:
        if digest != self._policy:
            raise errors.AttachmentUnnamedError(
                expected=canonical.text_of(self._policy, 64), found=digest
            )
        found = hashlib.sha256(content).hexdigest()
        if found != digest:
            raise errors.PolicyBytesError(expected=digest, found=found)
        self._policies.put(digest, 1)

    def _take_payload(self, of: Entry, line: ChunkLine, salt: bytes, payload: bytes) -> None:
        fields, field = {f for d, f in self._named if d == line.digest}, line.field or ""
        if field not in fields:
            expected = canonical.text_of(", ".join(sorted(fields)) or "no commitment", 200)
            raise errors.AttachmentUnnamedError(expected=expected, found=field)
        commitment.check(
            bytes.fromhex(line.digest),
            origin=of.log,
            subject=of.subject,
            field=field,
            salt=salt,
            payload=payload,
        )
        flags = self._flags.get(line.digest) or 0
        if flags & _ERASED:
            raise errors.ErasedPayloadError(
                position=flags >> _SEQ_SHIFT, expected="no payload", found=line.digest
            )
        if not flags & _DISCLOSED:
            self._flags.put(line.digest, flags | _DISCLOSED)
            self.counts["altered" if flags & _ALTERED else "withheld"] -= 1
            self.counts["disclosed"] += 1

    def _erase(self, of: Entry) -> None:
        digest, why = of.body.get("commitment"), of.body.get("why")
        if not isinstance(digest, str) or not isinstance(why, str):
            raise errors.EntryShapeError("an erasure names a commitment and says why")
        flags = self._flags.get(digest) or 0
        if not flags & _ERASED:
            self._flags.put(digest, of.seq << _SEQ_SHIFT | flags | _ERASED)
            if len(self.erasures) < ERASURES_SHOWN_MAX:
                self.erasures.append((of.seq, why[:WHY_SHOWN_MAX]))
            self.counts["erased"] += 1
            if flags & _NAMED and not flags & _DISCLOSED:
                self.counts["altered" if flags & _ALTERED else "withheld"] -= 1
        if flags & _DISCLOSED:
            raise errors.ErasedPayloadError(
                position=of.seq, expected="no payload", found=canonical.text_of(digest, 64)
            )


def _continues(line: ChunkLine, first: ChunkLine) -> bool:
    """Whether the two differ in nothing but their number and data."""
    return (line.digest, line.chunks, line.salt, line.field) == (
        first.digest,
        first.chunks,
        first.salt,
        first.field,
    )
