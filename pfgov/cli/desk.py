"""Between a command and the ledger: open it, act, let follow-ups happen, say what was recorded.

A command that changes something holds the writer's lock for as long as it runs and settles what it caused before it
answers, so that the next command finds a ledger at rest.  A command that reads takes no lock and works beside a server.
Whoever sits at this machine owns the files and acts as the local operator.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pfgov.cli.screen import Screen

if TYPE_CHECKING:
    from pfgov.commands import Action
    from pfgov.engine import Attachment, Engine, LedgerReader
    from pfgov.records import Packet
    from pfgov.views import EntryView, MemberView, PacketView


@dataclass(frozen=True, slots=True)
class Done:
    """What a command came to: its own entries, and those that followed from it."""

    recorded: list["EntryView"]
    followed: list["EntryView"]

    @property
    def types(self) -> set[str]:
        """The events among the command's own entries."""
        return {entry.type for entry in self.recorded}

    def result(self, **more: Any) -> dict[str, Any]:
        """Return the JSON object: *more*, then what was recorded."""
        return {**more, "recorded": self.recorded, "as_a_result": self.followed}


class Reading:
    """A ledger that is read: records become views."""

    def __init__(self, reader: "LedgerReader") -> None:
        self.reader = reader

    def member(self, member_id: str) -> "MemberView":
        """Return one member with the packets it owns.

        Raises:
            NotFoundError: there is none of this id.
        """
        from pfgov.engine import PacketFilter
        from pfgov.views import member_view

        member = self.reader.member(member_id)
        live = [str(word) for word in _owned()]
        owned = self.reader.packets(
            PacketFilter(statuses=tuple(live), owner=member_id, limit=10_000)
        )
        return member_view(member, [packet.packet_id for packet in owned])

    def members(self) -> list["MemberView"]:
        """Return every member with the packets it owns, in id order."""
        from pfgov.engine import PacketFilter
        from pfgov.views import member_view

        owns: dict[str, list[str]] = {}
        statuses = tuple(str(word) for word in _owned())
        for packet in self.reader.packets(PacketFilter(statuses=statuses, limit=-1)):
            owns.setdefault(packet.owner or "", []).append(packet.packet_id)
        return [member_view(m, owns.get(m.member_id)) for m in self.reader.members()]

    def record(self, packet_id: str) -> "Packet":
        """Return one packet's record.

        Raises:
            NotFoundError: there is none of this id.
        """
        return self.reader.packet(packet_id)

    def packet(self, packet_id: str) -> "PacketView":
        """Return one packet.

        Raises:
            NotFoundError: there is none of this id.
        """
        from pfgov.views import packet_view

        return packet_view(self.reader.packet(packet_id))

    def size(self) -> int:
        """Return the number of entries."""
        with self.reader.snapshot() as queries:
            return queries.size()

    def entries(self, start: int, stop: int | None = None) -> list["EntryView"]:
        """Return the entries from *start* to before *stop*."""
        from pfgov.engine import EntryFilter
        from pfgov.views import entry_view

        return [
            entry_view(seq=found.row.seq, time=found.row.time, event=found.event)
            for found in self.reader.entries(EntryFilter(start=start, stop=stop))
        ]


def _owned() -> Sequence[object]:
    from pfgov.lifecycle import OWNED

    return sorted(OWNED)


class Desk(Reading):
    """A ledger that is written."""

    def __init__(self, engine: "Engine") -> None:
        super().__init__(engine.reader)
        self.engine = engine

    def do(self, action: "Action", attachments: "Sequence[Attachment]" = ()) -> Done:
        """Carry out *action* as the local operator, then everything that follows from it.

        Raises:
            PfgovError: it was refused.  What it caused is settled all the same.
        """
        from pfgov.commands import LOCAL_OPERATOR

        before = self.size()
        try:
            receipt = self.engine.submit(action, principal=LOCAL_OPERATOR, attachments=attachments)
        finally:
            self.engine.settle()
        entries = self.entries(before)
        return Done(entries[: receipt.count], entries[receipt.count :])

    def settled(self, before: int) -> Done:
        """Let what is due happen, and return everything that was recorded from position *before* on."""
        self.engine.settle()
        return Done([], self.entries(before))


@contextmanager
def reading(screen: Screen) -> Generator[Reading]:
    """Open the ledger for reading.

    Raises:
        PfgovError: ``store.*``, there is none, or it cannot be read.
    """
    from pfgov.engine import LedgerReader

    with LedgerReader(screen.directory) as reader:
        yield Reading(reader)


@contextmanager
def acting(screen: Screen) -> Generator[Desk]:
    """Open the ledger for writing; the leases of the last run stand.

    Raises:
        PfgovError: ``store.*``, there is none, another process writes it, or it cannot be written.
    """
    from pfgov.engine import Engine
    from pfgov.engine.options import Options

    with Engine.open(screen.directory, options=Options(fresh_leases=False)) as engine:
        yield Desk(engine)
