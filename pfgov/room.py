"""Room for connections: where there are many, those that wait for their caller make room for who comes.

Whoever opens connections and says nothing needs no key.  If what more ask were refused, a few thousand of them would
keep everybody out, and whoever asks whether the server lives, too, so that a supervisor ends it.  What is asked is not
known here.
"""

from itertools import islice
from typing import Final, Protocol

LOOKED_AT_MAX: Final = 64
"""Connections that are looked at for one that comes, from the one that was used longest ago."""


class Holder(Protocol):
    """A connection."""

    @property
    def waits_for_caller(self) -> bool:
        """Whether nothing can happen until its caller sends, or takes, something."""
        ...

    def make_room(self) -> None:
        """End."""
        ...


class Room:
    """The connections of one server, the one that was used longest ago first."""

    def __init__(self, most: int) -> None:
        """Let there be so many; more only where nobody can go."""
        self._most = most
        self._held: dict[Holder, None] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._held)

    def come(self, one: Holder) -> None:
        """Take in a connection; where there are too many, the first that waits for its caller goes."""
        if len(self._held) >= self._most:
            for other in tuple(islice(self._held, LOOKED_AT_MAX)):
                if other.waits_for_caller:
                    self.go(other)
                    other.make_room()
                    break
                self.use(other)
        self._held[one] = None

    def use(self, one: Holder) -> None:
        """Know that a connection is used now."""
        if one in self._held:
            del self._held[one]
            self._held[one] = None

    def go(self, one: Holder) -> None:
        """Forget a connection that has ended."""
        self._held.pop(one, None)
