"""Who may write a ledger, who waits for it, and what is known of both.  Values and protocols only.

Where a store is on one machine, a lock says it all.  Where several machines reach it, whoever writes leads for as long
as its lease lasts, and the others stand by.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, Self


class Standing(NamedTuple):
    """How a ledger stands in its store.

    Attributes:
        term: The highest term that anybody took.
        size: Entries that are committed.
        leader: Where the leader listens; None while nobody leads, or who leads listens nowhere.
        is_free: Whether nobody leads, so that another may.
        is_draining: Whether who asks was told to leave.
    """

    term: int
    size: int
    leader: str | None
    is_free: bool
    is_draining: bool


class WriterLock(Protocol):
    """The right to write one ledger, which ends with the process that holds it."""

    @property
    def is_lost(self) -> bool:
        """Whether somebody else has it now, or was to have it: nothing that is sent will be written."""
        ...

    @property
    def standing(self) -> Standing | None:
        """How the ledger stood a moment ago; None where nobody can lead it by turns."""
        ...

    def release(self) -> None:
        """Let others write."""
        ...


class Node(NamedTuple):
    """A server of a ledger: where it listens, in which process; what it serves of how much, and when it was heard.

    ``lag`` counts entries that are committed and that it does not serve yet; a leader has none.
    """

    address: str
    holder: str
    is_leader: bool
    term: int
    size: int
    lag: int
    silent_seconds: float
    is_draining: bool


class Presence(Protocol):
    """A server that is there, and leads nothing yet.  One thread at a time."""

    def look(self, served: int) -> Standing:
        """Return how the ledger stands, and say that *served* entries can be read here.

        Raises:
            PfgovError: ``store.*``, the store cannot be reached.
        """
        ...

    def may_publish(self) -> bool:
        """Whether nobody else moves the head lock that this server has, so that it may, as far as it follows."""
        ...

    def close(self) -> None:
        """Be gone."""
        ...


class Led(Protocol):
    """A place that servers may write by turns, if they may."""

    @property
    def can_be_led(self) -> bool:
        """Whether servers lead it by turns; where they cannot, a second one is refused."""
        ...

    def stand_by(self, address: str) -> Presence:
        """Be there for when nobody leads, at *address*.

        Raises:
            StandbyError: servers cannot lead it by turns.
            PfgovError: ``store.*``, there is no ledger, or it cannot be reached.
        """
        ...

    def following(self) -> Self:
        """Return the same store for a server that stands by: what is committed can be read, published here or not."""
        ...

    def nodes(self) -> Sequence[Node]:
        """Return the servers of the ledger, whoever leads first; none where they cannot lead it by turns."""
        ...

    def risks(self) -> Sequence[str]:
        """Return in sentences what a loss of the place would cost that was acknowledged, as far as it can tell.

        Raises:
            PfgovError: ``store.*``, it cannot be reached.
        """
        ...

    def leave_for(self, place: str) -> None:
        """Say that the ledger is in the folder *place* from now on: nobody writes it here any more.

        Raises:
            StoreUnavailableError: that cannot be kept.
        """
        ...

    def drain(self, address: str) -> None:
        """Tell the server at *address* to lead no more, until it ends.

        Raises:
            NotFoundError: ``node.not_found``, there is none.
        """
        ...
