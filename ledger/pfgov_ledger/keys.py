"""Signing keys and what a verifier pins: key files, signers by URI, the anchor.

A private key is one line that says what it is:
``pfgov-private-key-v1 ROLE PRIVATE+KEY+NAME+HEX(id)+BASE64(0x01 || seed)``, kept in a file that
only its owner can read, or in an environment variable.  A key service is a plug-in: register an
opener for its URI scheme.  The anchor is the public counterpart: the log's verifier key and the
leaf hash of its first entry.

Nothing here decides what a key may do (that is in the log), and no secret appears in a ``repr``.
"""

import hashlib
import os
import re
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from pfgov_ledger import entry, errors, files, note, strict64

ROLES: Final = ("log", "issuer", "recovery", "member", "witness", "publisher")
SEED_BYTES: Final = 32
_LABEL: Final = "pfgov-private-key-v1"
_PREFIX: Final = "PRIVATE+KEY+"
_ALGORITHM_BY_ROLE: Final = {"witness": note.COSIGNATURE_V1}
_TEXT_BYTES_MAX: Final = 4096
_LINE_END: Final = re.compile(r"\r\n|\n|\r")


class Signer(Protocol):
    """A named Ed25519 key in one role, wherever its private half lives."""

    @property
    def name(self) -> str:
        """The key's name; a log key's name is the log's origin."""
        ...

    @property
    def role(self) -> str:
        """One of :data:`ROLES`."""
        ...

    @property
    def public(self) -> bytes:
        """The raw 32-byte public key."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature of *message*."""
        ...


def key_id(public: bytes) -> str:
    """How entries name a key: lowercase hexadecimal SHA-256 of the raw public key."""
    return hashlib.sha256(public).hexdigest()


def vkey_of(signer: Signer) -> note.Vkey:
    """The verifier key that checks what *signer* signs in notes."""
    return note.vkey(signer.name, signer.public, _ALGORITHM_BY_ROLE.get(signer.role, note.ED25519))


class SeedSigner:
    """A signer whose 32-byte seed is in this process's memory."""

    __slots__ = ("_private", "_public", "_seed", "name", "role")

    def __init__(self, *, role: str, name: str, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        if role not in ROLES:
            raise errors.KeyTextError(
                "not a role", expected=", ".join(ROLES), found=repr(role)[:40]
            )
        if not note.is_name(name):
            raise errors.KeyTextError("not a key name", found=repr(name)[:80])
        if len(seed) != SEED_BYTES:
            raise errors.KeyTextError(f"a seed is {SEED_BYTES} bytes")
        self.role = role
        self.name = name
        self._seed = seed
        self._private: Ed25519PrivateKey = Ed25519PrivateKey.from_private_bytes(seed)
        self._public = self._private.public_key().public_bytes_raw()

    @property
    def public(self) -> bytes:
        """The raw public key."""
        return self._public

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of *message*."""
        return self._private.sign(message)

    def to_text(self) -> str:
        """The private key as its one line. A secret: never log it."""
        identity = note.key_id(self.name, note.ED25519, self._public).hex()
        material = strict64.encode(bytes([note.ED25519]) + self._seed)
        return f"{_LABEL} {self.role} {_PREFIX}{self.name}+{identity}+{material}\n"

    @staticmethod
    def from_text(text: str) -> "SeedSigner":
        """Read the line that :meth:`to_text` writes.

        Raises:
            KeyTextError: Not such a line, or damaged. The message never shows it.
        """
        match text.strip().split(" "):
            case [label, role, key] if label == _LABEL and key.startswith(_PREFIX):
                name, _, rest = key.removeprefix(_PREFIX).partition("+")
                identity, _, encoded = rest.partition("+")
            case _:
                raise errors.KeyTextError(f"a private key is '{_LABEL} ROLE {_PREFIX}...'")
        try:
            material = strict64.decode(encoded, size=1 + SEED_BYTES)
        except errors.Base64Error:
            raise errors.KeyTextError("the private key is damaged") from None
        signer = SeedSigner(role=role, name=name, seed=material[1:])
        if (
            material[0] != note.ED25519
            or note.key_id(name, note.ED25519, signer.public).hex() != identity
        ):
            raise errors.KeyTextError("the private key is damaged: its id does not fit")
        return signer

    def __repr__(self) -> str:
        return (
            f"SeedSigner(role={self.role!r}, name={self.name!r}, key_id={key_id(self._public)!r})"
        )


@dataclass(frozen=True, slots=True)
class PublicSigner:
    """The public half only, for a process that encodes entries which another one signs."""

    role: str
    name: str
    public: bytes

    def sign(self, message: bytes) -> bytes:
        """Refuse: the private half is elsewhere."""
        del message
        raise errors.UsageError(f"the private key of {self.name} is not in this process")


def generate(*, role: str, name: str) -> SeedSigner:
    """A new key from the operating system's randomness."""
    return SeedSigner(role=role, name=name, seed=os.urandom(SEED_BYTES))


# --- private keys in files and variables -----------------------------------------------------


def write_file(path: Path, signer: SeedSigner) -> None:
    """Create *path*, readable by its owner only, with *signer*'s private key, durably and as a whole or not at all.

    One process at a time: what an interrupted one left beside *path* is removed.

    Raises:
        KeyFileError: The file exists already, or cannot be written.
    """
    try:
        files.create(path, signer.to_text().encode(), 0o600)
    except OSError as error:
        raise errors.KeyFileError(f"cannot write {path}: {error.strerror}") from None


def file_signer(path: Path) -> SeedSigner:
    """The signer whose private key lies in *path*.

    Raises:
        KeyFileError: The file cannot be read, or somebody else can read it.
        KeyTextError: It is not a private key.
    """
    try:
        raw, mode = files.read_regular(path, _TEXT_BYTES_MAX)
    except OSError as error:
        raise errors.KeyFileError(f"cannot read {path}: {error.strerror}") from None
    if mode & 0o077:
        raise errors.KeyFileError(
            f"others may read {path}; run chmod 600 on it", expected="0600", found=f"{mode:04o}"
        )
    return SeedSigner.from_text(raw.decode("utf-8", errors="replace"))


def env_signer(variable: str) -> SeedSigner:
    """The signer whose private key is the value of an environment variable.

    Raises:
        KeyFileError: The variable is not set.
        KeyTextError: It does not hold a private key.
    """
    text = os.environ.get(variable)
    if text is None:
        raise errors.KeyFileError(f"the environment variable {variable} is not set")
    return SeedSigner.from_text(text)


def _open_file(rest: str) -> Signer:
    return file_signer(Path(rest))


SCHEMES: Final[MutableMapping[str, Callable[[str], Signer]]] = {
    "file": _open_file,
    "env": env_signer,
}
"""URI scheme -> opener of what follows the colon; a plug-in adds a row."""


def open_signer(
    uri: str, schemes: MutableMapping[str, Callable[[str], Signer]] = SCHEMES
) -> Signer:
    """The signer that *uri* names, as ``file:PATH`` or ``env:VARIABLE``.

    Raises:
        SchemeError: Nobody registered the scheme.
        KeyFileError, KeyTextError: As the opener.
    """
    scheme, _, rest = uri.partition(":")
    opener = schemes.get(scheme)
    if opener is None:
        raise errors.SchemeError(expected=", ".join(sorted(schemes)), found=scheme[:40])
    return opener(rest)


# --- what a verifier pins --------------------------------------------------------------------

_ANCHOR_COMMENT: Final = (
    "# pfgov anchor v1: what a verifier of this log pins. Public; keep a copy elsewhere.\n"
)


@dataclass(frozen=True, slots=True)
class Anchor:
    """The log's verifier key and the leaf hash of its first entry (None: log key only)."""

    log_vkey: note.Vkey
    genesis_leaf: bytes | None

    def to_text(self) -> str:
        """The anchor file's text."""
        genesis = "" if self.genesis_leaf is None else f"genesis {self.genesis_leaf.hex()}\n"
        return f"{_ANCHOR_COMMENT}{self.log_vkey}\n{genesis}"


def lines_of(text: str) -> list[str]:
    """Return the lines of a text with keys: they end with LF, CR LF or CR, and with nothing else that Unicode has."""
    return _LINE_END.split(text)


def parse_anchor(text: str) -> Anchor:
    """Read an anchor: a verifier key line, then ``genesis HEX``; ``#`` begins a comment line.

    Raises:
        KeyTextError: Not an anchor.
        WeakKeyError: The log key must not be trusted.
    """
    if len(text) > _TEXT_BYTES_MAX:
        raise errors.KeyTextError("too long for an anchor")
    lines = [line for line in lines_of(text) if line and not line.startswith("#")]
    if not 1 <= len(lines) <= 2:
        raise errors.KeyTextError("an anchor is a verifier key and a genesis line")
    log_vkey = note.parse_vkey(lines[0])
    if log_vkey.algorithm != note.ED25519 or not entry.is_origin(log_vkey.name):
        raise errors.KeyTextError("not a log's verifier key", found=lines[0][:80])
    if len(lines) == 1:
        return Anchor(log_vkey, None)
    word, _, digits = lines[1].partition(" ")
    if word != "genesis" or entry.HEX32.fullmatch(digits) is None:
        raise errors.KeyTextError("the second line is 'genesis' and 64 hexadecimal digits")
    return Anchor(log_vkey, bytes.fromhex(digits))
