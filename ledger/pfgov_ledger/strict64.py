"""Base64 and hexadecimal with one spelling each.

RFC 4648 section 4, padded, no line breaks, and the unused bits of the last character zero:
otherwise two different texts would carry one value, and a changed byte could pass unnoticed.
"""

import base64
import binascii

from pfgov_ledger import errors


def encode(raw: bytes) -> str:
    """Standard base64 of *raw*."""
    return base64.b64encode(raw).decode()


def decode(text: str, *, size: int | None = None) -> bytes:
    """The bytes of *text*, which must be exactly what :func:`encode` writes.

    Args:
        text: Base64.
        size: The number of bytes that must come out, if it is known.

    Raises:
        Base64Error: Another spelling, or another size.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise errors.Base64Error(found=repr(text[:60])) from None
    if encode(raw) != text:
        raise errors.Base64Error("not the canonical spelling", found=repr(text[-8:]))
    if size is not None and len(raw) != size:
        raise errors.Base64Error(expected=f"{size} bytes", found=f"{len(raw)} bytes")
    return raw
