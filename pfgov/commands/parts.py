"""The pieces that commands and events share: capabilities, constraints, commitments, claims.

Each is frozen and has the shape that the ledger stores.  Nothing here knows what a command or an event is.
"""

from typing import Literal

import msgspec

Pairs = tuple[tuple[str, str], ...]
"""A free-form map in the ledger's profile: unique names in byte order."""


class Part(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """A piece of a command or an event."""


class Capability(Part, frozen=True, kw_only=True):
    """Something a member can do, in a version (PEP 440)."""

    name: str
    version: str | None = None
    category: str | None = None
    description: str | None = None
    attributes: Pairs = ()


class Trust(Part, frozen=True, kw_only=True):
    """An attested score: a decimal string in 0..1, who says so, and until when (microseconds)."""

    score: str
    source: str
    assessed_at: int
    expires_at: int | None = None


class Constraints(Part, frozen=True, kw_only=True):
    """What the packet itself demands.  Absent regions mean any, an empty list means none."""

    pii_review_required: bool = False
    minimum_trust_score: str | None = None
    allowed_regions: tuple[str, ...] | None = None


class HandoffTerms(Part, frozen=True, kw_only=True):
    """Whether the packet may move once it is owned."""

    allowed: bool = True
    reason: str | None = None


class Commitment(Part, frozen=True, kw_only=True):
    """A salted commitment to a payload (hex), and the bucket of the payload's size in bytes."""

    digest: str
    size: int


class View(Part, frozen=True, kw_only=True):
    """The commitment to a context from which the values at *paths* (JSON pointers) are withheld.

    The member's name is the field that the commitment is bound to, here as in the event that names it.
    """

    paths: tuple[str, ...]
    view: Commitment


class Obligation(Part, frozen=True, kw_only=True):
    """Something that must be carried out for the verdict to stand."""

    type: Literal["redact", "approval", "notify"]
    paths: tuple[str, ...] = ()
    to: str | None = None
    expires: int | None = None


class OwnerClaim(Part, frozen=True, kw_only=True):
    """Whom the writer says it is: checked inside the commit."""

    member_id: str
    incarnation: int
    epoch: int


class Principal(Part, frozen=True, kw_only=True):
    """Who asks: a pseudonymous id and the rights resolved for it at the edge."""

    id: str
    rights: tuple[str, ...]
