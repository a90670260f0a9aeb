"""Running a ledger again: every recorded command on the state before it must give the entries that are recorded.

An auditor, a test or ``pfgov ledger replay`` feeds entries in order.  Each command is decided anew, with the policy
sets of the ledger itself and the exact evaluator (never generated code from somebody else's export), and each body
is compared byte for byte; then the recorded events are applied.  Signatures, salts and payloads are outside.  With a
store at hand the folded tables are compared as well.  Nothing here writes, and no clock is read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.apply import apply
from pfgov.core.canonical import IN_ORDER, is_canonical
from pfgov.core.decide import (
    Decided,
    NeedsOverlayError,
    NeedsPacketError,
    NeedsViewError,
    Tools,
    decide,
)
from pfgov.core.judging import Judged
from pfgov.core.lifecycle import TERMINAL
from pfgov.core.records import Stamp
from pfgov.core.scheduler import Scheduler
from pfgov.core.state import State
from pfgov.decoding import Reader
from pfgov.engine.reading.older_orders import OlderOrders
from pfgov.engine.reading.rows import SHOWN_MAX, compare_rows
from pfgov.errors import PfgovError
from pfgov.policy import PolicySet, from_document, kernel_only
from pfgov.scheduling.registry import BUILT_IN, scheduler
from pfgov.storage.port import Queries
from pfgov_ledger.disk_map import DiskMap
from pfgov_ledger.entry import Entry
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.replaying import ReplayUnavailableError
from pfgov_ledger.subject_map import SubjectMap

_AROUND: Final = 40

ENDED_IN_MEMORY_MAX: Final = 20_000
"""Ended packets that a bounded replay holds in memory; beyond, they are in a temporary file."""


class ReplayDifferenceError(LedgerError, code="ledger.replay_differs"):
    """A recorded command does not give the entry that is recorded."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was run again: entries, the commands that made them, and rows of folded tables that were compared.

    ``rows`` is None where there are no tables to compare, as in an export.  ``reordered`` counts the commands, of
    semantics before 4, that saw what members offer in the order in which it was given (:mod:`.older_orders`).
    """

    entries: int
    commands: int
    rows: int | None
    reordered: int = 0


class _Origin(msgspec.Struct):
    seq: int
    index: int


class _Entry(msgspec.Struct):
    """The part of an entry's bytes that is read here; the ledger package checks all of it."""

    seq: int
    type: str
    subject: str
    subject_seq: int
    time: int
    command: _Origin
    body: msgspec.Raw


@dataclass(frozen=True, slots=True)
class _Fed:
    entry: _Entry
    body: bytes
    leaf: bytes


_ENTRY: Final = Reader[_Entry](_Entry)


@dataclass(frozen=True, slots=True)
class Moment:
    """A recorded command at its place in history: the state is the one before it.

    Attributes:
        position: The position of its first entry.
        subject: The subject of that entry.
        time: Microseconds since 1970, as recorded.
        command: What was asked.
        events: What is recorded of it, and came out again.
        candidates: The verdicts behind its verdict tables, by the digest of the table.
    """

    position: int
    subject: str
    time: int
    command: c.Command
    events: tuple[e.Event, ...]
    candidates: Mapping[str, Judged]


class Watcher(Protocol):
    """Looks at a history as it is run again."""

    def wants(self, position: int, time: int) -> bool:
        """Whether the command recorded at *position* is to be decided again; else its events are only applied."""
        ...

    def see(self, moment: Moment) -> None:
        """Look at a command that came out again, before its events are applied."""
        ...

    def applied(self, touched: set[tuple[str, str]]) -> None:
        """Take note of the rows that a command changed."""
        ...


class Replay:
    """A ledger being run again; implements ``pfgov_ledger.replaying.Replayer``."""

    def __init__(
        self,
        documents: Callable[[str], bytes | None] = lambda _: None,
        *,
        allow_plug_ins: bool = False,
        watcher: "Watcher | None" = None,
    ) -> None:
        """Begin before the first entry.

        Args:
            documents: Digest -> document of a policy set, besides those that :meth:`policy_set` hands over.
            allow_plug_ins: Whether schedulers of installed packages may run.
            watcher: Who looks on.  Memory is bounded then: packets that have ended go to a temporary file, and the
                index, which the verifier checks, is not made again.
        """
        self.state = State()
        self.commands = 0
        self.reordered = 0
        """Commands that gave what is recorded only in an order of before semantics 4."""
        self.tables: dict[str, bytes] = {}
        """Verdict tables of the command that was run last, by digest."""
        self._documents = documents
        self._given: dict[str, bytes] = {}
        self._sets: dict[str, PolicySet] = {}
        self._schedulers: dict[e.SchedulerRef, Scheduler] = {}
        self._allow_plug_ins = allow_plug_ins
        self._group: list[_Fed] = []
        self._orders = OlderOrders()
        self._subjects = SubjectMap()
        self._names: set[str] = set()
        self._watcher = watcher
        self._ended: DiskMap[str] = DiskMap(ENDED_IN_MEMORY_MAX, pack=str, unpack=str)
        self._borrowed: set[str] = set()
        self._absent: set[str] = set()
        self._candidates: dict[str, Judged] = {}
        self.tools = Tools(
            policies=self.set_of,
            scheduler=self.scheduler_of,
            index=self._index,
            complete=watcher is None,
            candidates=None if watcher is None else self._candidates,
        )

    # --- what decide asks for ------------------------------------------------------------

    def set_of(self, digest: str) -> PolicySet:
        """Return the set of *digest*, or the kernel alone where it is empty.

        Raises:
            ReplayUnavailableError: the history does not have it.
        """
        if digest not in self._sets:
            document = self._given.get(digest) or (self._documents(digest) if digest else None)
            if digest and document is None:
                raise ReplayUnavailableError(f"policy:{digest}")
            found = from_document(document) if document is not None else kernel_only()
            if digest and found.digest != digest:
                raise ReplayUnavailableError(
                    f"policy:{digest}", "the policy set has another digest"
                )
            self._sets[digest] = found
        return self._sets[digest]

    def scheduler_of(self, wanted: e.SchedulerRef) -> Scheduler:
        """Return the scheduler that *wanted* names.

        Raises:
            ReplayUnavailableError: it is not here, or not in that version.
        """
        found = self._schedulers.get(wanted)
        if found is None:
            name = f"scheduler:{wanted.name}:{wanted.version}"
            if wanted.name not in BUILT_IN and not self._allow_plug_ins:
                raise ReplayUnavailableError(name, "plug-ins run only when they are allowed")
            try:
                found = scheduler(wanted.name, wanted.parameters)
            except PfgovError as error:
                raise ReplayUnavailableError(name, error.message) from error
            if wanted.version and found.version != wanted.version:
                raise ReplayUnavailableError(name, f"this pfgov has version {found.version}")
            self._schedulers[wanted] = found
        return found

    def _index(self) -> tuple[int, str]:
        return len(self._names), self._subjects.root().hex()

    # --- entries -------------------------------------------------------------------------

    def feed(self, of: Entry) -> None:
        """Take the next entry; regenerate what is complete and compare it.

        Raises:
            ReplayDifferenceError: a command does not give what is recorded.
            ReplayUnavailableError: it cannot be told: other rules, a missing policy set, a plug-in.
        """
        self.take(of.raw, of.leaf)

    def take(self, raw: bytes, leaf: bytes) -> bool:
        """Take the next entry's bytes and leaf hash, and return whether it is run; raises as :meth:`feed`."""
        entry = _ENTRY.decode(raw)
        if not self.admits(entry.seq, entry.time, leaf, is_first=entry.command.index == 0):
            return False
        if entry.command.index == 0:
            self._run_group()
        self._group.append(_Fed(entry, bytes(entry.body), leaf))
        return True

    def admits(self, position: int, time: int, leaf: bytes, *, is_first: bool) -> bool:  # noqa: ARG002 - for others
        """Whether an entry is part of what is run: here, every one is."""
        return True

    def policy_set(self, digest: str, content: bytes) -> None:
        """Take the document of a policy set that was just activated."""
        self._given[digest] = content

    def finish(self) -> None:
        """Run what is left; raises as :meth:`feed`."""
        self._run_group()

    def _run_group(self) -> None:
        """Decide one command again and compare its entries."""
        group, self._group = self._group, []
        if not group:
            return
        self.commands += 1
        recorded = [_event(fed) for fed in group]
        watcher = self._watcher
        if watcher is None:
            self._check(group, recorded)
        else:
            self._watched(watcher, group, recorded)
        is_older = self.state.semantics < IN_ORDER
        for fed, event in zip(group, recorded, strict=True):
            if is_older:
                self._orders.note(self.state, event, group[0].entry.seq)
            apply(self.state, event, Stamp(fed.entry.seq, fed.entry.time))
            if watcher is None:
                self._subjects.update(fed.entry.subject, fed.entry.subject_seq, fed.leaf)
                self._names.add(fed.entry.subject)
        if watcher is not None:
            watcher.applied(self.state.touched)
            self._put_away()
        self.state.touched.clear()

    def _watched(self, watcher: Watcher, group: list[_Fed], recorded: list[e.Event]) -> None:
        """Load what the group is about, and let the watcher look, if it wants to."""
        packets = [event.packet_id for event in recorded if isinstance(event, e.PacketEvent)]
        self._absent = {packet_id for packet_id in packets if not self._fetch(packet_id)}
        first, command = group[0].entry, recorded[0].command
        if not watcher.wants(first.seq, first.time):
            return
        self._candidates.clear()
        if command is None or not isinstance(command.do, c.CommitIndex):
            self._check(group, recorded)
        if command is not None:
            events, judged = tuple(recorded), self._candidates
            watcher.see(Moment(first.seq, first.subject, first.time, command, events, judged))

    def _check(self, group: list[_Fed], recorded: list[e.Event]) -> None:
        """Hold a group against what its command gives now, in every order that members' offers may have had."""
        try:
            self._compare(group, recorded[0])
        except ReplayDifferenceError:
            if not self._is_older_order(group, recorded[0]):
                raise

    def decide(self, command: c.Command, time: int, tools: Tools) -> Decided:
        """Return what *command* comes to at *time* with *tools*, fetching the ended packets that it names.

        Raises:
            PfgovError, NeedsViewError, NeedsOverlayError: as :func:`pfgov.core.decide.decide`.
        """
        tools.absent |= self._absent  # who is not there yet need not be asked for
        try:
            while True:
                try:
                    return decide(self.state, command, time, tools)
                except NeedsPacketError as need:
                    if not self._fetch(need.packet_id):
                        tools.absent.add(need.packet_id)
        finally:
            tools.absent.clear()

    def _fetch(self, packet_id: str) -> bool:
        """Bring an ended packet back into memory, if there is one; return whether there is."""
        if packet_id in self.state.packets:
            return True
        stored = self._ended.get(packet_id)
        if stored is None:
            return False
        self.state.load_row("packet", packet_id, stored.encode())
        self._borrowed.add(packet_id)
        return True

    def _put_away(self) -> None:
        """Move the packets that have ended out of memory."""
        touched = {key for table, key in self.state.touched if table == "packet"}
        for packet_id in touched | self._borrowed:
            packet = self.state.packets.get(packet_id)
            if packet is not None and packet.status in TERMINAL:
                if packet_id in touched:
                    self._ended.put(packet_id, self.state.row("packet", packet_id).decode())
                self.state.forget(packet_id)
        self._borrowed.clear()

    def close(self) -> None:
        """Remove the temporary file, where there is one."""
        self._ended.close()

    def _compare(self, group: list[_Fed], first: e.Event) -> None:
        """Hold what the command of *group* gives against what is recorded."""
        bodies = self._regenerated(group[0], first)
        for place, fed in enumerate(group):
            found = bodies[place] if place < len(bodies) else None
            if found != (fed.entry.type, fed.body):
                raise _difference(fed, found)
        if len(bodies) > len(group):
            raise ReplayDifferenceError(
                position=group[-1].entry.seq + 1, expected=f"an entry {bodies[len(group)][0]}", found="none"
            )  # fmt: skip

    def _is_older_order(self, group: list[_Fed], first: e.Event) -> bool:
        """Whether *group* comes out in an order in which an engine before semantics 4 may have held members' offers."""
        if self.state.semantics >= IN_ORDER:
            return False
        for moment in self._orders.moments():
            with self._orders.arranged(self.state, moment):
                try:
                    self._compare(group, first)
                except ReplayDifferenceError:
                    continue
            self._orders.found(moment)
            self.reordered += 1
            return True
        return False

    def _regenerated(self, first: _Fed, event: e.Event) -> list[tuple[str, bytes]]:
        """Return (type, body) of every entry that the command recorded in *first* gives."""
        seq = first.entry.seq
        if isinstance(event, e.LedgerCreated) and event.semantics not in e.SEMANTICS_KNOWN:
            raise ReplayUnavailableError(f"semantics:{event.semantics}")
        command = event.command
        if command is None:
            raise ReplayDifferenceError("the first entry of a command carries it", position=seq)
        if self.state.semantics >= IN_ORDER and not is_canonical(command):
            raise ReplayDifferenceError("the command's collections are not in order", position=seq)
        try:
            decided = self.decide(command, first.entry.time, self.tools)
        except (PfgovError, NeedsOverlayError, NeedsPacketError, NeedsViewError) as error:
            why = getattr(error, "code", type(error).__name__)
            raise ReplayDifferenceError(
                position=seq, expected=f"an entry {first.entry.type}", found=f"a refusal: {why}"
            ) from error
        self.tables = dict(decided.tables)
        events = decided.events
        if events:
            events = [msgspec.structs.replace(events[0], command=command), *events[1:]]
        return [(found.type, e.encode_body(found)) for found in events]


def _event(fed: _Fed) -> e.Event:
    try:
        return e.decode_body(fed.entry.type, fed.body)
    except (KeyError, msgspec.MsgspecError) as error:
        raise ReplayDifferenceError(
            f"not an event of this version: {error}", position=fed.entry.seq
        ) from error


def _difference(fed: _Fed, found: tuple[str, bytes] | None) -> ReplayDifferenceError:
    """Say where the recorded body and the regenerated one part."""
    if found is None:
        return ReplayDifferenceError(
            position=fed.entry.seq, expected="no further entry", found=fed.entry.type
        )
    if found[0] != fed.entry.type:
        return ReplayDifferenceError(
            position=fed.entry.seq, expected=found[0], found=fed.entry.type
        )
    pairs = enumerate(zip(found[1], fed.body, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(found[1]), len(fed.body)))
    start = max(0, at - _AROUND)
    return ReplayDifferenceError(
        f"the body differs from byte {at} on",
        position=fed.entry.seq,
        expected=found[1][start : start + SHOWN_MAX].decode(errors="replace"),
        found=fed.body[start : start + SHOWN_MAX].decode(errors="replace"),
    )


# --- over a store -------------------------------------------------------------------------


def replay_store(
    queries: Queries,
    *,
    allow_plug_ins: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Replayed:
    """Run a stored ledger again and compare its folded tables; the snapshot must stay open meanwhile.

    Raises:
        ReplayDifferenceError: a command does not give what is recorded.
        RowsDifferError: a row is not what the entries give.
        ReplayUnavailableError: it cannot be told.
    """
    replay = Replay(queries.policy_set, allow_plug_ins=allow_plug_ins)
    size = queries.size()
    for row in queries.entries():
        replay.take(row.raw, row.leaf)
        if progress is not None and (row.seq % 1_024 == 1_023 or row.seq == size - 1):
            progress(row.seq + 1, size)
    replay.finish()
    rows = compare_rows(replay.state, queries)
    return Replayed(size, replay.commands, rows, replay.reordered)


def verdict_table(queries: Queries, seq: int, digest: str) -> bytes | None:
    """Return the verdict table behind the decision at *seq* by running the ledger up to it again.

    Raises:
        ReplayDifferenceError, ReplayUnavailableError: as :func:`replay_store`.
    """
    replay = Replay(queries.policy_set)
    for row in queries.entries():
        replay.take(row.raw, row.leaf)
        if row.seq > seq and digest in replay.tables:
            break
    else:
        replay.finish()
    return replay.tables.get(digest)
