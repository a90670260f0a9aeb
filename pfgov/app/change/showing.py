"""A report of impact as Markdown for a review, and as lines for a person; every door shows the same words.

Names in a report come from a ledger and may have been chosen to mislead: in Markdown each stands in code quotes, with
what would end them taken out.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from pfgov.core.wording import counted
from pfgov.engine.reading import Affected, Consequences, Listed, Report
from pfgov.engine.reading.impact import Flip, Share
from pfgov_ledger.escaping import shown

SHOWN_MAX: Final = 20
"""Rows of a list that are shown; the report itself has more."""

KINDS: Final = {
    "deny_to_allow": "denied, would be allowed",
    "escalate_to_allow": "for review, would be allowed",
    "deny_to_escalate": "denied, would go to review",
    "allow_to_deny": "allowed, would be denied",
    "allow_to_escalate": "allowed, would go to review",
    "escalate_to_deny": "for review, would be denied",
    "other_winner": "would go to another member",
    "other_obligations": "would owe something else",
    "other_candidates": "same outcome, other candidates",
}
"""What a kind of change is called, the widest first."""

LIMITS: Final = (
    "What was asked is each recorded command on the state before it. What would have followed from another answer is "
    "not guessed, and what was refused without an entry is not on record."
)
"""What a report of impact cannot say, in two sentences."""


def from_answer(found: object) -> Report:
    """Return the report in an answer of the API.

    Raises:
        msgspec.ValidationError: there is none in it.
    """
    return msgspec.convert(found, Report)


def summary(report: Report) -> list[tuple[str, str]]:
    """Return the head of a report: names and values."""
    counts, ledger = report.counts, report.ledger
    sample = f", one command in {ledger.sample}" if ledger.sample > 1 else ""
    return [
        ("proposed", f"policy set {report.proposed[:12]}"),
        ("binding", f"policy set {report.binding[:12]}" if report.binding else "the kernel alone"),
        ("ledger", f"{ledger.origin}, {counted(ledger.size, 'entry', 'entries')}"),
        ("asked", f"{counted(counts.decisions, 'decision')} from entry {ledger.first}{sample}"),
        ("unchanged", str(counts.same)),
        ("wider", str(counts.wider)),
        ("narrower", str(counts.narrower)),
    ]


def kinds(report: Report) -> list[tuple[str, int]]:
    """Return what changed by kind, in words, the widest first."""
    found = dict(report.counts.by_kind)
    return [(words, found[name]) for name, words in KINDS.items() if name in found]


def flip_row(flip: Flip) -> tuple[str, str, str, str, str]:
    """Return the cells of a changed decision: entry, subject, point, what changed, and why."""
    outcome = f"{flip.old} -> {flip.new}"
    if flip.old_winner != flip.new_winner:
        outcome += f" ({flip.old_winner or 'nobody'} -> {flip.new_winner or 'nobody'})"
    who = [f"+{name}" for name in flip.widened] + [f"-{name}" for name in flip.narrowed]
    why = ", ".join([*flip.rules, *who])
    return str(flip.position), flip.subject, flip.point, outcome, why


def consequence_lines(found: Consequences) -> list[str]:
    """Return what would happen at once, a line each; none where nothing would."""
    lines: list[str] = []
    lines += _line(
        found.revoked,
        "packet would be taken from its owner",
        "packets would be taken from their owners",
    )
    lines += _line(
        found.kept_out,
        "member could not register as it is",
        "members could not register as they are",
    )
    lines += _line(
        found.redacted,
        "owner would read less of its context",
        "owners would read less of their contexts",
    )
    lines += _line(
        found.placed, "waiting packet would find an owner", "waiting packets would find an owner"
    )
    if found.uncovered:
        lines.append(
            f"no policy would cover {', '.join(found.uncovered)}: nothing is allowed there"
        )
    if found.unguarded:
        lines.append(f"left to rights alone: {', '.join(found.unguarded)}")
    return lines  # fmt: skip


def _line(found: Listed, one: str, many: str) -> list[str]:
    if not found.count:
        return []
    named = ", ".join(_affected(row) for row in found.first[:3])
    more = f" and {found.count - 3} more" if found.count > 3 else ""
    return [f"{counted(found.count, one, many)}: {named}{more}"]


def _affected(row: Affected) -> str:
    name = row.packet_id or row.member_id or ""
    who = row.member_id if row.packet_id is not None else None
    why = [text for text in (who, *row.rules[:2]) if text]
    return f"{name} ({', '.join(why)})" if why else name


# --- Markdown -----------------------------------------------------------------------------


def markdown(report: Report, name: str) -> str:
    """Return *report* about the set *name* as Markdown: a comment on a pull request."""
    counts = report.counts
    lines = [f"### Impact of {code(name)}", ""]
    lines += [f"- {label}: {code(value)}" for label, value in summary(report)]
    lines += ["", *_at_once(report.now)]
    if not report.has_flips:
        lines += ["", f"None of {counted(counts.decisions, 'recorded decision')} would differ."]
    else:
        lines += ["", *_table(("what changed", "decisions"), kinds(report))]
        for title, shares in (
            ("rule", report.by.rules),
            ("member", report.by.members),
            ("workload type", report.by.workload_types),
            ("data class", report.by.data_classes),
        ):
            lines += _shares(title, shares)
        head = ("entry", "subject", "point", "outcome", "why")
        rows = [flip_row(flip) for flip in report.flips[:SHOWN_MAX]]
        left = counts.decisions - counts.same - len(rows)
        lines += ["", *_table(head, rows)]
        lines += ["", f"... and {left} more in the report."] if left > 0 else []
    return "\n".join([*lines, "", f"_{LIMITS}_", ""])


def _at_once(found: Consequences) -> list[str]:
    lines = consequence_lines(found)
    if not lines:
        return ["If it were binding now, nothing would change at once."]
    return ["If it were binding now:", "", *[f"- {_plain(line)}" for line in lines]]


def _shares(title: str, shares: Sequence[Share]) -> list[str]:
    if not shares:
        return []
    rows = [(share.name, share.wider, share.narrower) for share in shares[:SHOWN_MAX]]
    return ["", *_table((f"by {title}", "wider", "narrower"), rows)]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [
        f"| {' | '.join(str(c) if isinstance(c, int) else code(str(c)) for c in row)} |"
        for row in rows
    ]
    return lines


_UNQUOTED: Final = str.maketrans({"`": "'", "|": "\\|", "\n": " ", "\r": " "})


def code(text: str) -> str:
    """Return *text* in code quotes, with what would end them taken out."""
    return f"`{shown(text.translate(_UNQUOTED))}`" if text else ""


_MARKS: Final = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>|#!@"})


def _plain(text: str) -> str:
    return shown(text).translate(_MARKS)
