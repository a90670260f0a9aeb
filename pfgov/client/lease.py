"""Whether a member may still believe that it lives: its lease, counted by its own clock and pessimistically.

A lease runs from the moment a heartbeat was *sent*, not answered, and ends early by the largest skew between the two
clocks' speeds that is to be survived.  Whoever is past that end must stop working before the server gives the work to
somebody else.  How long it is, the server says with each answer; whatever the member was started with is only a first
guess.  Times are seconds of a monotonic clock, given by the caller.
"""

from dataclasses import dataclass, field
from typing import Any

SKEW_SHARE = 10
"""One part in so many of a lease is its skew, where none is given."""


STOOD_STILL_SECONDS = 1.0
"""From how late an end was noticed the event loop is to blame, and not the network."""


@dataclass(slots=True)
class Lease:
    """One member's lease.

    Attributes:
        seconds: How long the server waits after a heartbeat.
        skew: By how much earlier the member gives up, at most half of the lease; a tenth of it by default.
    """

    seconds: float
    skew: float | None = None
    _until: float = field(default=float("-inf"))

    @property
    def early(self) -> float:
        """By how much earlier the member gives up."""
        asked = self.seconds / SKEW_SHARE if self.skew is None else self.skew
        return min(asked, self.seconds / 2)

    def adopt(self, seconds: float) -> None:
        """Count by the lease that the server says, from the heartbeat on whose answer says it."""
        if seconds < self.seconds:
            self._until = float("-inf")
        self.seconds = seconds

    def renewed(self, sent: float) -> None:
        """Note that the heartbeat sent at *sent* was answered."""
        self._until = max(self._until, sent + self.seconds - self.early)

    def lost(self) -> None:
        """Note that the server holds the member for dead."""
        self._until = float("-inf")

    def left(self, now: float) -> float:
        """Return for how many seconds the member may still work; 0 or less: it must have stopped."""
        return self._until - now

    @property
    def interval(self) -> float:
        """How often to renew: three tries within what is safe."""
        return max((self.seconds - self.early) / 3, 0.05)


def ran_out(late: float) -> str:
    """Return why a life ended whose end was noticed *late* by so many seconds."""
    if late < STOOD_STILL_SECONDS:
        return "the lease ran out without an answer"
    return (
        f"the lease ran out: the event loop stood still, and this was noticed {late:.0f} seconds late;"
        " what does not await belongs into a thread (asyncio.to_thread)"
    )


def owned_epoch(packet: dict[str, Any], member_id: str, incarnation: int) -> int | None:
    """Return the epoch under which the member owns *packet* (as the server shows it), None if it does not."""
    if packet["status"] not in {"ASSIGNED", "HANDOFF_PENDING"}:
        return None
    if packet["current_owner"] != member_id or packet["incarnation"] != incarnation:
        return None
    epoch: int = packet["epoch"]
    return epoch
