"""DSSE pre-authentication encoding: what a signature covers, with its type inside.

``PAE(type, body) = "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body`` (secure-systems-lab/dsse,
protocol.md).  Signing it instead of the bare bytes keeps a signature made for one purpose from
being used for another.  This module does not sign.
"""

from typing import Final

ENTRY_TYPE: Final = "application/vnd.pfgov.entry.v1+json"
"""Payload type of an entry signed by its issuer."""
MEMBER_STATEMENT_TYPE: Final = "application/vnd.pfgov.member-statement.v1+json"
"""Payload type of what a member says about itself or its packet."""
KEY_STATEMENT_TYPE: Final = "application/vnd.pfgov.key-statement.v1+json"
"""Payload type of a rotation or revocation statement."""

PUBLISHER_STATEMENT_TYPE: Final = "application/vnd.pfgov.publisher-statement.v1+json"
"""Payload type of what a publisher says of its own keys."""
BUNDLE_TYPE: Final = "application/vnd.pfgov.policy-bundle.v1+json"
"""Payload type of the manifest of a bundle of policies."""
IMPACT_TYPE: Final = "application/vnd.pfgov.impact.v1+json"
"""Payload type of a report of impact."""

_ENTRY_PREFIX: Final = b"DSSEv1 %d %s " % (len(ENTRY_TYPE), ENTRY_TYPE.encode())


def pae(payload_type: str, payload: bytes) -> bytes:
    """The bytes that a DSSE signature of *payload* under *payload_type* covers."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def entry_pae(raw: bytes) -> bytes:
    """:func:`pae` of an entry's raw bytes under :data:`ENTRY_TYPE`."""
    return b"%b%d %b" % (_ENTRY_PREFIX, len(raw), raw)
