"""COSE receipts (RFC 9942): that an entry is in the log, signed for this form by the key of the log.

A checkpoint is signed as a note, a receipt as COSE_Sign1 over the root alone, so that no stored signature fits and each
receipt is signed anew: with the very key that signed the export's checkpoint, over that checkpoint's root, and with no
other.  Leaf and node hashes of the log are those of RFC 9162.  A transparent statement (RFC 9943) has a COSE_Sign1 for
its leaf; entries are none, so that receipts are all that is made here.
"""

import base64
import mmap
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import IO, Any, Final, Self

from pfgov.errors import PfgovError
from pfgov.lineage.records import Lineage
from pfgov.lineage.text import line
from pfgov_ledger import checkpoint as checkpoints
from pfgov_ledger import keys, merkle
from pfgov_ledger.errors import LedgerError

SIGN1_TAG: Final = 18
ALGORITHM, KEY_ID, CLAIMS, STRUCTURE, PROOFS = 1, 4, 15, 395, 396
"""Labels of headers: RFC 9052 section 3.1, RFC 9597, RFC 9942 section 6."""

EDDSA: Final = -8
RFC9162_SHA256: Final = 1
INCLUSION: Final = -1
ISSUER, SUBJECT = 1, 2
"""Claims of RFC 8392: the log, and the entry's place in it."""


class CannotSignError(PfgovError):
    """Receipts need the key that signed the export's checkpoint, and a CBOR library."""

    code = "lineage.cannot_sign"
    exit_status = 2


def to_receipts(lineage: Lineage, signer: keys.Signer | None) -> Iterator[str]:
    """Yield a line for each entry: where it stands, and its receipt as CBOR in Base64.

    Raises:
        CannotSignError: there is no signer, it is not the log's, or cbor2 is not installed.
    """
    encode = _encoder()
    head = _checkpoint(lineage, signer)
    if signer is None:
        raise AssertionError
    kid = bytes.fromhex(keys.key_id(signer.public))
    with _Paths(lineage, head.size) as paths:
        for record in lineage:
            entry = record.entry
            protected = encode(
                {
                    ALGORITHM: EDDSA,
                    KEY_ID: kid,
                    CLAIMS: {ISSUER: entry.log, SUBJECT: record.name},
                    STRUCTURE: RFC9162_SHA256,
                }
            )
            path = record.path if record.path is not None else paths.of(entry.seq)
            proof = encode([head.size, entry.seq, list(path)])
            signature = signer.sign(encode(["Signature1", protected, b"", head.root]))
            receipt = encode([protected, {PROOFS: {INCLUSION: [proof]}}, None, signature])
            tagged = bytes([0xC0 | SIGN1_TAG]) + receipt
            yield line({**record.origin_of(), "receipt": base64.b64encode(tagged).decode()})


def _encoder() -> Callable[[object], bytes]:
    """Return what writes deterministic CBOR (RFC 8949 section 4.2)."""
    try:
        dumps: Any = import_module("cbor2").dumps
    except ImportError as error:
        raise CannotSignError(
            "COSE receipts need the library cbor2", hint="pip install 'pfgov[lineage]'"
        ) from error

    def encode(value: object) -> bytes:
        written: bytes = dumps(value, canonical=True)
        return written

    return encode


def _checkpoint(lineage: Lineage, signer: keys.Signer | None) -> checkpoints.Checkpoint:
    """Return the export's checkpoint, which *signer* has to have signed."""
    raw = lineage.checkpoint()
    if signer is None:
        raise CannotSignError(
            "COSE receipts are signed anew, by the key of the log",
            hint="where that key is: --signer file:.pfgov/keys/log.key",
        )
    try:
        return checkpoints.open_checkpoint(raw, [keys.vkey_of(signer)]).checkpoint
    except LedgerError as error:
        raise CannotSignError(
            "this key did not sign the checkpoint of the export",
            hint="name the log's present key; see: pfgov ledger keys list",
        ) from error


class _Paths:
    """The inclusion paths of a whole export, from a tree in temporary files: 64 bytes an entry, none in memory."""

    def __init__(self, lineage: Lineage, size: int) -> None:
        self._size = size
        self._files: list[IO[bytes]] = []
        self._maps: list[mmap.mmap] = []
        if lineage.header.kind == "full":
            self._build(lineage)

    def _build(self, lineage: Lineage) -> None:
        edge: list[tuple[int, bytes]] = []
        for record in lineage:
            level, value = 0, record.entry.leaf
            self._write(0, value)
            while edge and edge[-1][0] == level:
                value = merkle.node_hash(edge.pop()[1], value)
                level += 1
                self._write(level, value)
            edge.append((level, value))
        for file in self._files:
            file.flush()
            self._maps.append(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def _write(self, level: int, value: bytes) -> None:
        if level == len(self._files):
            self._files.append(tempfile.TemporaryFile())  # noqa: SIM115 - closed with the tree
        self._files[level].write(value)

    def node(self, level: int, index: int) -> bytes:
        """Return the root of a complete subtree."""
        at = index * merkle.HASH_BYTES
        return self._maps[level][at : at + merkle.HASH_BYTES]

    def of(self, index: int) -> Sequence[bytes]:
        """Return the path of one entry."""
        return merkle.inclusion_proof(self, index, self._size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for mapped in self._maps:
            mapped.close()
        for file in self._files:
            file.close()
