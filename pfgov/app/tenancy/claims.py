"""Which server of several is to have which ledger: rendezvous hashing over the servers that are there.

Every server works it out for itself from one list, the servers of the default ledger that were heard a moment ago.
Where two lists differ, two want the same ledger for a moment; who gets it says the ledger's own lease, and never this.
When a server comes or goes, no ledgers move but those that are, or were, its own: Thaler and Ravishankar, "Using
Name-Based Mappings to Increase Hit Rates" (IEEE/ACM Transactions on Networking 6, 1998).
"""

import hashlib
from collections.abc import Callable, Sequence

from pfgov.app.tenancy import limits
from pfgov.errors import PfgovError
from pfgov.storage.leading import Node

Nodes = Callable[[], Sequence[Node]]
"""Asks which servers there are."""


class Claims:
    """What the server at one address is to have.  One thread at a time refreshes it."""

    def __init__(self, address: str, nodes: Nodes | None = None) -> None:
        """Know of nobody yet.

        Args:
            address: Where this server is reached by the others.
            nodes: Asks which servers there are; None where a server cannot know of others: then each ledger is for
                whoever is asked for it first.
        """
        self.address = address
        self._nodes = nodes
        self.servers: frozenset[str] = frozenset()
        """Where the servers are that may have ledgers."""
        self.is_draining = False
        """Whether this one was told to leave."""

    def refresh(self) -> bool:
        """Ask which servers there are; return whether that changed.  What cannot be asked is as it was."""
        if self._nodes is None:
            return False
        try:
            heard = [
                one for one in self._nodes() if one.silent_seconds <= limits.SERVER_SILENT_SECONDS
            ]
        except PfgovError:
            return False
        leaving = {one.address for one in heard if one.is_draining}
        there = ({one.address for one in heard} | {self.address}) - leaving
        found = frozenset(sorted(there)[: limits.SERVERS_MAX])
        before = self.servers, self.is_draining
        self.servers, self.is_draining = found, self.address in leaving
        return before != (self.servers, self.is_draining)

    def server_of(self, name: str) -> str | None:
        """Return where the server is that is to have the ledger *name*; None if it is whoever is asked for it first."""
        return max(
            self.servers, key=lambda address: (_weight(address, name), address), default=None
        )

    def is_ours(self, name: str) -> bool:
        """Whether this server may have the ledger *name*."""
        return not self.is_draining and self.server_of(name) in {None, self.address}


def _weight(address: str, name: str) -> bytes:
    return hashlib.sha256(f"pfgov claim\n{address}\n{name}".encode()).digest()
