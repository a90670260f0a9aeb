"""Reading an export once, line by line, and noting everything that its lines show.

``FORMAT.md`` section "Verification procedure".  An :class:`Examination` takes each line in turn and
runs the checks that need no more than what came before; :mod:`pfgov_ledger.conclusions` draws the
rest from what it noted.  Memory does not grow with the number of entries.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from pfgov_ledger import canonical, custody, dsse, ed25519, entry, errors, keys, merkle, subject_map
from pfgov_ledger.attachments import Attachments
from pfgov_ledger.canonical import Json
from pfgov_ledger.chain import Chain
from pfgov_ledger.commitments import Named, named_in
from pfgov_ledger.entry import Entry
from pfgov_ledger.export_format import (
    AlteredLine,
    CheckpointLine,
    ChunkLine,
    ConsistencyLine,
    EntryLine,
    Header,
    Line,
    MapLine,
    Trailer,
    parse_line,
)
from pfgov_ledger.forms import Forms
from pfgov_ledger.histories import Histories
from pfgov_ledger.lifecycle import KeyRing
from pfgov_ledger.reader import LineReader
from pfgov_ledger.signatures import SignatureChecker
from pfgov_ledger.subjects import Row, SubjectTable
from pfgov_ledger.verdicts import (
    AUTHENTICITY,
    COMPLETENESS,
    CUSTODY,
    INTEGRITY,
    VERDICTS,
    Findings,
)

Progress = Callable[[int, int], None]
"""Called with (entries done, entries that the header promises)."""

PROGRESS_EVERY: Final = 512
_HEADER_START: Final = b'{"kind":"'
_RANK: Final[dict[type, int]] = {
    EntryLine: 1,
    ChunkLine: 1,
    AlteredLine: 1,
    MapLine: 2,
    ConsistencyLine: 3,
    CheckpointLine: 4,
    Trailer: 5,
}
"""The order of lines: a line never comes after one of a higher rank, and 3 to 5 come once."""


class Stopped(Exception):  # noqa: N818 (not an error: the failure is in the findings)
    """Reading cannot go on after the failure that was just recorded."""


@dataclass(slots=True)
class Shown:
    """What the lines showed, for the conclusions.

    ``path_root`` is where the inclusion proofs lead, ``index_root`` the subject map's root in the
    index entry, ``past_root`` the root at the size that the reader remembers.
    """

    header: Header | None = None
    frontier: merkle.Frontier = field(default_factory=merkle.Frontier)
    path_root: bytes | None = None
    index_root: bytes | None = None
    consistency: ConsistencyLine | None = None
    note: bytes | None = None
    past_root: bytes | None = None
    genesis_leaf: bytes | None = None
    has_trailer: bool = False
    is_stopped: bool = False
    is_version_unknown: bool = False
    is_chain_broken: bool = False


class Examination:
    """One reading of one file."""

    def __init__(
        self,
        findings: Findings,
        *,
        anchor: keys.Anchor | None,
        is_quick: bool,
        remembered_size: int | None,
        processes: int,
        subjects_in_memory: int,
        progress: Progress | None,
    ) -> None:
        self.findings = findings
        self.shown = Shown()
        self.ring = KeyRing()
        self.table = SubjectTable(subjects_in_memory)
        self.histories = Histories(subjects_in_memory)
        self.attachments = Attachments(subjects_in_memory)
        self._forms = Forms()
        self._signatures = SignatureChecker(processes)
        self._anchor = anchor
        self._is_quick = is_quick
        self._remembered_size = remembered_size
        self._progress = progress
        self._chain: Chain | None = None
        self._rank = 0
        self._is_custody_judged = True
        self._is_full = False
        self._packet: str | None = None

    @property
    def entries(self) -> int:
        """Entries read."""
        return 0 if self._chain is None else self._chain.count

    @property
    def position(self) -> int:
        """Where the next entry would be: one after the last."""
        return 0 if self._chain is None else self._chain.next_seq

    def close(self) -> None:
        """Stop processes and remove files."""
        self._signatures.close()
        self.table.close()
        self.histories.close()
        self.attachments.close()

    def read(self, reader: LineReader) -> None:
        """Read everything; what is wrong goes to the findings."""
        try:
            for text in reader:
                self._line(text, reader)
            self._end(reader)
        except Stopped:
            pass
        except errors.LedgerError as error:
            self._refuse(error)
        bad = self._signatures.finish()
        if bad is not None:
            self.findings.fail(AUTHENTICITY, bad, is_late=True)

    # --- lines -----------------------------------------------------------------------------

    def _refuse(self, error: errors.LedgerError) -> None:
        """Record that the file cannot be read further."""
        self.shown.is_stopped = True
        if isinstance(error, errors.VersionError) and self.shown.header is None:
            self.shown.is_version_unknown = True
            for name in VERDICTS:
                self.findings.leave(name, "version", str(error))
            return
        self.findings.fail(INTEGRITY, error.at(self.position))

    def _line(self, text: bytes, reader: LineReader) -> None:
        if self.shown.header is None:
            self._header(text)
            return
        if self.shown.has_trailer:
            raise errors.AfterTrailerError
        line = parse_line(text)  # FORMAT 12 (1)
        if self._rank <= 1 and type(line) is EntryLine:
            self._rank = 1
            self._entry(line)
            return
        rank = _RANK.get(type(line), 0)
        if rank < self._rank or (rank >= 3 and rank == self._rank):
            raise errors.LineError("a line stands where it must not", found=type(line).__name__)
        if rank > 1 and self._rank <= 1:
            self._entries_end()
        self._rank = rank
        self._other(line, reader)

    def _other(self, line: Line, reader: LineReader) -> None:
        match line:
            case ChunkLine() | AlteredLine():
                self._beside(line)
            case MapLine():
                self._map(line)
            case ConsistencyLine():
                self.shown.consistency = line
            case CheckpointLine():
                self.shown.note = line.note
            case Trailer():
                self._trailer(line, reader)
            case _:
                raise errors.LineError("a second header")

    def _header(self, text: bytes) -> None:
        if not text.startswith(b"{"):
            canonical_error: errors.LedgerError = errors.NotAnExportError()
            if text.startswith(b"\xef\xbb\xbf"):
                canonical_error = errors.ByteOrderMarkError()
            raise canonical_error
        try:
            header = parse_line(text)
        except errors.VersionError:
            raise
        except errors.LedgerError as error:
            raise errors.NotAnExportError(f"the first line: {error}") from None
        if not isinstance(header, Header):
            raise errors.NotAnExportError("the first line is not a header")
        self.shown.header = header
        self._is_full = header.kind == "full"
        self._chain = Chain(header, self.table)
        self._is_custody_judged = header.kind == "full" or str(header.subject).startswith("packet/")
        if not self._is_full:
            self._need_whole(header)

    def _need_whole(self, header: Header) -> None:
        """Ask for the histories that an export of this kind carries; its entries name others."""
        self.histories.need("keys")
        if header.subject is not None:
            self.histories.need(header.subject)
            self._packet = header.subject if header.subject.startswith("packet/") else None
        if self._packet is not None:
            self.histories.need("policy")

    def _trailer(self, line: Trailer, reader: LineReader) -> None:
        found = Trailer(self.entries, reader.lines - 1, reader.digest_before_last())
        if line != found:  # FORMAT 12 (14)
            raise errors.TrailerError(expected=str(line), found=str(found))
        self.shown.has_trailer = True

    def _end(self, reader: LineReader) -> None:
        if self.shown.header is None:
            if reader.lines == 0 and not reader.tail and not reader.is_cut:
                raise errors.EmptyError("the file is empty", position=0)
            if not reader.is_cut or not _begins_header(reader.tail):
                raise errors.NotAnExportError
        elif self.shown.has_trailer:
            if reader.tail:
                raise errors.AfterTrailerError
            self.shown.has_trailer = not reader.is_cut
            if self.entries == 0:
                raise errors.EmptyError(position=0)

    # --- entries ---------------------------------------------------------------------------

    def _entry(self, line: EntryLine) -> None:
        shown, chain = self.shown, self._chain
        if chain is None or shown.header is None:
            raise errors.NotAnExportError
        if (line.path is None) != self._is_full:
            raise errors.LineError("inclusion proofs are for partial exports, and those need them")
        read = self._forms.read(line.raw)
        of, named = self._read_strictly(line.raw) if read is None else read
        try:
            self.attachments.entry(of, named)
        except errors.AttachmentError as error:
            self.findings.fail(INTEGRITY, error.at(of.seq))
        row: Row | None = None
        if not shown.is_chain_broken:
            try:
                row = chain.admit(of, is_body_checked=read is not None)
            except errors.LedgerError as error:
                self.findings.fail(INTEGRITY, error.at(of.seq))
                shown.is_chain_broken = True
        if row is None:
            chain.last, chain.count = of, chain.count + 1
        self._authenticate(of, line.signature)
        self._place(of, line.path)
        if row is not None:
            self._record(of, row, chain)
            if read is None:
                self._forms.learn(of)
        if self._progress is not None and chain.count % PROGRESS_EVERY == 0:
            self._progress(chain.count, shown.header.size)

    @staticmethod
    def _read_strictly(raw: bytes) -> tuple[Entry, Sequence[Named]]:
        of = entry.parse(raw)  # FORMAT 12 (2)
        return of, named_in(of.body, raw)

    def _authenticate(self, of: Entry, signature: bytes) -> None:
        """Checks 9 and 10: the issuer's key and signature, then what the entry does to keys."""
        findings, shown = self.findings, self.shown
        try:
            if shown.genesis_leaf is None:
                if self.entries > 1 or not entry.is_genesis(of):
                    findings.leave(AUTHENTICITY, "no_genesis")
                    return
                self._check_anchor(of)
                self.ring.open(of)
                shown.genesis_leaf = of.leaf
            public = self.ring.issuer_of(of)  # FORMAT 12 (9)
            is_first = of.seq == 0 or of.subject == "keys"
            if (
                is_first and not self._is_quick
            ):  # in its turn among what else check 9 and 10 find here
                ed25519.check(public, dsse.entry_pae(of.raw), signature)
            elif not self._is_quick:
                self._signatures.add(of.seq, public, of.raw, signature)
        except errors.LedgerError as error:
            findings.fail(AUTHENTICITY, error.at(of.seq))
        if of.subject == "keys":
            try:
                self.ring.apply(of)  # FORMAT 12 (10)
            except errors.LedgerError as error:
                findings.fail(AUTHENTICITY, error.at(of.seq))

    def _check_anchor(self, genesis: Entry) -> None:
        anchor = self._anchor
        if anchor is None:
            return
        if anchor.log_vkey.name != genesis.log:
            error: errors.LedgerError = errors.OriginMismatchError(
                position=0, expected=anchor.log_vkey.name, found=genesis.log
            )
            self.findings.fail(AUTHENTICITY, error)
        elif anchor.genesis_leaf is not None and anchor.genesis_leaf != genesis.leaf:
            error = errors.GenesisError(
                position=0, expected=anchor.genesis_leaf.hex(), found=genesis.leaf.hex()
            )
            self.findings.fail(AUTHENTICITY, error)

    def _place(self, of: Entry, path: tuple[bytes, ...] | None) -> None:
        """The tree: a leaf more, or where the inclusion proof leads."""
        shown = self.shown
        if path is None:
            if shown.frontier.size == self._remembered_size:
                shown.past_root = shown.frontier.root()
            shown.frontier.add(of.leaf)
            return
        try:
            size = 0 if shown.header is None else shown.header.size
            root = merkle.root_from_inclusion(of.leaf, of.seq, size, path)  # FORMAT 12 (11)
            if shown.path_root is None:
                shown.path_root = root
            elif root != shown.path_root:
                raise errors.InclusionError(
                    position=of.seq, expected=shown.path_root.hex(), found=root.hex()
                )
        except errors.LedgerError as error:
            self.findings.fail(INTEGRITY, error.at(of.seq))

    def _record(self, of: Entry, row: Row, chain: Chain) -> None:
        """The subject's row with its custody state, after the index that the entry may commit."""
        if of.type == "index_committed":
            if chain.is_index(of):
                self._take_index(of)
                return
            if self._is_full:
                self._check_index(of)  # FORMAT 12 (12)
        if self._is_custody_judged:
            try:
                row.state = custody.judge(row.state, of, self._member)  # FORMAT 12 (13)
            except errors.LedgerError as error:
                self.findings.fail(CUSTODY, error)
                self._is_custody_judged = False
        self.table.put(of.subject, row)
        if not self._is_full and row.next_seq == 1 and chain.is_whole(of.subject):
            self.histories.need(of.subject)
        if of.subject == self._packet:
            for subject in custody.members_named(of.body):
                self.histories.need(subject)

    def _member(self, member_id: str) -> custody.Member | None:
        row = self.table.get(f"member/{member_id}")
        return row.state if row is not None and isinstance(row.state, custody.Member) else None

    def _check_index(self, of: Entry) -> None:
        """A full export gives the map itself: a committed one must be equal."""
        claimed = [of.body.get(name) for name in ("size", "subjects", "root")]
        found: list[Json] = [of.seq, self.table.count, self.table.root().hex()]
        if canonical.encode(claimed) != canonical.encode(found):  # where true is not 1
            self.findings.fail(
                COMPLETENESS,
                errors.IndexMismatchError(
                    position=of.seq, expected=_index_text(found), found=_index_text(claimed)
                ),
            )

    def _take_index(self, of: Entry) -> None:
        size, root = of.body.get("size"), of.body.get("root")
        if (
            type(size) is int
            and size == of.seq
            and isinstance(root, str)
            and entry.HEX32.fullmatch(root) is not None
        ):
            self.shown.index_root = bytes.fromhex(root)

    # --- after the entries -----------------------------------------------------------------

    def _entries_end(self) -> None:
        self.attachments.settle()
        if self._chain is None or self.shown.is_chain_broken:
            return
        try:
            self._chain.check_end()
        except errors.LedgerError as error:  # a gap like any other: what follows is still read
            self.findings.fail(INTEGRITY, error)
            self.shown.is_chain_broken = True

    def _beside(self, line: ChunkLine | AlteredLine) -> None:
        try:
            if isinstance(line, AlteredLine):
                self.attachments.altered(line)
            else:
                self.attachments.chunk(line)
        except errors.AttachmentError as error:
            self.findings.fail(INTEGRITY, error)

    def _map(self, line: MapLine) -> None:
        shown = self.shown
        self.histories.begin_proof(line.subject)
        if shown.is_chain_broken:
            return
        position = 0 if shown.header is None else max(shown.header.size - 1, 0)
        verdict = COMPLETENESS if self._is_subject_export else AUTHENTICITY
        try:
            if shown.index_root is None or line.index != position:
                raise errors.SubjectMapError(
                    "no index entry ends the file", expected=str(position), found=str(line.index)
                )
            place: tuple[int, bytes] | None = None
            if line.proof.key == subject_map.subject_key(line.subject):
                place = subject_map.check_present(line.proof, shown.index_root, line.subject)
            else:
                subject_map.check_absent(line.proof, shown.index_root, line.subject)
            self.histories.place(line.subject, place)
        except errors.LedgerError as error:
            self.findings.fail(verdict, error.at(position))

    @property
    def _is_subject_export(self) -> bool:
        return self.shown.header is not None and self.shown.header.kind == "subject"


def _begins_header(tail: bytes) -> bool:
    return tail.startswith(_HEADER_START) or _HEADER_START.startswith(tail)


def _index_text(values: list[Json]) -> str:
    size, subjects, root = (canonical.text_of(value, 64) for value in values)
    return f"{size} entries, {subjects} subjects, {root}"
