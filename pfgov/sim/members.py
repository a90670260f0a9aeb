"""Simulated members: processes that believe what they last heard, and act on it, late or in a former life.

A member keeps its own picture of what it owns: from what it read, not from the truth.  It says what it would send;
whether and when that arrives is the network's business (:mod:`pfgov.sim.simulation`).  This module never sees the
engine.
"""

from dataclasses import dataclass, field

from pfgov.core import commands as c


@dataclass(slots=True)
class SimMember:
    """One process.

    Attributes:
        member_id: Its id.
        incarnation: The life it believes to be in.
        held: Packet -> epoch: what it believes to own.
        is_running: Whether it does anything; a paused one comes back with its old beliefs.
        is_dead: Whether it was killed; a restarted one begins with nothing.
    """

    member_id: str
    incarnation: int = 0
    held: dict[str, int] = field(default_factory=dict[str, int])
    is_running: bool = True
    is_dead: bool = False

    def claim(self, packet_id: str) -> c.OwnerClaim:
        """Return whom it says it is when it writes to *packet_id*."""
        return c.OwnerClaim(
            member_id=self.member_id, incarnation=self.incarnation, epoch=self.held[packet_id]
        )

    def learn(self, incarnation: int, owned: dict[str, int]) -> None:
        """Take in what it owns now."""
        self.incarnation, self.held = incarnation, owned

    def lose(self, lost: tuple[tuple[str, int], ...]) -> None:
        """Stop working on what it heard it has lost."""
        for packet_id, epoch in lost:
            if self.held.get(packet_id) == epoch:
                del self.held[packet_id]

    def restart(self) -> None:
        """Begin again, knowing nothing."""
        self.held, self.is_running, self.is_dead = {}, True, False
