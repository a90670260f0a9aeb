"""A ledger in a folder of this machine, as commands see it.

Whoever acts holds the writer's lock for as long as the command runs and settles what it caused before it answers, so
that the next command finds a ledger at rest.  Whoever reads takes no lock and works beside a server.  Whoever sits at
this machine owns the files and acts as the local operator.
"""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pfgov.cli.desk import (
    DECIDING,
    DecisionEntry,
    Done,
    EntriesWanted,
    Erased,
    ExportWanted,
    Heard,
    KeyChange,
    MembersWanted,
    PacketsWanted,
)
from pfgov.commands import ENGINE, LOCAL_OPERATOR, Action, CommitIndex, RefusePolicy
from pfgov.engine import Attachment, Engine, EntryFilter, LedgerReader, PacketFilter
from pfgov.engine.options import Options
from pfgov.engine.reading import suggesting
from pfgov.errors import NotFoundError
from pfgov.glance import LedgerView, ledger_view, settings_view

if TYPE_CHECKING:
    from pfgov.engine.ceremony import Changed
    from pfgov.engine.reading import Recorded
    from pfgov.model import (
        Erasure,
        FlightPacket,
        Heartbeat,
        KeyList,
        PressureReport,
        Revocation,
        Rotation,
        Wire,
    )
    from pfgov.policy import PolicySet
    from pfgov.records import Packet
    from pfgov.replay import Replayed
    from pfgov.views import Discovery, EntryView, MemberView, PacketView, VerdictRow
    from pfgov_ledger.export import Progress, Written


class FolderReading:
    """A folder's ledger that is read: records become views."""

    def __init__(self, reader: LedgerReader) -> None:
        self.reader = reader

    @property
    def place(self) -> dict[str, str]:
        """Where it is."""
        return {"directory": str(self.reader.layout.directory)}

    @property
    def anchor_path(self) -> str:
        """The file that pins it."""
        return str(self.reader.layout.anchor)

    def lost(self) -> int:
        """Return how many published entries are missing."""
        return self.reader.lost()

    def overview(self) -> LedgerView:
        """Return what the ledger holds."""
        with self.reader.snapshot():
            return ledger_view(self.reader.state(), self.reader.packet_counts())

    def settings(self) -> dict[str, Any]:
        """Return the settings."""
        return settings_view(self.reader.state().settings)

    def member(self, member_id: str) -> "MemberView":
        """Return one member."""
        from pfgov.views import member_view

        with self.reader.snapshot():
            found = self.reader.member(member_id)
            return member_view(found, self.reader.owned(member_id).get(member_id))

    def members(self, wanted: MembersWanted | None = None) -> "list[MemberView]":
        """Return members."""
        from pfgov.views import member_view

        asked = wanted or MembersWanted()
        with self.reader.snapshot():
            owned = self.reader.owned()
            return [
                member_view(one, owned.get(one.member_id))
                for one in self.reader.members()
                if (not asked.statuses or one.status in asked.statuses)
                and (asked.capability is None or asked.capability in one.capabilities)
                and (asked.region is None or f"{one.region or ''}/".startswith(f"{asked.region}/"))
            ]

    def record(self, packet_id: str) -> "Packet":
        """Return one packet as the ledger keeps it.

        Raises:
            NotFoundError: there is none of this id.
        """
        return self.reader.packet(packet_id)

    def packet(self, packet_id: str) -> "PacketView":
        """Return one packet."""
        from pfgov.views import packet_view

        return packet_view(self.reader.packet(packet_id))

    def packets(self, wanted: PacketsWanted) -> "tuple[list[PacketView], bool]":
        """Return packets, and whether there are more."""
        from pfgov.views import packet_view

        asked = PacketFilter(
            statuses=wanted.statuses, owner=wanted.owner, after=wanted.after, limit=wanted.limit + 1
        )
        found = self.reader.stuck(asked) if wanted.stuck else self.reader.packets(asked)
        return [packet_view(one) for one in found[: wanted.limit]], len(found) > wanted.limit

    def context(self, view: "PacketView") -> object:
        """Return a packet's context."""
        commitment = view.context_checkpoint.commitment
        payload = self.reader.payload(commitment) if commitment else None
        return None if payload is None else json.loads(payload)

    def entry(self, seq: int, *, full: bool = False) -> "EntryView":
        """Return one entry."""
        return _shown(self.reader.entry(seq), full=full)

    def entries(self, wanted: EntriesWanted) -> "list[EntryView]":
        """Return entries in order."""
        asked = EntryFilter(
            start=0 if wanted.after is None else wanted.after + 1,
            subject=wanted.subject,
            types=wanted.types,
            limit=wanted.limit,
            newest_first=wanted.after is None and wanted.limit is not None,
        )
        found = sorted(self.reader.entries(asked), key=lambda one: one.row.seq)
        return [_shown(one, full=wanted.full) for one in found]

    def size(self) -> int:
        """Return the number of entries."""
        with self.reader.snapshot() as queries:
            return queries.size()

    def head(self) -> bytes:
        """Return the newest checkpoint."""
        return self.reader.head().note

    def anchor(self) -> str:
        """Return what verifiers pin."""
        return self.reader.layout.anchor.read_text()

    def proof(self, seq: int) -> bytes:
        """Return one entry with its proof."""
        from pfgov.engine import proofs

        return proofs.prove(self.reader, seq)

    def keys(self) -> "KeyList":
        """Return the ledger's keys."""
        from pfgov.engine.ceremony import keys_object
        from pfgov.model import KeyList, check_tree, parse

        with self.reader.snapshot() as queries:
            return parse(KeyList, check_tree(keys_object(queries, self.reader.state().origin)))

    def payloads(self, *, packet_id: str | None, commitment: str | None) -> list[dict[str, Any]]:
        """Return what is stored."""
        from pfgov.engine.erasing import Target, payload_objects

        with self.reader.snapshot() as queries:
            return payload_objects(queries, Target(packet_id, commitment))

    def decision(self, packet_id: str, seq: int | None) -> DecisionEntry | None:
        """Return a decision about a packet."""
        found = self.reader.entries(
            EntryFilter(
                start=seq or 0,
                stop=None if seq is None else seq + 1,
                subject=f"packet/{packet_id}",
                types=DECIDING,
                limit=1,
                newest_first=True,
            )
        )
        return DecisionEntry(found[0].row.seq, found[0].row.time, found[0].event) if found else None

    def verdicts(self, of: DecisionEntry) -> "list[VerdictRow] | None":
        """Return a decision's verdicts: stored, or by running the ledger up to it again."""
        from pfgov import replay
        from pfgov.views import read_table
        from pfgov_ledger.errors import LedgerError

        event: Any = of.event  # each of DECIDING has a decision
        digest: str = event.decision.table
        raw = self.reader.verdict_table(digest)
        if raw is None:
            with suppress(LedgerError), self.reader.snapshot() as queries:
                raw = replay.verdict_table(queries, of.seq, digest)
        return None if raw is None else read_table(raw, digest=digest)

    def discover(self, asked: "str | FlightPacket") -> "Discovery":
        """Return who could take a packet; nothing is locked or written."""
        from pfgov.cli.rehearse import question, rehearse
        from pfgov.clock import SystemClock
        from pfgov.views import discovery

        action, attached = question(self.reader, asked)
        found = rehearse(self.reader, action, SystemClock().now(), attached)
        return discovery(found.events, found.tables)

    def policies(self) -> dict[str, Any]:
        """Return the binding set as it is shown."""
        from pfgov.policy.showing import set_view

        return set_view(self.policy_set())

    def policy_set(self) -> "PolicySet":
        """Return the binding set."""
        from pfgov.policy import from_document, kernel_only

        digest = self.reader.state().policy
        return from_document(self.reader.policy_document(digest)) if digest else kernel_only()

    def export(
        self,
        wanted: ExportWanted,
        file: BinaryIO,
        progress: "Progress | None" = None,
        *,
        compress: bool = False,
    ) -> "Written":
        """Write an export."""
        from pfgov.engine.exporting import stored_log, write_export
        from pfgov_ledger.export import GzipWriter

        if wanted.fresh:
            self.commit_index()
        out = GzipWriter(file) if compress else file
        with stored_log(self.reader) as log:
            made = write_export(
                log,
                out,
                subject=wanted.subject,
                span=wanted.span,
                since=wanted.since,
                progress=progress,
            )
        if isinstance(out, GzipWriter):
            out.close()
        return made

    def commit_index(self) -> None:
        """Commit a new index, which takes the writer's lock.

        The reader is opened anew: the writer empties its write-ahead log only if it is the last to leave.
        """
        directory = self.reader.layout.directory
        self.reader.close()
        with acting_on_folder(directory) as desk:
            desk.commit_index()
        self.reader = LedgerReader(directory)

    def replay(self, progress: "Progress", *, allow_plug_ins: bool = False) -> "Replayed":
        """Run every recorded command again, and compare the folded tables."""
        from pfgov.replay import replay_store

        with self.reader.snapshot() as queries:
            return replay_store(queries, allow_plug_ins=allow_plug_ins, progress=progress)


def _shown(found: "Recorded", *, full: bool = False) -> "EntryView":
    from pfgov.views import entry_view

    row = found.row
    leaf = row.leaf if full else b""
    return entry_view(seq=row.seq, time=row.time, event=found.event, leaf=leaf, with_body=full)


class FolderDesk(FolderReading):
    """A folder's ledger that is written."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.reader)
        self.engine = engine

    def do(
        self,
        asked: "Wire | Action",
        *,
        member_id: str | None = None,
        packet_id: str | None = None,
        attachments: Sequence[Attachment] = (),
    ) -> Done:
        """Carry out a command as the local operator, then everything that follows from it."""
        from pfgov.model import Wire

        action = asked
        if isinstance(asked, Wire):
            action, attachments = self._action(asked, member_id, packet_id)
        if not isinstance(action, Action):
            raise TypeError(type(action).__name__)
        before = self.size()
        try:
            receipt = self.engine.submit(action, principal=LOCAL_OPERATOR, attachments=attachments)
        except NotFoundError as error:
            raise suggesting(self.reader, error, getattr(action, "again", None)) from None
        finally:
            self.engine.settle()
        entries = self._since(before)
        return Done(
            entries[: receipt.count],
            entries[receipt.count :],
            packet_id=getattr(action, "packet_id", ""),
        )

    def _action(
        self, asked: "Wire", member_id: str | None, packet_id: str | None
    ) -> tuple[Action, list[Attachment]]:
        """Return the action that a body describes; its payloads get salts and commitments here."""
        from pfgov.ids import fresh_ulid
        from pfgov.model import Checkpoint, FlightPacket

        wire: Any = asked
        named = {"member_id": member_id, "packet_id": packet_id}
        about = {name: value for name, value in named.items() if value is not None}
        if not isinstance(asked, FlightPacket | Checkpoint):
            return wire.to_action(**about), []
        if isinstance(asked, FlightPacket):
            about = {"packet_id": asked.packet_id or fresh_ulid(self.engine.clock)}
        payload = asked.context_payload()
        if payload is None:
            return wire.to_action(**about), []
        attached = self.engine.attach(f"packet/{about['packet_id']}", "context", payload)
        return wire.to_action(**about, context=attached.commitment), [attached]

    def _since(self, before: int) -> "list[EntryView]":
        return [_shown(one) for one in self.reader.entries(EntryFilter(start=before))]

    def heartbeat(
        self, member_id: str, beat: "Heartbeat", pressure: "PressureReport | None"
    ) -> Heard:
        """Renew a member's lease."""
        before = self.size()
        held = [(one.packet_id, one.epoch) for one in beat.owns]
        heard = self.engine.heartbeat(member_id, beat.incarnation, held)
        if pressure is not None:
            self.do(pressure, member_id=member_id)
        self.engine.settle()
        return Heard(heard.lease_until, list(heard.lost), Done([], self._since(before)))

    def tick(self, *, resume: bool) -> tuple[Done, str | None]:
        """Let what is due happen."""
        before = self.size()
        if resume:
            self.engine.resume()
        self.engine.settle()
        return Done([], self._since(before)), self.engine.status().halted

    def activate(self, directory: Path) -> tuple[dict[str, Any], Done, bool]:
        """Make a folder of policies binding."""
        from pfgov.policy import PolicyErrors, load_directory
        from pfgov.policy.showing import set_view

        before = self.size()
        try:
            found = load_directory(directory)
        except PolicyErrors as error:
            refused = RefusePolicy(codes=error.codes, errors=len(error.problems))
            self.engine.submit(refused, principal=LOCAL_OPERATOR)
            raise
        receipt = self.engine.activate(found, principal=LOCAL_OPERATOR)
        self.engine.settle()
        return set_view(found), Done([], self._since(before)), bool(receipt.count)

    def rotate(self, asked: "Rotation", *, recovery: Path | None = None) -> KeyChange:
        """Let a new key take over; with the recovery key's file the old key has no part in it."""
        from pfgov.engine import ceremony

        return _change(ceremony.rotate(self.engine, asked.role, recovery=recovery))

    def revoke(self, signed: "Revocation") -> KeyChange:
        """Record a revocation."""
        from pfgov.engine import ceremony

        place = ceremony.Place(signed.origin, signed.seq, bytes.fromhex(signed.prev))
        return _change(ceremony.revoke(self.engine, signed.to_action(), place))

    def erase(self, asked: "Erasure") -> Erased:
        """Erase payloads for good."""
        from pfgov.engine.erasing import Target, erase_all

        done = erase_all(self.engine, Target(asked.packet_id, asked.commitment), asked.why)
        entries = [receipt.position for receipt in done.receipts]
        return Erased(list(done.erased), list(done.already), entries, done.is_done)

    def commit_index(self) -> None:
        """Commit a new index."""
        self.engine.submit(CommitIndex(), principal=ENGINE)


def _change(done: "Changed") -> KeyChange:
    return KeyChange(done.role, done.position, done.old, done.new)


@contextmanager
def reading_folder(directory: Path) -> Generator[FolderReading]:
    """Open a folder's ledger for reading.

    Raises:
        PfgovError: ``store.*``, there is none, or it cannot be read.
    """
    book = FolderReading(LedgerReader(directory))
    try:
        yield book
    finally:
        book.reader.close()


@contextmanager
def acting_on_folder(directory: Path) -> Generator[FolderDesk]:
    """Open a folder's ledger for writing; the leases of the last run stand.

    Raises:
        PfgovError: ``store.*``, there is none, another process writes it, or it cannot be written.
    """
    with Engine.open(directory, options=Options(fresh_leases=False)) as engine:
        yield FolderDesk(engine)


__all__ = ["FolderDesk", "FolderReading", "acting_on_folder", "reading_folder"]
