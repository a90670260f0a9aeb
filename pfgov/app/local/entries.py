"""What happened in a ledger of this machine: entries, decisions and proofs, as far as who asks may see them."""

import base64
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from msgspec.structs import replace

from pfgov.app import visibility
from pfgov.app.history import Actors, outcome_of, scan
from pfgov.app.ledger import (
    DECIDING,
    DecisionEntry,
    DecisionsWanted,
    EntriesWanted,
    EntryPageWanted,
    Listed,
)
from pfgov.app.local.state import LocalState
from pfgov.app.views import (
    EntryView,
    PacketAudit,
    VerdictRow,
    decision_view,
    entry_view,
    read_table,
)
from pfgov.app.views.audit import OF_A_MEMBER, Evidence, Read, audit_answers, members_in
from pfgov.clock import SystemClock
from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.engine import EntryFilter, Recorded
from pfgov.errors import InvalidError
from pfgov.files import read_regular
from pfgov.limits import AUDITED_MAX, INTEGER_MAX

DECISIONS: Final = (*DECIDING, "handoff_completed", "decision_evaluated")
"""The events that hold a decision about a packet."""


def shown(found: Recorded, *, full: bool = True) -> EntryView:
    """Return an entry as it is shown; *full* with its body and leaf hash."""
    row = found.row
    leaf = row.leaf if full else b""
    return entry_view(seq=row.seq, time=row.time, event=found.event, leaf=leaf, with_body=full)


class Counted:
    """Reads entries for an audit, and remembers what it left out."""

    def __init__(self, history: "LocalHistory") -> None:
        self._history = history
        self.withheld = 0
        self.is_whole = True

    def of(self, subject: str, types: tuple[str, ...], most: int) -> list[Read]:
        """Return the entries of *subject* that who asks may see, at most *most*, oldest first."""
        asked = EntryFilter(subject=subject, types=types, limit=most + 1)
        found = self._history.reader.entries(asked)
        self.is_whole = self.is_whole and len(found) <= most
        is_own = subject.startswith("packet/")
        seen = [
            one
            for one in found[:most]
            if is_own or visibility.may_see(self._history.principal, one.event)
        ]
        self.withheld += len(found[:most]) - len(seen)
        return [Read(one.row.seq, one.row.time, one.row.leaf, one.event) for one in seen]


class LocalHistory(LocalState):
    """The entries of a ledger of this machine."""

    def recorded(self, seq: int) -> Recorded:
        """Return the entry at a position with its bytes.

        Raises:
            NotFoundError: there is none.
            ForbiddenError: it does not concern who asks.
        """
        found = self.reader.entry(seq)
        visibility.require_entry(self.principal, found.event)
        return found

    def entry(self, seq: int, *, full: bool = False) -> EntryView:
        """Return one entry; errors as of :meth:`recorded`."""
        return shown(self.recorded(seq), full=full)

    def entries(self, wanted: EntriesWanted) -> list[EntryView]:
        """Return entries in order: the newest where their number is limited and no position was named."""
        is_newest = wanted.after is None and wanted.limit is not None
        asked = (wanted.subject, wanted.types, wanted.after, wanted.limit, wanted.full)
        page = EntryPageWanted(*asked, newest=is_newest)
        found: list[EntryView] = []
        while True:
            one = self.listed(page)
            found += one.entries
            left = None if wanted.limit is None else wanted.limit - len(found)
            if one.following is None or left == 0:
                return sorted(found, key=lambda one: one.seq)
            cursor = {"before" if is_newest else "after": one.following}
            page = replace(page, limit=left, **cursor)

    def listed(self, wanted: EntryPageWanted) -> Listed:
        """Return a page of entries."""
        limit = wanted.limit
        asked = EntryFilter(
            start=0 if wanted.after is None else wanted.after + 1,
            stop=wanted.before,
            subject=wanted.subject,
            types=wanted.types,
            since=wanted.since,
            until=wanted.until,
            limit=None if limit is None else limit + 1,
            newest_first=wanted.newest,
        )
        following: int | None = None
        has_index = wanted.subject is not None or not (
            wanted.types or wanted.since is not None or wanted.until is not None
        )
        if wanted.actor is not None or wanted.outcome is not None or not has_index:
            actors = Actors(self.reader)
            found, following = scan(
                self.reader,
                asked,
                lambda one: (
                    wanted.outcome in {None, outcome_of(one.event)}
                    and (wanted.actor is None or wanted.actor == actors.of(one))
                ),
                INTEGER_MAX if limit is None else limit,
            )
        else:
            found = self.reader.entries(asked)
            if limit is not None and len(found) > limit:
                found, following = found[:limit], found[limit - 1].row.seq
        return Listed([shown(one, full=wanted.full) for one in found], following)

    def lineage(self, packet_id: str, after: int, limit: int) -> Listed:
        """Return a page of everything that happened to a packet, oldest first.

        Raises:
            NotFoundError: there is no such packet.
            ForbiddenError: who asks may not read it.
        """
        subject = f"packet/{packet_id}"
        found = self.listed(EntryPageWanted(subject=subject, after=after, limit=limit, full=True))
        if visibility.members_of(self.principal) is not None or (not found.entries and after < 0):
            self.record(packet_id)
        return found

    def audit(self, packet_id: str) -> PacketAudit:
        """Return what an auditor asks about a packet; entries of members that who asks may not see are withheld.

        Raises:
            NotFoundError: there is no such packet.
            ForbiddenError: who asks may not read it.
        """
        with self.reader.snapshot():
            packet = self.record(packet_id)
            read = Counted(self)
            entries = read.of(f"packet/{packet_id}", (), AUDITED_MAX)
            names = members_in(one.event for one in entries)
            members = {name: read.of(f"member/{name}", OF_A_MEMBER, AUDITED_MAX) for name in names}
            policies = read.of("policy", ("policy_activated",), AUDITED_MAX)
            evidence = Evidence(entries, members, policies)
            return PacketAudit(
                packet_id=packet_id,
                workload_type=packet.terms.workload_type,
                status=packet.status.value,
                current_owner=packet.owner,
                epoch=packet.epoch,
                size=self.reader.head().size,
                whole=read.is_whole,
                withheld=read.withheld,
                answers=audit_answers(evidence),
            )

    def since(self, position: int, limit: int) -> list[Recorded]:
        """Return at most *limit* entries from *position* on, with their bytes."""
        return self.reader.entries(EntryFilter(start=position, limit=limit))

    def followed(self, position: int, limit: int | None = None) -> tuple[list[EntryView], bool]:
        """Return the engine's own entries from *position* on that who asks may see, and whether those are all.

        What others ask for meanwhile is not among them; at most *limit* entries are looked at.
        """
        asked = EntryFilter(start=position, limit=None if limit is None else limit + 1)
        found = self.reader.entries(asked)
        views: list[EntryView] = []
        is_engines = False
        for one in found[:limit]:
            if one.event.command is not None:
                is_engines = one.event.command.principal.id == c.ENGINE.id
            is_own = is_engines and one.row.type != "index_committed"
            if is_own and visibility.may_see(self.principal, one.event):
                views.append(shown(one, full=False))
        return views, limit is None or len(found) <= limit

    def size(self) -> int:
        """Return the number of entries."""
        with self.reader.snapshot() as queries:
            return queries.size()

    def head(self) -> bytes:
        """Return the newest checkpoint."""
        return self.reader.head().note

    def checkpoint(self, size: int) -> bytes | None:
        """Return the newest checkpoint over at most *size* entries."""
        with self.reader.snapshot() as queries:
            found = queries.checkpoint(at_most=size)
        return None if found is None else found[1]

    def anchor(self) -> str:
        """Return what verifiers pin."""
        return read_regular(self.reader.layout.anchor).decode("utf-8", "replace")

    def proof(self, seq: int, signed: bytes | None = None) -> bytes:
        """Return one entry with its proof; errors as of :meth:`recorded`.

        The proof leads to the signed checkpoint *signed*, to the newest by default.
        """
        from pfgov.engine.reading import proofs

        if visibility.members_of(self.principal) is not None:  # the proof holds the entry
            self.recorded(seq)
        return proofs.prove(self.reader, seq, signed)

    def tile(self, path: str) -> bytes:
        """Return a C2SP tlog-tiles resource.

        Raises:
            NotFoundError: there is none at *path*.
            PolicyDeniedError: it holds entries, and policy does not allow an export.
        """
        from pfgov.engine.reading.tiles import resource

        found, has_entries = resource(self.reader, path)
        if has_entries:
            self.check_export()
        return found

    def check_export(self, subject: str | None = None) -> None:
        """Ask policy whether *subject*, or everything, may be taken out by whoever asks, now.

        Raises:
            PolicyDeniedError: it does not allow it.
        """
        from pfgov.engine.reading.guarding import check_export

        with self.reader.snapshot() as queries:
            check_export(
                queries, self.reader.layout, self.principal, SystemClock().now(), subject=subject
            )

    def vouchers(self, seq: int, signed: bytes | None = None) -> dict[str, str]:
        """Return what lets the receipt of an entry verify alone: the issuer's key, and a proof.

        The proof leads to the signed checkpoint *signed*, to the newest by default.
        """
        from pfgov.engine.reading import proofs

        return proofs.vouchers(self.reader, seq, signed)

    def consistency(self, old: int) -> dict[str, object]:
        """Return the RFC 6962 consistency proof from *old* entries to the newest checkpoint.

        Raises:
            InvalidError: *old* is larger than the ledger.
        """
        from pfgov.engine.reading import proofs

        found = proofs.consistency(self.reader, old)
        if found is None:
            raise InvalidError(f"the ledger has fewer than {old} entries", pointer="/query/from")
        size, hashes, note = found
        encoded = [base64.b64encode(one).decode() for one in hashes]
        return {"from": old, "to": size, "hashes": encoded, "checkpoint": note.decode()}

    # --- decisions -----------------------------------------------------------------------

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

    def verdicts(self, of: DecisionEntry) -> list[VerdictRow] | None:
        """Return a decision's verdicts: stored, or by running the ledger up to it again."""
        from pfgov.engine.reading import replay
        from pfgov_ledger.errors import LedgerError

        event: Any = of.event  # each of DECIDING has a decision
        digest: str = event.decision.table
        raw = self.reader.verdict_table(digest)
        if raw is None:
            with suppress(LedgerError), self.reader.snapshot() as queries:
                raw = replay.verdict_table(queries, of.seq, digest)
        return None if raw is None else read_table(raw, digest=digest)

    def decided(self, events: Sequence[e.Event]) -> dict[str, Any]:
        """Return what the last decision among *events* says, with every member's verdict where that is stored.

        Raises:
            NotFoundError: ``decision.not_found``, nothing was decided.
        """
        tables: dict[str, bytes] = {}
        for event in events:
            decision = getattr(event, "decision", None)
            if isinstance(decision, e.Decision):
                table = self.reader.verdict_table(decision.table)
                if table is not None:
                    tables[decision.table] = table
        return decision_view(events, tables)

    def decisions(self, wanted: DecisionsWanted) -> Listed:
        """Return a page of past decisions."""

        def fits(found: Recorded) -> bool:
            event: Any = found.event
            owner = getattr(event, "owner", None) or getattr(event, "target", None)
            about = {getattr(event, "member_id", None), getattr(owner, "member_id", None)}
            rules = {name for name, _ in event.decision.rejected}
            return (
                wanted.outcome in {None, outcome_of(event)}
                and (wanted.member is None or wanted.member in about)
                and (wanted.rule is None or wanted.rule in rules)
            )

        asked = EntryFilter(
            start=wanted.after + 1,
            stop=wanted.before,
            newest_first=wanted.newest,
            types=DECISIONS,
            subject=None if wanted.packet is None else f"packet/{wanted.packet}",
            since=wanted.since,
            until=wanted.until,
        )
        found, following = scan(self.reader, asked, fits, wanted.limit)
        return Listed([shown(one) for one in found], following)
