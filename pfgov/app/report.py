"""A packet's history as one page for people: who owned it when, why, under which policy, and which proofs hold.

The page is made from a verified export and nothing else.  It has no script, loads nothing, and whatever a ledger says
stands in it as text.  It can be printed.
"""

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pfgov.app.views.sentences import rejected, sentence
from pfgov.core import events as e
from pfgov.core.events import decode_body
from pfgov.errors import NotFoundError, TooLargeError
from pfgov.lineage.records import OWNING, TERMINAL, Lineage, Record
from pfgov.model.times import to_moment
from pfgov_ledger import canonical
from pfgov_ledger.report import Report

ENTRIES_MAX: Final = 5_000
"""Entries that a page tells; more belong into an export."""


@dataclass(slots=True)
class Span:
    """A time in which one member owned the packet; times in microseconds, ``end`` None while it does."""

    member: str
    incarnation: int
    epoch: int
    start: int
    why: str
    end: int | None = None
    ended_by: str = ""


@dataclass(slots=True)
class Story:
    """What the entries of one packet come to."""

    packet_id: str
    created: e.PacketCreated | None = None
    spans: list[Span] = field(default_factory=list[Span])
    rows: list[tuple[Record, e.Event]] = field(default_factory=list[tuple[Record, e.Event]])
    classes: list[str] = field(default_factory=list[str])
    withheld: list[str] = field(default_factory=list[str])
    end: str = ""

    def add(self, record: Record) -> None:
        """Take in the next entry."""
        event = decode_body(record.entry.type, canonical.encode(record.entry.body))
        self.rows.append((record, event))
        if isinstance(event, e.PacketCreated):
            self.created = event
            self._hold(event.data_classes)
        elif isinstance(event, e.PacketUpdated):
            self._hold(event.data_classes or ())
        elif isinstance(event, e.CheckpointCommitted) and event.scan is not None:
            self._hold(event.scan.classes)
        for one in getattr(event, "obligations", ()):
            if one.type == "redact":
                self.withheld.append(f"entry {record.entry.seq}: {', '.join(one.paths)}")
        self._own(record, event)

    def _hold(self, classes: Sequence[str]) -> None:
        self.classes = sorted({*self.classes, *classes})

    def _own(self, record: Record, event: e.Event) -> None:
        entry = record.entry
        is_end = entry.type in TERMINAL
        if is_end:
            self.end = sentence(event)
        leaves = is_end or entry.type in {"ownership_revoked", "packet_requeued"}
        owner: e.Owner | None = getattr(event, "owner", None) if entry.type in OWNING else None
        if (leaves or owner is not None) and self.spans and self.spans[-1].end is None:
            self.spans[-1].end, self.spans[-1].ended_by = entry.time, sentence(event)
        if owner is not None:
            epoch = getattr(event, "epoch", 0)
            span = Span(owner.member_id, owner.incarnation, epoch, entry.time, sentence(event))
            self.spans.append(span)


def story_of(lineage: Lineage, packet_id: str) -> Story:
    """Return the story of a packet in an export that was verified.

    Raises:
        NotFoundError: the export holds no entry of it.
        TooLargeError: it holds more than a page tells.
    """
    story = Story(packet_id)
    for record in lineage:
        if record.packet_id == packet_id:
            if len(story.rows) == ENTRIES_MAX:
                raise TooLargeError(
                    f"packet {packet_id} has more than {ENTRIES_MAX} entries, too many for a page",
                    hint=f"read them: pfgov ledger export --subject packet/{packet_id}",
                )
            story.add(record)
    if not story.rows:
        raise NotFoundError(
            f"there is no entry of packet {packet_id}",
            code="packet.not_found",
            hint="see what there is: pfgov packet list --all",
        )
    return story


# --- the page ---


def page(story: Story, report: Report, log: str) -> Iterator[str]:
    """Yield the page, piece by piece."""
    title = f"Packet {story.packet_id}"
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
    )
    yield f"<h1>Packet <bdi>{_text(story.packet_id)}</bdi></h1>\n{_facts(story, log)}"
    yield _section("Who owned it", _owners(story))
    yield _section("Why", _decisions(story))
    yield _section("What is in it, and what was withheld", _contents(story))
    yield _section("Which proofs hold", _proofs(report))
    yield _section("Everything that happened", _entries(story))
    yield "</main>\n</body>\n</html>\n"


def _text(value: object) -> str:
    return html.escape(str(value), quote=True)


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{_text(title)}</h2>\n{body}</section>\n"


def _table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells that are HTML already."""
    top = "".join(f'<th scope="col">{_text(name)}</th>' for name in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>\n" for row in rows)
    return (
        f"<table>\n<caption>{_text(caption)}</caption>\n<thead><tr>{top}</tr></thead>\n"
        f"<tbody>\n{lines}</tbody>\n</table>\n"
    )


def _time(at: int | None) -> str:
    if at is None:
        return "still"
    moment = to_moment(at)
    return f'<time datetime="{moment}">{moment}</time>'


def _name(value: object) -> str:
    return f"<bdi>{_text(value)}</bdi>"


def _facts(story: Story, log: str) -> str:
    first, last = story.rows[0][0].entry, story.rows[-1][0].entry
    created = story.created
    owner = story.spans[-1] if story.spans and story.spans[-1].end is None else None
    said = [
        ("log", _name(log)),
        ("work", _name(created.workload_type) if created else "created before this export"),
        ("owner", _name(owner.member) if owner else "nobody"),
        ("ended", _text(story.end) if story.end else "no"),
        ("from", _time(first.time)),
        ("to", _time(last.time)),
    ]
    if created is not None and created.submitted_by:
        said.insert(2, ("submitted by", _name(created.submitted_by)))
    rows = "".join(f"<div><dt>{_text(name)}</dt><dd>{value}</dd></div>\n" for name, value in said)
    return f"<dl>\n{rows}</dl>\n"


def _owners(story: Story) -> str:
    if not story.spans:
        return "<p>Nobody has owned it.</p>\n"
    rows = [
        [
            _name(span.member),
            _text(span.incarnation),
            _text(span.epoch),
            _time(span.start),
            _time(span.end),
            _text(span.ended_by),
        ]
        for span in story.spans
    ]
    head = ("member", "life", "epoch", "from", "until", "how it ended")
    return _lanes(story) + _table("Owners, the first one first", head, rows)


_LANE, _GAP, _WIDE, _LABEL = 22, 6, 1_000, 220


def _lanes(story: Story) -> str:
    """Draw a lane for each member, with a bar for each time that it owned the packet."""
    start = story.rows[0][0].entry.time
    last = max(story.rows[-1][0].entry.time, start + 1)
    stop = last + (last - start) // 20 + 1  # so that whoever has it now can be seen
    members = list(dict.fromkeys(span.member for span in story.spans))
    scale = (_WIDE - _LABEL) / (stop - start)
    drawn: list[str] = []
    for place, member in enumerate(members):
        top = place * (_LANE + _GAP)
        shown = member if len(member) <= 28 else f"{member[:27]}…"
        drawn.append(
            f'<text x="0" y="{top + 16}">{_text(shown)}</text>'
            f'<line x1="{_LABEL}" x2="{_WIDE}" y1="{top + _LANE // 2}" y2="{top + _LANE // 2}"/>'
        )
        for span in story.spans:
            if span.member == member:
                left = _LABEL + (span.start - start) * scale
                wide = max(((span.end or stop) - span.start) * scale, 2)
                drawn.append(
                    f'<rect x="{left:.1f}" y="{top}" width="{wide:.1f}" height="{_LANE}">'
                    f"<title>epoch {span.epoch}</title></rect>"
                )
    tall = len(members) * (_LANE + _GAP)
    about = f"{len(story.spans)} times of ownership by {len(members)} members; the table below says the same"
    return f'<svg role="img" aria-label="{_text(about)}" viewBox="0 0 {_WIDE} {tall}">{"".join(drawn)}</svg>\n'


def _decisions(story: Story) -> str:
    rows: list[list[str]] = []
    for record, event in story.rows:
        decision: e.Decision | None = getattr(event, "decision", None)
        if decision is not None:
            rows.append(
                [
                    _text(record.entry.seq),
                    _text(sentence(event)),
                    _text(rejected(decision) or "nobody was kept out"),
                    f"<code>{_text((record.policy or '')[:16])}</code>",
                ]
            )
        elif record.entry.type.startswith("review_"):
            rows.append([_text(record.entry.seq), _text(sentence(event)), "", ""])
    if not rows:
        return "<p>Nobody has decided about it.</p>\n"
    head = ("entry", "what was decided", "rules that kept members out", "policy set")
    return _table("Decisions and reviews", head, rows)


def _contents(story: Story) -> str:
    classes = ", ".join(story.classes) or "none declared or found"
    contexts = [
        (record.entry.seq, getattr(event, "context", None))
        for record, event in story.rows
        if isinstance(event, e.PacketCreated | e.CheckpointCommitted)
    ]
    saved = [f"entry {seq}: {of.digest[:16]}…" for seq, of in contexts if of is not None]
    items = [
        ("Data classes", classes),
        ("Contexts, as commitments", "; ".join(saved) or "none"),
        ("Withheld from owners", "; ".join(story.withheld) or "nothing"),
    ]
    listed = "".join(
        f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>\n" for name, value in items
    )
    note = "Contexts are not on this page, and may have been erased since: the ledger holds commitments to them."
    return f"<dl>\n{listed}</dl>\n<p>{note}</p>\n"


def _proofs(report: Report) -> str:
    rows = [
        [_text(name.replace("_", " ")), _text(str(verdict.status).replace("_", " "))]
        for name, verdict in report.verdicts.items()
    ]
    signed = report.checkpoint
    under = "" if signed is None else f"{signed.size} entries, root {signed.root}"
    return (
        _table("Verified before this page was written", ("question", "answer"), rows)
        + f"<p>Under the checkpoint of <code>{_text(under)}</code>. This page is a copy and proves nothing itself:"
        " export the packet and run <code>pfgov-verify</code> with the anchor that you keep.</p>\n"
    )


def _entries(story: Story) -> str:
    rows = [
        [
            _text(record.entry.seq),
            _time(record.entry.time),
            _text(sentence(event)),
            _name(record.principal or ""),
            f"<code>{record.entry.leaf.hex()[:16]}</code>",
        ]
        for record, event in story.rows
    ]
    head = ("entry", "when", "what", "who asked", "leaf hash")
    return _table("Entries of the ledger", head, rows)


_STYLE: Final = """
:root { color-scheme: light; }
body { margin: 0; background: #fff; color: #1b1b1f; font: 15px/1.45 system-ui, sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.6rem; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid #c8c8d0; padding-bottom: .2rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); gap: .4rem 1.5rem; margin: 0; }
dt { color: #55555f; font-size: .85rem; }
dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; }
caption { text-align: left; color: #55555f; font-size: .85rem; padding-bottom: .3rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #e3e3ea;
  overflow-wrap: anywhere; }
th { white-space: nowrap; overflow-wrap: normal; }
code, time { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; margin: .5rem 0; font: 14px system-ui, sans-serif; }
svg rect { fill: #2b5fb3; }
svg line { stroke: #c8c8d0; }
svg text { fill: #1b1b1f; }
@page { size: A4; margin: 16mm 14mm; }
@media print {
  body { font-size: 9.5pt; }
  main { max-width: none; padding: 0; }
  h2, caption, svg { break-after: avoid; }
  tr, svg { break-inside: avoid; }
  thead { display: table-header-group; }
  svg rect { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
