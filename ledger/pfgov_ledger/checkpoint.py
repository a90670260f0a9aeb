"""Checkpoints: what the log's key says about the whole log, as C2SP tlog-checkpoint defines it.

Three lines (origin, size, base64 of the root) in a signed note, without extension lines, which no
one could audit.  Witnesses add C2SP cosignatures: a time, and a signature over it and the same three
lines, Ed25519 (type 0x04) or ML-DSA-44 (0x06, where the library has it).  Which witnesses suffice is
not decided here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pfgov_ledger import ed25519, entry, errors, merkle, note, strict64
from pfgov_ledger.note import NoteSigner, Vkey

TIME_MAX: Final = 2**63 - 1
"""The largest time a cosignature may assert, in seconds (tlog-cosignature)."""
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log *origin* had *size* entries, and their Merkle root was *root*."""

    origin: str
    size: int
    root: bytes

    def text(self) -> bytes:
        """The note text that is signed."""
        return f"{self.origin}\n{self.size}\n{strict64.encode(self.root)}\n".encode()


@dataclass(frozen=True, slots=True)
class Remembered(Checkpoint):
    """A checkpoint that a reader kept, with the signed note that it was read from."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint whose signatures hold.

    ``log_keys`` are the log's keys that signed, ``witnesses`` the cosignatures of known witnesses
    with their times, ``unknown`` the names on lines that no known key explains.
    """

    checkpoint: Checkpoint
    log_keys: tuple[Vkey, ...]
    witnesses: tuple[note.Verified, ...]
    unknown: tuple[str, ...]
    raw: bytes


def parse_text(text: bytes) -> Checkpoint:
    """Read the three lines of a checkpoint.

    Raises:
        CheckpointExtensionError: There are more than three.
        CheckpointError: They are not origin, size and root.
    """
    try:
        lines = text.decode().split("\n")
    except UnicodeDecodeError:
        raise errors.CheckpointError("not UTF-8") from None
    if len(lines) < 4 or lines[-1]:
        raise errors.CheckpointError("a checkpoint has three lines")
    if len(lines) > 4:
        raise errors.CheckpointExtensionError(found=repr(lines[3])[:80])
    origin, size, encoded = lines[:3]
    if not entry.is_origin(origin):
        raise errors.CheckpointError("not an origin", found=repr(origin)[:80])
    if _SIZE.fullmatch(size) is None or int(size) > merkle.SIZE_MAX:
        raise errors.CheckpointError("not a tree size", found=repr(size)[:80])
    try:
        root = strict64.decode(encoded, size=merkle.HASH_BYTES)
    except errors.Base64Error as error:
        raise errors.CheckpointError(str(error)) from None
    return Checkpoint(origin, int(size), root)


def sign(checkpoint: Checkpoint, *signers: NoteSigner) -> bytes:
    """The signed note of *checkpoint*; during a rotation the old and the new key both sign."""
    return note.sign(checkpoint.text(), signers)


def cosignature_message(text: bytes, time: int) -> bytes:
    """What a version 1 cosignature covers."""
    return b"cosignature/v1\ntime %d\n%b" % (time, text)


def cosign(raw: bytes, signer: NoteSigner, *, time: int) -> bytes:
    """*raw* with one more line: *signer*, as a witness, saw this checkpoint at *time* (seconds)."""
    text, _ = note.split(raw)
    signature = time.to_bytes(8, "big") + signer.sign(cosignature_message(text, time))
    identity = note.key_id(signer.name, note.COSIGNATURE_V1, signer.public)
    return raw + note.signature_line(signer.name, identity, signature).encode()


def _check_cosignature(key: Vkey, text: bytes, signature: bytes) -> int:
    time = int.from_bytes(signature[:8], "big")
    if len(signature) != 8 + ed25519.SIGNATURE_BYTES or time > TIME_MAX:
        raise errors.SignatureFormError("a cosignature is a time and 64 bytes")
    ed25519.check(key.public, cosignature_message(text, time), signature[8:])
    return time


def mldsa44_message(name: str, text: bytes, time: int) -> bytes:
    """What a cosignature of type 0x06 covers: the ``cosigned_message`` of tlog-cosignature over the whole tree."""
    signed = parse_text(text)
    named, origin = name.encode(), signed.origin.encode()
    return b"".join((
        b"subtree/v1\n\x00",
        bytes([len(named)]), named,
        time.to_bytes(8, "big"),
        bytes([len(origin)]), origin,
        bytes(8), signed.size.to_bytes(8, "big"),
        signed.root,
    ))  # fmt: skip


def _check_mldsa44(key: Vkey, text: bytes, signature: bytes) -> int:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

    time = int.from_bytes(signature[:8], "big")
    if len(signature) != 8 + _MLDSA44_SIGNATURE_BYTES or time > TIME_MAX:
        raise errors.SignatureFormError("a cosignature of type 0x06 is a time and 2420 bytes")
    try:
        public = MLDSA44PublicKey.from_public_bytes(key.public)
        public.verify(signature[8:], mldsa44_message(key.name, text, time))
    except (InvalidSignature, ValueError):
        raise errors.SignatureInvalidError from None
    return time


@lru_cache(maxsize=1)
def _has_mldsa44() -> bool:
    """Whether the library can check such signatures: it has them since version 47, where its OpenSSL does."""
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
    except ImportError:
        return False
    try:
        MLDSA44PrivateKey.from_seed_bytes(bytes(32))
    except UnsupportedAlgorithm:
        return False
    return True


_MLDSA44_SIGNATURE_BYTES: Final = 2_420
_ALGORITHMS: Final[Mapping[int, note.Check]] = {
    **note.ALGORITHMS,
    note.COSIGNATURE_V1: _check_cosignature,
}
_WITH_MLDSA44: Final[Mapping[int, note.Check]] = {
    **_ALGORITHMS,
    note.COSIGNATURE_MLDSA44: _check_mldsa44,
}


def algorithms(witnesses: Iterable[Vkey] = ()) -> Mapping[int, note.Check]:
    """The signature types that can be checked here; the library is asked only where one of *witnesses* needs it."""
    is_asked = any(key.algorithm == note.COSIGNATURE_MLDSA44 for key in witnesses)
    return _WITH_MLDSA44 if is_asked and _has_mldsa44() else _ALGORITHMS


def cosignatures(witnesses: Iterable[Vkey]) -> frozenset[int]:
    """The types of :func:`algorithms` that state a time: a plain signature, as a log's own, makes nobody a witness."""
    return frozenset(algorithms(witnesses)) - {note.ED25519}


def open_checkpoint(raw: bytes, logs: Iterable[Vkey], witnesses: Iterable[Vkey] = ()) -> Opened:
    """Check a signed checkpoint against the log's keys and the witnesses one knows.

    Args:
        raw: The signed note.
        logs: The log's verifier keys; the name of each is the origin it may sign for.
        witnesses: Verifier keys of witnesses; one whose type states no time is not known here.

    Raises:
        NoteError: Not a note.
        CheckpointError: Not a checkpoint.
        CheckpointSignatureError: A known key's signature does not hold.
        CheckpointUnsignedError: No key of the log signed.
        OriginMismatchError: A known log's key signed for another origin.
    """
    trusted, witnesses = list(logs), list(witnesses)
    counted = cosignatures(witnesses)
    known = [key for key in witnesses if key.algorithm in counted]
    opened = note.open_note(raw, [*trusted, *known], algorithms(known))
    checkpoint = parse_text(opened.text)
    by_log = tuple(v.vkey for v in opened.verified if v.vkey in trusted)
    if not by_log:
        raise errors.CheckpointUnsignedError("no key of the log signed")
    for key in by_log:
        if key.name != checkpoint.origin:
            raise errors.OriginMismatchError(expected=key.name, found=checkpoint.origin)
    others = tuple(v for v in opened.verified if v.vkey not in trusted)
    return Opened(checkpoint, by_log, others, opened.unknown, raw)
