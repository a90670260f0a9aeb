"""DSSE envelopes that are signed once: a bundle's manifest, a report of impact.

An envelope is the sorted JSON (:func:`encode`) with ``payload`` (base64), ``payloadType`` and ``signatures``, a list of
one object with ``keyid`` and ``sig``.  ``keyid`` is the hex of the signer's raw public key, so that a reader
learns whose it is without asking anybody; whether that key is to be believed is for whoever knows keys.  There is one
spelling of each envelope: a byte that is changed anywhere is found.
"""

import json
from typing import Final, cast

from pfgov_ledger import dsse, ed25519, errors, strict64
from pfgov_ledger.keys import Signer

BYTES_MAX: Final = 8 << 20
"""Bytes of a file that holds an envelope."""

_MEMBERS: Final = {"payload", "payloadType", "signatures"}


def encode(value: object) -> bytes:
    """The sorted JSON of *value*: keys in the order of their code points, no white space, UTF-8.

    Raises:
        MalformedError: It holds what JSON in UTF-8 cannot.
    """
    try:
        return _dumps(value).encode()
    except (TypeError, ValueError, RecursionError):
        raise errors.NotJsonError from None


_dumps: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


def seal(signer: Signer, payload_type: str, payload: bytes) -> dict[str, object]:
    """The envelope of *payload*, signed; :func:`encode` makes its bytes."""
    signature = signer.sign(dsse.pae(payload_type, payload))
    return {
        "payload": strict64.encode(payload),
        "payloadType": payload_type,
        "signatures": [{"keyid": signer.public.hex(), "sig": strict64.encode(signature)}],
    }


def unseal(envelope: object, payload_type: str) -> tuple[bytes, bytes]:
    """The payload of an *envelope* of *payload_type*, and the raw public key whose signature holds.

    Raises:
        MalformedError: It is no envelope, of another type, or not in its one spelling.
        AuthenticityError: The signature does not hold.
    """
    members = _object(envelope, _MEMBERS)
    if members["payloadType"] != payload_type:
        raise errors.MalformedError(
            "an envelope of another type",
            expected=payload_type,
            found=str(members["payloadType"])[:80],
        )
    signatures = members["signatures"]
    if not isinstance(signatures, list) or len(cast("list[object]", signatures)) != 1:
        raise errors.MalformedError("an envelope has one signature")
    signed = _object(cast("list[object]", signatures)[0], {"keyid", "sig"})
    payload = strict64.decode(_text(members["payload"]))
    signature = strict64.decode(_text(signed["sig"]), size=ed25519.SIGNATURE_BYTES)
    public = _public(_text(signed["keyid"]))
    ed25519.check(public, dsse.pae(payload_type, payload), signature)
    return payload, public


def unseal_bytes(raw: bytes, payload_type: str) -> tuple[bytes, bytes]:
    """:func:`unseal` of a file's bytes.

    Raises:
        MalformedError: As :func:`unseal`, or the bytes are no sorted JSON.
        AuthenticityError: The signature does not hold.
    """
    return unseal(read(raw), payload_type)


def read(raw: bytes) -> object:
    """What the bytes of a file say that holds an envelope: sorted JSON, with or without an end of line.

    Raises:
        MalformedError: They are too many, or not in that form.
    """
    if len(raw) > BYTES_MAX:
        raise errors.OversizeError(expected=f"at most {BYTES_MAX} bytes", found=str(len(raw)))
    text = raw.removesuffix(b"\n")
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        raise errors.NotJsonError from None
    if encode(value) != text:
        raise errors.NonCanonicalError
    return value


def _object(value: object, members: set[str]) -> dict[str, object]:
    if not isinstance(value, dict) or set(cast("dict[str, object]", value)) != members:
        raise errors.MalformedError(
            f"an object with {', '.join(sorted(members))} has to stand here"
        )
    return cast("dict[str, object]", value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise errors.MalformedError("a text has to stand here")
    return value


def _public(text: str) -> bytes:
    try:
        public = bytes.fromhex(text)
    except ValueError:
        raise errors.MalformedError("keyid is the hex of a public key") from None
    if public.hex() != text:
        raise errors.MalformedError("keyid is the hex of a public key, in lower case")
    ed25519.check_public(public)
    return public
