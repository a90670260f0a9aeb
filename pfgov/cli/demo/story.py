"""The story itself, act by act.  Each act leaves the ledger as the next one needs it.

The members and packets are the specification's, with the colleagues that its text speaks of.
"""

from typing import Any, Final

from pfgov.app.views import EntryView
from pfgov.cli import render
from pfgov.cli.demo.stage import Stage, specified_member, specified_packet
from pfgov.cli.packet.why import tell
from pfgov.core import commands as c
from pfgov.errors import StateConflictError
from pfgov.model import Checkpoint, check_tree, parse

PACKET: Final = "fp-001"
FIRST: Final = "agent-customer-01"
FAR: Final = "agent-customer-02"
SECOND: Final = "agent-customer-03"

CAPABLE: Final[dict[str, Any]] = {
    "type": "agent",
    "capabilities": ["customer_validation", "policy_review"],
}
MEMBERS: Final[tuple[dict[str, Any], ...]] = (
    {
        "id": FIRST, **CAPABLE, "region": "us-east/1a", "trust_score": 0.97,
        "clearances": ["pii.customer"], "lease_seconds": 30, "handoff_mode": "accept",
    },
    {"id": FAR, **CAPABLE, "region": "eu-west/2b", "trust_score": 0.87},
)  # fmt: skip
COLLEAGUE: Final[dict[str, Any]] = {
    "id": SECOND, **CAPABLE, "region": "us-east/1b", "trust_score": 0.94,
    "clearances": ["pii.customer"], "lease_seconds": 30,
}  # fmt: skip
NODES: Final[tuple[dict[str, Any], ...]] = tuple(
    {
        "id": f"node-{name}", "type": "node", "capabilities": ["compute"], "region": "us-east",
        "trust_score": 0.9, "capacity": {"cpu": cpu, "memory": memory},
    }
    for name, cpu, memory in (("a", 4, 16), ("b", 8, 16), ("c", 16, 64))
)  # fmt: skip
JOBS: Final = (("job-ring", "ring"), ("job-pack", "binpack"), ("job-agent", "agent"))


def members_join(stage: Stage) -> None:
    """The specification's member registers, and two that could do the packet's work."""
    stage.voice.chapter(
        "Members join",
        "The specification's own request, as it is printed, and two agents that can do the work.",
    )
    stage.register(specified_member())
    for tree in MEMBERS:
        stage.register(tree)
    stage.voice.show(render.members_table(stage.ledger_port.members()))


def packet_arrives(stage: Stage) -> None:
    """The specification's packet is submitted; its claims are not believed; nobody owns it before a review."""
    stage.voice.chapter(
        "A packet arrives",
        "It is the specification's, in mid-life: it claims an owner, a history and a status.",
    )
    stage.voice.command("pfgov packet submit --file packet.json")
    done = stage.submit(specified_packet())
    stage.voice.entries([*done.recorded, *done.followed])
    stage.voice.say(
        "Its case file turns out to hold customer data.  Constraints can only become narrower:"
    )
    stage.voice.command(f"pfgov packet update {PACKET} --data-class pii.customer")
    stage.do(c.UpdatePacket(packet_id=PACKET, data_classes=("pii.customer",)))


def review(stage: Stage) -> None:
    """A person agrees, the whole pipeline runs, and the table says why each other one was refused."""
    stage.voice.chapter("A person reviews, policy judges, a scheduler chooses")
    version = stage.engine.reader.packet(PACKET).version
    stage.voice.command(f"pfgov packet review {PACKET} --grant --version {version}")
    stage.do(
        c.ReviewPacket(packet_id=PACKET, granted=True, version=version, note="case file checked")
    )
    explain(stage)
    stage.voice.say("Naming a target bypasses nothing:")
    stage.voice.command(f"pfgov packet handoff {PACKET} --to {FAR}")
    stage.do(c.HandOff(packet_id=PACKET, target=FAR))


def explain(stage: Stage) -> None:
    """Show the last decision, and why not each other one."""
    rendered = tell(stage.ledger_port, stage.ledger_port.packet(PACKET), None)
    if rendered is not None:
        stage.voice.command(f"pfgov packet explain {PACKET}")
        stage.voice.show(
            render.verdicts_table(rendered.rows, chosen=rendered.chosen, width=stage.voice.width)
        )
        if rendered.nearest:
            stage.voice.say(f"nearest: {rendered.nearest[0]}")


def owner_works(stage: Stage) -> None:
    """The owner saves its progress: the ledger gets a commitment, never the body."""
    stage.voice.chapter(
        "The owner works",
        "It saves a checkpoint.  The ledger holds a salted commitment to it, never the body.",
    )
    stage.voice.command(f"pfgov packet checkpoint {PACKET} --file context.json")
    body = {"case_id": "CUST-88291", "step": "documents_verified", "verified": 3}
    tree = {"member_id": FIRST, "incarnation": 1, "epoch": 1, "context_checkpoint": body}
    wire = parse(Checkpoint, check_tree(tree))
    stage.do(wire, PACKET)


def owner_dies(stage: Stage) -> None:
    """The owner goes silent; its lease ends; the packet moves, and the context with it."""
    stage.voice.chapter(
        "The owner goes silent",
        f"{SECOND} joins.  {FIRST} sends no heartbeat for 30 seconds, its lease.",
    )
    before = stage.ledger_port.record(PACKET).context
    stage.register(COLLEAGUE)
    stage.voice.entries(_rendered(stage.wait(30, [(SECOND, 1)])))
    explain(stage)
    after = stage.ledger_port.record(PACKET).context
    stage.voice.say(_context_line(stage, before, after))


def _rendered(entries: list[EntryView]) -> list[EntryView]:
    return [entry for entry in entries if entry.type != "capability_discovered"]


def _context_line(stage: Stage, before: c.Commitment | None, after: c.Commitment | None) -> str:
    """Return what moved: the same commitment, which its payload and salt open.

    Raises:
        StateConflictError: it is not so.
    """
    digest = after.digest if after else ""
    if before != after or not stage.opens(digest):
        raise StateConflictError("the context that moved is not the one that was committed")
    return "The context moved whole: same commitment, and the payload opens it."


def late_write(stage: Stage) -> None:
    """The dead owner wakes up and wants to finish; its epoch is over."""
    stage.voice.chapter(
        "The old owner wakes up and writes", "Its epoch is over, so it is refused, on record."
    )
    stage.voice.command(f"pfgov packet complete {PACKET} --as {FIRST} --epoch 1")
    claim = c.OwnerClaim(member_id=FIRST, incarnation=1, epoch=1)
    stage.refused(c.CompletePacket(packet_id=PACKET, owner=claim))


def drain(stage: Stage) -> None:
    """The old owner comes back in its next life; its colleague is drained, and the packet moves in two phases."""
    stage.voice.chapter(
        "A drain",
        f"{FIRST} comes back in its next life, owning nothing.  {SECOND} is to leave.",
    )
    stage.voice.command(f"pfgov member recover {FIRST}")
    stage.do(c.RecoverMember(member_id=FIRST))
    stage.voice.command(f"pfgov member drain {SECOND}")
    stage.do(c.DrainMember(member_id=SECOND))
    pending = stage.ledger_port.record(PACKET).pending
    if pending is None or pending.context is None:
        raise StateConflictError(f"{PACKET} is not being handed off")
    stage.voice.say(
        "The target reads what was pinned for it, and accepts by naming its commitment:"
    )
    stage.voice.command(f"pfgov packet accept {PACKET}")
    pinned = pending.view or pending.context
    stage.do(
        c.AcceptHandoff(
            packet_id=PACKET,
            member_id=pending.target,
            incarnation=pending.incarnation,
            handoff=pending.position,
            view=pinned.digest,
        )
    )


def done(stage: Stage) -> None:
    """The work is finished."""
    stage.voice.chapter("Done")
    stage.voice.command(f"pfgov packet complete {PACKET}")
    packet = stage.ledger_port.record(PACKET)
    claim = c.OwnerClaim(
        member_id=packet.owner or "", incarnation=packet.incarnation, epoch=packet.epoch
    )
    stage.do(c.CompletePacket(packet_id=PACKET, owner=claim))


def schedulers(stage: Stage) -> None:
    """One placement each by the ring, by bin packing, and by agent routing."""
    stage.voice.chapter(
        "Three more ways to choose",
        "Policy says who may; a scheduler chooses among them.  Three nodes, three packets.",
    )
    for tree in NODES:
        stage.register(tree)
    rows: list[tuple[object, ...]] = []
    for packet_id, name in JOBS:
        stage.submit(
            {
                "packet_id": packet_id, "workload_type": "batch", "scheduler": name,
                "required_capabilities": ["compute"], "demand": {"cpu": 2, "memory": 8},
            }
        )  # fmt: skip
        rendered = tell(stage.ledger_port, stage.ledger_port.packet(packet_id), None)
        if rendered is not None:
            decision = rendered.result
            rows.append(
                (
                    packet_id,
                    name,
                    rendered.chosen,
                    f"{decision['score']:,}",
                    decision["runner_up"],
                    decision["eligible"],
                )
            )
    stage.voice.show(render.choices_table(rows))


ACTS: Final = (
    members_join, packet_arrives, review, owner_works, owner_dies, late_write, drain, done, schedulers,
)  # fmt: skip
"""The acts, in order."""
