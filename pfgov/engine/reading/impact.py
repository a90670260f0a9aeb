"""The impact of a policy set: what would have been decided otherwise in a recorded history, and what would happen now.

A history is run again (:mod:`pfgov.engine.reading.replay`), and at each recorded decision the set is asked beside it
(:mod:`pfgov.engine.reading.asking_again`).  The report is a pure function of the entries and the set: no clock, no
path, no name of a machine is in it, so that whoever has the export gets the same bytes.  Everything is counted; what is
listed is bounded, and so is memory.  How a report is shown, signed or used is not known here.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from pfgov.core.records import Packet
from pfgov.core.state import State
from pfgov.decoding import Reader
from pfgov.engine.layout import Layout
from pfgov.engine.loading.intact import altered, leaf_of
from pfgov.engine.loading.tree import StoredNodes, frontier_at
from pfgov.engine.loading.vouched import check_head, read_state
from pfgov.engine.reading.asking_again import Asker, Compared
from pfgov.engine.reading.consequences import Consequences, consequences
from pfgov.engine.reading.replay import Moment, Replay
from pfgov.errors import InvalidError
from pfgov.policy import PolicySet
from pfgov.storage.port import Queries
from pfgov_ledger import checkpoint, merkle, note
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.merkle import Frontier

FORMAT: Final = "pfgov.impact/v1"

FLIPS_LISTED_MAX: Final = 1_000
"""Decisions that are listed, the oldest first; all are counted."""

NAMES_LISTED_MAX: Final = 100
"""Rows of a breakdown that are listed, the largest first."""

NAMES_COUNTED_MAX: Final = 10_000
"""Names that a breakdown tells apart; those that come later are counted together, as ``*``."""

NAMED_PER_FLIP_MAX: Final = 8
"""Members, and rules, that are named of one decision."""

OTHERS: Final = "*"

Kind = Literal[
    "allow_to_deny", "allow_to_escalate", "escalate_to_deny", "escalate_to_allow", "deny_to_allow", "deny_to_escalate",
    "other_winner", "other_obligations", "other_candidates",
]  # fmt: skip


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a history is asked about.

    Attributes:
        since: The first position; decisions before it are only followed.
        size: The number of entries that are read; all without it.  The command that holds the last one is read whole.
        after: Not before this time, in microseconds.
        before: Before this time, in microseconds.
        sample: One command in so many is asked, chosen by its position: the same ones in every run.
    """

    since: int = 0
    size: int | None = None
    after: int | None = None
    before: int | None = None
    sample: int = 1


class Flip(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that would have come out otherwise.

    Attributes:
        position: Of the first entry of its command.
        time: Microseconds since 1970.
        subject: ``packet/ID`` or ``member/ID``.
        point: The decision point.
        kind: What is different.
        old: The recorded outcome, and *new* the other one.
        old_winner: Who got it, and *new_winner* who would.
        widened: Members that would be more eligible, at most eight.
        narrowed: Members that would be less eligible, at most eight.
        rules: The rules that make the difference, at most eight.
    """

    position: int
    time: int
    subject: str
    point: str
    kind: Kind
    old: str
    new: str
    old_winner: str | None = None
    new_winner: str | None = None
    widened: tuple[str, ...] = ()
    narrowed: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """How many decisions with this name in them would be wider, and how many narrower."""

    name: str
    wider: int
    narrower: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many decisions were asked, and what became of them."""

    decisions: int
    same: int
    wider: int
    narrower: int
    flips: int
    by_kind: tuple[tuple[str, int], ...]


class Breakdown(msgspec.Struct, frozen=True, kw_only=True):
    """The decisions that would be wider or narrower, by what is in them."""

    rules: tuple[Share, ...]
    members: tuple[Share, ...]
    workload_types: tuple[Share, ...]
    data_classes: tuple[Share, ...]


class HistoryRef(msgspec.Struct, frozen=True, kw_only=True):
    """Which history: its name, its size, the root of its tree at that size, and what was asked of it.

    ``size`` and ``root`` are those of a checkpoint of the ledger: whoever has one can tell another history.
    """

    origin: str
    size: int
    root: str
    semantics: int
    first: int
    sample: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a set would have changed in a history, and what it would do at its end."""

    format: str
    ledger: HistoryRef
    binding: str | None
    proposed: str
    sets_in_force: tuple[str, ...]
    counts: Counts
    by: Breakdown
    flips: tuple[Flip, ...]
    now: Consequences

    @property
    def has_flips(self) -> bool:
        """Whether some decision would have come out otherwise."""
        return self.counts.same != self.counts.decisions


_REPORT: Final = Reader[Report](Report)


_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def encode(report: Report) -> bytes:
    """Return the canonical JSON of *report*: the bytes that are signed and compared."""
    return _ENCODER.encode(report)


def decode(raw: bytes) -> Report:
    """Return the report that *raw* is.

    Raises:
        InvalidError: ``impact.report``, it is none, or not in its canonical form.
    """
    try:
        found = _REPORT.decode(raw)
    except msgspec.MsgspecError as error:
        raise InvalidError(f"this is no report of impact: {error}", code="impact.report") from error
    if found.format != FORMAT or encode(found) != raw:
        raise InvalidError(
            "this is no report of impact in its canonical form",
            code="impact.report",
            hint="make it again: pfgov policy impact DIR --format json --out report.json",
        )
    return found


def digest(report: Report) -> str:
    """Return the hex SHA-256 of a report's canonical form."""
    return hashlib.sha256(encode(report)).hexdigest()


# --- counting -----------------------------------------------------------------------------


@dataclass(slots=True)
class _Shares:
    """Wider and narrower decisions by name."""

    found: dict[str, list[int]] = field(default_factory=dict[str, list[int]])

    def add(self, names: Iterable[str], *, wider: bool, narrower: bool) -> None:
        for name in names:
            key = name if name in self.found or len(self.found) < NAMES_COUNTED_MAX else OTHERS
            row = self.found.setdefault(key, [0, 0])
            row[0] += wider
            row[1] += narrower

    def listed(self) -> tuple[Share, ...]:
        rows = sorted(self.found.items(), key=lambda row: (-sum(row[1]), row[0]))
        return tuple(
            Share(name=name, wider=wider, narrower=narrower)
            for name, (wider, narrower) in rows[:NAMES_LISTED_MAX]
        )


class ImpactReplay(Replay):
    """A replay that asks a policy set at each decision; implements ``pfgov_ledger.replaying.Replayer``."""

    def __init__(
        self,
        policies: PolicySet,
        span: Span,
        documents: Callable[[str], bytes | None] = lambda _: None,
        *,
        allow_plug_ins: bool = False,
    ) -> None:
        """Begin before the first entry; as :class:`Replay`."""
        super().__init__(documents, allow_plug_ins=allow_plug_ins, watcher=self)
        self.policies = policies
        self._span = span
        self._asker = Asker(policies, self)
        self._tree = Frontier()
        self._is_over = False
        self._decisions = 0
        self._kinds: dict[str, int] = {}
        self._wider = self._narrower = 0
        self._flips: list[Flip] = []
        self._by = (_Shares(), _Shares(), _Shares(), _Shares())
        self._first: int | None = None
        self._in_force: dict[str, None] = {}

    # --- reading --------------------------------------------------------------------------

    def admits(self, position: int, time: int, leaf: bytes, *, is_first: bool) -> bool:
        """Whether an entry is in the span; a command is read whole or not at all."""
        if is_first and not self._is_over:
            size, before = self._span.size, self._span.before
            self._is_over = (size is not None and position >= size) or (
                before is not None and time >= before
            )
        if not self._is_over:
            self._tree.add(leaf)
        return not self._is_over

    # --- watching -------------------------------------------------------------------------

    def wants(self, position: int, time: int) -> bool:
        """Whether this command is in the span and in the sample."""
        if position < self._span.since or time < (self._span.after or 0):
            return False
        if self._first is None:
            self._first = position
        if self._span.sample <= 1:
            return True
        return zlib.crc32(position.to_bytes(8, "big")) % self._span.sample == 0

    def see(self, moment: Moment) -> None:
        """Ask the set at a moment, and count what is different."""
        compared = self._asker.ask(moment)
        if compared is None:
            return
        self._decisions += 1
        self._in_force.setdefault(self.state.policy or "")
        kind = compared.change
        if kind is None:
            return
        self._kinds[kind] = self._kinds.get(kind, 0) + 1
        wider, narrower = compared.is_widening, compared.is_narrowing
        self._wider += wider
        self._narrower += narrower
        packet = self._packet_of(moment)
        rules, members, workloads, classes = self._by
        named = dict.fromkeys((*compared.lifted, *compared.imposed))
        rules.add(named, wider=wider, narrower=narrower)
        members.add((*compared.widened, *compared.narrowed), wider=wider, narrower=narrower)
        if packet is not None:
            workloads.add((packet.terms.workload_type,), wider=wider, narrower=narrower)
            classes.add(packet.terms.data_classes, wider=wider, narrower=narrower)
        if len(self._flips) < FLIPS_LISTED_MAX:
            self._flips.append(_flip(moment, compared, kind))

    def applied(self, touched: set[tuple[str, str]]) -> None:
        """Forget what changed of members' facts."""
        self._asker.changed(touched)

    def _packet_of(self, moment: Moment) -> Packet | None:
        name = getattr(moment.command.do, "packet_id", None)
        return self.state.packets.get(name) if name is not None else None

    def stand_at(self, state: State, tree: Frontier) -> None:
        """Take the end of a history as it is stored, without having read it."""
        self.state, self._tree = state, tree

    # --- the report -----------------------------------------------------------------------

    def report(self) -> Report:
        """Return what was found; after :meth:`finish`."""
        state = self.state
        binding = self.set_of(state.policy or "")
        rules, members, workloads, classes = (shares.listed() for shares in self._by)
        changed = sum(self._kinds.values())
        return Report(
            format=FORMAT,
            ledger=HistoryRef(
                origin=state.origin,
                size=self._tree.size,
                root=self._tree.root().hex(),
                semantics=state.semantics,
                first=self._tree.size if self._first is None else self._first,
                sample=self._span.sample,
            ),
            binding=state.policy,
            proposed=self.policies.digest,
            sets_in_force=tuple(sorted(self._in_force)),
            counts=Counts(
                decisions=self._decisions,
                same=self._decisions - changed,
                wider=self._wider,
                narrower=self._narrower,
                flips=changed - self._kinds.get("other_candidates", 0),
                by_kind=tuple(sorted(self._kinds.items())),
            ),
            by=Breakdown(
                rules=rules, members=members, workload_types=workloads, data_classes=classes
            ),
            flips=tuple(self._flips),
            now=consequences(state, binding, self.policies, self.scheduler_of),
        )


def _flip(moment: Moment, compared: Compared, kind: str) -> Flip:
    old, new = compared.old, compared.new
    rules = sorted({*compared.lifted, *compared.imposed})
    return Flip(
        position=moment.position,
        time=moment.time,
        subject=moment.subject,
        point=new.point.value if new.outcome == "refused" else old.point.value,
        kind=kind,  # type: ignore[arg-type]  # one of the literals
        old=old.outcome,
        new=new.outcome,
        old_winner=old.winner,
        new_winner=new.winner,
        widened=compared.widened[:NAMED_PER_FLIP_MAX],
        narrowed=compared.narrowed[:NAMED_PER_FLIP_MAX],
        rules=tuple(rules[:NAMED_PER_FLIP_MAX]),
    )


def impact_of_store(
    queries: Queries,
    policies: PolicySet,
    span: Span,
    *,
    allow_plug_ins: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Return the impact of *policies* on a stored ledger; the snapshot must stay open meanwhile.

    Raises:
        ReplayDifferenceError: the ledger is not what its commands give, so that nothing can be said.
        ReplayUnavailableError: it cannot be told: other rules, a missing policy set, a plug-in.
        StoreCorruptError: ``store.altered``, an entry has another hash than its bytes.
    """
    replay = ImpactReplay(policies, span, queries.policy_set, allow_plug_ins=allow_plug_ins)
    size = queries.size()
    try:
        for row in queries.entries():
            if not replay.take(row.raw, leaf_of(row)):
                break
            if progress is not None and (row.seq % 1_024 == 1_023 or row.seq == size - 1):
                progress(row.seq + 1, size)
        replay.finish()
        return replay.report()
    finally:
        replay.close()


def root_at(queries: Queries, layout: Layout, size: int) -> str | None:
    """Return the root, in hex, of the tree over the first *size* entries of a store; None where there are not so many.

    Raises:
        StoreCorruptError: ``store.altered``, it is not under the newest checkpoint, or nobody signed that.
    """
    latest = queries.checkpoint()
    if latest is None or not 0 < size <= latest[0]:
        return None
    check_head(queries, layout, ())
    stated = checkpoint.parse_text(note.split(latest[1])[0])
    nodes = StoredNodes(queries)
    root = frontier_at(nodes, size).root()
    try:
        hashes = merkle.consistency_proof(nodes, size, stated.size)
        merkle.check_consistency(size, stated.size, root, stated.root, hashes)
    except LedgerError as error:
        raise altered(size - 1, "its tree is not under the root that was signed") from error
    return root.hex()


def weigh_store(
    queries: Queries,
    layout: Layout,
    policies: PolicySet,
    span: Span,
    *,
    most: int,
    allow_plug_ins: bool = False,
) -> Report:
    """Return the impact of *policies* on a stored ledger of at most *most* entries; of a longer one, what would happen
    now, with no decision asked.

    Raises:
        LedgerError: as :func:`impact_of_store`.
    """
    size = queries.size()
    if size <= most:
        return impact_of_store(queries, policies, span, allow_plug_ins=allow_plug_ins)
    replay = ImpactReplay(
        policies, Span(since=size), queries.policy_set, allow_plug_ins=allow_plug_ins
    )
    replay.stand_at(read_state(queries, layout), frontier_at(StoredNodes(queries), size))
    return replay.report()
