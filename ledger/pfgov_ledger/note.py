"""Signed notes and verifier keys, byte for byte as C2SP signed-note defines them.

A note is UTF-8 text ending in a newline, an empty line, and signature lines
``— NAME base64(key id || signature)``.  Signatures of unknown keys are ignored; a wrong signature
of a known key rejects the note; a note that no known key signed is worth nothing.

What kinds of signature exist is a table (``ALGORITHMS``) that callers extend: this module knows
plain Ed25519 (type 0x01) and nothing about checkpoints.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from pfgov_ledger import ed25519, errors, strict64

NOTE_BYTES_MAX: Final = 256 * 1024
SIGNATURES_MAX: Final = 64
"""Signed-note asks for at least 16."""
NAME_BYTES_MAX: Final = 255

ED25519: Final = 0x01
COSIGNATURE_V1: Final = 0x04
COSIGNATURE_MLDSA44: Final = 0x06
_DERIVED_IDS: Final = {ED25519, COSIGNATURE_V1}
"""Types whose key id is the recommended hash over a 32-byte Ed25519 key."""
_MLDSA44_PUBLIC_BYTES: Final = 1_312

_DASH: Final = "\N{EM DASH} "
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_HEX8: Final = re.compile(r"[0-9a-f]{8}")

Check: TypeAlias = "Callable[[Vkey, bytes, bytes], int | None]"
"""(key, text, signature) -> the time it asserts, if any; raises AuthenticityError."""


class NoteSigner(Protocol):
    """What signs a note: a named Ed25519 key (``keys.Signer`` is one)."""

    @property
    def name(self) -> str:
        """The key's name."""
        ...

    @property
    def public(self) -> bytes:
        """The raw public key."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of *message*."""
        ...


@dataclass(frozen=True, slots=True)
class Vkey:
    """A verifier key: a name, a four-byte id, a signature type, and the raw public key."""

    name: str
    id: bytes
    algorithm: int
    public: bytes

    def __str__(self) -> str:
        material = strict64.encode(bytes([self.algorithm]) + self.public)
        return f"{self.name}+{self.id.hex()}+{material}"


@dataclass(frozen=True, slots=True)
class Verified:
    """A signature that holds: whose, and the time it asserts (seconds), if its type has one."""

    vkey: Vkey
    time: int | None


@dataclass(frozen=True, slots=True)
class Note:
    """An opened note: the text, the signatures that hold, the names that were not known."""

    text: bytes
    verified: tuple[Verified, ...]
    unknown: tuple[str, ...]


def is_name(text: str) -> bool:
    """Whether *text* may name a key: no spaces, control characters or ``+``, 1-255 bytes."""
    return (
        0 < len(text.encode(errors="replace")) <= NAME_BYTES_MAX
        and "+" not in text
        and not any(character.isspace() or character < " " for character in text)
    )


def key_id(name: str, algorithm: int, public: bytes) -> bytes:
    """``SHA-256(name || 0x0A || algorithm || public)[:4]``."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:4]


def vkey(name: str, public: bytes, algorithm: int = ED25519) -> Vkey:
    """The verifier key of an Ed25519 public key.

    Raises:
        KeyTextError: The name cannot name a key.
        WeakKeyError: The key must not be trusted.
    """
    if not is_name(name):
        raise errors.KeyTextError("not a key name", found=repr(name)[:80])
    ed25519.check_public(public)
    return Vkey(name, key_id(name, algorithm, public), algorithm, public)


def parse_vkey(text: str) -> Vkey:
    """Read ``NAME+hex(id)+base64(type || key)``.

    A type other than 0x01 and 0x04 is kept as it stands, so that a policy can name it.

    Raises:
        KeyTextError: Not such a text, or the id is not the one of the key.
        WeakKeyError: The key must not be trusted.
    """
    name, _, rest = text.partition("+")
    identity, _, material = rest.partition("+")
    if not is_name(name) or _HEX8.fullmatch(identity) is None:
        raise errors.KeyTextError("a verifier key is NAME+HEX+BASE64", found=repr(text)[:80])
    try:
        raw = strict64.decode(material)
    except errors.Base64Error as error:
        raise errors.KeyTextError(str(error)) from None
    if len(raw) < 2:
        raise errors.KeyTextError("a verifier key carries a type and a key")
    algorithm, public = raw[0], raw[1:]
    if algorithm in _DERIVED_IDS:
        derived = vkey(name, public, algorithm)
        if derived.id.hex() != identity:
            raise errors.KeyTextError(
                "the id is not the key's", expected=derived.id.hex(), found=identity
            )
        return derived
    if algorithm == COSIGNATURE_MLDSA44 and (
        len(public) != _MLDSA44_PUBLIC_BYTES or key_id(name, algorithm, public).hex() != identity
    ):
        raise errors.KeyTextError("not an ML-DSA-44 key, or the id is not the key's")
    return Vkey(name, bytes.fromhex(identity), algorithm, public)


def check_plain(key: Vkey, text: bytes, signature: bytes) -> None:
    """Type 0x01: Ed25519 over the note text. Raises AuthenticityError."""
    ed25519.check(key.public, text, signature)


ALGORITHMS: Final[Mapping[int, Check]] = {ED25519: check_plain}


def signature_line(name: str, identity: bytes, signature: bytes) -> str:
    """One signature line, with its newline."""
    return f"{_DASH}{name} {strict64.encode(identity + signature)}\n"


def sign(text: bytes, signers: Iterable[NoteSigner]) -> bytes:
    """The note of *text* signed with type 0x01 by *signers*.

    Raises:
        NoteError: The text is not one that a note can hold.
    """
    _check_text(text)
    lines = [
        signature_line(s.name, key_id(s.name, ED25519, s.public), s.sign(text)) for s in signers
    ]
    return text + b"\n" + "".join(lines).encode()


def open_note(
    raw: bytes, vkeys: Iterable[Vkey], algorithms: Mapping[int, Check] = ALGORITHMS
) -> Note:
    """Check *raw* against the keys one trusts.

    A key whose type is not in *algorithms* is not known here.

    Raises:
        NoteError: Not a note.
        CheckpointSignatureError: A known key's signature does not hold.
        CheckpointUnsignedError: No known key signed.
    """
    text, signatures = split(raw)
    known = {(key.name, key.id): key for key in vkeys if key.algorithm in algorithms}
    verified: dict[tuple[str, bytes], Verified] = {}
    unknown: list[str] = []
    for name, identity, signature in signatures:
        key = known.get((name, identity))
        if key is None:
            unknown.append(name)
            continue
        try:
            time = algorithms[key.algorithm](key, text, signature)
        except errors.AuthenticityError as error:
            raise errors.CheckpointSignatureError(f"the signature of {name}: {error}") from None
        before = verified.get((name, identity))
        if before is None or (time or 0) > (before.time or 0):  # of several the newest counts
            verified[name, identity] = Verified(key, time)
    if not verified:
        raise errors.CheckpointUnsignedError(f"signed only by {', '.join(unknown)[:200]}")
    return Note(text, tuple(verified.values()), tuple(unknown))


def split(raw: bytes) -> tuple[bytes, list[tuple[str, bytes, bytes]]]:
    """The text of a note and its (name, key id, signature) lines; nothing is verified.

    Raises:
        NoteError: Not a note.
    """
    if len(raw) > NOTE_BYTES_MAX:
        raise errors.NoteError(
            "too large", expected=f"at most {NOTE_BYTES_MAX}", found=str(len(raw))
        )
    end = raw.rfind(b"\n\n")
    if end < 0 or not raw.endswith(b"\n"):
        raise errors.NoteError("no empty line before the signatures")
    text = raw[: end + 1]
    _check_text(text)
    lines = _utf8(raw[end + 2 :]).split("\n")[:-1]
    if not 0 < len(lines) <= SIGNATURES_MAX:
        raise errors.NoteError(
            "signatures", expected=f"1 to {SIGNATURES_MAX}", found=str(len(lines))
        )
    return text, [_signature(line) for line in lines]


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not is_name(name):
        raise errors.NoteError("not a signature line", found=repr(line)[:80])
    try:
        raw = strict64.decode(encoded)
    except errors.Base64Error as error:
        raise errors.NoteError(str(error)) from None
    if len(raw) < 5:
        raise errors.NoteError("a signature line carries a key id and a signature")
    return name, raw[:4], raw[4:]


def _check_text(text: bytes) -> None:
    if not text.endswith(b"\n") or _CONTROL.search(_utf8(text)) is not None:
        raise errors.NoteError("the text must end in a newline and hold no control characters")


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise errors.NoteError(f"not UTF-8 at byte {error.start}") from None
