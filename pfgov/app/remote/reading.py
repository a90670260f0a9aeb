"""A ledger behind a server that is read: questions become requests, answers become views.

It says what a folder would say.  Nothing is decided here, nothing is kept, and what a server hands over is never taken
for proof of that server.
"""

import base64
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar, cast
from urllib.parse import quote

import msgspec

from pfgov.app.ledger import (
    DECIDING,
    DecisionEntry,
    EntriesWanted,
    ExportWanted,
    MembersWanted,
    PacketsWanted,
    WitnessedAge,
)
from pfgov.app.remote import changing
from pfgov.app.remote.errors import ServerVersionError
from pfgov.app.remote.exports import fetch
from pfgov.app.remote.routes import MEMBER, PACKET, Route, with_query
from pfgov.app.remote.session import Session
from pfgov.app.remote.shapes import Raw
from pfgov.app.remote.vouching import Vouched
from pfgov.app.views import (
    Discovery,
    EntryView,
    MemberView,
    PacketAudit,
    PacketView,
    ProposalView,
    PublisherView,
    VerdictRow,
)
from pfgov.client.core import Ask
from pfgov.core import events as e
from pfgov.core.overview import LedgerView
from pfgov.decoding import Reader
from pfgov.errors import ForbiddenError, InvalidError, NotFoundError
from pfgov.model import (
    FlightPacket,
    KeyList,
    check_tree,
    parse,
    write_json,
)
from pfgov_ledger.export import Progress, Written

if TYPE_CHECKING:
    from pfgov.engine.reading import Replayed, Report, Span
    from pfgov.policy import PolicySet

V = TypeVar("V")

PAGE: Final = 1_000
"""Items asked for at a time."""

PAGES_MAX: Final = 10_000
"""Pages after which a list that does not end is left."""

PAYLOADS_MAX: Final = 2**53
"""More payloads than there are."""

ANCHOR: Final = "anchor.txt"
"""Where the anchor is, once it was fetched and compared."""

_RAW: Final = Reader[Raw](Raw)


class RemoteReading:
    """A server's ledger that is read."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @property
    def place(self) -> dict[str, str]:
        """Where it is."""
        return {"url": self.session.to.url}

    @property
    def anchor_path(self) -> str:
        """The file that pins it, on this machine."""
        return ANCHOR

    def _get(self, path: str, **query: object) -> Any:
        return self.session.ask(Ask("GET", with_query(path, query)))

    def _take(self, answer: Any, *names: str) -> Any:
        """Return what stands in an answer under *names*, one inside the other.

        Raises:
            ServerVersionError: nothing does.
        """
        for name in names:
            if not isinstance(answer, dict) or name not in answer:
                raise self._other(f"there is no {name}")
            answer = cast("dict[str, Any]", answer)[name]
        return answer

    def _other(self, what: str) -> ServerVersionError:
        return ServerVersionError(
            f"{self.session.to.url} shows something else than was expected: {what}",
            hint="bring the server and this command line to the same version",
        )

    def _view(self, kind: type[V], tree: object) -> V:
        """Return what a server shows as a view.

        Raises:
            ServerVersionError: it is of another shape.
        """
        try:
            return msgspec.convert(tree, kind)
        except msgspec.ValidationError as error:
            raise self._other(str(error)) from error

    def _views(self, kind: type[V], trees: object) -> list[V]:
        return [self._view(kind, tree) for tree in self._view(list[Any], trees)]

    def _pages(self, path: str, cursor: str, most: int | None, **query: object) -> Iterator[Any]:
        """Yield at most *most* items of a list, page by page; the query's *cursor* leads from one to the next."""
        left = PAGES_MAX * PAGE if most is None else most
        while left > 0:
            answer = self._get(path, limit=min(left, PAGE), **query)
            yield from (items := self._view(list[Any], self._take(answer, "items")))
            if "next" not in answer or not items:
                return
            if query.get(cursor) == answer["next"]:
                raise self._other(f"the list at {path} does not go on")
            query[cursor], left = answer["next"], left - len(items)

    def lost(self) -> int:
        """Return nothing: a server does not start on an older copy."""
        return 0

    def overview(self) -> LedgerView:
        """Return what the ledger holds."""
        return self._view(LedgerView, self._get("/api/ledger"))

    def witnessed(self) -> WitnessedAge | None:
        """Return how far witnesses vouch for it."""
        return self._view(Vouched, self._get("/api/ledger/witnesses")).age()

    def settings(self) -> dict[str, Any]:
        """Return the settings."""
        answer = self._take(self._get("/api/configuration"), "configuration")
        return self._view(dict[str, Any], answer)

    # --- members and packets -------------------------------------------------------------

    def member(self, member_id: str) -> MemberView:
        """Return one member."""
        return self._view(MemberView, self._get(Route("GET", MEMBER).about(member_id)))

    def members(self, wanted: MembersWanted | None = None) -> list[MemberView]:
        """Return members."""
        asked = wanted or MembersWanted()
        found = self._pages(
            "/api/members",
            "after",
            asked.limit,
            status=",".join(asked.statuses) or None,
            capability=asked.capability,
            region=asked.region,
            label=None if asked.label is None else "=".join(asked.label),
            after=asked.after or None,
            owns="true" if asked.owns else None,
            type=asked.kind,
            q=asked.words or None,
        )
        return self._views(MemberView, list(found))

    def packet(self, packet_id: str) -> PacketView:
        """Return one packet."""
        path = Route("GET", PACKET).about(packet_id=packet_id)
        return self._view(PacketView, self._get(path))

    def audit(self, packet_id: str) -> PacketAudit:
        """Return what an auditor asks about one packet."""
        path = Route("GET", f"{PACKET}/audit").about(packet_id=packet_id)
        return self._view(PacketAudit, self._get(path))

    def packets(self, wanted: PacketsWanted) -> tuple[list[PacketView], bool]:
        """Return packets, and whether there are more."""
        answer = self._get(
            "/api/packets",
            status=",".join(wanted.statuses),
            owner=wanted.owner,
            stuck="true" if wanted.stuck else None,
            after=wanted.after or None,
            limit=wanted.limit,
        )
        return self._views(PacketView, self._take(answer, "items")), "next" in answer

    def context(self, view: PacketView) -> object:
        """Return a packet's context: the whole to an operator, to its owner what that may read."""
        path = Route("GET", f"{PACKET}/context").about(packet_id=view.packet_id)
        try:
            try:
                return self._take(self._get(path, whole="true"), "context")
            except ForbiddenError:
                return self._take(self._get(path), "context")
        except NotFoundError as error:
            if error.code in {"context.not_found", "context.erased"}:
                return None
            raise

    def result(self, packet_id: str) -> object:
        """Return what came of a packet that who asks submitted."""
        path = Route("GET", f"{PACKET}/result").about(packet_id=packet_id)
        return self._take(self._get(path), "result")

    # --- ledger --------------------------------------------------------------------------

    def entry(self, seq: int, *, full: bool = False) -> EntryView:
        """Return one entry."""
        return self._entry(self._take(self._get(f"/api/ledger/entries/{seq}"), "shown"), full=full)

    def _entry(self, tree: object, *, full: bool) -> EntryView:
        view = self._view(EntryView, tree)
        return view if full else msgspec.structs.replace(view, leaf=None, body=None)

    def entries(self, wanted: EntriesWanted) -> list[EntryView]:
        """Return entries in order."""
        is_newest = wanted.after is None and wanted.limit is not None
        found = self._pages(
            "/api/ledger/entries",
            "before" if is_newest else "after",
            wanted.limit,
            subject=wanted.subject,
            type=",".join(wanted.types) or None,
            newest="true" if is_newest else None,
            after=wanted.after if wanted.after is not None and wanted.after >= 0 else None,
        )
        views = [self._entry(tree, full=wanted.full) for tree in found]
        return sorted(views, key=lambda view: view.seq)

    def keys(self) -> KeyList:
        """Return the ledger's keys, as the server says them."""
        try:
            return parse(KeyList, check_tree(self._get("/api/ledger/keys")))
        except InvalidError as error:
            raise self._other(error.message) from error

    def payloads(self, *, packet_id: str | None, commitment: str | None) -> list[dict[str, Any]]:
        """Return what is stored."""
        path = Route("GET", f"{PACKET}/payloads").about(packet_id=packet_id)
        if commitment is not None:
            path = f"/api/ledger/payloads/{quote(commitment, safe='')}"
        return self._view(list[dict[str, Any]], self._take(self._get(path), "payloads"))

    def _text(self, path: str) -> bytes:
        found: bytes = self.session.raw(Ask("GET", path)).content
        return found

    def head(self) -> bytes:
        """Return the newest checkpoint."""
        return self._text("/api/ledger/checkpoint")

    def anchor(self) -> str:
        """Return what verifiers pin; compare it over another channel."""
        try:
            return self._text("/api/ledger/key").decode()
        except UnicodeDecodeError:
            raise self._other("its anchor is no text") from None

    def proof(self, seq: int) -> bytes:
        """Return one entry with its proof."""
        return self._text(f"/api/ledger/proof/{seq}")

    # --- decisions and policies ----------------------------------------------------------

    def decision(self, packet_id: str, seq: int | None) -> DecisionEntry | None:
        """Return a decision about a packet."""
        answer = self._get(
            "/api/ledger/entries",
            subject=f"packet/{packet_id}",
            type=",".join(DECIDING),
            newest="true",
            limit=1,
            after=seq - 1 if seq else None,
            before=None if seq is None else seq + 1,
        )
        items = self._views(EntryView, self._take(answer, "items"))
        if not items:
            return None
        position = items[0].seq
        shown = self._get(f"/api/ledger/entries/{position}")
        try:
            raw = base64.b64decode(self._view(str, self._take(shown, "entry")), validate=True)
            found = _RAW.decode(raw)
            event = e.decode_body(found.type, bytes(found.body))
        except (ValueError, KeyError) as error:  # of msgspec, too
            raise self._other(f"entry {position} cannot be read: {error}") from error
        return DecisionEntry(position, found.time, event)

    def verdicts(self, of: DecisionEntry) -> list[VerdictRow] | None:
        """Return a decision's verdicts, where the server still has them."""
        answer = self._view(dict[str, Any], self._get(f"/api/decisions/{of.seq}"))
        return self._view(list[VerdictRow], answer["members"]) if "members" in answer else None

    def discover(self, asked: str | FlightPacket) -> Discovery:
        """Return who could take a packet."""
        body: Any = {"packet_id": asked} if isinstance(asked, str) else {"packet": asked.wire()}
        answer = self.session.ask(Ask("POST", "/api/discover", write_json(body)))
        return self._view(Discovery, answer)

    def policies(self) -> dict[str, Any]:
        """Return the binding set as it is shown."""
        return self._view(dict[str, Any], self._get("/api/policies"))

    def policy_set(self, digest: str | None = None) -> "PolicySet":
        """Return the binding set, or the one of *digest*, compiled here: the document is somebody else's."""
        from pfgov.policy import from_document, kernel_only

        if digest is not None:
            return from_document(self._text(f"/api/policies/document?digest={digest}"))
        try:
            return from_document(self._text("/api/policies/document"))
        except NotFoundError:
            return kernel_only()

    # --- exports -------------------------------------------------------------------------

    def export(
        self,
        wanted: ExportWanted,
        file: BinaryIO,
        progress: Progress | None = None,
        *,
        compress: bool = False,
    ) -> Written:
        """Write an export as the server sends it."""
        if wanted.fresh:
            self.session.ask(Ask("POST", "/api/ledger/index", b"{}"))
        path = with_query(
            "/api/ledger/export",
            {
                "subject": wanted.subject,
                "start": wanted.span[0] if wanted.span else None,
                "stop": wanted.span[1] if wanted.span else None,
                "since": wanted.since,
            },
        )
        return fetch(self.session, path, file, progress, compress=compress)

    def replay(self, progress: Progress, *, allow_plug_ins: bool = False) -> "Replayed":
        """Fetch the whole log and run every recorded command again on this machine; there are no tables to compare.

        The anchor is the server's word: whether the log is the one that was seen before is for ``ledger verify``.
        """
        from pfgov.app.remote.replaying import replay_export
        from pfgov_ledger.keys import parse_anchor

        with tempfile.TemporaryDirectory(prefix="pfgov-") as folder:
            path = Path(folder) / "ledger.lineage.jsonl"
            with path.open("wb") as file:
                self.export(ExportWanted(), file)
            anchor = parse_anchor(self.anchor())
            return replay_export(path, anchor, progress, allow_plug_ins=allow_plug_ins)

    def impact(
        self,
        policies: "PolicySet",
        span: "Span",
        progress: Progress,
        *,
        allow_plug_ins: bool = False,
    ) -> "Report":
        """Fetch the whole log and ask *policies* on this machine; the anchor is the server's word, as for a replay."""
        from pfgov.app.remote.replaying import impact_of_export
        from pfgov_ledger.keys import parse_anchor

        with tempfile.TemporaryDirectory(prefix="pfgov-") as folder:
            path = Path(folder) / "ledger.lineage.jsonl"
            with path.open("wb") as file:
                self.export(ExportWanted(), file)
            anchor = parse_anchor(self.anchor())
            return impact_of_export(
                path, anchor, policies, span, progress, allow_plug_ins=allow_plug_ins
            )

    def proposals(self) -> list[ProposalView]:
        """Return the policy sets that are proposed."""
        return self._views(ProposalView, self._take(self._get("/api/policies/proposals"), "items"))

    def weigh(self, policies: "PolicySet", directory: Path) -> "tuple[Report, bool]":  # noqa: ARG002 - of a folder
        """Send a folder of policies, and return what the server says that making it binding would do."""
        from pfgov.engine.reading import Report

        answer = changing.weigh(self.session, directory)
        is_fresh = self._view(bool, self._take(answer, "fresh"))
        return self._view(Report, self._take(answer, "report")), is_fresh

    def publishers(self) -> list[PublisherView]:
        """Return whose bundles are let in."""
        return self._views(
            PublisherView, self._take(self._get("/api/policies/publishers"), "items")
        )
