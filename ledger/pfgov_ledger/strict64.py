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
    raw = decode_at_once(text.encode(errors="replace"))
    if raw is None:
        raise errors.Base64Error(found=repr(text[:60]))
    if size is not None and len(raw) != size:
        raise errors.Base64Error(expected=f"{size} bytes", found=f"{len(raw)} bytes")
    return raw


def decode_at_once(text: bytes) -> bytes | None:
    """What :func:`decode` gives; None where that refuses.

    The strict decoder takes the alphabet alone, with padding at the end; that leaves the number of
    characters and the unused bits of the last ones.
    """
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return None
    rest = len(raw) % 3
    if len(text) != (len(raw) + 2) // 3 * 4:
        return None
    if rest and binascii.b2a_base64(raw[-rest:], newline=False) != text[-4:]:
        return None
    return raw
