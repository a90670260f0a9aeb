"""A ledger behind a server, as commands see it: questions become requests, answers become views.

It says what a folder would say.  Nothing is decided here, nothing is kept, and what a server hands over is never taken
for proof of that server.
"""

import base64
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar, cast
from urllib.parse import quote, urlencode

import msgspec

from pfgov import events as e
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
from pfgov.cli.server.errors import ServerVersionError
from pfgov.cli.server.exports import fetch
from pfgov.cli.server.line import Line
from pfgov.cli.server.routes import MEMBER, PACKET, ROUTES, Route
from pfgov.client.core import Ask
from pfgov.commands import Action
from pfgov.errors import ForbiddenError, InvalidError, NotFoundError, PolicyError
from pfgov.glance import LedgerView
from pfgov.model import (
    Erasure,
    FlightPacket,
    Heartbeat,
    KeyList,
    PressureReport,
    Revocation,
    Rotation,
    Wire,
    check_tree,
    parse,
    write_json,
)
from pfgov.views import Discovery, EntryView, MemberView, PacketView, VerdictRow
from pfgov_ledger.export import Progress, Written

if TYPE_CHECKING:
    from pfgov.policy import PolicySet
    from pfgov.replay import Replayed

V = TypeVar("V")

PAGE: Final = 1_000
"""Items asked for at a time."""

PAGES_MAX: Final = 10_000
"""Pages after which a list that does not end is left."""

PAYLOADS_MAX: Final = 2**53
"""More payloads than there are."""

FOLLOW: Final = "?follow=true"
ANCHOR: Final = "anchor.txt"
"""Where the anchor is, once it was fetched and compared."""


class _Raw(msgspec.Struct):
    """The part of an entry's bytes that is read here."""

    type: str
    time: int
    body: msgspec.Raw


class _Told(msgspec.Struct):
    """The answer to a command."""

    as_a_result: list[EntryView]
    recorded: list[EntryView] = []
    result: dict[str, Any] = {}
    settled: bool = True


class _Lost(msgspec.Struct):
    packet_id: str
    epoch: int


class _Heard(msgspec.Struct):
    """The answer to a heartbeat."""

    lost: list[_Lost]
    lease_until: int


class _Changed(msgspec.Struct):
    """What a key ceremony came to."""

    role: str
    old: str | None
    new: str | None


class _Erased(msgspec.Struct):
    """What a request to erase came to."""

    state: str
    erased: list[str]
    already_erased: list[str]
    entries: list[int]
    left: int


class ServerReading:
    """A server's ledger that is read."""

    def __init__(self, line: Line) -> None:
        self.line = line

    @property
    def place(self) -> dict[str, str]:
        """Where it is."""
        return {"url": self.line.to.url}

    @property
    def anchor_path(self) -> str:
        """The file that pins it, on this machine."""
        return ANCHOR

    def _get(self, path: str, **query: object) -> Any:
        return self.line.ask(Ask("GET", _with(path, query)))

    def _take(self, told: Any, *names: str) -> Any:
        """Return what stands in an answer under *names*, one inside the other.

        Raises:
            ServerVersionError: nothing does.
        """
        for name in names:
            if not isinstance(told, dict) or name not in told:
                raise self._other(f"there is no {name}")
            told = cast("dict[str, Any]", told)[name]
        return told

    def _other(self, what: str) -> ServerVersionError:
        return ServerVersionError(
            f"{self.line.to.url} shows something else than was expected: {what}",
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
            told = self._get(path, limit=min(left, PAGE), **query)
            items = self._view(list[Any], self._take(told, "items"))
            yield from items
            if "next" not in told or not items:
                return
            query[cursor] = told["next"]
            left -= len(items)

    def lost(self) -> int:
        """Return nothing: a server does not start on an older copy."""
        return 0

    def overview(self) -> LedgerView:
        """Return what the ledger holds."""
        return self._view(LedgerView, self._get("/api/ledger"))

    def settings(self) -> dict[str, Any]:
        """Return the settings."""
        told = self._take(self._get("/api/configuration"), "configuration")
        return self._view(dict[str, Any], told)

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
            None,
            status=",".join(asked.statuses) or None,
            capability=asked.capability,
            region=asked.region,
            owns="true",
        )
        return self._views(MemberView, list(found))

    def packet(self, packet_id: str) -> PacketView:
        """Return one packet."""
        path = Route("GET", PACKET).about(packet_id=packet_id)
        return self._view(PacketView, self._get(path))

    def packets(self, wanted: PacketsWanted) -> tuple[list[PacketView], bool]:
        """Return packets, and whether there are more."""
        told = self._get(
            "/api/packets",
            status=",".join(wanted.statuses),
            owner=wanted.owner,
            stuck="true" if wanted.stuck else None,
            after=wanted.after or None,
            limit=wanted.limit,
        )
        return self._views(PacketView, self._take(told, "items")), "next" in told

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
        found: bytes = self.line.raw(Ask("GET", path)).content
        return found

    def head(self) -> bytes:
        """Return the newest checkpoint."""
        return self._text("/api/ledger/checkpoint")

    def anchor(self) -> str:
        """Return what verifiers pin; compare it over another channel."""
        return self._text("/api/ledger/key").decode()

    def proof(self, seq: int) -> bytes:
        """Return one entry with its proof."""
        return self._text(f"/api/ledger/proof/{seq}")

    # --- decisions and policies ----------------------------------------------------------

    def decision(self, packet_id: str, seq: int | None) -> DecisionEntry | None:
        """Return a decision about a packet."""
        told = self._get(
            "/api/ledger/entries",
            subject=f"packet/{packet_id}",
            type=",".join(DECIDING),
            newest="true",
            limit=1,
            after=seq - 1 if seq else None,
            before=None if seq is None else seq + 1,
        )
        items = self._views(EntryView, self._take(told, "items"))
        if not items:
            return None
        position = items[0].seq
        shown = self._get(f"/api/ledger/entries/{position}")
        try:
            raw = base64.b64decode(self._view(str, self._take(shown, "entry")), validate=True)
            found = msgspec.json.decode(raw, type=_Raw)
            event = e.decode_body(found.type, bytes(found.body))
        except (ValueError, KeyError) as error:  # of msgspec, too
            raise self._other(f"entry {position} cannot be read: {error}") from error
        return DecisionEntry(position, found.time, event)

    def verdicts(self, of: DecisionEntry) -> list[VerdictRow] | None:
        """Return a decision's verdicts, where the server still has them."""
        told = self._view(dict[str, Any], self._get(f"/api/decisions/{of.seq}"))
        return self._view(list[VerdictRow], told["members"]) if "members" in told else None

    def discover(self, asked: str | FlightPacket) -> Discovery:
        """Return who could take a packet."""
        body: Any = {"packet_id": asked} if isinstance(asked, str) else {"packet": asked.wire()}
        told = self.line.ask(Ask("POST", "/api/discover", write_json(body)))
        return self._view(Discovery, told)

    def policies(self) -> dict[str, Any]:
        """Return the binding set as it is shown."""
        return self._view(dict[str, Any], self._get("/api/policies"))

    def policy_set(self) -> "PolicySet":
        """Return the binding set, compiled here with the exact evaluator: the document is somebody else's."""
        from pfgov.policy import from_document, kernel_only

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
            self.line.ask(Ask("POST", "/api/ledger/index", b"{}"))
        path = _with(
            "/api/ledger/export",
            {
                "subject": wanted.subject,
                "start": wanted.span[0] if wanted.span else None,
                "stop": wanted.span[1] if wanted.span else None,
                "since": wanted.since,
            },
        )
        return fetch(self.line, path, file, progress, compress=compress)

    def replay(self, progress: Progress, *, allow_plug_ins: bool = False) -> "Replayed":
        """Fetch the whole log and run every recorded command again on this machine; there are no tables to compare.

        The anchor is the server's word: whether the log is the one that was seen before is for ``ledger verify``.
        """
        from pfgov.cli.server.replaying import replay_export
        from pfgov_ledger.keys import parse_anchor

        with tempfile.TemporaryDirectory(prefix="pfgov-") as folder:
            path = Path(folder) / "ledger.lineage.jsonl"
            with path.open("wb") as file:
                self.export(ExportWanted(), file)
            anchor = parse_anchor(self.anchor())
            return replay_export(path, anchor, progress, allow_plug_ins=allow_plug_ins)


class ServerDesk(ServerReading):
    """A server's ledger that is written, as whoever the key says."""

    def do(
        self, asked: Wire | Action, *, member_id: str | None = None, packet_id: str | None = None
    ) -> Done:
        """Carry out a command once, then list what followed from it."""
        route = ROUTES[type(asked)]
        if isinstance(asked, Wire):
            body: Any = asked.wire()
        else:
            body, member_id = {}, getattr(asked, "member_id", None)
        path = route.about(member_id, packet_id) + FOLLOW
        return self._done(self.line.write(route.method, path, write_json(body)))

    def _done(self, told: Any) -> Done:
        found = self._view(_Told, told)
        named = found.result.get("packet_id", "")
        return Done(found.recorded, found.as_a_result, str(named), is_settled=found.settled)

    def heartbeat(self, member_id: str, beat: Heartbeat, pressure: PressureReport | None) -> Heard:
        """Renew a member's lease."""
        path = Route("POST", f"{MEMBER}/heartbeat").about(member_id) + FOLLOW
        told = self.line.ask(Ask("POST", path, write_json(beat.wire())))
        done = self._done(told)
        followed = [*done.followed]
        if pressure is not None:
            pressed = self.do(pressure, member_id=member_id)
            followed += [*pressed.recorded, *pressed.followed]
        heard = self._view(_Heard, told)
        lost = [(one.packet_id, one.epoch) for one in heard.lost]
        return Heard(heard.lease_until, lost, Done([], followed, is_settled=done.is_settled))

    def tick(self, *, resume: bool) -> tuple[Done, str | None]:
        """Let what is due happen."""
        told = self.line.ask(Ask("POST", "/api/tick", write_json({"resume": resume})))
        return self._done(told), self._take(told, "halted")

    def activate(self, directory: Path) -> tuple[dict[str, Any], Done, bool]:
        """Send a folder of policies; the server compiles them, and records it if they do not load."""
        from pfgov.policy import load_directory

        files: Any = _policy_files(directory)
        if not files:
            load_directory(directory)  # which says what is wrong with the folder
        body = write_json({"files": files})
        try:
            told = self.line.write("POST", f"/api/policies/activate{FOLLOW}", body)
        except PolicyError:
            load_directory(directory)  # which says in which file and line
            raise
        return self.policies(), self._done(told), bool(self._take(told, "receipt", "count"))

    def rotate(self, asked: Rotation) -> KeyChange:
        """Let the server make a key, or open the next one that was configured for it."""
        return self._changed(asked)

    def revoke(self, signed: Revocation) -> KeyChange:
        """Send a revocation."""
        return self._changed(signed)

    def _changed(self, asked: Wire) -> KeyChange:
        route = ROUTES[type(asked)]
        told = self.line.write(route.method, route.path, write_json(asked.wire()))
        found = self._view(_Changed, self._take(told, "result"))
        position = self._view(int, self._take(told, "receipt", "position"))
        return KeyChange(found.role, position, found.old, found.new)

    def erase(self, asked: Erasure) -> Erased:
        """Erase payloads; the server takes so many at a time, and under the same key each answer holds all before."""
        route, key, left = ROUTES[type(asked)], self.line.draw_key(), PAYLOADS_MAX
        while True:
            told = self.line.ask(Ask(route.method, route.path, write_json(asked.wire()), key))
            found = self._view(_Erased, told)
            if not 0 < found.left < left:
                is_done = found.state == "done"
                return Erased(found.erased, found.already_erased, found.entries, is_done)
            left = found.left


def _policy_files(directory: Path) -> dict[str, str]:
    """Return the policy files below a folder, each under one name without folders, as the API takes them."""
    from pfgov.policy.load import TEST_SUFFIX, yaml_files

    found: dict[str, str] = {}
    for path in yaml_files(directory):
        if not path.name.endswith(TEST_SUFFIX):
            suffix = "".join(path.suffixes[-1:])
            found[f"{len(found):02}{suffix}"] = path.read_text(encoding="utf-8", errors="replace")
    return found


def _with(path: str, query: "dict[str, object]") -> str:
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given, quote_via=quote)}" if given else path
