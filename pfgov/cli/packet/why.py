"""``pfgov packet explain``: why this member, and why not each other one.

The answer is read from the ledger: the entry of the decision, and the verdict table whose digest stands in it.  Where
the table was not kept, the entry's own nearest losers are shown instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from pfgov.cli.frame import Screen, verb
from pfgov.cli.packet.group import packet
from pfgov.cli.packet.move import packet_argument

if TYPE_CHECKING:
    from pfgov import events as e
    from pfgov.cli.desk import Reading
    from pfgov.engine.reading import Recorded
    from pfgov.views import PacketView, VerdictRow

DECIDING: Final = ("assignment_decision", "handoff_started", "handoff_denied", "handoff_escalated")
"""The events that chose among members, or found nobody."""


@dataclass(frozen=True, slots=True)
class Told:
    """One decision, told."""

    seq: int
    why: list[str]
    rows: list["VerdictRow"]
    chosen: str | None
    nearest: str | None
    result: dict[str, Any]


@verb(
    packet,
    "explain",
    examples=("pfgov packet explain fp-001", "pfgov packet explain fp-001 --at 12 --json"),
    then="ask about another member: pfgov discover --packet fp-001",
)
@packet_argument
@click.option("--at", "seq", type=int, metavar="SEQ", help="An earlier decision, by its position.")
def explain(screen: Screen, packet_id: str, seq: int | None) -> int:
    """Say why a packet is where it is: why this member, and why not each other one."""
    from pfgov.cli import render
    from pfgov.cli.desk import reading

    with reading(screen) as book:
        view = book.packet(packet_id)
        told = tell(book, view, seq)
    stands = stand(view)
    if told is None:
        nothing = "nobody has decided about it yet"
        screen.show(
            {"packet": view, "decision": None, "members": [], "nearest_miss": None, "why": nothing},
            stands,
            nothing,
        )
        return 0
    why = " ".join([stands, *told.why])
    parts: list[Any] = [stands, "", *told.why]
    if told.rows:
        parts.append(render.verdicts_table(told.rows, chosen=told.chosen))
    if told.nearest:
        parts.append(f"nearest: {told.nearest}")
    result = {
        "packet": view,
        "decision": told.result,
        "members": told.rows,
        "nearest_miss": told.nearest,
        "why": why,
    }
    screen.show(result, *parts)
    return 0


def stand(view: "PacketView") -> str:
    """Return where a packet stands, in a sentence or two."""
    if view.current_owner is not None and view.status in {"ASSIGNED", "HANDOFF_PENDING"}:
        moved = f", after {view.handoff.count} moves" if view.handoff.count else ""
        owner = f"{view.current_owner} (life {view.incarnation})"
        said = f"{view.packet_id} is owned by {owner} under epoch {view.epoch}{moved}."
        pending = view.handoff.pending
        return (
            f"{said} {pending['target']} has until {pending['deadline']} to accept it."
            if pending
            else said
        )
    if view.review is not None:
        review = view.review
        rules = ", ".join(review.rules)
        return (
            f"{view.packet_id} waits for a {review.to} until {review.expires_at}, asked by {rules}."
        )
    if view.status == "PENDING":
        return f"{view.packet_id} has no owner{' because it is held' if view.hold else ''}."
    cause = f" ({view.cause})" if view.cause else ""
    return f"{view.packet_id} is {view.status}{cause} under epoch {view.epoch}."


def tell(book: "Reading", view: "PacketView", seq: int | None) -> Told | None:
    """Return the decision about a packet at position *seq*, or the last one; None if there is none.

    Raises:
        NotFoundError: there is no decision about it at *seq*.
    """
    from pfgov.errors import NotFoundError

    decisions = [
        found
        for found in book.reader.lineage(f"packet/{view.packet_id}")
        if found.event.type in DECIDING and (seq is None or found.row.seq == seq)
    ]
    if decisions:
        return told_of(book, decisions[-1])
    if seq is not None:
        raise NotFoundError(
            f"entry {seq} is not a decision about {view.packet_id}",
            code="decision.not_found",
            hint=f"see its history: pfgov packet show {view.packet_id} --history",
        )
    return None


def told_of(book: "Reading", found: "Recorded") -> Told:
    """Return the decision that an entry records, told."""
    from pfgov.views import nearest_miss, read_table

    event: Any = found.event
    decision: e.Decision = event.decision
    chosen = (
        event.target if found.event.type == "handoff_started" else getattr(event, "owner", None)
    )
    name = chosen.member_id if chosen is not None else None
    raw = book.reader.verdict_table(decision.table)
    rows = read_table(raw, digest=decision.table) if raw is not None else kept_rows(decision, name)
    why = [*because(event, decision, name)]
    if raw is None:
        why.append(
            "Its whole verdict table was not kept; these are the nearest that the entry names."
        )
    return Told(
        seq=found.row.seq,
        why=why,
        rows=rows,
        chosen=name,
        nearest=nearest_miss([row for row in rows if row.member_id != name]),
        result=_result(found, event, decision, name),
    )


def kept_rows(decision: "e.Decision", chosen: str | None) -> list["VerdictRow"]:
    """Return what the entry itself says of members."""
    from pfgov.views import ReasonView, VerdictRow

    rows = (
        [VerdictRow(member_id=chosen, outcome="allow", active=0, score=decision.score)]
        if chosen
        else []
    )
    rows += [
        VerdictRow(
            member_id=loser.member_id,
            outcome="deny" if loser.reasons else "allow",
            active=0,
            score=loser.score,
            reasons=[
                ReasonView(rule=name, effect="deny", cause="", message=name)
                for name in loser.reasons
            ],
        )
        for loser in decision.nearest
    ]
    return rows


_NOBODY: Final[Mapping[str, str]] = {
    "denied": "Nobody may own it",
    "escalated": "Nobody may own it before a review",
    "no_candidate": "There was nobody to ask",
    "no_capacity": "Nobody who may own it has room",
}


def because(event: Any, decision: "e.Decision", chosen: str | None) -> Sequence[str]:
    """Return why it came out as it did, in sentences."""
    judged = f"{decision.considered} members were judged, and {decision.eligible} could own it."
    policy = f"Policy set {decision.policy[:12]}, point {decision.point}."
    if chosen is None:
        return [f"{_NOBODY[event.outcome]}: {judged}", policy]
    by = ""
    if decision.scheduler is not None:
        by = f" {decision.scheduler.name} chose {chosen}"
        if decision.score is not None:
            by += f" with score {decision.score:,}"
        if decision.runner_up is not None and decision.runner_up_score is not None:
            by += f", before {decision.runner_up} with {decision.runner_up_score:,}"
        elif decision.eligible == 1:
            by += ", the only one"
        by += "."
    return [f"{judged}{by}", policy]


def _result(
    found: "Recorded", event: Any, decision: "e.Decision", chosen: str | None
) -> dict[str, Any]:
    from pfgov.model.times import to_moment

    scheduler = decision.scheduler
    return {
        "seq": found.row.seq,
        "time": to_moment(found.row.time),
        "type": event.type,
        "outcome": getattr(event, "outcome", "allowed"),
        "chosen": chosen,
        "epoch": event.epoch,
        "point": decision.point,
        "policy": decision.policy,
        "considered": decision.considered,
        "eligible": decision.eligible,
        "rejected": dict(decision.rejected),
        "scheduler": None
        if scheduler is None
        else {
            "name": scheduler.name,
            "version": scheduler.version,
            "parameters": dict(scheduler.parameters),
        },
        "score": decision.score,
        "runner_up": decision.runner_up,
        "runner_up_score": decision.runner_up_score,
        "table": decision.table,
    }
