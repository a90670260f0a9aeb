"""A ledger of this machine that is read: records become views, as far as who asks may see them.

Every question asks :mod:`pfgov.app.visibility` first, so that no door can forget it.  Beside a running engine
(:mod:`pfgov.app.local.ledger`) the state comes from its memory; here it is loaded from the store.
"""

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from pfgov.app import visibility
from pfgov.app.ledger import ExportWanted, MembersWanted, PacketsWanted
from pfgov.app.local.entries import LocalHistory
from pfgov.app.views import (
    Discovery,
    MemberView,
    PacketView,
    ProposalView,
    PublisherView,
    decision_view,
    discovery_view,
    member_view,
    misses_result,
    packet_view,
    proposal_views,
    publisher_views,
)
from pfgov.clock import SystemClock
from pfgov.core import commands as c
from pfgov.core.lifecycle import TERMINAL, MemberStatus, PacketStatus
from pfgov.core.overview import LedgerView, ledger_view, settings_view
from pfgov.core.records import Member
from pfgov.core.spelling import check_name, check_region
from pfgov.engine import LedgerReader, PacketFilter
from pfgov.engine.reading import suggesting
from pfgov.errors import NotFoundError

if TYPE_CHECKING:
    from pfgov.app.prepare import Prepared
    from pfgov.engine.reading import Replayed, Report, Span
    from pfgov.model import FlightPacket, KeyList
    from pfgov.policy import PolicySet
    from pfgov_ledger.export import Progress, Written


class LocalReading(LocalHistory):
    """A ledger of this machine that is read."""

    def overview(self) -> LedgerView:
        """Return what the ledger holds."""
        with self.reader.snapshot():
            return ledger_view(self.reader.state(), self.reader.packet_counts())

    def settings(self) -> dict[str, Any]:
        """Return the settings."""
        return self.look(lambda state: settings_view(state.settings))

    # --- members and packets -------------------------------------------------------------

    def member(self, member_id: str) -> MemberView:
        """Return one member.

        Raises:
            ForbiddenError: who asks may not read about it.
            NotFoundError: there is none of this id.
        """
        visibility.require_member(self.principal, member_id)
        with self.reader.snapshot():
            found = self.reader.member(member_id)
            return member_view(found, self.reader.owned(member_id).get(member_id))

    def members(self, wanted: MembersWanted | None = None) -> list[MemberView]:
        """Return members.

        Raises:
            InvalidError: a region or a capability is asked for that can be none.
        """
        asked = wanted or MembersWanted()
        if asked.region is not None:
            check_region(asked.region, "/query/region")
        if asked.capability is not None:
            check_name(asked.capability, "/query/capability")
        with self.reader.snapshot():
            fitting = [one for one in self.reader.members() if _fits(one, asked)][: asked.limit]
            owned = self.reader.owned() if asked.owns else {}
        return [member_view(one, owned.get(one.member_id)) for one in fitting]

    def capabilities(self, text: str = "") -> list[dict[str, Any]]:
        """Return what members offer that have not retired, and who: all of it, or what is like *text*.

        Raises:
            NotFoundError: ``capability.not_found``, nobody offers anything like it.
        """
        found: dict[str, dict[str, Any]] = {}
        for member in self.reader.members():
            if member.status is MemberStatus.RETIRED:
                continue
            for one in member.capabilities.values():
                if text not in one.name.lower() and text not in (one.description or "").lower():
                    continue
                offer = found.setdefault(
                    one.name, {"name": one.name, "versions": [], "members": []}
                )
                offer["members"].append(member.member_id)
                if one.version and one.version not in offer["versions"]:
                    offer["versions"].append(one.version)
        if text and not found:
            raise NotFoundError(
                f"nobody offers anything like {text[:64]!r}",
                code="capability.not_found",
                hint="leave q out to see all",
            )
        return [found[name] for name in sorted(found)]

    def packet(self, packet_id: str) -> PacketView:
        """Return one packet; errors as of :meth:`record`."""
        return packet_view(self.record(packet_id))

    def packets(self, wanted: PacketsWanted) -> tuple[list[PacketView], bool]:
        """Return packets, and whether there are more.

        Raises:
            ForbiddenError: who asks may read about its own member's packets only.
        """
        visibility.require_member(self.principal, wanted.owner)
        asked = PacketFilter(
            statuses=wanted.statuses, owner=wanted.owner, after=wanted.after, limit=wanted.limit + 1
        )
        found = self.reader.stuck(asked) if wanted.stuck else self.reader.packets(asked)
        return [packet_view(one) for one in found[: wanted.limit]], len(found) > wanted.limit

    def live_packets(self, after: str, limit: int) -> tuple[list[str], str | None]:
        """Return the ids of the next *limit* packets that have not ended, as far as who asks may read them, and the id
        to go on after where there are more.
        """
        live = tuple(str(status) for status in PacketStatus if status not in TERMINAL)
        found = self.reader.packets(PacketFilter(statuses=live, after=after, limit=limit + 1))
        following = found[limit - 1].packet_id if len(found) > limit else None
        readable = (one for one in found[:limit] if visibility.may_read_packet(self.principal, one))
        return [one.packet_id for one in readable], following

    def packet_counts(self) -> dict[str, int]:
        """Return how many packets have each status."""
        return self.reader.packet_counts()

    def context(self, view: PacketView) -> object:
        """Return a packet's context; errors as of :meth:`check_taken_out`."""
        self.check_taken_out(view.packet_id)
        commitment = view.context_checkpoint.commitment
        payload = self.reader.named_payload(commitment) if commitment else None
        return None if payload is None else json.loads(payload)

    def readable_context(self, packet_id: str, *, whole: bool) -> c.Commitment:
        """Return which context of a packet who asks may read; errors as of :func:`visibility.readable_context`."""
        return visibility.readable_context(self.principal, self.record(packet_id), whole=whole)

    def check_taken_out(self, packet_id: str, *, whole: bool = True) -> None:
        """Ask policy at ``export`` where a context is read by somebody who does not hold the packet, or *whole*.

        Raises:
            PolicyDeniedError: it does not allow it.
        """
        if whole or not visibility.holds(self.principal, self.record(packet_id)):
            self.check_export(f"packet/{packet_id}")

    def readable_result(self, packet_id: str) -> c.Commitment:
        """Return the result of a packet that who asks may read; errors as of :func:`visibility.readable_result`."""
        return visibility.readable_result(self.principal, self.reader.packet(packet_id))

    def result(self, packet_id: str) -> object:
        """Return what came of a packet that who asks submitted."""
        return self.payload(packet_id, self.readable_result(packet_id).digest, what="result")

    def has_submitted(self, packet_id: str) -> bool:
        """Whether who asks submitted a packet; not, if there is none of this id."""
        try:
            return self.reader.packet(packet_id).submitted_by == self.principal.id
        except NotFoundError:
            return False

    def payload(self, packet_id: str, commitment: str, *, what: str = "context") -> object:
        """Return what a commitment of a packet's context, or *what* else, is over: JSON, else its bytes in base64.

        Raises:
            NotFoundError: ``context.erased`` or ``result.erased``, an entry says so.
            StoreCorruptError: ``attachment.altered``, it was changed or taken away in the database.
        """
        raw = self.reader.named_payload(commitment)
        if raw is None:
            raise NotFoundError(
                f"the {what} of {packet_id} was erased",
                code="result.erased" if what == "result" else "context.erased",
                hint="the ledger says why: see its lineage",
            )
        try:
            return json.loads(raw)
        except ValueError:
            return {"base64": base64.b64encode(raw).decode()}

    def suggesting(self, error: NotFoundError, action: c.Action) -> NotFoundError:
        """Return the refusal of *action*, naming the packet that was probably meant, where one is near."""
        return suggesting(self.reader, error, getattr(action, "again", None))

    # --- keys and payloads ---------------------------------------------------------------

    def keys(self) -> "KeyList":
        """Return the ledger's keys."""
        from pfgov.model import KeyList, check_tree, parse

        return parse(KeyList, check_tree(self.keys_object()))

    def keys_object(self) -> Any:
        """Return the ledger's keys, and where the next key event will stand, as they are sent."""
        from pfgov.engine.maintenance.ceremony import keys_object

        with self.reader.snapshot() as queries:
            return keys_object(queries, self.reader.layout, self.origin)

    @property
    def origin(self) -> str:
        """The ledger's name."""
        return self.reader.state().origin

    def payloads(self, *, packet_id: str | None, commitment: str | None) -> list[dict[str, Any]]:
        """Return what is stored."""
        from pfgov.engine.maintenance.erasing import Target, payload_objects

        with self.reader.snapshot() as queries:
            return payload_objects(queries, self.reader.layout, Target(packet_id, commitment))

    def discover(self, asked: "str | FlightPacket") -> Discovery:
        """Return who could take a packet; errors as of :meth:`search`."""
        return self.search(asked)[0]

    def search(
        self, asked: "str | FlightPacket", question: "Prepared | None" = None
    ) -> tuple[Discovery, dict[str, Any]]:
        """Return who could take a packet, and what the decision would say; nothing is locked or recorded.

        A member is told who could, not how the others stand.  A *question* was made of what is *asked* before.

        Raises:
            ForbiddenError: who asks may not read that packet, or about everybody.
            PfgovError: there is no such packet, or it could not be submitted.
        """
        question = question or self.question(asked)
        decided = self.dry_run(question.action, question.payloads, principal=c.LOCAL_OPERATOR)
        found = discovery_view(decided.events, decided.tables)
        view = decision_view(decided.events, decided.tables) if found.members else {}
        if visibility.members_of(self.principal) is not None:
            able = [row for row in found.members if row.is_eligible]
            found = msgspec.structs.replace(found, members=able, **misses_result([]))
        return found, view

    def question(self, asked: "str | FlightPacket") -> "Prepared":
        """Return what would place, or move, a packet; a context is looked through for it, which may take a while.

        Raises:
            PfgovError: as :meth:`search`.
        """
        from pfgov.app.prepare import moving, placing

        if isinstance(asked, str):
            return moving(self.record(asked))
        # A packet of one's own making would ask about everybody.
        visibility.require_member(self.principal, None)
        is_taken = asked.packet_id is not None and self.reader.has_packet(asked.packet_id)
        return placing(asked, self.attach, self.draw_id, is_taken=is_taken)

    # --- policies ------------------------------------------------------------------------

    def policies(self) -> dict[str, Any]:
        """Return the binding set as it is shown."""
        from pfgov.policy.authoring.showing import set_view

        return set_view(self.policy_set())

    def policy_digest(self) -> str | None:
        """Return the digest of the binding set; None while there is none but the kernel."""
        return self.look(lambda state: state.policy)

    def policy_set(self, digest: str | None = None) -> "PolicySet":
        """Return the binding set, or the one of *digest*, with the exact evaluator."""
        return self.set_of(digest or self.policy_digest())

    def set_of(self, digest: str | None, *, generated: bool = False) -> "PolicySet":
        """Return a set that was ever binding; without a digest the kernel alone.

        Raises:
            NotFoundError: it was never activated here.
        """
        from pfgov.policy import from_document, kernel_only

        if not digest:
            return kernel_only()
        return from_document(self.reader.policy_document(digest), generated=generated)

    # --- exports and replay --------------------------------------------------------------

    def export(
        self,
        wanted: ExportWanted,
        file: BinaryIO,
        progress: "Progress | None" = None,
        *,
        compress: bool = False,
    ) -> "Written":
        """Write an export."""
        from pfgov.engine.reading import stored_log, write_export
        from pfgov_ledger.export import GzipWriter

        if wanted.fresh:
            self.commit_index()
        out = GzipWriter(file) if compress else file
        with stored_log(self.reader) as log:
            span = wanted.span
            made = write_export(
                log,
                out,
                principal=self.principal,
                now=SystemClock().now(),
                subject=wanted.subject,
                span=span and (span[0], log.size() if span[1] is None else span[1]),
                since=wanted.since,
                progress=progress,
            )
        if isinstance(out, GzipWriter):
            out.close()
        return made

    def commit_index(self) -> None:
        """Commit an index of all there is, unless the newest is one; that takes the writer's lock.

        The reader is opened anew: the writer empties its write-ahead log only if it is the last to leave.
        """
        from pfgov.engine import Engine, Options

        store = self.reader.store
        self.reader.close()
        with Engine.open(store, options=Options(fresh_leases=False)) as engine:
            engine.commit_index()
        self._reader = LedgerReader(store)

    def replay(self, progress: "Progress", *, allow_plug_ins: bool = False) -> "Replayed":
        """Run every recorded command again, and compare the folded tables."""
        from pfgov.engine.reading import replay_store

        with self.reader.snapshot() as queries:
            return replay_store(queries, allow_plug_ins=allow_plug_ins, progress=progress)

    def impact(
        self,
        policies: "PolicySet",
        span: "Span",
        progress: "Progress",
        *,
        allow_plug_ins: bool = False,
    ) -> "Report":
        """Ask a set at every recorded decision, and what it would do now."""
        from pfgov.engine.reading import impact_of_store

        with self.reader.snapshot() as queries:
            return impact_of_store(
                queries, policies, span, allow_plug_ins=allow_plug_ins, progress=progress
            )

    def proposals(self) -> list[ProposalView]:
        """Return the policy sets that are proposed."""
        return self.look(proposal_views)

    def publishers(self) -> list[PublisherView]:
        """Return whose bundles are let in."""
        return self.look(publisher_views)

    def root_at(self, size: int) -> str | None:
        """Return the root, in hex, of the tree over the first *size* entries; None where there are not so many."""
        from pfgov.engine.reading import root_at

        with self.reader.snapshot() as queries:
            return root_at(queries, self.reader.layout, size)

    def weigh(
        self,
        policies: "PolicySet",
        directory: Path | None = None,  # noqa: ARG002 - a server is sent its files
        *,
        since: int = 0,
        sample: int = 1,
    ) -> "tuple[Report, bool]":
        """Return what making *policies* binding would do, and whether nothing is at stake yet."""
        from pfgov.app.change.weighing import WEIGHED_ENTRIES_MAX, is_fresh
        from pfgov.engine.reading import Span, weigh_store

        with self.reader.snapshot() as queries:
            span = Span(since=since, sample=sample)
            layout = self.reader.layout
            report = weigh_store(queries, layout, policies, span, most=WEIGHED_ENTRIES_MAX)
            packets = sum(self.reader.packet_counts().values())
            return report, is_fresh(sum(1 for _ in queries.members()), packets)


def _fits(member: Member, asked: MembersWanted) -> bool:
    return (
        member.member_id > asked.after
        and (not asked.statuses or member.status in asked.statuses)
        and (asked.capability is None or asked.capability in member.capabilities)
        and (asked.region is None or f"{member.region or '-'}/".startswith(f"{asked.region}/"))
        and (asked.label is None or asked.label in member.labels)
        and (asked.kind is None or asked.kind == member.kind)
        and (not asked.words or _mentions(member, asked.words.casefold()))
    )


def _mentions(member: Member, text: str) -> bool:
    words = (
        member.member_id,
        member.region or "",
        *member.capabilities,
        *(f"{name}={value}" for name, value in member.labels),
    )
    return any(text in word.casefold() for word in words)
