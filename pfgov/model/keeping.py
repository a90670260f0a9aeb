"""What can be sent about the ledger's own keeping: erasures, key rotations, signed revocations.

A rotation names a role and nothing else: the new private key is made, or opened, where the ledger is written.  A
revocation is the statement that a recovery key signed elsewhere (``ledger/FORMAT.md`` section 8), with its signatures
beside what they sign.  Whether they hold is the key ceremony's business.
"""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from pfgov.core import commands as c
from pfgov.limits import LEDGER_KEYS_MAX
from pfgov.model.border import Wire
from pfgov.model.fields import Bounded, Digest, Id, Natural, Origin, PublicKey, Signature, refuse

SIGNATURES_MAX: Final = 8

Signed = Annotated[tuple[PublicKey, Signature], Bounded(2, unique=False)]
"""A public key and its signature."""


class Erasure(Wire):
    """Erase everything that a packet carried, or one payload with the views that were made of it."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["packet_id"]}, {"required": ["commitment"]}]}
    )

    packet_id: Id | None = None
    commitment: Digest | None = None
    why: Literal["data_subject_request", "retention", "operator_error", "legal_order"]

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.packet_id is None) == (self.commitment is None):
            raise refuse("name either packet_id or commitment")
        return self


class Rotation(Wire):
    """Let another key take over a role."""

    role: Literal["issuer", "log"]


class FirstKey(Wire):
    """The first key of a new ledger as it is kept: its id, and the SHA-256 of the whole, which stays with its owner."""

    id: Annotated[str, Field(pattern="^[a-z2-7]{8}$")]
    digest: Digest


class NewLedger(Wire):
    """A ledger that a server of many is to make and serve."""

    name: Annotated[str, Field(pattern="^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    key: FirstKey | None = None


class RevokedKey(Wire):
    """The key whose later signatures are to count for nothing."""

    key: PublicKey
    role: Literal["issuer", "log", "recovery"]
    suspect_from: Natural | None


class Revocation(Wire):
    """A revocation as the recovery key signed it: the statement's own members, and ``[public, signature]`` pairs."""

    action: Literal["revoke"]
    keys: RevokedKey
    origin: Origin
    prev: Digest
    seq: Natural
    signatures: Annotated[tuple[Signed, ...], Bounded(SIGNATURES_MAX, unique=False)]

    @classmethod
    def of(cls, action: c.RevokeKey, *, origin: str, prev: bytes, seq: int) -> "Revocation":
        """Return the statement behind *action*, as it is sent."""
        keys = {"key": action.key, "role": action.role, "suspect_from": action.suspect_from}
        tree: dict[str, Any] = {
            "action": "revoke",
            "keys": keys,
            "origin": origin,
            "prev": prev.hex(),
            "seq": seq,
            "signatures": [list(pair) for pair in action.signatures],
        }
        return cls.model_validate(tree)

    def to_action(self) -> c.RevokeKey:
        """Return the command's action."""
        return c.RevokeKey(
            role=self.keys.role,
            key=self.keys.key,
            suspect_from=self.keys.suspect_from,
            signatures=self.signatures,
        )


class KnownKey(Wire):
    """One key that a ledger knows."""

    role: Literal["issuer", "log", "recovery"]
    public: PublicKey
    id: Digest
    since: Natural
    until: Natural | None
    state: Literal["in_force", "replaced", "revoked"]


class NextKeyEvent(Wire):
    """Where the next key event will stand."""

    seq: Natural
    prev: Digest


class KeyList(Wire):
    """The keys of a ledger and where the next key event will stand, as a server or ``keys list`` says them."""

    origin: Origin
    next: NextKeyEvent
    keys: Annotated[tuple[KnownKey, ...], Bounded(LEDGER_KEYS_MAX, unique=False)]
