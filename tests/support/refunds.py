"""The story that every adapter tells: who is there, the policy, and how a refund begins and is verified in the end."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from pfgov.client import AsyncClient
from pfgov.core import commands as c
from support import policy_kit as kit
from support.cli_server import Served
from support.ledgers import verified

RULES = """\
  - {id: trust, on: [place], require: member.trust_score >= 0.8, message: "trust is below 0.8"}
  - {id: amount, on: [handoff], when: 'packet.labels["amount"] == "large"', escalate: {to: reviewer, expires: 1d}}
  - {id: open, on: [register, retain, accept], require: member.id != "nobody"}
"""
MEMBERS = {"triage": "triage-1", "refund": "refund-1", "novice": "novice-1"}
Story = Callable[[AsyncClient], Awaitable[None]]


def prepare(served: Served, folder: Path) -> None:
    """Register the three agents, one of them too little trusted, under a policy of trust and amounts."""
    rules = kit.policy(RULES, on="[register, place, retain]")
    policies = kit.load(folder / "set", rules, kit.labels("amount"))
    served.engine.activate(policies, principal=c.LOCAL_OPERATOR)
    for name, trust in (("triage-1", "0.95"), ("refund-1", "0.9"), ("novice-1", "0.5")):
        do = c.RegisterMember(member_id=name, type="agent", trust_score=trust, lease_seconds=86_400)
        served.engine.submit(do, principal=c.LOCAL_OPERATOR)


def tell(served: Served, story: Story, *, key: str | None = None) -> None:
    """Tell a story about packets that it submits itself, and verify their ledger."""

    async def told() -> None:
        async with asyncio.timeout(120), AsyncClient(served.url, key=key) as client:
            await story(client)

    asyncio.run(told())
    assert verified(served.directory, served.directory.parent).exit_status == 0


async def submit(client: AsyncClient, packet_id: str, amount: str) -> None:
    """Submit a refund that triage has."""
    about = {"workload_type": "refund", "labels": {"amount": amount}, "hold": True}
    context = {"order": 7}
    await client.submit({"packet_id": packet_id, **about, "context_checkpoint": context})
    await client.act(packet_id, "assign", {"target": "triage-1"})


async def review(client: AsyncClient, packet_id: str, *, granted: bool = True) -> None:
    """Give the review that a packet waits for, and let what follows from it happen."""
    version = (await client.packet(packet_id))["version"]
    await client.act(packet_id, "reviews", {"granted": granted, "version": version})
    await client.ask("/api/tick", {})


async def kinds(client: AsyncClient, packet_id: str) -> list[str]:
    """Return what happened to a packet, by the kinds of its entries."""
    items = (await client.get(f"/api/packets/{packet_id}/lineage"))["items"]
    return [one["type"] for one in items]
