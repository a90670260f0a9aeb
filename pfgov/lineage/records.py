"""The records of an export: verified first, then read again line by line, as often as a format needs.

A format that has its target's sections in a fixed order passes over the file once a section, so that a ledger of a
million entries takes no more memory than one of ten.  Each pass is held to the bytes that were verified: somebody else
may put another file in the place of the first meanwhile, and what is made of that is not handed out.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pfgov_ledger import entry
from pfgov_ledger.conclusions import Question
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.export_format import CheckpointLine, EntryLine, Header, parse_line
from pfgov_ledger.keys import Anchor
from pfgov_ledger.reader import LineReader
from pfgov_ledger.verify import verify

TERMINAL: Final = frozenset({"packet_completed", "packet_failed", "packet_cancelled"})
"""Events after which nothing happens to a packet any more."""

IN_MEMORY_MAX: Final = 50_000
"""Subjects that a translation remembers in memory; what is more goes on in a temporary file."""

OWNING: Final = frozenset({"assignment_decision", "handoff_completed"})
"""Events that can give a packet an owner; one that was not allowed names none."""


class NotVerifiedError(LedgerError, code="ledger.lineage_not_verified"):
    """An export that did not verify is not translated: the copy would look as sound as any other."""


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of the export.

    Attributes:
        entry: What the entry says, with its bytes and its leaf hash.
        signature: The issuer's Ed25519 signature over the DSSE encoding of the bytes.
        path: Its inclusion path under the export's checkpoint, in exports that are not whole.
    """

    entry: entry.Entry
    signature: bytes
    path: tuple[bytes, ...] | None = None

    @property
    def name(self) -> str:
        """The entry's place, unique among all logs: ``ORIGIN/SEQ``."""
        return f"{self.entry.log}/{self.entry.seq}"

    @property
    def sha256(self) -> str:
        """Plain SHA-256 of the entry's bytes in hex; the leaf hash has a prefix and is another."""
        return hashlib.sha256(self.entry.raw).hexdigest()

    @property
    def packet_id(self) -> str | None:
        """The packet that the entry is about, if it is about one."""
        kind, _, name = self.entry.subject.partition("/")
        return name if kind == "packet" else None

    @property
    def kind(self) -> str:
        """What the entry is about: ``packet``, ``member``, ``policy``, ``keys`` or ``ledger``."""
        return self.entry.subject.partition("/")[0]

    @property
    def member_id(self) -> str | None:
        """The member that the entry is about, or that acted or owned in it."""
        body = self.entry.body
        for holder in (body, body.get("owner"), body.get("target"), body.get("source")):
            if isinstance(holder, dict) and isinstance(named := holder.get("member_id"), str):
                return named
        return None

    @property
    def owner(self) -> str | None:
        """The member that owns the packet from this entry on, if the entry says so."""
        owner = self.entry.body.get("owner")
        if self.entry.type in OWNING and isinstance(owner, dict):
            named = owner.get("member_id")
            return named if isinstance(named, str) else None
        return None

    @property
    def principal(self) -> str | None:
        """Who asked, where the entry carries its command; later entries of a command name it by position."""
        command = self.entry.body.get("command")
        holder = command.get("principal") if isinstance(command, dict) else None
        named = holder.get("id") if isinstance(holder, dict) else self.entry.body.get("principal")
        return named if isinstance(named, str) else None

    @property
    def policy(self) -> str | None:
        """The digest of the policy set that judged, if policy was asked."""
        decision = self.entry.body.get("decision")
        named = decision.get("policy") if isinstance(decision, dict) else None
        return named if isinstance(named, str) else None

    @property
    def outcome(self) -> str | None:
        """What a decision came to: ``allowed``, ``denied``, ``escalated`` and so on."""
        named = self.entry.body.get("outcome")
        return named if isinstance(named, str) else None

    def origin_of(self) -> dict[str, object]:
        """What lets a reader go back to the proof: the log, the position and the leaf hash."""
        return {"log": self.entry.log, "seq": self.entry.seq, "leaf": self.entry.leaf.hex()}


@dataclass(frozen=True, slots=True)
class Lineage:
    """A verified export.

    Attributes:
        path: The file, plain or gzip.
        header: Its first line.
        trusted: Where trust came from, as the verifier reports it.
        digest: SHA-256 of the file as it was verified, in hex.
    """

    path: Path
    header: Header
    trusted: str
    digest: str

    def __iter__(self) -> Iterator[Record]:
        """Yield the records in the order of the log.

        Raises:
            LedgerError: the file is another one by now; what was yielded counts for nothing.
        """
        for text in _lines(self.path, self.digest):
            line = parse_line(text)
            if isinstance(line, EntryLine):
                yield Record(entry.parse(line.raw), line.signature, line.path)

    def checkpoint(self) -> bytes:
        """Return the export's checkpoint, a signed note.

        Raises:
            LedgerError: the file is another one by now.
        """
        found: bytes | None = None
        for text in _lines(self.path, self.digest):
            line = parse_line(text)
            if isinstance(line, CheckpointLine):
                found = line.note
        if found is None:
            raise NotVerifiedError(f"{self.path} has no checkpoint any more")
        return found


def verified(path: Path, anchor: Anchor, question: Question | None = None) -> Lineage:
    """Verify the export at *path*, and return what can be translated.

    Args:
        path: The export.
        anchor: What the reader pins.
        question: What the export has to be about; by default what it says of itself.

    Raises:
        NotVerifiedError: a verdict failed, or one that is required could not be given.
    """
    with _opened(path) as file:
        seen = _Digested(file)
        report = (
            verify(seen, anchor=anchor)
            if question is None
            else verify(seen, anchor=anchor, question=question)
        )
        digest = seen.hex()
    if report.exit_status != 0:
        failed = next((str(v.code) for v in report.verdicts.values() if v.code), "not checked")
        raise NotVerifiedError(
            f"{path} does not verify ({failed}), so nothing was translated; see pfgov-verify {path} --key ANCHOR"
        )
    first = None
    for text in _lines(path, digest):
        first = first or parse_line(text)
    if not isinstance(first, Header):
        raise NotVerifiedError(f"{path} is a receipt or a proof, not an export")
    return Lineage(path, first, "anchor", digest)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise NotVerifiedError(f"{path} cannot be read ({error.strerror or error})") from None


def _lines(path: Path, digest: str) -> Iterator[bytes]:
    """Yield the lines of the file at *path*, which has to be the one with that digest."""
    with _opened(path) as file:
        seen = _Digested(file)
        yield from LineReader(seen)
        if seen.hex() != digest:
            raise NotVerifiedError(
                f"{path} is not the file any more that was verified, so nothing was translated"
            )


class _Digested:
    """A file that takes notice of what is read of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        found = self._file.read(size)
        self._digest.update(found)
        return found

    def hex(self) -> str:
        """Return the digest of the file, to its end."""
        while self.read(1 << 18):
            pass
        return self._digest.hexdigest()
