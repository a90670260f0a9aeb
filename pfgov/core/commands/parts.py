"""The pieces that commands and events share: capabilities, constraints, commitments, claims.

Each is frozen and has the shape that the ledger stores.  Nothing here knows what a command or an event is.
"""

from typing import Final, Literal

import msgspec

ACTS_FOR: Final = "member:"
"""What a right begins with that lets a principal act for one member."""

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


class Scan(Part, frozen=True, kw_only=True):
    """Who looked through a context, each as ``NAME@VERSION``, and the data classes that were found.

    Neither a text nor a place in one: an entry is for ever.
    """

    detectors: tuple[str, ...]
    classes: tuple[str, ...] = ()


class BundleRef(Part, frozen=True, kw_only=True):
    """Which bundle a policy set came in: whose it is, by which key, in which version, and the hex SHA-256 of the
    manifest that the key signed.
    """

    publisher: str
    key: str
    version: str
    manifest: str


class ReportRef(Part, frozen=True, kw_only=True):
    """Which report of impact an activation rests on, with what can be compared, and whose key signed it."""

    digest: str
    key: str
    origin: str
    size: int
    root: str
    first: int
    sample: int
    proposed: str
    binding: str | None = None


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
    """Who asks: a pseudonymous id and the rights resolved for it at the edge.

    ``name`` is what the operator called its key, ``issuer`` who vouches for its token.
    """

    id: str
    rights: tuple[str, ...]
    name: str | None = None
    issuer: str | None = None

    @property
    def members(self) -> tuple[str, ...]:
        """The members for which it may act."""
        return tuple(
            right.removeprefix(ACTS_FOR) for right in self.rights if right.startswith(ACTS_FOR)
        )
