"""One server's turns at a ledger: it leads, or it stands by until nobody does.

Where a ledger is in a file, a second server is refused, as ever.  Where it is in a database, whoever finds it led
follows the leader and takes over when its lease is over; who loses the lead closes its engine and follows.  This module
knows no HTTP.
"""

from collections.abc import Sequence
from pathlib import Path

from pfgov.engine import Engine, Options
from pfgov.engine.following import Follower
from pfgov.errors import StoreLockedError
from pfgov.storage import open_store
from pfgov.storage.leading import Node, Standing

__all__ = ["Follower", "Node", "Standing", "Turns", "drain", "nodes"]


class Turns:
    """The turns of one server."""

    def __init__(
        self, directory: Path, address: str, signers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Open nothing yet.

        Args:
            directory: The ledger's folder.
            address: Where the server listens, to be named to whoever finds the ledger led.
            signers: (role, URI) of signing keys that are not the folder's own files, oldest first.
        """
        self.address = address
        self._store = open_store(directory)
        self._options = Options(
            address=address,
            committing="process",
            issuer=tuple(uri for role, uri in signers if role == "issuer"),
            log=tuple(uri for role, uri in signers if role == "log"),
        )

    @property
    def can_change(self) -> bool:
        """Whether this server may lead and stand by in turns."""
        return self._store.can_be_led

    def nodes(self) -> Sequence[Node]:
        """Return the servers of the ledger, whoever leads first; errors as of :func:`nodes`."""
        return self._store.nodes()

    def begin(self) -> tuple[Engine, bool]:
        """Lead the ledger, or follow who does; create it where there is none, and say whether it is new.

        Raises:
            StoreLockedError: another process writes it, and nobody can stand by.
            PfgovError: it cannot be opened or created.
        """
        if not self._store.exists():
            return Engine.create(self._store, options=self._options), True
        try:
            return self.lead(), False
        except StoreLockedError:
            if not self.can_change:
                raise
            return self.follow(), False

    def lead(self) -> Engine:
        """Lead the ledger; errors as of :meth:`pfgov.engine.Engine.open`."""
        return Engine.open(self._store, options=self._options)

    def follow(self) -> Follower:
        """Stand by; errors as of :class:`pfgov.engine.following.Follower`."""
        return Follower(self._store, self.address, options=self._options)


def nodes(directory: Path) -> Sequence[Node]:
    """Return the servers of the ledger in *directory*, whoever leads first; none where it is in a file.

    Raises:
        PfgovError: ``store.*``, there is no ledger, or its database cannot be reached.
    """
    store = open_store(directory)
    store.require()
    return store.nodes()


def drain(directory: Path, address: str) -> None:
    """Tell the server at *address* to lead no more, until it is started again.

    Raises:
        NotFoundError: ``node.not_found``, no such server is there.
        PfgovError: ``store.*``.
    """
    store = open_store(directory)
    store.require()
    store.drain(address)
