"""How much of the server one principal has in use, so that none can use it up for the others.

Counts, not rates: what takes long is what keeps others waiting.  This module does not know what is counted.
"""

from dataclasses import dataclass, field

from pfgov.errors import PfgovError


class TooManyError(PfgovError):
    """The principal has as much in use as one may have; the server itself has room."""

    code = "http.too_many"


@dataclass(slots=True)
class Shares:
    """What is in use, by whom."""

    what: str
    most: int
    refused: int = 0
    total: int = 0
    _taken: dict[str, int] = field(default_factory=dict[str, int])

    def has_room(self, who: str | None) -> bool:
        """Whether *who* may have one more; None is not limited."""
        return who is None or self._taken.get(who, 0) < self.most

    def check(self, who: str | None) -> None:
        """Refuse one more for *who*.

        Raises:
            TooManyError: it has the most that it may have.
        """
        if not self.has_room(who):
            self.refused += 1
            raise TooManyError(
                f"{who} has {self.most} {self.what} under way already",
                hint="let one of them end, then come back",
            )

    def take(self, who: str | None) -> None:
        """Count one in; whoever took it gives it back.

        Raises:
            TooManyError: as :meth:`check`, and nothing was taken.
        """
        self.check(who)
        self.total += 1
        if who is not None:
            self._taken[who] = self._taken.get(who, 0) + 1

    def give(self, who: str | None) -> None:
        """Count one out."""
        self.total -= 1
        if who is None:
            return
        left = self._taken[who] - 1
        if left:
            self._taken[who] = left
        else:
            del self._taken[who]
