"""What commands ask of the store before they are decided: who used an idempotency key, and packets not in memory.

Where the store is a database, each question is a journey over the network; for a batch they are asked together, in
two.  What was read that way holds until the next batch has been committed, which may have used a key or ended a packet;
then it is forgotten, and read again for whoever is left.  This module decides nothing.
"""

from collections.abc import Container, Sequence

from pfgov.engine.answers import Request, UnderWay
from pfgov.engine.loading import receipts
from pfgov.engine.sequencing.failing import mismatch
from pfgov.storage.port import AnswerRow, PacketFilter, Queries, StoredRow


class Lookups:
    """Questions to one store.  Not thread-safe: as the sequencer."""

    def __init__(self, queries: Queries, *, together: bool) -> None:
        """Ask *queries*; those of a batch *together* where each costs a journey."""
        self._queries = queries
        self._together = together
        self._answers: dict[tuple[str, str], AnswerRow | None] = {}
        self._packets: dict[str, StoredRow | None] = {}

    def read(self, requests: Sequence[Request], in_memory: Container[str]) -> None:
        """Read what *requests* are going to ask for; packets *in_memory* are not.

        Raises:
            PfgovError: ``store.*``.
        """
        self.forget()
        if not self._together:
            return
        keys = [(r.principal.id, r.idempotency.key) for r in requests if r.idempotency is not None]
        named = (getattr(request.action, "packet_id", None) for request in requests)
        absent = {name for name in named if name is not None and name not in in_memory}
        if len(keys) > 1:
            found = {(row.principal, row.key): row for row in self._queries.answers(keys)}
            self._answers = {key: found.get(key) for key in keys}
        if len(absent) > 1:
            wanted = PacketFilter(ids=tuple(sorted(absent)), limit=None)
            rows = {row.key: row for row in self._queries.packets(wanted)}
            self._packets = {name: rows.get(name) for name in absent}

    def forget(self) -> None:
        """Forget what was read: a commit may have changed it."""
        if self._together:
            self._answers, self._packets = {}, {}

    def packet(self, packet_id: str) -> StoredRow | None:
        """Return the row of a packet; None where there is none."""
        if packet_id in self._packets:
            return self._packets[packet_id]
        return self._queries.packet(packet_id)

    def was_answered(self, request: Request, under_way: UnderWay) -> bool:
        """Answer *request* if its idempotency key was used before; join the request *under_way* that uses it."""
        key = request.idempotency
        if key is None:
            return False
        joined = under_way.join(request, key)
        if joined:
            return True
        answer = None if joined is False else self._answer(request.principal.id, key.key)
        if joined is False or (answer is not None and answer.digest != key.digest):
            request.fail(mismatch(key.key))
            return True
        if answer is None:
            return False
        if answer.refusal is not None:
            request.refusal = receipts.refused(answer.refusal)
        request.answer(receipts.replayed(self._queries, answer))
        return True

    def _answer(self, principal: str, key: str) -> AnswerRow | None:
        if (principal, key) in self._answers:
            return self._answers[principal, key]
        return next(iter(self._queries.answers([(principal, key)])), None)
