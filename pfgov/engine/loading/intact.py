"""Whether what is stored is what was signed: nothing is signed upon, or handed out, that was changed in the database.

A row of an entry keeps its hash and its place beside the bytes, a payload lies under the commitment that entries name,
policy sets and verdict tables under their digests.  Any of them may be changed by whoever can write the file.  Here all
are worked out again.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import msgspec

from pfgov.decoding import Reader
from pfgov.errors import StoreCorruptError
from pfgov.storage.port import AttachmentRow, EntryRow
from pfgov_ledger import commitment, dsse, ed25519, entry, merkle
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.keys import key_id
from pfgov_ledger.subject_map import SubjectMap

T = TypeVar("T")

TABLE_BYTES_MAX: Final = 1 << 30
"""More than any verdict table has: what inflates to more is none."""


def leaf_of(row: EntryRow) -> bytes:
    """Return the leaf hash of *row*, worked out from its bytes.

    Raises:
        StoreCorruptError: ``store.altered``, the one that is stored is another.
    """
    leaf = hashlib.sha256(b"\x00" + row.raw).digest()
    if leaf != row.leaf:
        raise altered(row.seq, "its hash is not that of its bytes")
    return leaf


def check_entry(row: EntryRow, issuers: Mapping[str, bytes]) -> entry.Entry:
    """Return the entry in *row*, whose columns say what its bytes do, and which one of *issuers* (by id) signed.

    Raises:
        StoreCorruptError: ``store.altered``, it is not as it was signed.
    """
    leaf_of(row)
    try:
        found = entry.parse(row.raw)
    except LedgerError as error:
        raise altered(row.seq, str(error)) from error
    stated = (found.seq, found.subject, found.subject_seq, found.type, found.time)
    if stated != (row.seq, row.subject, row.subject_seq, row.type, row.time):
        raise altered(row.seq, "its columns say something else than its bytes")
    public = issuers.get(found.issuer.hex())
    if public is None or not ed25519.verify(public, dsse.entry_pae(row.raw), row.signature):
        raise altered(row.seq, "its signature does not hold")
    return found


def issuers_of(publics: Mapping[str, str]) -> dict[str, bytes]:
    """Return the issuer keys among *publics* (public key in hex -> role) by the id that entries name."""
    keys = [bytes.fromhex(public) for public, role in publics.items() if role == "issuer"]
    return {key_id(public): public for public in keys}


def check_payload(row: AttachmentRow, origin: str) -> bytes:
    """Return the payload in *row*, which opens its commitment.

    Raises:
        StoreCorruptError: ``attachment.altered``, it does not.
    """
    try:
        digest = commitment.commit(
            origin=origin, subject=row.subject, field=row.field, salt=row.salt, payload=row.payload
        ).hex()
    except LedgerError:  # that is no salt, or no name
        digest = ""
    if digest != row.digest:
        raise StoreCorruptError(
            f"the payload under {row.digest} was changed in the database: it does not open that commitment",
            code="attachment.altered",
            hint="restore it from a backup; see what else was changed: pfgov ledger doctor",
        )
    return row.payload


def opens(row: AttachmentRow, origin: str) -> bool:
    """Whether the payload in *row* opens its commitment."""
    try:
        check_payload(row, origin)
    except StoreCorruptError:
        return False
    return True


def missing_payload(digest: str) -> StoreCorruptError:
    """Return what is said of a payload that is gone, or marked as erased, though no entry says that it was erased."""
    return StoreCorruptError(
        f"the payload under {digest} was taken out of the database: no entry says that it was erased",
        code="attachment.altered",
        hint="restore it from a backup; see what else was changed: pfgov ledger doctor",
    )


def check_policies(document: bytes, digest: str) -> bytes:
    """Return the *document* of a policy set, which is the one that *digest* names.

    Raises:
        StoreCorruptError: ``store.altered``, it is not.
    """
    if hashlib.sha256(document).hexdigest() != digest:
        raise StoreCorruptError(
            f"the policy set {digest} was changed in the database: its bytes have another digest",
            code="store.altered",
            hint="restore it from a backup; see what else was changed: pfgov ledger doctor",
        )
    return document


def check_table(stored: bytes, digest: str) -> bytes:
    """Return the verdict table in *stored*, which is compressed; *digest* is what its entry says of it.

    Raises:
        StoreCorruptError: ``store.altered``, it is another one.
    """
    inflater = zlib.decompressobj()
    try:
        table = inflater.decompress(stored, TABLE_BYTES_MAX)
    except zlib.error:
        table = b""
    is_whole = inflater.eof and not inflater.unused_data
    if not is_whole or hashlib.sha256(table).hexdigest() != digest:
        raise StoreCorruptError(
            f"the verdict table {digest} was changed in the database: its bytes have another digest",
            code="store.altered",
            hint="regenerate it from the ledger: pfgov ledger replay; see what else was changed: pfgov ledger doctor",
        )
    return table


class RowDecoder(Generic[T]):
    """Makes values of stored JSON; what is none was changed."""

    def __init__(self, kind: type[T], what: str) -> None:
        self._reader = Reader[T](kind)
        self._what = what

    def decode(self, raw: bytes) -> T:
        """Return what *raw* says.

        Raises:
            StoreCorruptError: ``store.altered``, it says nothing that pfgov writes.
        """
        try:
            return self._reader.decode(raw)
        except msgspec.MsgspecError as error:
            raise unreadable(self._what, error) from error


def unreadable(what: str, error: Exception) -> StoreCorruptError:
    """Return what is said of stored bytes that are no longer *what* they were."""
    return StoreCorruptError(
        f"{what} was changed in the database: {error}",
        code="store.altered",
        hint="restore it from a backup; see what else was changed: pfgov ledger doctor",
    )


def altered(seq: int, why: str) -> StoreCorruptError:
    """Return the error for the entry at *seq*, which was changed in the database."""
    return StoreCorruptError(
        f"entry {seq} was changed in the database: {why}",
        code="store.altered",
        hint="restore a backup; nothing is signed upon it: pfgov ledger doctor",
    )


# --- where the chain of each subject ends -------------------------------------------------
#
# An entry is signed upon the last one of its subject.  Which one that is the database says, by a column; whoever
# changes that, or takes the row away, would have an older one signed upon, and no verifier would pass the ledger
# again.  Knowing better takes reading the whole ledger: that is done for the first index, which needs the map of all
# subjects, and where a ledger is small before the first entry is signed.

AT_ONCE_MAX: Final = 10_000
"""Entries up to which all are looked through before the first of a writer is signed: a tenth of a second."""

Rows = Callable[[], Iterable[EntryRow]]
"""Gives all entries, in order."""


@dataclass(slots=True)
class Ends:
    """The last entry of each subject, by the bytes of those entries that are as they were signed.

    Attributes:
        heads: Subject -> number and leaf of its last entry.
        hole: The last position at which there is no such entry, or -1: it may have been any subject's.
    """

    heads: dict[str, tuple[int, bytes]] = field(default_factory=dict[str, tuple[int, bytes]])
    hole: int = -1


def map_of(rows: Rows, size: int, root: bytes) -> SubjectMap:
    """Return the map over the first *size* entries, which are *rows* and have *root*.

    Raises:
        StoreCorruptError: ``store.altered``, they are not what was signed.
    """
    made = SubjectMap()
    for subject, number, leaf in _under_root(rows(), size, root):
        made.update(subject, number, leaf)
    return made


def ends_of(
    rows: Rows, size: int, root: bytes, issuers: Callable[[], dict[str, bytes]]
) -> Ends | None:
    """Return where the chain of each subject ends, of which *issuers* may have signed; None in a large ledger."""
    if size > AT_ONCE_MAX:
        return None
    found = Ends()
    try:
        for subject, number, leaf in _under_root(rows(), size, root):
            found.heads[subject] = (number, leaf)
    except StoreCorruptError:
        return _as_signed(rows(), size, issuers())
    return found


def _under_root(
    rows: Iterable[EntryRow], size: int, root: bytes
) -> Iterator[tuple[str, int, bytes]]:
    """Yield subject, number and leaf of each of *rows*; refuse them at the end if *root* is not over them."""
    tree = merkle.Frontier()
    for row in rows:
        leaf = leaf_of(row)
        try:
            subject, number = entry.subject_of(row.raw)
        except LedgerError as error:
            raise altered(row.seq, str(error)) from error
        tree.add(leaf)
        yield subject, number, leaf
    if (tree.size, tree.root()) != (size, root):
        raise altered(tree.size, "the entries are not those whose tree was signed")


def _as_signed(rows: Iterable[EntryRow], size: int, issuers: dict[str, bytes]) -> Ends:
    """Return what is known where some of *rows* are not as they were signed."""
    found, at = Ends(), 0
    for row in rows:
        if row.seq > at:
            found.hole = row.seq - 1
        at = row.seq + 1
        try:
            of = entry.parse(row.raw)
            # What the columns say may be another thing: the bytes were signed.
            stated = (of.seq, of.subject, of.subject_seq, of.type, of.time, of.leaf)
            check_entry(EntryRow(*stated, row.signature, row.raw), issuers)
        except (LedgerError, StoreCorruptError):
            found.hole = row.seq
        else:
            found.heads[of.subject] = (of.subject_seq, of.leaf)
    if at < size:
        found.hole = size - 1
    return found
