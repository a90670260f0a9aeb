"""One packet that agents hand to each other: epochs, idempotency keys, reviews, and what a model is told of them.

Agents have the names that their framework gives them; ``members`` says which member of the ledger each one is.  An
agent acts under the epoch under which it was seen to own the packet, so that whatever it does after it lost the packet
is refused.  This module knows no framework.
"""

import asyncio
import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pfgov.client import (
    AsyncClient,
    ConflictError,
    DeniedError,
    EscalatedError,
    LostOwnershipError,
    Recorded,
)
from pfgov.client.core import MissingExtraError, packet_path
from pfgov.client.job import is_reviewed_still
from pfgov.errors import NotFoundError

POLL_SECONDS: Final = 0.2
"""How often a packet is looked at whose review is waited for."""

MOVING_SECONDS: Final = 10.0
"""How long a packet may take to move after its review was granted."""

Outcome = Literal["allowed", "pending", "denied", "escalated"]


@dataclass(frozen=True, slots=True)
class Moved:
    """What a handoff came to.

    Attributes:
        outcome: ``allowed``, the agent has the packet; ``pending``, it has yet to accept; ``denied`` or ``escalated``,
            the packet stays where it is.
        agent: The agent that was to get it.
        says: The same as a sentence for a model, with the rules.
        reasons: The rules that forbid it or want a review.
        review: Who has to look, where somebody has to.
        receipt: What proves it; nothing where the agent had the packet already.
        error: What was raised, for a denial or an escalation.
    """

    outcome: Outcome
    agent: str
    says: str
    reasons: tuple[str, ...] = ()
    review: Mapping[str, Any] | None = None
    receipt: Mapping[str, Any] = field(default_factory=dict[str, Any])
    error: DeniedError | EscalatedError | None = None


class GovernedPacket:
    """A packet that agents hand to each other."""

    def __init__(
        self,
        client: AsyncClient,
        packet_id: str,
        members: Mapping[str, str],
        *,
        thread: str = "",
    ) -> None:
        """Speak about a packet.

        Args:
            client: With a key that may move the packet: an operator's, or that of the member that owns it.
            packet_id: The packet.
            members: Which member each agent is.
            thread: What run of the framework this is; a part of every idempotency key.
        """
        self.client, self.packet_id, self.members = client, packet_id, dict(members)
        self.thread = thread
        self.is_completed = False
        self.receipts: list[Mapping[str, Any]] = []
        self._held: dict[str, tuple[int, int]] = {}

    def member_of(self, agent: str) -> str:
        """Return the member that *agent* is.

        Raises:
            NotFoundError: no member was named for it.
        """
        if agent not in self.members:
            raise NotFoundError(
                f"no member was named for the agent {agent}",
                code="adapter.unknown_agent",
                hint="name it: members={'" + agent + "': 'its-member'}",
            )
        return self.members[agent]

    async def owner(self) -> str | None:
        """Return the agent that owns the packet now; None where nobody does, or a member that is none of them."""
        shown = await self.client.packet(self.packet_id)
        return self.noted(shown)

    def noted(self, shown: Mapping[str, Any]) -> str | None:
        """Note under which epoch the owner that is shown has it, and return its agent."""
        for agent, member in self.members.items():
            if member == shown["current_owner"]:
                self._held[agent] = (shown["incarnation"], shown["epoch"])
                return agent
        return None

    async def may_have(self, agent: str) -> bool:
        """Return whether *agent* might be given the packet now: nobody, once it has ended.  Nothing is recorded."""
        member = self.member_of(agent)
        try:
            answer = await self.client.may_own(self.packet_id, member, dry_run=True)
        except ConflictError as error:
            if error.code != "lifecycle.illegal":
                raise
            return False
        return answer["outcome"] in {"allowed", "escalated"}

    def claim(self, agent: str) -> dict[str, Any]:
        """Return what *agent* names with a write: its member, life and epoch.

        Raises:
            LostOwnershipError: it was never seen to own the packet.
        """
        if agent not in self._held:
            raise LostOwnershipError(
                f"{agent} does not have {self.packet_id}",
                hint="only who has it acts; see who does: await gov.owner()",
            )
        incarnation, epoch = self._held[agent]
        return {"member_id": self.member_of(agent), "incarnation": incarnation, "epoch": epoch}

    async def check(self, agent: str) -> None:
        """Refuse to go on where *agent* lost the packet, or another run has it: before every call of a tool.

        Raises:
            LostOwnershipError: it has it no more.
        """
        shown = await self.client.packet(self.packet_id)
        if agent not in self._held:
            self.noted(shown)
        _require_present(agent, self.claim(agent), shown)

    async def context(self, agent: str) -> Any:
        """Return the context as far as *agent*, that owns the packet, may see it.

        Raises:
            LostOwnershipError: it has it no more.
        """
        await self.check(agent)
        return (await self.client.get(packet_path(self.packet_id, "context")))["context"]

    async def hand_off(self, source: str, target: str, *, step: str | None = None) -> Moved:
        """Hand the packet from one agent to another, if policy allows it.

        A step that is run again is answered as before, and takes notice of a review that was given meanwhile.

        Args:
            source: The agent that has it.
            target: The agent that is to get it.
            step: Which step of the thread this is; the state of the packet where it is left out.

        Raises:
            NotOwnerError: *source* has it no more, in this life and under this epoch.
            ApiError: any other refusal.
        """
        shown = await self.client.packet(self.packet_id)
        if source not in self._held and self.noted(shown) != source:
            await self._note_before(source)
        body = {**self.claim(source), "target": self.member_of(target), "reason": "requested"}
        key = self._key(source, target, f"v{shown['version']}" if step is None else step)
        try:
            done = await self.client.act(self.packet_id, "handoff", body, key=key)
        except EscalatedError as error:
            return await self._escalated(target, error)
        except DeniedError as error:
            return _not_moved("denied", target, error)
        self.receipts.append(done.receipt)
        return await self._given(target, done)

    async def _note_before(self, source: str) -> None:
        """Note under which epoch *source* last gave the packet away: a step that is run again says what it said then.

        Whoever asks under it for anything else is refused, for that epoch is over.
        """
        member, after = self.member_of(source), None
        while True:
            page = await self.client.get(packet_path(self.packet_id, "lineage"), after=after)
            for one in page["items"]:
                body: Mapping[str, Any] = one.get("body") or {}
                given: Mapping[str, Any] = body.get("source") or {}
                if one["type"] == "handoff_completed" and given.get("member_id") == member:
                    self._held[source] = (given["incarnation"], body["epoch"] - 1)
            after = page.get("next")
            if after is None:
                return

    async def _given(self, target: str, done: Recorded) -> Moved:
        if done.result.get("owner") == self.member_of(target):
            await self.owner()
            return Moved("allowed", target, f"{target} has the packet.", receipt=done.receipt)
        said = f"{target} was offered the packet and has yet to accept it."
        return Moved("pending", target, said, receipt=done.receipt)

    async def _escalated(self, target: str, error: EscalatedError) -> Moved:
        """Say how a handoff stands that was escalated, now or when this step was first run."""
        loop = asyncio.get_running_loop()
        until = loop.time() + MOVING_SECONDS
        while True:
            shown = await self.client.packet(self.packet_id)
            if self.noted(shown) == target:
                return Moved("allowed", target, f"{target} has the packet, after a review.")
            if not is_reviewed_still(shown, error.position or 0):
                said = f"The review that {target} needs was refused, or was not given in time."
                return Moved("denied", target, said, error.reasons, error=error)
            if shown["review"] is not None or loop.time() > until:
                return _not_moved("escalated", target, error)
            await asyncio.sleep(POLL_SECONDS)  # it was granted, and is about to move

    async def wait_for_review(self, seconds: float) -> str | None:
        """Wait until the review that is asked for was given, and return the agent that has the packet then."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            shown = await self.client.packet(self.packet_id)
            if (shown["review"] is None and not is_about_to_move(shown)) or loop.time() > until:
                return self.noted(shown)
            await asyncio.sleep(POLL_SECONDS)

    async def complete(self, agent: str, result: Mapping[str, Any] | None = None) -> Recorded:
        """Say that the work is done, as *agent*, and what came of it."""
        body = {**self.claim(agent), **({} if result is None else {"result": dict(result)})}
        done = await self.client.act(
            self.packet_id, "complete", body, key=self._key(agent, "", "complete")
        )
        self.receipts.append(done.receipt)
        self.is_completed = True
        return done

    def _key(self, source: str, target: str, step: str) -> str:
        """Return the idempotency key of one step: the same step is done once, whatever process runs it again."""
        parts = (self.packet_id, self.thread, source, target, step)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


async def check_claim(client: AsyncClient, claim: Mapping[str, Any]) -> None:
    """Refuse a member that names a packet, a life and an epoch unless it has the packet just so.

    Args:
        client: With a key that may read the packet.
        claim: ``packet_id``, ``member_id``, ``incarnation`` and ``epoch``.

    Raises:
        LostOwnershipError: it has it no more.
        ApiError: the packet may not be read, or there is none.
    """
    shown = await client.packet(claim["packet_id"])
    _require_present(claim["member_id"], claim, shown)


def _require_present(who: str, claim: Mapping[str, Any], shown: Mapping[str, Any]) -> None:
    present = (shown["current_owner"], shown["incarnation"], shown["epoch"])
    if present != (claim["member_id"], claim["incarnation"], claim["epoch"]):
        owner = shown["current_owner"]
        where = f"it is with {owner or 'nobody'}"
        if owner == claim["member_id"]:
            where = f"epoch {claim['epoch']} is over, it has it again under epoch {shown['epoch']}"
        raise LostOwnershipError(
            f"{who} may do nothing more about {shown['packet_id']}: {where}",
            hint="stop the work; what it comes to is not taken",
        )


def framework(name: str, extra: str) -> Any:
    """Return the module of a framework, imported only now.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(
            f"the package that {name} is in is not installed",
            hint=f"install it: pip install 'pfgov[{extra}]'",
        ) from error


def _not_moved(
    outcome: Literal["denied", "escalated"], target: str, error: DeniedError | EscalatedError
) -> Moved:
    rules = ", ".join(error.reasons) or error.code
    said = {
        "denied": f"{target} may not have the packet: {rules}. It stays where it is.",
        "escalated": f"{target} may have the packet once a review was granted: {rules}.",
    }[outcome]
    review = error.review if isinstance(error, EscalatedError) else None
    receipt: Mapping[str, Any] = error.problem.get("receipt") or {}
    return Moved(outcome, target, said, error.reasons, review, receipt, error)


def is_about_to_move(shown: Mapping[str, Any]) -> bool:
    """Whether a review was granted to a packet that has yet to go where it was granted to."""
    waiting: Mapping[str, Any] = shown["waiting"] or {}
    return waiting.get("outcome") == "escalated" and bool(shown["reviews"])
