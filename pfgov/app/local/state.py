"""What every question to a ledger of this machine begins with: a reader, who asks, and the state.

The state is loaded from the store here; beside a running engine (:mod:`pfgov.app.local.ledger`) it is in memory.
"""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from pfgov.app import visibility
from pfgov.app.ledger import WitnessedAge
from pfgov.clock import SystemClock
from pfgov.core import commands as c
from pfgov.core.ids import fresh_ulid
from pfgov.core.records import Packet
from pfgov.core.state import State
from pfgov.engine import Attachment, LedgerReader
from pfgov.engine.answers import LOCAL, Caller
from pfgov.engine.witnessing.keeping import kept
from pfgov.errors import NotFoundError

if TYPE_CHECKING:
    from pfgov.core.decide import Decided

T = TypeVar("T")


class LocalState:
    """A ledger of this machine, as far as one principal may read it."""

    def __init__(self, reader: LedgerReader, caller: Caller = LOCAL) -> None:
        self._reader = reader
        self.caller = caller

    @property
    def reader(self) -> LedgerReader:
        """What is read."""
        return self._reader

    @property
    def place(self) -> dict[str, str]:
        """Where it is."""
        return {"directory": str(self.reader.layout.directory)}

    @property
    def anchor_path(self) -> str:
        """The file that pins it."""
        return str(self.reader.layout.anchor)

    @property
    def principal(self) -> c.Principal:
        """Who asks."""
        return self.caller.principal

    def lost(self) -> int | None:
        """Return how many published entries are missing; None without a head lock."""
        return self.reader.lost()

    def witnessed(self) -> WitnessedAge | None:
        """Return how far a quorum of witnesses vouched when a server last kept that; None if none ever did."""
        found = kept(self.reader.layout.directory)
        if found is None:
            return None
        now = SystemClock().now() // 1_000_000
        return WitnessedAge(found.size, max(now - found.time, 0), ())

    # --- the state: loaded here, in memory beside an engine ------------------------------

    def look(self, read: Callable[[State], T]) -> T:
        """Return what *read* makes of the state; it must neither keep nor change it."""
        return read(self.reader.state())

    def dry_run(
        self,
        action: c.Action,
        attachments: Sequence[Attachment] = (),
        *,
        principal: c.Principal | None = None,
    ) -> "Decided":
        """Return what *action* would come to now, for whoever asks or *principal*; nothing is recorded.

        Raises:
            PfgovError: it would be refused.
        """
        from pfgov.engine.sequencing import Decider

        with self.reader.snapshot() as queries:
            state = self.reader.state()
            decider = Decider(state, queries, lambda: (0, ""), os.urandom, keep_tables=True)
            now = max(SystemClock().now(), decider.state.time)
            return decider.dry_run(action, principal or self.principal, now, attachments)

    def attach(self, subject: str, field: str, payload: bytes) -> Attachment:
        """Return a payload of ``packet/ID`` with a fresh salt and its commitment.

        Raises:
            TooLargeError: it is larger than a context may be.
        """
        from pfgov.engine.answers import attach

        return attach(self.reader.state().origin, subject, field, payload, os.urandom)

    def draw_id(self) -> str:
        """Return a new id, ordered by time."""
        return fresh_ulid(SystemClock())

    def record(self, packet_id: str) -> Packet:
        """Return one packet as the ledger keeps it.

        Raises:
            NotFoundError: there is none of this id.
            ForbiddenError: who asks may not read it, or learn that there is none.
        """
        try:
            packet = self.reader.packet(packet_id)
        except NotFoundError:
            visibility.require_packet(self.principal, packet_id, None)
            raise
        visibility.require_packet(self.principal, packet_id, packet)
        return packet
