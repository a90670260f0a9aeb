"""Commitments: how an entry vouches for bytes that it does not hold and that may be erased.

``SHA-256("pfgov/commit/v1" 00 || u16len origin || u16len subject || u16len field || salt || payload)``
with a fresh 32-byte salt.  A plain digest of personal bytes can be guessed; this one cannot once
the salt is erased, and it cannot be moved to another log, subject or field.  Salts are drawn by
the caller: there is no randomness here.
"""

import hashlib
import hmac
from typing import Final

from pfgov_ledger import errors

SALT_BYTES: Final = 32
BUCKET_BYTES_MIN: Final = 256
_TAG: Final = b"pfgov/commit/v1\x00"


def commit(*, origin: str, subject: str, field: str, salt: bytes, payload: bytes) -> bytes:
    """The 32-byte commitment to *payload*.

    Raises:
        UsageError: The salt is not 32 bytes, or a name is longer than 65,535 bytes.
    """
    if len(salt) != SALT_BYTES:
        raise errors.UsageError(f"a salt is {SALT_BYTES} bytes")
    opened = _TAG + _named(origin) + _named(subject) + _named(field) + salt
    return hashlib.sha256(opened + payload).digest()


def _named(name: str) -> bytes:
    encoded = name.encode()
    if len(encoded) > 0xFFFF:
        raise errors.UsageError("a name in a commitment is at most 65,535 bytes")
    return len(encoded).to_bytes(2, "big") + encoded


def check(
    commitment: bytes, *, origin: str, subject: str, field: str, salt: bytes, payload: bytes
) -> None:
    """Refuse a payload and salt that do not open *commitment*.

    Raises:
        CommitmentError: They do not.
    """
    if len(salt) != SALT_BYTES:
        raise errors.CommitmentError(f"a salt is {SALT_BYTES} bytes")
    found = commit(origin=origin, subject=subject, field=field, salt=salt, payload=payload)
    if not hmac.compare_digest(found, commitment):
        raise errors.CommitmentError(expected=commitment.hex(), found=found.hex())


def size_bucket(size: int) -> int:
    """The size an entry may show for *size* bytes: the next power of two, at least 256."""
    return max(BUCKET_BYTES_MIN, 1 << max(size - 1, 0).bit_length())
