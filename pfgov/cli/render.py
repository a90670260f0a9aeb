"""How views look to people: tables of members, packets, entries and verdicts, and lists of facts.

Everything shown comes from a view; nothing is looked up here.  Tables fold rather than cut, so that no id is lost in 80
columns.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pfgov.app.views.verdicts import plain
from pfgov.cli.output import facts, shown, status, styled, table, whole
from pfgov.core.wording import counted, with_article

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from pfgov.app.done import Done
    from pfgov.app.views import EntryView, MemberView, PacketView, ReasonView, VerdictRow


# --- members ------------------------------------------------------------------------------


def members_table(members: Iterable["MemberView"]) -> "RenderableType":
    """Return members, one a row."""
    return table(
        ("!MEMBER", "STATUS", "#TRUST", "REGION", "#OWNS", "CAN DO"),
        (
            (
                member.id
                if member.incarnation == 1
                else f"{member.id} (life {member.incarnation})",
                status(member.status),
                member.trust.score if member.trust else None,
                member.region,
                len(member.owns),
                [capability_text(one) for one in member.capabilities],
            )
            for member in members
        ),
    )


def capability_text(capability: dict[str, Any]) -> str:
    """Return a capability as ``name`` or ``name@version``."""
    version = capability.get("version")
    return f"{capability['name']}@{version}" if version else str(capability["name"])


def member_facts(member: "MemberView") -> "RenderableType":
    """Return everything about one member."""
    trust = None
    if member.trust is not None:
        until = f", until {member.trust.expires_at}" if member.trust.expires_at else ""
        trust = f"{member.trust.score:g} by {member.trust.source}{until}"
    room = {
        name: f"{member.used.get(name, 0):g} of {limit:g} used"
        for name, limit in member.capacity.items()
    }
    drain = member.drain
    return facts(
        (
            ("member", member.id),
            ("type", member.type),
            ("status", f"{member.status}, life {member.incarnation}"),
            ("trust", trust),
            ("claims trust", member.claimed_trust),
            ("region", member.region),
            ("capabilities", [capability_text(one) for one in member.capabilities]),
            ("clearances", member.clearances),
            ("capacity", room),
            ("owns", member.owns),
            ("reliability", member.reliability),
            ("pressure", member.pressure),
            ("lease", f"{member.lease_seconds} s" if member.lease_seconds else None),
            ("handoffs", "accepts by itself" if member.handoff_mode == "auto" else "must accept"),
            (
                "drain",
                f"{drain.mode}, until {drain.deadline or 'all has moved'}" if drain else None,
            ),
            ("quarantined until", member.quarantine_until),
            ("labels", member.labels),
            ("weight", member.weight if member.weight != 1 else None),
            ("public key", member.public_key),
            ("registered by", member.principal),
        )
    )


# --- packets ------------------------------------------------------------------------------


def packets_table(packets: Iterable["PacketView"], *, width: int) -> "RenderableType":
    """Return packets, one a row; how often they moved and their step where *width* columns leave room."""
    if width < ROOMY:
        return table(
            ("!PACKET", "STATUS", "!OWNER", "#EPOCH", "WAITS FOR"),
            (
                (
                    packet.packet_id,
                    status(packet.status),
                    packet.current_owner,
                    packet.epoch,
                    _lines(_of_waiting(packet) or "-"),
                )
                for packet in packets
            ),
        )
    return table(
        ("!PACKET", "STATUS", "!OWNER", "#EPOCH", "#MOVES", "STEP", "WAITS FOR"),
        (
            (
                packet.packet_id,
                status(packet.status),
                packet.current_owner,
                packet.epoch,
                packet.handoff.count,
                packet.context_checkpoint.step,
                _of_waiting(packet),
            )
            for packet in packets
        ),
    )


def waits_for(packet: "PacketView") -> str | None:
    """Return what a packet waits for, shortly; None when it waits for nothing."""
    if packet.review is not None:
        return f"{with_article(packet.review.to)}: {', '.join(packet.review.rules)}"
    pending = packet.handoff.pending
    if pending is not None:
        return f"{pending['target']} to accept"
    if packet.is_held:
        return "release: it is held"
    if packet.waiting is not None and packet.current_owner is None:
        reasons = _ranked(packet.waiting.reasons)
        return f"{packet.waiting.waits_for}: {reasons}" if reasons else packet.waiting.waits_for
    return None


def stays_because(packet: "PacketView") -> str | None:
    """Return why an owned packet was not moved when that was asked last; None where it was not, or waits for it."""
    if packet.current_owner is None or packet.waiting is None or waits_for(packet) is not None:
        return None
    return _ranked(packet.waiting.reasons) or packet.waiting.waits_for


def _ranked(reasons: Mapping[str, int]) -> str:
    """Return *reasons*, each with how many members it kept out, the commonest first."""
    ranked = sorted(reasons.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{name} ({count})" for name, count in ranked)


def _of_waiting(packet: "PacketView") -> str | None:
    """Return what a row of a list says of what a packet waits for, or of why its owner keeps it."""
    stays = stays_because(packet)
    return waits_for(packet) if stays is None else f"stays: {stays}"


def packet_facts(packet: "PacketView") -> "RenderableType":
    """Return everything about one packet."""
    owner = None
    if packet.current_owner is not None:
        owner = f"{packet.current_owner} (life {packet.incarnation}) under epoch {packet.epoch}"
    context = packet.context_checkpoint
    reviews = [f"{', '.join(r.rules)} by {r.reviewer}" for r in packet.reviews]
    return facts(
        (
            ("packet", packet.packet_id),
            ("version", packet.version),
            ("work", packet.workload_type),
            (
                "status",
                packet.status if packet.cause is None else f"{packet.status}: {packet.cause}",
            ),
            ("owner", owner),
            ("owners before", packet.previous_owners),
            ("epoch", packet.epoch if owner is None else None),
            ("waits for", waits_for(packet)),
            ("stays because", stays_because(packet)),
            ("needs", packet.required_capabilities),
            ("constraints", packet.policy_constraints),
            ("data classes", packet.data_classes),
            ("scanned by", packet.scanned_by),
            ("step", context.step),
            ("context", f"commitment {context.commitment[:16]}..." if context.commitment else None),
            ("may move", packet.handoff.allowed),
            ("moved", counted(packet.handoff.count, "time") if packet.handoff.count else None),
            ("reviewed", reviews),
            ("obligations", packet.obligations),
            ("demand", packet.demand),
            ("priority", packet.priority or None),
            ("scheduler", packet.scheduler),
            ("deadline", packet.deadline),
            ("labels", packet.labels),
            ("imported", packet.imported),
            ("runs again", packet.again),
            ("lineage", packet.audit.lineage_id),
            ("created", packet.audit.created_at),
            ("last event", f"{packet.audit.last_event} at {packet.audit.changed_at}"),
        )
    )


WIDE: Final = 110
"""Columns from which on a table of entries names the events."""


# --- entries ------------------------------------------------------------------------------


def entries_list(entries: Sequence["EntryView"]) -> "RenderableType":
    """Return entries as position and sentence."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", min_width=5)
    grid.add_column(overflow="fold")
    for entry in entries:
        grid.add_row(Text(f"#{entry.seq}", style="dim"), Text(entry.says))
    return whole(grid)


def entries_table(entries: Iterable["EntryView"], *, width: int) -> "RenderableType":
    """Return entries, one a row, with their times; the events' names where *width* columns leave room for them."""
    if width < WIDE:
        return table(
            ("#SEQ", "TIME", "SAYS"),
            ((entry.seq, entry.time[:19].replace("T", " "), entry.says) for entry in entries),
        )
    return table(
        ("#SEQ", "TIME", "EVENT", "SAYS"),
        (
            (entry.seq, entry.time[:19].replace("T", " "), entry.type, entry.says)
            for entry in entries
        ),
    )


def done(done_: "Done", headline: str) -> list["RenderableType"]:
    """Return what a command came to: a headline, its entries, and what followed."""
    parts: list[RenderableType] = [styled(headline, "bold")]
    if done_.recorded:
        parts.append(entries_list(done_.recorded))
    if done_.followed:
        parts += [styled("as a result:", "dim"), entries_list(done_.followed)]
    if not done_.is_settled:
        parts.append("more is under way; see it come: pfgov ledger log")
    return parts


# --- verdicts -----------------------------------------------------------------------------

OUTCOMES: Final[Mapping[str, str]] = {
    "allow": "eligible",
    "deny": "refused",
    "escalate": "needs review",
}


def verdicts_table(
    rows: Sequence["VerdictRow"], *, chosen: str | None = None, width: int = WIDE
) -> "RenderableType":
    """Return who is eligible, and for everybody else each reason with the observed value and the bound.

    Where *width* leaves no room for it, the verdict stands below the member and not beside it.
    """
    from rich.text import Text

    cells: list[Sequence[object]] = []
    for row in sorted(rows, key=lambda one: (one.member_id != chosen, len(one.reasons))):
        verdict = _verdict(row, chosen)
        reasons = [(reason.rule, *_seen(reason)) for reason in row.reasons]
        reasons = reasons or [("satisfies every rule", "", "")]
        if width >= ROOMY:
            first: tuple[object, ...] = (row.member_id, verdict)
            rest: tuple[object, ...] = ("", "")
        else:
            first, rest = (Text.assemble(row.member_id, "\n  ", verdict),), ("",)
            if len(reasons) > 1:
                first, rest = (row.member_id,), (Text.assemble("  ", verdict),)
        for i, reason in enumerate(reasons):
            cells.append((*(first if i == 0 else rest), *reason))
            if i == 1:
                rest = ("",) * len(rest)
    names = ("!MEMBER", "!VERDICT") if width >= ROOMY else ("!MEMBER",)
    return table((*names, "!RULE", "OBSERVED", "BOUND"), _blank(cells))


ROOMY: Final = 96
"""Columns from which on a table of verdicts has a column for the verdict."""


def _verdict(row: "VerdictRow", chosen: str | None) -> "Text":
    from rich.text import Text

    if row.member_id == chosen:
        return Text("chosen", style="bold green")
    return Text(OUTCOMES.get(row.outcome, row.outcome), style=_STYLES.get(row.outcome, ""))


_STYLES: Final[Mapping[str, str]] = {"allow": "green", "deny": "red", "escalate": "yellow"}


def _seen(reason: "ReasonView") -> tuple[object, object]:
    """Return the observed value and the bound of a reason, as a table shows them."""
    if reason.effect == "escalate":
        return "", "a review"
    if reason.missing is not None:
        return "missing", reason.missing
    if reason.observed is None and reason.bound is None:
        return reason.message, ""
    return _lines(plain(reason.observed or "")), _lines(plain(reason.bound or ""))


def _lines(text: str) -> "Text":
    """Return a list with one item a line, so that no name is cut in two; line breaks of *text* itself are escaped."""
    from rich.text import Text

    return Text(",\n".join(shown(item) for item in text.split(", ")) if text else "")


def choices_table(rows: Iterable[Sequence[object]]) -> "RenderableType":
    """Return which scheduler chose whom: packet, scheduler, chosen, score, runner-up, how many were eligible."""
    return table(("PACKET", "SCHEDULER", "CHOSEN", "#SCORE", "RUNNER-UP", "#ELIGIBLE"), rows)


def _blank(rows: Iterable[Sequence[object]]) -> Iterable[Sequence[object]]:
    """Keep empty cells empty: a dash would claim that nothing is there."""
    from rich.text import Text

    return ([Text("") if cell == "" else cell for cell in row] for row in rows)


__all__ = [
    "capability_text", "choices_table", "done", "entries_list", "entries_table", "member_facts", "members_table",
    "packet_facts", "packets_table", "shown", "verdicts_table", "waits_for",
]  # fmt: skip
