"""What can be sent about publishers of policy sets: a key to trust, one that takes over, one to trust no more.

Whether signatures hold, and what is known of a key already, is decided behind this border.
"""

from typing import Annotated

from pfgov.core import commands as c
from pfgov.model.border import Wire
from pfgov.model.fields import Bounded, Id, Moment, Origin, PublicKey, Signature

Signed = Annotated[tuple[PublicKey, Signature], Bounded(2, unique=False)]
"""A public key and its signature."""


class PublisherTrust(Wire):
    """Trust a publisher's key, until a moment where one is named; again to move that moment."""

    name: Id
    key: PublicKey
    expires_at: Moment | None = None

    def to_action(self) -> c.TrustPublisher:
        """Return the command's action."""
        return c.TrustPublisher(name=self.name, key=self.key, expires_at=self.expires_at)


class PublisherRotation(Wire):
    """Let another key take over from a publisher's; both signed the statement of origin, name, old and new key."""

    origin: Origin
    name: Id
    old: PublicKey
    new: PublicKey
    expires_at: Moment | None = None
    signatures: Annotated[tuple[Signed, ...], Bounded(2, unique=False)]

    def to_action(self) -> c.RotatePublisher:
        """Return the command's action."""
        return c.RotatePublisher(
            origin=self.origin,
            name=self.name,
            old=self.old,
            new=self.new,
            expires_at=self.expires_at,
            signatures=self.signatures,
        )


class PublisherRevocation(Wire):
    """Trust a publisher's key no more, for good."""

    name: Id
    key: PublicKey

    def to_action(self) -> c.RevokePublisher:
        """Return the command's action."""
        return c.RevokePublisher(name=self.name, key=self.key)
